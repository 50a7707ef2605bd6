/* SPDX-License-Identifier: Apache-2.0 */
package dev.fastgpu.yarn;

import java.util.List;
import org.apache.hadoop.yarn.api.records.Resource;
import org.apache.hadoop.yarn.api.records.ResourceInformation;

/** What the NodeManager's environment says of FastGPU. */
final class Settings {
  static final String RESOURCE = "fastgpu.dev/vgpu";

  private Settings() {}

  private static String read(String name, String otherwise) {
    String value = System.getenv(name);
    return value == null || value.isBlank() ? otherwise : value.trim();
  }

  /** Where the command is, if not in PATH. */
  static String command() {
    return read("FASTGPU_COMMAND", "fastgpu");
  }

  static String stateDir() {
    return read("FASTGPU_STATE_DIR", "");
  }

  /** The set whose vGPUs Docker containers get. */
  static String set() {
    return read("FASTGPU_YARN_SET", "yarn");
  }

  /** The size of a vGPU that a container is given, as words for `fastgpu run`: "--memory 1G --compute 25". Empty: they are those of the set. */
  static List<String> wish() {
    String words = read("FASTGPU_YARN_VGPU", "");
    return words.isEmpty() ? List.of() : List.of(words.split("\\s+"));
  }

  /** How many of that size the node has; 0: as many as fit. */
  static int count() {
    String text = read("FASTGPU_YARN_COUNT", "0");
    if (!text.matches("[0-9]{1,6}")) {
      throw new IllegalArgumentException("FASTGPU_YARN_COUNT is \"" + text + "\"; type how many vGPUs this node has for YARN, such as 4");
    }
    return Integer.parseInt(text);
  }

  static long vgpusOf(Resource resource) {
    for (ResourceInformation known : resource.getResources()) {
      if (known.getName().equals(RESOURCE)) {
        return known.getValue();
      }
    }
    return 0;
  }
}
