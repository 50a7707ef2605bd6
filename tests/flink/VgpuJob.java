/* SPDX-License-Identifier: Apache-2.0 */
import static org.jocl.CL.*;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.flink.api.common.externalresource.ExternalResourceInfo;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.jocl.Pointer;
import org.jocl.Sizeof;
import org.jocl.cl_command_queue;
import org.jocl.cl_context;
import org.jocl.cl_context_properties;
import org.jocl.cl_device_id;
import org.jocl.cl_kernel;
import org.jocl.cl_mem;
import org.jocl.cl_platform_id;
import org.jocl.cl_program;

/**
 * A job of Flink's whose tasks work on the vGPUs that Flink names them: VgpuJob TASKS FOLDER. Each task takes one of its TaskManager's, works
 * there, writes what it saw into FOLDER, and holds a buffer until FOLDER/stop is there.
 */
public final class VgpuJob {
  static final long HELD = 16 << 20;

  /** JOCL keeps its callbacks in maps of its own, which two threads must not change at once. */
  static final Object JOCL = new Object();

  /** The vGPUs are the TaskManager's; which task takes which is the job's own affair. */
  static final Set<Integer> taken = new TreeSet<>();

  static int take(Set<ExternalResourceInfo> infos) {
    synchronized (taken) {
      for (ExternalResourceInfo info : infos) {
        int index = Integer.parseInt(info.getProperty("index").orElseThrow());
        if (taken.add(index)) {
          return index;
        }
      }
    }
    throw new IllegalStateException("all of " + infos + " are taken");
  }

  static void giveBack(int index) {
    synchronized (taken) {
      taken.remove(index);
    }
  }

  static List<cl_device_id> devices() {
    int[] count = new int[1];
    clGetPlatformIDs(0, null, count);
    cl_platform_id[] platforms = new cl_platform_id[count[0]];
    clGetPlatformIDs(platforms.length, platforms, null);
    List<cl_device_id> all = new ArrayList<>();
    for (cl_platform_id platform : platforms) {
      if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, null, count) == CL_SUCCESS) {
        cl_device_id[] found = new cl_device_id[count[0]];
        clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, found.length, found, null);
        all.addAll(List.of(found));
      }
    }
    return all;
  }

  static long memory(cl_device_id device) {
    long[] size = new long[1];
    clGetDeviceInfo(device, CL_DEVICE_GLOBAL_MEM_SIZE, Sizeof.cl_ulong, Pointer.to(size), null);
    return size[0];
  }

  /** Buffers until not one byte more is given; how many bytes that were. All are given back. */
  static long fill(cl_context context) {
    List<cl_mem> kept = new ArrayList<>();
    long held = 0;
    for (long size = HELD; size > 0; ) {
      int[] error = new int[1];
      cl_mem buffer = clCreateBuffer(context, CL_MEM_READ_WRITE, size, null, error);
      if (error[0] == CL_SUCCESS) {
        kept.add(buffer);
        held += size;
      } else {
        size /= 2;
      }
    }
    kept.forEach(org.jocl.CL::clReleaseMemObject);
    return held;
  }

  /** Whether a kernel's sums are right. */
  static boolean add(cl_context context, cl_device_id device) {
    String text = "kernel void add(global int *o) { uint i = get_global_id(0); o[i] = i + i; }";
    int[] sums = new int[10000];
    cl_command_queue queue = clCreateCommandQueue(context, device, 0, null);
    cl_program program = clCreateProgramWithSource(context, 1, new String[] {text}, null, null);
    clBuildProgram(program, 0, null, null, null, null);
    cl_kernel kernel = clCreateKernel(program, "add", null);
    cl_mem out = clCreateBuffer(context, CL_MEM_WRITE_ONLY, Sizeof.cl_int * sums.length, null, null);
    clSetKernelArg(kernel, 0, Sizeof.cl_mem, Pointer.to(out));
    clEnqueueNDRangeKernel(queue, kernel, 1, null, new long[] {sums.length}, null, 0, null, null);
    int code = clEnqueueReadBuffer(queue, out, CL_TRUE, 0, Sizeof.cl_int * sums.length, Pointer.to(sums), 0, null, null);
    clReleaseMemObject(out);
    clReleaseKernel(kernel);
    clReleaseProgram(program);
    clReleaseCommandQueue(queue);
    for (int i = 0; i < sums.length; i++) {
      if (sums[i] != i + i) {
        return false;
      }
    }
    return code == CL_SUCCESS;
  }

  static final class Work extends RichMapFunction<Long, Long> {
    private final String folder;
    private int index = -1;

    Work(String folder) {
      this.folder = folder;
    }

    @Override
    public void open(OpenContext ignored) {
      index = take(getRuntimeContext().getExternalResourceInfos("gpu"));
    }

    @Override
    public void close() {
      giveBack(index);
    }

    @Override
    public Long map(Long value) throws Exception {
      cl_mem held;
      synchronized (JOCL) {
        List<cl_device_id> all = devices();
        List<Long> sizes = all.stream().map(VgpuJob::memory).collect(Collectors.toList());
        cl_context context = clCreateContext(new cl_context_properties(), 1, new cl_device_id[] {all.get(index)}, null, null, null);
        long filled = fill(context);
        boolean right = add(context, all.get(index));
        held = clCreateBuffer(context, CL_MEM_READ_WRITE, HELD, null, null);
        say(String.format("{\"attach\": \"%s\", \"pid\": %d, \"task\": %d, \"index\": %d, \"memory\": %s, \"filled\": %d, \"right\": %b}",
            System.getenv("FASTGPU_ATTACH"), ProcessHandle.current().pid(), value, index, sizes, filled, right));
      }
      while (!Files.exists(Path.of(folder, "stop"))) {
        Thread.sleep(50);
      }
      synchronized (JOCL) {
        clReleaseMemObject(held); // the context is left: JOCL 2.0.5 was seen to crash in deleteCallbackInfo, at its release
      }
      return value;
    }

    private void say(String line) throws Exception {
      Path part = Files.writeString(Path.of(folder, "." + ProcessHandle.current().pid() + "-" + index), line + "\n");
      Files.move(part, Path.of(folder, part.getFileName().toString().substring(1) + ".json"), StandardCopyOption.ATOMIC_MOVE);
    }
  }

  public static void main(String[] words) throws Exception {
    int tasks = Integer.parseInt(words[0]);
    Configuration conf = new Configuration();
    conf.setString("restart-strategy.type", "fixed-delay");
    conf.setString("restart-strategy.fixed-delay.attempts", "1000");
    conf.setString("restart-strategy.fixed-delay.delay", "200ms");
    StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment(conf);
    env.setParallelism(tasks);
    env.fromSequence(1, tasks).map(new Work(words[1])).sinkTo(new DiscardingSink<>());
    env.execute("vgpus");
  }
}
