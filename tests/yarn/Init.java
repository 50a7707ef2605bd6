/* SPDX-License-Identifier: Apache-2.0 */
import dev.fastgpu.yarn.FastGpuContainerExecutor;

/** What the executor says of a NodeManager's environment. */
public final class Init {
  public static void main(String[] none) {
    try {
      new FastGpuContainerExecutor().init(null);
    } catch (Exception e) {
      System.out.println("SAYS " + e.getMessage());
    }
  }
}
