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
 * The vGPUs of a set as YARN's resource fastgpu.dev/vgpu. It asks by the command `fastgpu`. The NodeManager's environment says which set:
 * FASTGPU_YARN_SET (yarn), and where the command is if not in PATH: FASTGPU_COMMAND.
 */
public final class FastGpuDevicePlugin implements DevicePlugin {
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._:/-]*");
  private static final int PATIENCE = 20; // seconds; the NodeManager waits for it

  private static String setting(String name, String otherwise) {
    String value = System.getenv(name);
    return value == null || value.isEmpty() ? otherwise : value;
  }

  /** The names of the set's vGPUs, such as yarn/0. */
  private static List<String> discover() throws Exception {
    String set = setting("FASTGPU_YARN_SET", "yarn");
    Process process = new ProcessBuilder(setting("FASTGPU_COMMAND", "fastgpu"), "discover", set, "--format", "spark").start();
    if (!process.waitFor(PATIENCE, TimeUnit.SECONDS)) {
      process.destroyForcibly();
      throw new IOException("fastgpu discover " + set + " was not over after " + PATIENCE + " s");
    }
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.exitValue() != 0) {
      throw new IOException(new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8).trim());
    }
    List<String> names = new ArrayList<>();
    Matcher quoted = Pattern.compile("\"([^\"]*)\"").matcher(said.substring(said.indexOf('[') + 1));
    while (quoted.find()) {
      if (!NAME.matcher(quoted.group(1)).matches()) {
        throw new IOException("fastgpu discover " + set + " answered \"" + said.trim() + "\"");
      }
      names.add(quoted.group(1));
    }
    return names;
  }

  @Override
  public DeviceRegisterRequest getRegisterRequestInfo() {
    return DeviceRegisterRequest.Builder.newInstance().setResourceName("fastgpu.dev/vgpu").setPluginVersion("1").build();
  }

  @Override
  public Set<Device> getDevices() throws Exception {
    Set<Device> devices = new TreeSet<>();
    List<String> names = discover();
    for (int i = 0; i < names.size(); i++) {
      devices.add(Device.Builder.newInstance().setId(i).setBusID(names.get(i)).setHealthy(true).build());
    }
    return devices;
  }

  /**
   * A Docker container is started by FastGPU's runtime in the vGPU. Of other containers YARN lets a plugin change nothing; there the
   * application's own java is the way (docs/spark.md).
   */
  @Override
  public DeviceRuntimeSpec onDevicesAllocated(Set<Device> devices, YarnRuntimeType runtime) throws Exception {
    if (runtime != YarnRuntimeType.RUNTIME_DOCKER) {
      return null;
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
