#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Without a daemon or a driver nothing is allowed: SHIM TEST-CORE FAKE-DAEMON KEY. One line on standard error names the
# cause, and there is none on standard output.
set -eu
shim=$1 program=$2 daemon=$3 key=$4
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

refused() { # words that the line must hold, command
        words=$1
        shift
        "$@" >"$tmp/out" 2>"$tmp/err" || { cat "$tmp/err"; exit 1; }
        [ ! -s "$tmp/out" ] || { echo "wrote to standard output"; exit 1; }
        if [ "$(wc -l <"$tmp/err")" != 1 ] || ! grep -q "$words" "$tmp/err"; then
                echo "expected one line with '$words':"
                cat "$tmp/err"
                exit 1
        fi
}

unset FASTGPU_ATTACH
refused 'FASTGPU_ATTACH is not set' env LD_PRELOAD="$shim" "$program" closed
refused 'FASTGPU_ATTACH is not set' env LD_LIBRARY_PATH="${shim%/*}" "$program" closed
refused 'FASTGPU_ATTACH is not set' env -i LD_PRELOAD="$shim" "$program" closed
refused 'cannot attach.*No such file' env FASTGPU_ATTACH="$tmp/nothing" LD_PRELOAD="$shim" "$program" closed
refused 'cannot attach' env FASTGPU_ATTACH=/dev/null LD_PRELOAD="$shim" "$program" closed
# A session, but no driver; where the machine has one, it is found without our help.
if ! ldconfig -p 2>/dev/null | grep -q 'libcuda\.so\.1 '; then
        export FAKE_REPORT=$tmp/report
        mkdir "$tmp/only-ours"
        ln -s "$shim" "$tmp/only-ours/libcuda.so.1"
        for folder in empty only-ours; do
                refused 'no CUDA driver' "$daemon" --key "$key" --driver "$tmp/$folder" - 1000 -- \
                        env LD_PRELOAD="$shim" "$program" closed
        done
fi
