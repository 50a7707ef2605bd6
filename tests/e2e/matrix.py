#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""matrix.py: every way into a container, with every engine that is installed, under both versions of control groups; prints a table.

In each cell the same program runs in the same vGPUs (37 and 64 MiB) and takes what memory it gets; the result is the same everywhere
or the cell says what came instead; "not here": the engine starts no container at all, with a vGPU or without. Ends with 1 if a way that ought to work did not. Version 2 is shown to engines without controllers,
as a kernel does whose controllers are version 1's: limits of processor and memory are not asked for there."""
import json
import os
import shutil
import subprocess
import sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import test_containers  # noqa: E402
import test_oci  # noqa: E402
from e2e import MIB, PYTHON  # noqa: E402
from node import require_tree  # noqa: E402
import room as rooms  # noqa: E402

NOT_HERE = "not here"  # the engine starts no container at all
WANTED = [37 * MIB, 64 * MIB]
VERSION = os.environ.get("FASTGPU_MATRIX_CGROUP", "")


def started(case, name):
    """A test's fixture, without its tests."""
    case.setUpClass()
    test = case(name)
    test.setUp()
    return test


def ended(test):
    test.doCleanups()
    type(test).doClassCleanups()


def last(done):
    """What the program said, or the engine in its place."""
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    said = (done.stderr.strip() or done.stdout.strip() or f"exit {done.returncode}").splitlines()
    return said[-1]


def version(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return next((word.rstrip(",") for word in done.stdout.split() if word[0].isdigit()), "?")


def podman_options(runtime):
    """On a cgroup2 without controllers: no limit on processes, and crun makes no group at all."""
    if VERSION == "1":
        return []
    return ["--cgroups=disabled"] if runtime == "crun" else ["--pids-limit=-1"]


def podman_cells():
    test = started(test_containers.Podman, "test_what_other_vendors_break")
    test.node.json("create", "--name", "q", "--gpus", "2", "--memory", "37M,64M", "--compute", "50,30")
    try:
        for runtime in ("crun", "runc"):
            if not shutil.which(runtime):
                yield f"podman + {runtime}", "--device (CDI)", None
                continue
            run = test.room.podman_run(PYTHON, test.program, "fill", options=["--device=fastgpu.dev/vgpu=q", *podman_options(runtime)])
            run[1:1] = [f"--runtime={shutil.which(runtime)}"]
            yield f"podman + {runtime}", "--device (CDI)", last(subprocess.run(run, capture_output=True, text=True, check=False))
        if shutil.which("bwrap"):
            words = test.node.fastgpu("container", "q", "--for", "bwrap").stdout.split()
            run = ["bwrap", "--bind", test.room.root, "/", "--dev", "/dev", "--proc", "/proc", "--ro-bind", "/sys", "/sys", "--unshare-pid", *words]
            yield "bubblewrap", "fastgpu container --for bwrap", last(subprocess.run([*run, PYTHON, test.program, "fill"], capture_output=True, text=True, check=False))
        else:
            yield "bubblewrap", "fastgpu container --for bwrap", None
    finally:
        ended(test)


def runtime_cells():
    for runtime in ("crun", "runc"):
        if not shutil.which(runtime):
            yield runtime, "bundle, fastgpu-runtime", None
            continue
        test_oci.Bundle.real = runtime
        test = started(test_oci.Bundle, "test_policy")

        def edit(config):
            config["process"]["args"][-1] = "fill"
            if VERSION == "2":
                config["linux"].pop("resources", None)
        try:
            yield runtime, "bundle, fastgpu-runtime", last(test.run_box("FASTGPU_VISIBLE_DEVICES=q", edit=edit))
            if runtime == ("crun" if VERSION == "1" else "runc") and shutil.which("podman"):
                run = test.room.podman_run(PYTHON, test.program, "fill", options=["--annotation=fastgpu.dev/vgpu=q", *podman_options(runtime)])
                run[1:1] = [f"--runtime={test.runtime}"]
                yield "podman + fastgpu-runtime", "--annotation", last(subprocess.run(run, capture_output=True, text=True, check=False))
        finally:
            ended(test)
            test_oci.Bundle.real = "crun"


def containerd_cells():
    if not (shutil.which("containerd") and shutil.which("ctr") and shutil.which("runc")):
        yield "containerd", "ctr run --runc-binary", None
        return
    test = started(test_oci.Containerd, "test_ctr")
    try:
        result = last(test.box("q"))
        plain = test.ctr("run", "--rm", f"--runc-binary={shutil.which('runc')}", "--rootfs", test.room.root, "plain", "true")
        yield "containerd", "ctr run --runc-binary", result if result == WANTED or plain.returncode == 0 else NOT_HERE
    finally:
        ended(test)


def docker_cells():
    ways = (("--runtime --env", ["--env=FASTGPU_VISIBLE_DEVICES=q"]), ("--gpus 2", ["--gpus=2"]), ("--gpus all", ["--gpus=all"]),
            ("--gpus device=NAME", ['--gpus="device=q"']))
    if not (shutil.which("dockerd") and shutil.which("docker") and shutil.which("runc")):
        yield from (("Docker", way, None) for way, _ in ways)
        return
    test = started(test_oci.Docker, "test_every_way_to_ask")
    try:
        test.allow("gpus = q\n")
        for way, options in ways:
            yield "Docker", way, last(test.docker("run", "--rm", "--network=none", f"--volume={test.room.root}/usr:/usr", "--runtime=fastgpu", *options,
                                                  "tiny:1", PYTHON, test.program, "fill"))
    finally:
        ended(test)


def names():
    found = {"podman": ("podman", "--version"), "crun": ("crun", "--version"), "runc": ("runc", "--version"), "bwrap": ("bwrap", "--version"),
             "containerd": ("containerd", "--version"), "dockerd": ("dockerd", "--version")}
    return ", ".join(f"{name} {version(*argv)}" for name, argv in found.items() if shutil.which(name))


def of_one_version():
    for cells in (podman_cells, runtime_cells, containerd_cells, docker_cells):
        try:
            for engine, way, result in cells():
                print(json.dumps([engine, way, result]), flush=True)
        except Exception as e:  # an engine that does not even start is a result
            print(json.dumps([cells.__name__.split("_")[0], "", f"{type(e).__name__}: {e}"]), flush=True)


def said(result):
    return "not installed" if result is None else "ok" if result == WANTED else str(result)[-300:]


def main():
    if VERSION:
        rooms.enter(cgroup=VERSION)
        of_one_version()
        return 0
    require_tree()
    table = {}
    for version_ in ("1", "2"):
        done = subprocess.run([sys.executable, os.path.abspath(__file__)], env={**os.environ, "FASTGPU_MATRIX_CGROUP": version_}, stdout=subprocess.PIPE,
                              text=True, check=False)
        if done.returncode:
            return done.returncode
        for line in done.stdout.splitlines():
            engine, way, result = json.loads(line)
            table.setdefault((engine, way), {})[version_] = said(result)
    print(names())
    rows = [("engine", "way", "cgroup v1", "cgroup v2"), *((*key, cells.get("1", "-"), cells.get("2", "-")) for key, cells in table.items())]
    for row in rows:
        print(f"{row[0]:<26}{row[1]:<32}{row[2]:<16}{row[3]}")
    return 0 if all(cell in ("ok", "not installed", NOT_HERE) for cells in table.values() for cell in cells.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
