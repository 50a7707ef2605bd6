#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# PoCL's own example programs natively and under the layer: FAKE-DAEMON LAYER. POCL_SOURCE names PoCL's unpacked source; without
# it the test is skipped (77), as its source is nobody else's to carry.
set -eu
fake=$1 layer=$2 source=${POCL_SOURCE:-}
[ -d "$source/examples/example1" ] && [ -d "$source/poclu" ] || { echo "POCL_SOURCE names no source of PoCL"; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export FAKE_REPORT=$tmp/report HOME=$tmp XDG_CACHE_HOME=$tmp
: >"$tmp/config.h"
printf '#define CL_TARGET_OPENCL_VERSION 300\n#define CL_USE_DEPRECATED_OPENCL_1_2_APIS\n#include <CL/opencl.h>\n' >"$tmp/pocl_opencl.h"

build() { # NAME SOURCE-FOLDER-MACRO
        cc -w -O1 "-DSRCDIR=\"$2\"" '-DBUILDDIR="."' -I"$tmp" -I"$source/poclu" -include "$source/poclu/poclu.h" \
                "$source/examples/$1/"*.c "$source/poclu/"*.c -o "$tmp/$1" -lOpenCL -lm
}

# What it prints must be the same but for times, rates and the compiler's remarks on an empty cache.
same() { # NAME ARGUMENTS…
        name=$1 native=0 under=0
        shift
        cd "$source/examples/$name"
        "$tmp/$name" "$@" >"$tmp/native" 2>&1 || native=$?
        "$fake" "$layer" 8589934592 -- "$tmp/$name" "$@" >"$tmp/layer" 2>&1 || under=$?
        for f in native layer; do
                sed -e '/warnings\{0,1\} generated/d' -e '/Sum of\|sec\|Flop\|FLOP\|Performance\|[Tt]ime/d' "$tmp/$f" >"$tmp/$f.cut"
        done
        [ "$native $under" = "0 0" ] || { cat "$tmp/layer"; echo "$name: natively $native, under the layer $under"; exit 1; }
        diff "$tmp/native.cut" "$tmp/layer.cut"
        echo "$name: the same, $(cut -d' ' -f8-9,12-13 "$tmp/report")"
}

for name in example1 example2 example2a trig vecbuiltin vecadd boxadd matadd; do
        build "$name" "$source"
        same "$name"
done
build matrix1 "$source"
same matrix1 256
# This one takes the folder back that it was given.
mkdir "$tmp/s"
sed 's/#undef SRCDIR//' "$source/examples/scalarwave/scalarwave.c" >"$tmp/s/scalarwave.c"
cc -w -O1 "-DSRCDIR=\"$source\"" '-DBUILDDIR="."' -I"$tmp" -I"$source/poclu" -include "$source/poclu/poclu.h" "$tmp/s/scalarwave.c" \
        "$source/poclu/"*.c -o "$tmp/scalarwave" -lOpenCL -lm
same scalarwave
build EinsteinToolkit "$source/examples/EinsteinToolkit"
same EinsteinToolkit
