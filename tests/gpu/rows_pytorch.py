# SPDX-License-Identifier: Apache-2.0
"""PyTorch in vGPUs: each row is a program of its own in pytorch/. What fails inside is run outside, too: what fails there as well is
not FastGPU's doing."""
import json
import os
import subprocess

from context import FASTGPU, GIB, HERE, Skip, line

QUOTA = 4 * GIB


def command(context, program, *argv):
    if not context.torch:
        raise Skip("PyTorch with CUDA is not installed here")
    return [context.torch, os.path.join(HERE, "pytorch", program + ".py"), *map(str, argv)]


def works_outside(context, node, argv, seconds, env):
    try:
        return context.run(node, None, *argv, seconds=seconds, **env)[0] == 0
    except subprocess.TimeoutExpired:
        return False


def inside(program, what, goal, seconds=60, gpus=1, **env):
    """gpus: vGPUs of 4 GiB on the one GPU; all are the program's."""

    def row(context):
        argv = command(context, program, gpus, QUOTA)
        with context.node() as node:
            context.create(node, "a", "--gpus", str(gpus), "--memory", "4G", "--compute", str(100 // (gpus + 1)))
            try:
                said = context.json(node, "a", *argv, seconds=seconds, **env)
            except (RuntimeError, subprocess.TimeoutExpired) as e:
                if not works_outside(context, node, [*argv[:2], "1", "0"], seconds, env):
                    raise Skip(f"does not work here without FastGPU either ({program})") from e
                raise
            usage = [node.usage(f"a/{i}") for i in range(gpus)]
        return line(what, goal, said["said"], True, "", {"said": said, "usage": usage})

    return row


def processes(context):
    """Two programs that train at the same time, each in its own vGPU of the same GPU."""
    argv = command(context, "train", 1, QUOTA)
    with context.node() as node:
        context.create(node, "a", "--gpus", "2", "--memory", "4G", "--compute", "60,40")
        pair = [node.popen([FASTGPU, "run", f"a/{i}", "--", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for i in range(2)]
        said = []
        for process in pair:
            out, err = process.communicate(timeout=60)
            if process.returncode:
                raise RuntimeError(f"exit {process.returncode}: {err[-1500:]}")
            said.append(json.loads(out.strip().splitlines()[-1])["said"])
    return line("PyTorch, two programs in two vGPUs of one GPU: training", "loss falls", "; ".join(said), True)


ROWS = {
    "torch-train": (inside("train", "PyTorch, one vGPU: training, perceptron and convolutions", "loss falls"), 100),
    "torch-two": (inside("train", "PyTorch, two vGPUs on one GPU, one program: training on both", "two devices, loss falls", gpus=2), 100),
    "torch-view": (inside("view", "PyTorch, two vGPUs: mem_get_info, properties, device_count", "the slices", gpus=2), 80),
    "torch-quota": (inside("quota", "PyTorch at the quota: OutOfMemoryError, then it goes on", "raised at the quota"), 80),
    "torch-graphs": (inside("graphs", "PyTorch, CUDA graphs: a captured training step", "same as uncaptured"), 80),
    "torch-streams": (inside("streams", "PyTorch, eight streams with events between them", "right results"), 80),
    "torch-expandable": (inside("expandable", "PyTorch, expandable segments", "grows to the quota, refused there",
                                PYTORCH_CUDA_ALLOC_CONF="expandable_segments:True", PYTORCH_ALLOC_CONF="expandable_segments:True"), 80),
    "torch-loader": (inside("loader", "PyTorch, DataLoader with four workers and pinned memory", "all batches arrive"), 80),
    "torch-processes": (processes, 90),
    "torch-compile": (inside("dynamo", "PyTorch, torch.compile: a training step", "same as uncompiled", seconds=100), 120),
}
