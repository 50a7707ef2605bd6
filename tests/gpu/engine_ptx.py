# SPDX-License-Identifier: Apache-2.0
"""The CUDA driver's own interface, without anything above it: kernels of a chosen length from text that the driver compiles.
The simulator takes the same text; there a kernel's length is what its spec says."""
import ctypes

OUT_OF_MEMORY = 2
NO_TIMING = 2
THREADS = 256
PTX = b"""
.version 6.0
.target sm_52
.address_size 64
.visible .entry spin(.param .u64 out, .param .u32 rounds)
{
        .reg .pred %more;
        .reg .b32 %left, %value;
        .reg .b64 %where;
        ld.param.u64 %where, [out];
        cvta.to.global.u64 %where, %where;
        ld.param.u32 %left, [rounds];
        mov.u32 %value, %tid.x;
again:
        mad.lo.u32 %value, %value, 1664525, 1013904223;
        sub.u32 %left, %left, 1;
        setp.ne.u32 %more, %left, 0;
        @%more bra again;
        st.global.u32 [%where], %value;
        ret;
}
"""


class CudaError(RuntimeError):
    def __init__(self, call, code):
        super().__init__(f"{call}: error {code}")
        self.code = code


class Ptx:
    """One device, one stream. `work`: rounds of the kernel, from calibrate()."""

    def __init__(self, work=0, device=0):
        self.cu = ctypes.CDLL("libcuda.so.1")
        self.call("cuInit", 0)
        self.held, self.free_events = {}, []
        context, module, self.kernel = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.call("cuCtxSetCurrent", context)
        self.call("cuModuleLoadData", ctypes.byref(module), PTX)
        self.call("cuModuleGetFunction", ctypes.byref(self.kernel), module, b"spin")
        units = ctypes.c_int()
        self.call("cuDeviceGetAttribute", ctypes.byref(units), 16, device)
        self.grid = 2 * units.value
        self.out = self.alloc(4096)
        self.stream = ctypes.c_void_p()
        self.call("cuStreamCreate", ctypes.byref(self.stream), 1)
        self.set_work(work or 20000)

    def call(self, name, *args):
        code = getattr(self.cu, name)(*args)
        if code:
            raise CudaError(name, code)

    def set_work(self, rounds):
        self.work = rounds
        self.values = (ctypes.c_uint64(self.out), ctypes.c_uint32(rounds))
        self.params = (ctypes.c_void_p * 2)(*(ctypes.addressof(v) for v in self.values))

    def launch(self):
        self.call("cuLaunchKernel", self.kernel, self.grid, 1, 1, THREADS, 1, 1, 0, self.stream, self.params, None)

    def step(self):
        for _ in range(20):
            self.launch()

    def mark(self):
        if self.free_events:
            event = self.free_events.pop()
        else:
            event = ctypes.c_void_p()
            self.call("cuEventCreate", ctypes.byref(event), NO_TIMING)
        self.call("cuEventRecord", event, self.stream)
        return event

    def wait(self, event):
        self.call("cuEventSynchronize", event)
        self.free_events.append(event)

    def sync(self):
        self.call("cuStreamSynchronize", self.stream)

    def alloc(self, size):
        """Address, or None when there is no room."""
        address = ctypes.c_uint64()
        try:
            self.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        except CudaError as e:
            if e.code != OUT_OF_MEMORY:
                raise
            return None
        self.held[address.value] = size
        return address.value

    def free(self, address):
        self.call("cuMemFree_v2", ctypes.c_uint64(address))
        del self.held[address]

    def info(self):
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return [free.value, total.value]

    def devices(self):
        count, size = ctypes.c_int(), ctypes.c_size_t()
        self.call("cuDeviceGetCount", ctypes.byref(count))
        found = []
        for device in range(count.value):
            self.call("cuDeviceTotalMem_v2", ctypes.byref(size), device)
            found.append(size.value)
        return found
