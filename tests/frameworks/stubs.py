# SPDX-License-Identifier: Apache-2.0
"""PyPI's torch for Linux is the CUDA build, and 2.5 GB of NVIDIA's libraries come with it, which a machine without a GPU loads and never
calls. In their place: libraries of the same names, whose every function answers 1, an error to all of them. The CUDA runtime is the real one.

stubs.py LIB-FOLDER-OF-TORCH FOLDER: makes them in FOLDER, where torch's own libraries look."""
import glob
import os
import re
import subprocess
import sys

OURS = re.compile(r"libtorch|libc10|libshm|libcaffe2|libgomp|libgfortran|libquadmath|libcudart|libcuda\.so|"
                  r"lib(c|m|z|dl|rt|pthread|gcc_s|stdc\+\+|util)\.so|ld-linux")
# Where a symbol has no version that says whose it is.
PREFIX = {"nccl": "libnccl", "cusparseLt": "libcusparseLt", "cuFile": "libcufile", "nvshmem": "libnvshmem", "nvtx": "libnvtx", "curand": "libcurand"}


def read(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def needed(libraries):
    found = set()
    for path in libraries:
        found |= set(re.findall(r"NEEDED.*\[(.*)\]", read("readelf", "-d", path)))
    return sorted(name for name in found if not OURS.match(name))


def undefined(libraries):
    """{(symbol, version)}"""
    found = set()
    for path in libraries:
        for line in read("nm", "-D", "--undefined-only", path).splitlines():
            name, _, version = line.split()[-1].partition("@")
            found.add((name, version.lstrip("@")))
    return found


def owner(name, version, sonames):
    if version in sonames:
        return version
    prefix = max((p for p in PREFIX if name.startswith(p)), key=len, default=None)
    return next((s for s in sonames if prefix and s.startswith(PREFIX[prefix] + (".so" if PREFIX[prefix] != "libnvshmem" else ""))), None)


def make(soname, symbols, folder):
    lines, versions = [], {}
    for name, version in sorted(symbols):
        lines.append(f"long {name}(void) {{ return 1; }}")
        versions.setdefault(version or "", []).append(name)
    words = ["gcc", "-shared", "-fPIC", "-x", "c", "-", f"-Wl,-soname,{soname}", "-o", os.path.join(folder, soname)]
    script = os.path.join(folder, soname + ".map")
    named = {v: n for v, n in versions.items() if v}
    if named:
        with open(script, "w", encoding="ascii") as f:
            f.write("".join(f"{v} {{ global: {'; '.join(n)}; }};\n" for v, n in named.items()))
        words.append("-Wl,--version-script=" + script)
    subprocess.run(words, input="\n".join(lines) + "\n", text=True, check=True)
    if named:
        os.unlink(script)


def main(torch, folder):
    libraries = glob.glob(os.path.join(torch, "*.so*"))
    sonames = needed(libraries)
    share = {soname: set() for soname in sonames}
    for name, version in undefined(libraries):
        whose = owner(name, version, sonames)
        if whose:
            share[whose].add((name, version))
    os.makedirs(folder, exist_ok=True)
    for soname, symbols in share.items():
        if not os.path.exists(os.path.join(folder, soname)):
            make(soname, symbols, folder)
    print(f"{len(sonames)} libraries, {sum(map(len, share.values()))} functions")


if __name__ == "__main__":
    main(*sys.argv[1:])
