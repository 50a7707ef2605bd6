#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# closed.sh SMI FOLDER FAKE-DAEMON KEY: without a vGPU or without a driver nothing is to be seen, and one line says why.
set -u
smi=$1 folder=$2 daemon=$3 key=$4
export LD_LIBRARY_PATH="$folder"
unset FASTGPU_ATTACH

expect() {
        wanted=$1 words=$2
        shift 2
        text=$("$@" 2>&1)
        found=$?
        if [ $found -ne "$wanted" ] || [ "$(echo "$text" | grep -c '^fastgpu: ')" -ne 1 ] || ! echo "$text" | grep -q "$words"; then
                echo "$*: status $found instead of $wanted, said: $text"
                exit 1
        fi
}

expect 4 'FASTGPU_ATTACH is not set' "$smi"
expect 4 'cannot attach to fastgpud' env FASTGPU_ATTACH=/no/such/socket "$smi" -L
if ldconfig -p 2>/dev/null | grep -q libnvidia-ml.so.1; then
        echo "this machine has an NVML: a missing one is not tested"
        exit 0
fi
FAKE_REPORT=/dev/null expect 9 'no NVML here' "$daemon" --key "$key" --driver /no/such/folder - 1000000 -- "$smi"
