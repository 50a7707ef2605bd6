#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# library.sh LIBRARY: needs libc alone, of long ago, and shows what the vendor's library shows.
set -u
library=$1
fail() {
        echo "$library: $*"
        exit 1
}

readelf --wide --dynamic "$library" | grep -q 'SONAME.*\[libnvidia-ml.so.1\]' || fail "SONAME"
others=$(readelf --wide --dynamic "$library" | grep NEEDED | grep -v -e 'libc\.so' -e 'ld-linux')
[ -z "$others" ] || fail "needs $others"
others=$(nm -D --defined-only "$library" | awk '{print $3}' | grep -v -e '^nvml[A-Z]' -x -e dlsym -e fastgpu_drop_in)
others=$(echo "$others" | grep -v '^nvml[A-Z]')
[ -z "$others" ] || fail "shows $others"
newest=$(objdump -T "$library" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1)
[ "$(printf '%s\nGLIBC_2.28\n' "$newest" | sort -V | tail -1)" = GLIBC_2.28 ] || fail "needs $newest"
