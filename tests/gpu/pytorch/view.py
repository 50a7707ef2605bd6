# SPDX-License-Identifier: Apache-2.0
"""What PyTorch is told of the devices is the slice."""
import torch

from common import DEVICES, QUOTA, check, say


def main():
    check(torch.cuda.device_count() == DEVICES, f"{torch.cuda.device_count()} devices")
    seen = []
    for d in range(DEVICES):
        properties = torch.cuda.get_device_properties(d)
        with torch.cuda.device(d):
            torch.zeros(1, device="cuda")
            free, total = torch.cuda.mem_get_info()
        check(not QUOTA or properties.total_memory == total == QUOTA, f"device {d} has {properties.total_memory}, {total} B")
        check(0 < free < total, f"device {d}: {free} of {total} B free")
        seen.append({"name": properties.name, "free": free, "total": total, "uuid": str(getattr(properties, "uuid", ""))})
    check(DEVICES < 2 or not seen[0]["uuid"] or seen[0]["uuid"] != seen[1]["uuid"], "both have the same UUID")
    say(f"{DEVICES} devices, {seen[0]['total'] >> 20} MiB each, {seen[0]['free'] >> 20} MiB free", seen=seen)


main()
