#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every name, release and flag, bare and with the drop-in: SHIM TEST-PROC-ADDRESS-ALL FAKE-DAEMON DRIVER-FOLDER
set -eu
shim=$1 program=$2 daemon=$3 folder=$4
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export FAKE_REPORT=$tmp/report

LD_LIBRARY_PATH=$folder "$program" >"$tmp/bare"
"$daemon" --key cuda/GPU-none --driver "$folder" - 1000 -- env LD_PRELOAD="$shim" "$program" >"$tmp/shim"
[ "$(wc -l <"$tmp/bare")" -gt 10000 ] || { echo "the bare driver says next to nothing"; exit 1; }
grep -q ' cuMemAlloc_v2, ' "$tmp/bare" || { echo "cuMemAlloc_v2 is never the answer"; exit 1; }
# The scripted driver has one function under these two names.
sed -i 's/cuArrayCreate_v2/cuArray3DCreate_v2/g' "$tmp/bare" "$tmp/shim"
diff "$tmp/bare" "$tmp/shim" | head -20
cmp -s "$tmp/bare" "$tmp/shim"
