#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Other people's programs under the layer and without it: FAKE-DAEMON LAYER PROGRAM. Exit 77: it is not installed.
set -eu
fake=$1 layer=$2 program=$3
command -v "${program%-*}" >/dev/null || exit 77
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export FAKE_REPORT=$tmp/report HOME=$tmp XDG_DATA_HOME=$tmp XDG_CACHE_HOME=$tmp

# The quota is the device's whole memory, so that the figures are the same.
memory=$(clinfo --raw 2>/dev/null | awk '/CL_DEVICE_GLOBAL_MEM_SIZE/ {print $NF; exit}')

# What PROGRAM says, to $tmp/native and $tmp/layer; it must end in the same way.
both() {
        native=0 under=0
        "$@" >"$tmp/native" 2>&1 || native=$?
        "$fake" "$layer" "$memory" -- "$@" >"$tmp/layer" 2>&1 || under=$?
        [ "$native" = "$under" ] || { cat "$tmp/layer"; echo "exit status natively $native, under the layer $under"; exit 1; }
}

# Both of them through sed must be the same, and at least LINES of them: same LINES SED-ARGUMENTS…
same() {
        lines=$1
        shift
        for f in native layer; do
                sed "$@" "$tmp/$f" >"$tmp/$f.cut"
        done
        diff "$tmp/native.cut" "$tmp/layer.cut"
        [ "$(wc -l <"$tmp/native.cut")" -ge "$lines" ] || { cat "$tmp/native"; echo "too little to compare"; exit 1; }
}

case $program in
clinfo)
        both clinfo
        # All that may differ is the extension that the layer hides, and memory that the driver counts anew each time.
        same 50 -e '/cl_khr_command_buffer  *0x/d' -e 's/cl_khr_command_buffer //' -e '/Global memory size/d' \
                -e '/Max memory alloc/d' -e '/Command buffer capab/,+3d'
        ;;
clpeak)
        both clpeak --global-bandwidth --transfer-bandwidth --kernel-latency
        # Every test has a figure, or natively none either. The driver's compiler speaks up once, when its cache is empty.
        same 15 -e '/Clock frequency/d' -e '/warnings\{0,1\} generated/d' -e 's/: [0-9][0-9.e+]*/: N/'
        grep -q 'Kernel launch latency : N us' "$tmp/layer.cut"
        grep -q 'enqueueWriteBuffer *: N' "$tmp/layer.cut"
        grep -q ' left 0 ' "$tmp/report"
        ;;
hashcat)
        hash=$(printf hello1 | md5sum | cut -d' ' -f1)
        crack() {
                "$@" hashcat -m 0 -a 3 --force --potfile-disable --session "$$" --outfile "$tmp/found" "$hash" '?l?l?l?l?l?d' \
                        >"$tmp/out" 2>&1
        }
        crack "$fake" "$layer" "$memory" -- || { cat "$tmp/out"; exit 1; }
        grep -qx "$hash:hello1" "$tmp/found"
        # A quota that is too small shows as the API's own error, and hashcat stops by itself.
        rm "$tmp/found"
        if crack "$fake" "$layer" 1048576 --; then
                cat "$tmp/out"
                echo "hashcat did not notice that its quota is too small"
                exit 1
        fi
        grep -q 'CL_MEM_OBJECT_ALLOCATION_FAILURE\|CL_INVALID_BUFFER_SIZE\|Not enough allocatable device memory' "$tmp/out" || { cat "$tmp/out"; exit 1; }
        [ ! -e "$tmp/found" ]
        ;;
hashcat-benchmark)
        both hashcat -b -m 0 --force --session "$$"
        same 8 -e '/^Started:/d' -e '/^Stopped:/d' -e 's/[0-9][0-9.]*/N/g' -e 's/N [kMG]*H\/s/N H\/s/' -e 's/  */ /g'
        grep -q '^Speed\.#N\.*: N H/s' "$tmp/layer.cut"
        grep -q ' left 0 ' "$tmp/report"
        ;;
esac
cat "$tmp/report"
