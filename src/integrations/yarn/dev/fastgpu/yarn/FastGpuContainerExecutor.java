/* SPDX-License-Identifier: Apache-2.0 */
package dev.fastgpu.yarn;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.yarn.api.records.Resource;
import org.apache.hadoop.yarn.server.nodemanager.Context;
import org.apache.hadoop.yarn.server.nodemanager.DefaultContainerExecutor;

/**
 * YARN's default executor, which starts a container that has fastgpu.dev/vgpu in vGPUs of its own: as many as it has of the resource, each of
 * the size in FASTGPU_YARN_VGPU. They are there as long as the container's programs are, so nothing is kept here that a NodeManager's end
 * could lose.
 */
public class FastGpuContainerExecutor extends DefaultContainerExecutor {
  /** A NodeManager that has no size to give, or a count that is no number, does not start. */
  @Override
  public void init(Context context) throws IOException {
    Settings.count();
    if (Settings.wish().isEmpty()) {
      throw new IOException("FASTGPU_YARN_VGPU is not set: type a container's vGPU into the NodeManager's environment, such as "
          + "\"--memory 1G --compute 25\"");
    }
    super.init(context);
  }

  /** How the container's script is started; the environment is the container's, so the daemon's place is handed on. */
  @Override
  protected String[] getRunCommand(String command, String groupId, String user, Path pidFile, Configuration conf, Resource resource) {
    String[] plain = super.getRunCommand(command, groupId, user, pidFile, conf, resource);
    long vgpus = Settings.vgpusOf(resource);
    if (vgpus == 0) {
      return plain;
    }
    List<String> line = new ArrayList<>();
    if (!Settings.stateDir().isEmpty()) {
      line.addAll(List.of("env", "FASTGPU_STATE_DIR=" + Settings.stateDir()));
    }
    line.addAll(List.of(Settings.command(), "run", "--quiet", "--gpus", Long.toString(vgpus)));
    line.addAll(Settings.wish());
    line.add("--");
    line.addAll(List.of(plain));
    return line.toArray(new String[0]);
  }
}
