#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# smi.sh SMI: what a client shows that knows nothing of vGPUs. Runs under fake-daemon.
set -u
smi=$1
FASTGPU_SIM=3xH100 FASTGPU_SIM_STATE=$(mktemp -d /tmp/fastgpu-nvml-XXXXXX)
export FASTGPU_SIM FASTGPU_SIM_STATE
trap 'rm -rf "$FASTGPU_SIM_STATE"' EXIT

same() {
        if [ "$1" != "$2" ]; then
                printf 'found:\n%s\ninstead of:\n%s\n' "$1" "$2"
                exit 1
        fi
}

same "$("$smi" -L)" 'GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-01010101-0101-0101-0101-010101010101)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-02020202-0202-0202-0202-020202020202)
GPU 2: NVIDIA H100 80GB HBM3 (UUID: GPU-03030303-0303-0303-0303-030303030303)'
same "$("$smi" --query index,pci.bus_id,memory.total,memory.used,memory.free,memory.reserved,utilization.gpu,mig.mode)" \
        '0,00000000:01:00.0,67108864,0,67108864,0,0,Disabled
1,00000000:01:00.0,134217728,0,134217728,0,0,Disabled
2,00000000:02:00.0,268435456,0,268435456,0,0,Disabled'
same "$("$smi" --apps)" ''
table=$("$smi") || exit 1
same "$(echo "$table" | grep -o '[0-9]*MiB / *[0-9]*MiB' | tr -s ' ')" '0MiB / 64MiB
0MiB / 128MiB
0MiB / 256MiB'
echo "$table" | grep -q 'No running processes found'
