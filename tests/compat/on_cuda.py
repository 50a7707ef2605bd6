# SPDX-License-Identifier: Apache-2.0
"""What is tried of a framework on CUDA beyond what holds on a processor: it computes on the vGPUs, is told of their size, and is refused
what is beyond. A class for each framework:

    devices()   names of the GPUs that it has
    told(quota) asserts what it calls the memory of the first, and says so
    take(size)  that many bytes of it
    product()   the sum of a product of matrices of ones, 3 by 3
    refusal     (exception, word in it) where there is no room"""

DEVICES = 2
PIECE = 64 << 20


class TensorFlow:
    def __init__(self):
        import tensorflow
        self.tf = tensorflow
        self.tf.config.experimental.enable_op_determinism()  # its sums over a batch differ from run to run on a GPU otherwise
        self.refusal = self.tf.errors.ResourceExhaustedError, ""

    def devices(self):
        return [d.name for d in self.tf.config.list_logical_devices("GPU")]

    def told(self, quota):
        """What it gives itself: what is free, less up to 1.8 GiB for the driver. It names no total."""
        from tensorflow.python.client import device_lib
        limits = [d.memory_limit for d in device_lib.list_local_devices() if d.device_type == "GPU"]
        assert limits and quota // 3 <= min(limits) <= max(limits) <= quota, limits
        return f"limits itself to {limits[0] >> 20} MiB"

    def take(self, size):
        with self.tf.device("GPU:0"):
            return self.tf.zeros([size // 4])

    def product(self):
        with self.tf.device("GPU:0"):
            a = self.tf.ones((3, 3)) @ self.tf.ones((3, 3))
        assert "GPU:0" in a.device, a.device
        return float(self.tf.reduce_sum(a))


class Jax:
    refusal = RuntimeError, "RESOURCE_EXHAUSTED"  # the class has had several names
    FRACTION = 0.75  # of the total, for its pool, where nobody says otherwise

    def __init__(self):
        import jax
        self.jax = jax

    def devices(self):
        return [str(d) for d in self.jax.devices() if d.platform == "gpu"]

    def told(self, quota):
        total = self.jax.devices()[0].memory_stats()["bytes_limit"] / self.FRACTION
        assert abs(total / quota - 1) < 0.01, total
        return f"takes the total for {total / (1 << 20):.0f} MiB"

    def take(self, size):
        return self.jax.numpy.zeros(size, dtype="uint8").block_until_ready()

    def product(self):
        a = self.jax.numpy.ones((3, 3))
        return float((a @ a).sum())


class Torch:
    def __init__(self):
        import torch
        self.torch = torch
        torch.use_deterministic_algorithms(True)
        self.refusal = torch.cuda.OutOfMemoryError, ""

    def devices(self):
        return [self.torch.cuda.get_device_name(d) for d in range(self.torch.cuda.device_count())]

    def told(self, quota):
        totals = [self.torch.cuda.mem_get_info(0)[1], self.torch.cuda.get_device_properties(0).total_memory]
        assert totals == [quota, quota], totals
        return f"total {quota >> 20} MiB"

    def take(self, size):
        return self.torch.empty(size, dtype=self.torch.uint8, device="cuda:0")

    def product(self):
        a = self.torch.ones(3, 3, device="cuda:0")
        return float((a @ a).sum())


class CuPy:
    def __init__(self):
        import cupy
        self.cupy = cupy
        self.refusal = cupy.cuda.memory.OutOfMemoryError, ""

    def devices(self):
        return [str(d) for d in range(self.cupy.cuda.runtime.getDeviceCount())]

    def told(self, quota):
        total = self.cupy.cuda.Device(0).mem_info[1]
        assert total == quota, total
        return f"total {quota >> 20} MiB"

    def take(self, size):
        return self.cupy.zeros(size, dtype="uint8")

    def product(self):
        a = self.cupy.ones((3, 3))
        return float((a @ a).sum())


def filled(framework, quota):
    """Bytes that it got until it was refused: within the quota, and no less than the pools of TensorFlow and JAX have of one."""
    refusal, word = framework.refusal
    held = []
    try:
        while len(held) <= quota // PIECE:
            held.append(framework.take(PIECE))
    except refusal as e:
        assert word in str(e), e
        taken = PIECE * len(held)
        assert taken >= quota // 3, f"refused after {taken} B"
        return taken
    raise AssertionError(f"{PIECE * len(held)} B were given")


def tried(framework, quota):
    devices = framework.devices()
    assert len(devices) == DEVICES, devices
    assert framework.product() == 27
    told = framework.told(quota)
    taken = filled(framework, quota)
    assert framework.product() == 27, "it does not go on after the refusal"
    return f"on CUDA: {told}, refused after {taken >> 20}, goes on"
