/* SPDX-License-Identifier: Apache-2.0 */
import java.util.Set;
import java.util.TreeSet;
import dev.fastgpu.yarn.FastGpuDevicePlugin;
import org.apache.hadoop.yarn.api.records.NodeReport;
import org.apache.hadoop.yarn.api.records.NodeState;
import org.apache.hadoop.yarn.client.api.YarnClient;
import org.apache.hadoop.yarn.conf.YarnConfiguration;
import org.apache.hadoop.yarn.server.MiniYARNCluster;
import org.apache.hadoop.yarn.server.nodemanager.api.deviceplugin.Device;
import org.apache.hadoop.yarn.server.nodemanager.api.deviceplugin.DeviceRuntimeSpec;
import org.apache.hadoop.yarn.server.nodemanager.api.deviceplugin.YarnRuntimeType;

/** A NodeManager with the plugin, and what the ResourceManager has of it; then what a container would be started with. */
public final class Cluster {
  static void say(String what, Object value) {
    System.out.println("SAYS " + what + " " + value);
  }

  public static void main(String[] words) {
    try {
      look();
      System.exit(0);
    } catch (Throwable t) {
      t.printStackTrace(); // threads of the cluster would keep the program alive
      System.exit(1);
    }
  }

  static void look() throws Exception {
    YarnConfiguration conf = new YarnConfiguration();
    conf.set("yarn.resource-types", "fastgpu.dev/vgpu");
    conf.setBoolean("yarn.nodemanager.pluggable-device-framework.enabled", true);
    conf.set("yarn.nodemanager.pluggable-device-framework.device-classes", FastGpuDevicePlugin.class.getName());
    conf.set("yarn.scheduler.capacity.root.queues", "default");
    conf.set("yarn.scheduler.capacity.root.default.capacity", "100");
    conf.set("yarn.scheduler.capacity.resource-calculator", "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator");
    MiniYARNCluster cluster = new MiniYARNCluster("fastgpu", 1, 1, 1);
    cluster.init(conf);
    cluster.start();
    cluster.waitForNodeManagersToConnect(60000);
    YarnClient client = YarnClient.createYarnClient();
    client.init(cluster.getConfig());
    client.start();
    for (NodeReport node : client.getNodeReports(NodeState.RUNNING)) {
      say("capacity", node.getCapability().getResourceValue("fastgpu.dev/vgpu"));
    }
    client.stop();
    cluster.stop();

    FastGpuDevicePlugin plugin = new FastGpuDevicePlugin();
    Set<Device> all = plugin.getDevices();
    for (Device device : all) {
      Set<Device> one = new TreeSet<>(Set.of(device));
      DeviceRuntimeSpec spec = plugin.onDevicesAllocated(one, YarnRuntimeType.RUNTIME_DOCKER);
      say("docker", spec.getContainerRuntime() + " " + spec.getEnvs());
      say("plain", plugin.onDevicesAllocated(one, YarnRuntimeType.RUNTIME_DEFAULT));
      plugin.onDevicesReleased(one);
    }
    try {
      plugin.onDevicesAllocated(all, YarnRuntimeType.RUNTIME_DOCKER);
    } catch (Exception e) {
      say("refused", e.getMessage());
    }
  }
}
