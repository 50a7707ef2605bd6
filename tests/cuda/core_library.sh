#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What the drop-in shows and needs: SHIM NAMES-HEADER
set -eu
shim=$1 names=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

dynamic=$(readelf --wide --dynamic "$shim")
nm -D "$shim" >"$tmp/all"
if grep -q ' U __[atu]*san_' "$tmp/all"; then
        echo "built with a sanitizer: nothing to check"
        exit 77
fi
nm -D --defined-only "$shim" | awk '{print $3}' | LC_ALL=C sort >"$tmp/shown"
{ grep -o 'X(cu[A-Za-z0-9_]*)' "$names" | sed 's/X(\(.*\))/\1/'; echo dlsym; echo fastgpu_drop_in; } |
        LC_ALL=C sort >"$tmp/wanted"
diff "$tmp/wanted" "$tmp/shown" || { echo "wrong symbols"; exit 1; }
echo "$dynamic" | grep -q 'SONAME.*\[libcuda.so.1\]' || { echo "wrong soname"; exit 1; }
needed=$(echo "$dynamic" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
[ "$needed" = libc.so.6 ] || { echo "needs more than libc: $needed"; exit 1; }
# Nothing of glibc that is newer than this.
newest=$(objdump -T "$shim" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1)
[ "$(printf '%s\nGLIBC_2.17\n' "$newest" | sort -V | tail -1)" = GLIBC_2.17 ] ||
        { echo "needs $newest:"; objdump -T "$shim" | grep "$newest"; exit 1; }
# Nothing in here may end the program, install handlers, start threads or write to standard output.
for name in abort exit _exit signal sigaction pthread_create printf puts putchar umask; do
        ! grep -qw "U $name\(@.*\)\?" "$tmp/all" || { echo "calls $name"; exit 1; }
done
