#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Without a daemon: LAYER TEST-CLOSED. Nothing visible, one line on standard error that names the cause, none on standard output.
set -eu
layer=$1 program=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

refused() { # words that the line must hold
        OPENCL_LAYERS=$layer "$program" >"$tmp/out" 2>"$tmp/err" || { cat "$tmp/err"; exit 1; }
        [ ! -s "$tmp/out" ] || { echo "wrote to standard output"; exit 1; }
        [ "$(wc -l <"$tmp/err")" = 1 ] && grep -q "$1" "$tmp/err" || { echo "expected one line with '$1':"; cat "$tmp/err"; exit 1; }
}

unset FASTGPU_ATTACH FASTGPU_PROVE
refused 'FASTGPU_ATTACH is not set'
export FASTGPU_ATTACH=$tmp/nothing
refused 'cannot attach.*No such file'
export FASTGPU_ATTACH=/dev/null
refused 'cannot attach'
# The proof that the loader loads the layer: one byte, no words, no devices.
: >"$tmp/out"
FASTGPU_PROVE=5 OPENCL_LAYERS=$layer "$program" 5>"$tmp/proof" >"$tmp/out" 2>"$tmp/err"
[ "$(cat "$tmp/proof")" = F ] && [ ! -s "$tmp/out" ] && [ ! -s "$tmp/err" ] || { echo "no proof"; exit 1; }
# And a layer that is not loaded proves nothing.
FASTGPU_PROVE=5 OPENCL_LAYERS=$tmp/none "$program" 5>"$tmp/proof" >"$tmp/out" 2>"$tmp/err" || true
[ ! -s "$tmp/proof" ] || { echo "proof without the layer"; exit 1; }
