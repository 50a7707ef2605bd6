# SPDX-License-Identifier: Apache-2.0
"""Claims of Kubernetes, prepared and unprepared 20 at once over the kubelet's own interface, and what fastgpu-kubelet and the daemon need of memory meanwhile.
The Go program of tests/kubernetes measures; make kubernetes-check builds it."""
import os
import re
import subprocess

from row import Row

RUN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "kubernetes", "run.py")


def claims(row, context):
    env = {**os.environ, **({} if context.quick else {"KUBERNETES_ROUNDS": "2000"})}
    done = subprocess.run([RUN, "-test.run", "ManyClaims"], env=env, capture_output=True, text=True, check=False)
    found = re.search(r"(\d+) claims, 20 at once: ([\d.]+)(µs|ms|s) each;.*resident: (\d+) KiB, the daemon (\d+) KiB", done.stdout)
    if done.returncode == 77 or not found:
        return row.result("not measured: " + ((done.stderr or done.stdout).strip().splitlines() or ["?"])[-1], None)
    ms = float(found[2]) * {"µs": 0.001, "ms": 1, "s": 1000}[found[3]]
    memory = (int(found[4]) + int(found[5])) / 1024
    return [row.result(f"{ms:.1f} ms", ms <= 5, f"{found[1]} claims, 20 at once", data={"claims": int(found[1]), "ms": ms}),
            row.result(f"{memory:.1f} MB", memory <= 30, f"fastgpu-kubelet {int(found[4]) / 1024:.1f} MB", what="fastgpu-kubelet and fastgpud, resident",
                       goal="≤ 30 MB", data={"kubelet_kib": int(found[4]), "daemon_kib": int(found[5])})]


ROWS = {"kubernetes": Row("A claim prepared and unprepared", "≤ 5 ms", "", claims)}
