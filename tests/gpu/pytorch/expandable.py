# SPDX-License-Identifier: Apache-2.0
"""Segments that grow are made of the driver's virtual memory; the quota holds there, too."""
import os

import torch

from common import MIB, QUOTA, check, say


def main():
    check("expandable" in os.environ.get("PYTORCH_CUDA_ALLOC_CONF", ""), "the option is not set")
    kept = torch.arange(1 << 20, device="cuda")
    for size in range(16, 512, 48):
        grown = torch.ones(size * MIB // 4, device="cuda")
        check(grown.sum(dtype=torch.float64).item() == size * MIB // 4, "contents of a grown segment")
    del grown
    check(torch.equal(kept.cpu(), torch.arange(1 << 20)), "contents that were kept")
    free, held, refused = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated(), [], False
    try:
        while QUOTA and len(held) < 2 * QUOTA // (64 * MIB):
            held.append(torch.empty(64 * MIB, dtype=torch.uint8, device="cuda"))
    except torch.cuda.OutOfMemoryError:
        refused = True
    taken = len(held) * 64 * MIB
    check(not QUOTA or refused, f"{taken} B were given")
    check(not QUOTA or free - 256 * MIB < taken <= free, f"{taken} B were given, {free} B were free")
    del held
    torch.cuda.empty_cache()
    check(torch.ones(32 * MIB, device="cuda").sum(dtype=torch.float64).item() == 32 * MIB, "it does not go on afterwards")
    segments = torch.cuda.memory_snapshot()
    expandable = sum(bool(s.get("is_expandable")) for s in segments)
    say(f"refused after {taken // MIB} of {free // MIB} MiB free; {expandable} of {len(segments)} segments expandable",
        taken=taken, free=free)


main()
