# SPDX-License-Identifier: Apache-2.0
"""What the examples share: the first OpenCL device, programs built for it, and keeping it busy.

Nothing here knows of FastGPU. Inside a vGPU the first device is the vGPU."""
import argparse
import importlib.util
import os
import sys
import time

try:
    import numpy as np
    import pyopencl as cl
except ImportError as e:
    sys.exit(f"{e}: apt install python3-pyopencl python3-numpy, and run this with the Python they belong to (Debian: /usr/bin/python3)")


class Gpu:
    """One device, one queue in order, and the kernels of one .cl file, which lies beside the example."""

    def __init__(self, example, kernels):
        devices = [device for platform in cl.get_platforms() for device in platform.get_devices()]
        if not devices:
            sys.exit("no OpenCL device: apt install pocl-opencl-icd for the CPU, or your GPU's own driver")
        self.device = devices[0]
        # Some small GPUs have no double precision; there, `real` is float and the figures are coarser.
        self.real = np.float64 if self.device.double_fp_config else np.float32
        name = "double" if self.device.double_fp_config else "float"
        self.context = cl.Context([self.device])
        self.queue = cl.CommandQueue(self.context)
        with open(os.path.join(os.path.dirname(os.path.abspath(example)), kernels), encoding="utf-8") as source:
            program = cl.Program(self.context, source.read()).build([f"-Dreal={name}", f"-Dreal2={name}2", f"-Dreal4={name}4"])
        self.kernels = {kernel.function_name: kernel for kernel in program.all_kernels()}

    def buffer(self, array):
        """A buffer on the device with the array's contents."""
        buffer = self.empty(array.shape, array.dtype)
        cl.enqueue_copy(self.queue, buffer, np.ascontiguousarray(array))
        return buffer

    def empty(self, shape, dtype):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        try:
            return cl.Buffer(self.context, cl.mem_flags.READ_WRITE, size)
        except cl.MemoryError as e:
            sys.exit(f"the device has no room for {size} bytes more ({e}); in a vGPU: fastgpu resize NAME --memory …")

    def zeros(self, shape, dtype):
        """Queued, like a kernel."""
        buffer = self.empty(shape, dtype)
        cl.enqueue_fill_buffer(self.queue, buffer, np.zeros(1, np.uint8), 0, buffer.size)
        return buffer

    def run(self, name, size, *args, group=None):
        """Queues a kernel; does not wait."""
        shape = size if isinstance(size, tuple) else (size,)
        return self.kernels[name](self.queue, shape, group, *args)

    def read(self, buffer, shape, dtype):
        """Waits for all that is queued and returns the buffer's contents."""
        array = np.empty(shape, dtype)
        cl.enqueue_copy(self.queue, array, buffer)
        return array

    def read_later(self, buffer, shape, dtype):
        """(array, event): the array is filled when all queued before this is done, then the event happens."""
        array = np.empty(shape, dtype)
        event = cl.enqueue_copy(self.queue, array, buffer, is_blocking=False)
        self.queue.flush()
        return array, event

    def repeat(self, seconds, work):
        """Calls work(), which queues kernels, for so long, always one round ahead so that the device never waits for Python."""
        rounds, ahead, end = 0, None, time.monotonic() + seconds
        while time.monotonic() < end:
            work()
            behind, ahead = ahead, cl.enqueue_marker(self.queue)
            self.queue.flush()
            if behind:
                behind.wait()
            rounds += 1
        self.queue.finish()
        if rounds:
            print(f"{rounds} more rounds in {seconds:g} s")


def sample(package, path, elsewhere=None):
    """A file among the samples that a Python package brings along (nothing is imported), or None. elsewhere: Debian's folder for them."""
    found = importlib.util.find_spec(package)
    folders = [elsewhere] * bool(elsewhere) + list(found.submodule_search_locations if found else [])
    return next((file for file in (os.path.join(folder, path) for folder in folders) if os.path.exists(file)), None)


def output(ending):
    """An argument's type: a file with this ending that can be written. It is found out before the work, not after it."""
    def check(file):
        folder = os.path.dirname(file) or "."
        if not file.endswith(ending):
            raise argparse.ArgumentTypeError(f"{file}: a name that ends in {ending} is needed")
        if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
            raise argparse.ArgumentTypeError(f"{file}: no folder {folder} to write into")
        return file
    return check


def options(about):
    """The options that every example has; it adds its own."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=output(".png"), metavar="FILE.png", help="write the picture there")
    parser.add_argument("--results", type=output(".npz"), metavar="FILE.npz", help="write the figures there, for checking them elsewhere")
    parser.add_argument("--seconds", type=float, default=0, metavar="S", help="then keep the device busy for so long, to look at shares")
    return parser


def charts():
    """matplotlib's pyplot, drawing into files."""
    try:
        import matplotlib
        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        sys.exit("--picture draws with matplotlib: apt install python3-matplotlib")
    return pyplot


def images():
    """Pillow's Image."""
    try:
        from PIL import Image
    except ImportError:
        sys.exit("pictures are read and written with Pillow: apt install python3-pil")
    return Image
