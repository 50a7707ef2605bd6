#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the layer shows and needs: LAYER
set -eu
layer=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

nm -D --defined-only "$layer" | awk '{print $3}' | grep -v '^__\(asan\|tsan\|ubsan\|sanitizer\)' | sort >"$tmp/symbols"
printf 'clGetLayerInfo\nclInitLayer\n' | diff - "$tmp/symbols" || { echo "wrong symbols"; exit 1; }
if ! nm -D "$layer" | grep -q ' U __[atu]*san_'; then
        needed=$(readelf -d "$layer" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
        [ "$needed" = libc.so.6 ] || { echo "needs more than libc: $needed"; exit 1; }
fi
! readelf -d "$layer" | grep -q SONAME || { echo "has a soname"; exit 1; }
# Nothing in here may end the program, install handlers, start threads or write to standard output.
for name in abort exit _exit signal sigaction pthread_create printf puts putchar umask; do
        ! nm -D "$layer" | grep -qw "U $name\(@.*\)\?" || { echo "calls $name"; exit 1; }
done
