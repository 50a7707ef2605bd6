/* SPDX-License-Identifier: Apache-2.0 */
import dev.fastgpu.yarn.FastGpuContainerExecutor;
import dev.fastgpu.yarn.FastGpuDevicePlugin;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.yarn.api.records.ApplicationId;
import org.apache.hadoop.yarn.api.records.ApplicationSubmissionContext;
import org.apache.hadoop.yarn.api.records.Container;
import org.apache.hadoop.yarn.api.records.ContainerLaunchContext;
import org.apache.hadoop.yarn.api.records.ContainerState;
import org.apache.hadoop.yarn.api.records.ContainerStatus;
import org.apache.hadoop.yarn.api.records.FinalApplicationStatus;
import org.apache.hadoop.yarn.api.records.Priority;
import org.apache.hadoop.yarn.api.records.Resource;
import org.apache.hadoop.yarn.api.records.YarnApplicationState;
import org.apache.hadoop.yarn.client.api.AMRMClient;
import org.apache.hadoop.yarn.client.api.AMRMClient.ContainerRequest;
import org.apache.hadoop.yarn.client.api.NMClient;
import org.apache.hadoop.yarn.client.api.YarnClient;
import org.apache.hadoop.yarn.client.api.YarnClientApplication;
import org.apache.hadoop.yarn.conf.YarnConfiguration;
import org.apache.hadoop.yarn.server.MiniYARNCluster;
import org.apache.hadoop.yarn.server.nodemanager.NodeManager;
import org.apache.hadoop.yarn.server.resourcemanager.ResourceManager;
import org.apache.hadoop.yarn.server.resourcemanager.webapp.RMWebApp;
import org.apache.hadoop.yarn.util.Records;
import org.apache.hadoop.yarn.webapp.WebApp;
import org.apache.hadoop.yarn.webapp.WebApps;

/**
 * A ResourceManager, a NodeManager and an application that a test leads by lines of standard input:
 * start NAME VGPUS COMMAND; stop NAME; end NAME (waits for it); restart (the NodeManager); ask VGPUS (for a container, and waits for none);
 * forget (what was asked for, and tells the ResourceManager what is not wanted any more); where (the ResourceManager's page, the application); each answered by one line.
 */
public final class Containers {
  private final YarnConfiguration conf = new YarnConfiguration();
  private final MiniYARNCluster cluster = new MiniYARNCluster("fastgpu", 1, 1, 1);
  private final YarnClient client = YarnClient.createYarnClient();
  private final AMRMClient<ContainerRequest> asking = AMRMClient.createAMRMClient();
  private final NMClient nodes = NMClient.createNMClient();
  private final Map<String, Container> started = new TreeMap<>();
  private NodeManager manager;
  private ContainerRequest asked;
  private ApplicationId application;

  static void say(Object what) {
    System.out.println("SAYS " + what);
  }

  private void begin() throws Exception {
    conf.set("yarn.resource-types", "fastgpu.dev/vgpu");
    conf.setBoolean("yarn.nodemanager.pluggable-device-framework.enabled", true);
    conf.set("yarn.nodemanager.pluggable-device-framework.device-classes", FastGpuDevicePlugin.class.getName());
    conf.set("yarn.nodemanager.container-executor.class", FastGpuContainerExecutor.class.getName());
    conf.set("yarn.scheduler.capacity.root.queues", "default");
    conf.set("yarn.scheduler.capacity.root.default.capacity", "100");
    conf.set("yarn.scheduler.capacity.resource-calculator", "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator");
    conf.setInt("yarn.scheduler.minimum-allocation-mb", 64);
    conf.setInt("yarn.resourcemanager.nodemanagers.heartbeat-interval-ms", 100);
    conf.setFloat("yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage", 100);
    conf.setBoolean("yarn.nodemanager.vmem-check-enabled", false);
    cluster.init(conf);
    cluster.start();
    cluster.waitForNodeManagersToConnect(60000);
    manager = cluster.getNodeManager(0);
    client.init(cluster.getConfig());
    client.start();
    application = submit();
    register(application);
    nodes.init(cluster.getConfig());
    nodes.start();
  }

  /** An application whose master is this program. */
  private ApplicationId submit() throws Exception {
    YarnClientApplication application = client.createApplication();
    ApplicationSubmissionContext context = application.getApplicationSubmissionContext();
    context.setUnmanagedAM(true);
    context.setApplicationName("vgpus");
    context.setQueue("default");
    context.setPriority(Priority.newInstance(0));
    context.setResource(Resource.newInstance(64, 1));
    context.setAMContainerSpec(Records.newRecord(ContainerLaunchContext.class));
    client.submitApplication(context);
    return context.getApplicationId();
  }

  private void register(ApplicationId id) throws Exception {
    while (client.getApplicationReport(id).getYarnApplicationState() != YarnApplicationState.ACCEPTED || client.getAMRMToken(id) == null) {
      Thread.sleep(100);
    }
    UserGroupInformation.getCurrentUser().addToken(client.getAMRMToken(id));
    asking.init(cluster.getConfig());
    asking.start();
    asking.registerApplicationMaster("127.0.0.1", 0, "");
  }

  private static ContainerRequest request(long vgpus) {
    Resource wanted = Resource.newInstance(64, 1);
    wanted.setResourceValue("fastgpu.dev/vgpu", vgpus);
    return new ContainerRequest(wanted, null, null, Priority.newInstance(0));
  }

  private String ask(long vgpus) throws Exception {
    asked = request(vgpus);
    asking.addContainerRequest(asked);
    return "given " + asking.allocate(0.1f).getAllocatedContainers().size();
  }

  /** In one Java machine the pages that began last, the NodeManager's, are at all addresses: the ResourceManager's begin once more. */
  private String where() throws Exception {
    ResourceManager resources = cluster.getResourceManager();
    WebApp pages = WebApps.$for("cluster", ResourceManager.class, resources, "ws").with(cluster.getConfig()).at("127.0.0.1", 0, true).start(new RMWebApp(resources));
    return "http://127.0.0.1:" + pages.port();
  }

  private String forget() throws Exception {
    if (asked != null) {
      asking.removeContainerRequest(asked);
      asked = null;
    }
    asking.allocate(0.1f);
    return "forgotten";
  }

  private String start(String name, long vgpus, String command) throws Exception {
    ContainerRequest request = request(vgpus);
    asking.addContainerRequest(request);
    List<Container> given = List.of();
    for (int i = 0; i < 300 && given.isEmpty(); i++) {
      given = asking.allocate(0.1f).getAllocatedContainers();
      Thread.sleep(100);
    }
    asking.removeContainerRequest(request);
    if (given.isEmpty()) {
      return "none";
    }
    nodes.startContainer(given.get(0), ContainerLaunchContext.newInstance(null, Map.of(), List.of(command), null, null, null));
    started.put(name, given.get(0));
    return "started";
  }

  /** Also gives the container's resources back to the ResourceManager. */
  private String end(String name) throws Exception {
    Container container = started.remove(name);
    while (true) {
      asking.allocate(0.1f);
      ContainerStatus status = nodes.getContainerStatus(container.getId(), container.getNodeId());
      if (status.getState() == ContainerState.COMPLETE) {
        return status.getExitStatus() + " " + status.getDiagnostics().replace('\n', ' ');
      }
      Thread.sleep(100);
    }
  }

  private String stop(String name) throws Exception {
    Container container = started.get(name);
    nodes.stopContainer(container.getId(), container.getNodeId());
    return "stopped";
  }

  /** The NodeManager ends, with its containers, and another begins. */
  private String restart() throws Exception {
    YarnConfiguration same = new YarnConfiguration(manager.getConfig());
    same.set("yarn.nodemanager.address", "127.0.0.1:0");
    same.set("yarn.nodemanager.webapp.address", "127.0.0.1:0");
    same.set("yarn.nodemanager.localizer.address", "127.0.0.1:0");
    same.set("yarn.nodemanager.collector-service.address", "127.0.0.1:0");
    String tracker = "yarn.resourcemanager.resource-tracker.address";
    same.set(tracker, cluster.getResourceManager().getConfig().get(tracker));
    manager.stop();
    started.clear();
    manager = new NodeManager();
    manager.init(same);
    manager.start();
    return "restarted";
  }

  private String obey(String[] words) throws Exception {
    switch (words[0]) {
      case "start":
        return start(words[1], Long.parseLong(words[2]), words[3]);
      case "stop":
        return stop(words[1]);
      case "end":
        return end(words[1]);
      case "restart":
        return restart();
      case "ask":
        return ask(Long.parseLong(words[1]));
      case "forget":
        return forget();
      case "where":
        return where() + " " + application;
      default:
        throw new IllegalArgumentException(words[0]);
    }
  }

  public static void main(String[] none) {
    Containers containers = new Containers();
    try {
      containers.begin();
      say("ready");
      BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        say(containers.obey(line.split(" ", 4)));
      }
      containers.asking.unregisterApplicationMaster(FinalApplicationStatus.SUCCEEDED, "", "");
      containers.manager.stop();
      containers.cluster.stop();
      System.exit(0);
    } catch (Throwable t) {
      t.printStackTrace(); // threads of the cluster would keep the program alive
      System.exit(1);
    }
  }
}
