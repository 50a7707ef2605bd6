#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hostile.py: programs in hostile surroundings, on simulated GPUs.

usage: hostile.py --fake-daemon FILE --drop-in FILE --sim FOLDER --program FILE --mkl FILE GROUP|CASE

Starts the program `hostile` for one case, or one after the other for those of a group, under the stand-in daemon, and looks at
its word and at the books afterwards.
"""
import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

QUOTA = 256 << 20
PATIENCE = 100  # seconds; only what hangs needs them
NOBODY = 65534


class Case:
    """verb: words for `hostile`, with {drop_in} and {vendor}. how: by which way the drop-in gets into the program. vgpus: of
    one GPU. spoils: the program may ruin an account, so that the daemon complains at the end. program: not `hostile`."""

    def __init__(self, verb, how="path", vgpus=1, spoils=False, setuid=False, program=None):
        self.verb, self.how, self.vgpus, self.spoils, self.setuid = verb.split(), how, vgpus, spoils, setuid
        self.program = program


GROUPS = {
    "loading": {
        "soname": Case("soname"),
        "soname preloaded": Case("soname", "preload"),
        "opened again": Case("reopen"),
        "opened again preloaded": Case("reopen", "preload"),
        "by path": Case("path {drop_in}", "none"),
        "deep binding": Case("deepbind {drop_in}", "none"),
        "deep binding preloaded": Case("deepbind {drop_in}", "preload"),
        "namespace": Case("dlmopen {drop_in}", "none"),
        "namespace preloaded": Case("dlmopen {drop_in}", "preload"),
        "everywhere": Case("global", "preload"),
        "next twice": Case("next", "preload"),
        "next twice before mkl": Case("next", "preload, mkl"),
        "next twice after mkl": Case("next", "mkl, preload"),
        "vendor by path": Case("vendor {vendor}", "preload"),
        "addresses": Case("addresses"),
        "addresses preloaded before mkl": Case("addresses", "preload, mkl"),
        "addresses preloaded after mkl": Case("addresses", "mkl, preload"),
        "mkl only": Case("soname", "mkl, path"),
        "shell": Case("-c echo${{IFS}}well", "mkl, preload", program="sh"),
        "no environment": Case("closed {drop_in}", "bare"),
        "setuid": Case("closed {drop_in} secure", "none", setuid=True),
    },
    "lives": {
        "fork before": Case("fork-before"),
        "fork before preloaded": Case("fork-before", "preload"),
        "fork after": Case("fork-after"),
        "fork after preloaded": Case("fork-after", "mkl, preload"),
        "fork unheard": Case("fork-raw"),
        "fork with threads": Case("fork-threads"),
        "exec chain": Case("exec 8"),
        "exec chain preloaded": Case("exec 8", "preload"),
        "spawn": Case("spawn"),
        "after the end": Case("late"),
        "after the end preloaded": Case("late", "preload"),
        "no descriptors": Case("no-descriptors"),
        "no variables": Case("no-variables"),
        "together": Case("together 64"),
    },
    "threads": {
        "short threads": Case("threads"),
        "cancelled threads": Case("cancel"),
        "exit with threads inside": Case("exit-inside"),
        "signals": Case("signals"),
        "small stack": Case("small-stack"),
    },
    "pages": {
        "page of zeros": Case("scribble 0x00", vgpus=2, spoils=True),
        "page of ones": Case("scribble 0xff", vgpus=2, spoils=True),
        "page of nonsense": Case("scribble 0x5a", vgpus=2, spoils=True),
        "unmapped page": Case("unmap", vgpus=2),
        "raised limits": Case("raise"),
    },
}
CASES = {name: case for group in GROUPS.values() for name, case in group.items()}


def environment(case, given, scratch):
    """What the program gets on top of the caller's environment."""
    words = [word.strip() for word in case.how.split(",")]
    preload = [{"preload": str(given.drop_in), "mkl": str(given.mkl)}[word] for word in words if word in ("preload", "mkl")]
    added = {"HOSTILE_QUOTA": str(QUOTA), "FASTGPU_SIM": '1x"hostile":8G', "FASTGPU_SIM_STATE": str(scratch)}
    if preload:
        added["LD_PRELOAD"] = ":".join(preload)
    if "path" in words or "preload" in words:
        # Preloaded, it stands in front of the vendor's library, which the program would find.
        added["LD_LIBRARY_PATH"] = str(given.drop_in.parent if "path" in words else given.sim)
    return added


def program_of(case, given, scratch):
    if not case.setuid:
        return case.program or given.program
    program = scratch / "hostile-setuid"
    shutil.copy(given.program, program)
    os.chown(program, NOBODY, NOBODY)
    program.chmod(0o4755)
    scratch.chmod(0o755)
    return program


def command(case, given, scratch):
    files = {"drop_in": given.drop_in, "vendor": given.sim / "libcuda.so.1"}
    added = [f"{name}={value}" for name, value in environment(case, given, scratch).items()]
    quotas = ",".join([str(QUOTA)] * case.vgpus)
    return [given.fake_daemon, "--key", "cuda/GPU-00000001-0000-4000-8000-000000000001", "--driver", given.sim, "-", quotas,
            "--", "env", *(["-i"] if case.how == "bare" else []), *added, program_of(case, given, scratch),
            *[word.format(**files) for word in case.verb]]


def look_at_books(case, report):
    """The peak of no vGPU was above its quota, and nothing is left in use."""
    text = report.read_text() if report.exists() else ""
    rows = re.findall(r"quota (\d+) used (\d+) left \d+ peak (\d+)", text)
    wrong = [] if len(rows) == case.vgpus else [f"{len(rows)} vGPUs in the daemon's report"]
    for quota, used, peak in rows if not case.spoils else []:
        if int(peak) > int(quota) or int(used):
            wrong.append(f"quota {quota}, peak {peak}, still used {used}")
    return wrong


def run(case, given, scratch):
    report = scratch / "report"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LD_", "CUDA_", "FASTGPU_"))}
    process = subprocess.Popen([str(word) for word in command(case, given, scratch)], stdout=subprocess.PIPE, text=True,
                               env={**inherited, "FAKE_REPORT": str(report)}, start_new_session=True)
    try:
        said, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        print("hangs", file=sys.stderr)
        return 1
    if process.returncode == 77:
        return 77
    allowed = (0, 99) if case.spoils else (0,)
    wrong = look_at_books(case, report)
    if process.returncode not in allowed:
        wrong.append(f"status {process.returncode}")
    if set(said.split()) != {"well"} and case.verb[0] != "exit-inside":
        wrong.append(f"it said {said!r}")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser()
    for name in ("fake-daemon", "drop-in", "sim", "program", "mkl"):
        parser.add_argument("--" + name, type=lambda text: pathlib.Path(text).absolute(), required=True)
    parser.add_argument("what", choices=[*GROUPS, *CASES])
    given = parser.parse_args()
    bad = 0
    for name, case in GROUPS.get(given.what, {given.what: CASES.get(given.what)}).items():
        with tempfile.TemporaryDirectory(prefix="fastgpu-hostile-") as scratch:
            status = 77 if case.setuid and os.geteuid() else run(case, given, pathlib.Path(scratch))
        print({0: "well", 77: "left out"}.get(status, "BAD"), name, flush=True)
        bad += status not in (0, 77)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
