/* SPDX-License-Identifier: Apache-2.0 */
package dev.fastgpu.yarn;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.yarn.server.nodemanager.api.deviceplugin.Device;
import org.apache.hadoop.yarn.server.nodemanager.api.deviceplugin.DevicePlugin;
import org.apache.hadoop.yarn.server.nodemanager.api.deviceplugin.DeviceRegisterRequest;
import org.apache.hadoop.yarn.server.nodemanager.api.deviceplugin.DeviceRuntimeSpec;
import org.apache.hadoop.yarn.server.nodemanager.api.deviceplugin.YarnRuntimeType;

/**
 * YARN's resource fastgpu.dev/vgpu: the vGPUs of a set, or as many as fit of a size. It asks by the command `fastgpu`; what the NodeManager's
 * environment says is in Settings.
 */
public final class FastGpuDevicePlugin implements DevicePlugin {
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._:/-]*");
  private static final int PATIENCE = 20; // seconds; the NodeManager waits for it

  /** The names of the set's vGPUs, such as yarn/0; with a size instead of a set, a number for each that fits. */
  private static List<String> discover() throws Exception {
    List<String> line = new ArrayList<>(List.of(Settings.command(), "discover", "--format", "spark"));
    line.addAll(Settings.wish().isEmpty() ? List.of(Settings.set()) : Settings.wish());
    String words = String.join(" ", line.subList(1, line.size()));
    Process process = new ProcessBuilder(line).start();
    if (!process.waitFor(PATIENCE, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new IOException("fastgpu " + words + " was not over after " + PATIENCE + " s");
    }
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.exitValue() != 0) {
      throw new IOException(new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8).trim());
    }
    List<String> names = new ArrayList<>();
    Matcher quoted = Pattern.compile("\"([^\"]*)\"").matcher(said.substring(said.indexOf('[') + 1));
    while (quoted.find()) {
      if (!NAME.matcher(quoted.group(1)).matches()) {
        throw new IOException("fastgpu " + words + " answered \"" + said.trim() + "\"");
      }
      names.add(quoted.group(1));
    }
    return names;
  }

  @Override
  public DeviceRegisterRequest getRegisterRequestInfo() {
    return DeviceRegisterRequest.Builder.newInstance().setResourceName(Settings.RESOURCE).setPluginVersion("1").build();
  }

  @Override
  public Set<Device> getDevices() throws Exception {
    Set<Device> devices = new TreeSet<>();
    int count = Settings.wish().isEmpty() ? 0 : Settings.count();
    List<String> names = count > 0 ? List.of() : discover();
    for (int i = 0; i < Math.max(count, names.size()); i++) {
      String name = count > 0 ? Integer.toString(i) : names.get(i);
      devices.add(Device.Builder.newInstance().setId(i).setBusID(name).setHealthy(true).build());
    }
    return devices;
  }

  /**
   * A Docker container is started by FastGPU's runtime in the vGPU. Of other containers YARN lets a plugin change nothing; there
   * FastGpuContainerExecutor does it, or the application's own java (docs/spark.md).
   */
  @Override
  public DeviceRuntimeSpec onDevicesAllocated(Set<Device> devices, YarnRuntimeType runtime) throws Exception {
    if (runtime != YarnRuntimeType.RUNTIME_DOCKER) {
      return null;
    }
    if (!Settings.wish().isEmpty()) {
      throw new IOException("a Docker container gets a vGPU of a set: unset FASTGPU_YARN_VGPU, or start it without Docker");
    }
    if (devices.size() != 1) {
      throw new IOException("a container gets one of fastgpu.dev/vgpu, and " + devices.size() + " were asked for");
    }
    return DeviceRuntimeSpec.Builder.newInstance()
        .setContainerRuntime("fastgpu")
        .addEnv("FASTGPU_VISIBLE_DEVICES", devices.iterator().next().getBusID())
        .build();
  }

  /** What a container's programs held is back when they have ended, whether they failed or not; the set stays. */
  @Override
  public void onDevicesReleased(Set<Device> devices) {}
}
