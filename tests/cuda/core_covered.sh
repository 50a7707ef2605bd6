#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Our file lies where the driver's is looked for: SHIM TEST-CORE FAKE-DAEMON KEY DRIVER. As a second copy, as a link, and
# mounted over the versioned file, whose former content the operator shows elsewhere.
set -eu
shim=$1 program=$2 daemon=$3 key=$4 driver=$5
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export FAKE_REPORT=$tmp/report CORE_DRIVER=$tmp/covered/libcuda.so.999.1 CORE_SHIM=$shim

covered() { # settings for the program, then the test
        "$daemon" --key "$key" --driver "$tmp/covered" - 1000000 -- env "$1" "$program" "$2" ||
                { echo "failed with $1"; exit 1; }
}

mkdir "$tmp/covered"
cp "$driver" "$tmp/covered/libcuda.so.999.1"
for how in "ln -s" cp; do
        $how "$shim" "$tmp/covered/libcuda.so.1"
        covered LD_PRELOAD="$shim" entries
        covered LD_LIBRARY_PATH="$tmp/covered" entries
        covered LD_LIBRARY_PATH="$tmp/covered" threads
        rm "$tmp/covered/libcuda.so.1"
done

# libcuda.so.1 -> libcuda.so.999.1, with ours mounted over the latter; the vendor's lies in another folder.
mkdir "$tmp/system" "$tmp/vendor"
cp "$driver" "$tmp/vendor/libcuda.so.1"
cp "$driver" "$tmp/system/libcuda.so.999.1"
ln -s libcuda.so.999.1 "$tmp/system/libcuda.so.1"
cat >"$tmp/inside" <<'END'
mount --bind "$1" "$2/system/libcuda.so.999.1" || exit 77
CORE_DRIVER=$2/vendor/libcuda.so.1 CORE_SHIM=$2/system/libcuda.so.1 LD_LIBRARY_PATH=$2/system "$3" entries
END
if unshare --mount --map-root-user true 2>/dev/null; then
        "$daemon" --key "$key" --driver "$tmp/vendor" - 1000000 -- \
                unshare --mount --map-root-user sh "$tmp/inside" "$shim" "$tmp" "$program"
else
        echo "no mount namespaces here: the bind mount is not tested"
fi
