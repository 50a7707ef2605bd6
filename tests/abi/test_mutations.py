#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Would check_abi.py notice? One mistake at a time is planted in a copy of src/abi; the check must name it, and must find
nothing in the copy as it is. Takes the options of check_abi.py."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

CHECK = pathlib.Path(__file__).with_name("check_abi.py")
# file, what stands there, what is planted, a word of the complaint
PLANTED = [
    ("cuda.h", "CUresult cuMemAlloc_v2(CUdeviceptr *, size_t);", "CUresult cuMemAlloc_v2(CUdeviceptr *, unsigned int);",
     "cuMemAlloc_v2"),
    ("cuda.h", "CUresult cuMemFree_v2(CUdeviceptr);", "CUresult cuMemFree_v2(CUdeviceptr_v1);", "cuMemFree_v2"),
    ("cuda.h", "CUresult cuStreamSynchronize_ptsz(CUstream);", "CUresult cuStreamSynchronize_ptsz(CUevent);",
     "cuStreamSynchronize_ptsz"),
    ("cuda.h", "CUresult cuGraphInstantiate_v2(CUgraphExec *, CUgraph, CUgraphNode *, char *, size_t);",
     "CUresult cuGraphInstantiate_v2(CUgraphExec *, CUgraph, unsigned long long);", "cuGraphInstantiate_v2"),
    ("cuda_types.h", "CUDA_ERROR_OUT_OF_MEMORY", "CUDA_ERROR_OUT_OF_MEMORY = 3", "CUDA_ERROR_OUT_OF_MEMORY"),
    ("cuda_types.h", "CU_STREAM_LEGACY     ((CUstream)0x1)", "CU_STREAM_LEGACY     ((CUstream)0x3)", "CU_STREAM_LEGACY"),
    ("cuda_types.h", "size_t srcXInBytes, srcY;", "size_t srcY, srcXInBytes;", "srcXInBytes"),
    ("cuda_types.h", "typedef struct CUuuid_st { char bytes[16]; }", "typedef struct CUuuid_st { char bytes[20]; }", "CUuuid"),
    ("cuda_names.h", " X(cuLaunchKernel_ptsz)", "", "cuLaunchKernel_ptsz"),
    ("cuda_names.h", " X(cuGraphicsGLRegisterBuffer)", "", "cuGraphicsGLRegisterBuffer"),
    ("nvml.h", "nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *);", "nvmlReturn_t nvmlDeviceGetCount_v2(int *);",
     "nvmlDeviceGetCount_v2"),
    ("nvml.h", "unsigned long long total, free, used;", "unsigned long long total, used, free;", "nvmlMemory_t"),
    ("nvml.h", "NVML_ERROR_GPU_IS_LOST = 15", "NVML_ERROR_GPU_IS_LOST = 51", "NVML_ERROR_GPU_IS_LOST"),
    ("nvml_names.h", " X(nvmlDeviceGetUUID)", "", "nvmlDeviceGetUUID"),
]


def check(abi, options):
    return subprocess.run([sys.executable, CHECK, "--abi", abi, *options], capture_output=True, text=True)


def planted(abi, file, old, new):
    """A copy of abi in which the mistake stands once."""
    text = (abi / file).read_text()
    if text.count(old) < 1:
        return False
    (abi / file).write_text(text.replace(old, new, 1))
    return True


def main():
    source = pathlib.Path(sys.argv[sys.argv.index("--abi") + 1])
    options = [word for word in sys.argv[1:] if word not in ("--abi", str(source))]
    unchanged = check(source, options)
    options = [word for word in options if word != "--fetch"]
    if unchanged.returncode:
        print(unchanged.stdout + unchanged.stderr)
        return unchanged.returncode
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, (file, old, new, word) in enumerate(PLANTED):
            abi = pathlib.Path(folder) / str(number) / "abi"
            shutil.copytree(source, abi)
            if not planted(abi, file, old, new):
                print(f"{file}: '{old}' is not there to be changed")
                failed += 1
                continue
            done = check(abi, [*options, "--header", file.split("_")[0].split(".")[0] + ".h"])
            if done.returncode != 1 or word not in done.stderr:
                print(f"{file}: '{new or 'without' + old}' was not noticed (status {done.returncode})\n{done.stderr}")
                failed += 1
    print(f"{len(PLANTED)} mistakes planted, {failed} not noticed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
