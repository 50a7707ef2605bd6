# SPDX-License-Identifier: Apache-2.0
"""What --fastgpu adds to srun, on a cluster of Debian's Slurm on this machine."""
import os
import sys
import time

sys.path[:0] = [os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "slurm")]
import cluster as slurm  # noqa: E402
from load import median  # noqa: E402
from row import Row  # noqa: E402


def available():
    return os.geteuid() == 0 and all(slurm.find(name) for name in slurm.NEEDED) and os.path.exists(slurm.PLUGIN)


def srun(row, context):
    if not available():
        return row.result("not measured: no Slurm here (tools/install-deps --slurm)", None)
    ways = {"plain": (), "shard": ("--gres=shard:30",), "fastgpu": ("--fastgpu=1:1G:30",)}
    found = {name: [] for name in ways}
    with slurm.Cluster(sim="2xH100") as c:
        for i in range(10 if context.quick else 50):
            for name, options in ways.items():
                start = time.perf_counter()
                c.slurm("srun", *options, "true")
                if i:
                    found[name].append(1000 * (time.perf_counter() - start))
    ms = {name: median(values) for name, values in found.items()}
    added = ms["fastgpu"] - ms["plain"]
    return row.result(f"{added:.1f} ms", added <= 30, f"plain srun {ms['plain']:.0f} ms, with --gres=shard:30 {ms['shard']:.0f} ms", data=found)


ROWS = {"srun": Row("srun --fastgpu=1:1G:30 over plain srun", "≤ 30 ms", "", srun)}
