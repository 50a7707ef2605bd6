#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pyopencl's own tests, as its packages ship them, without the layer and with it: FAKE-DAEMON LAYER LEAST FILE…, or "all" for FILE…. The
# same must pass, and more than LEAST of them.
# Exit 77: pyopencl, its tests or pytest are not installed.
#
# Nearly all the time goes into building kernels, so what the driver needs minutes to build is left out: test_algorithm.py
# as a whole (scans and sorts) and arithmetic over many types in test_array.py (`slow` below). "all": nothing is left out; docs/results has
# the outcome. Some of test_clmath.py skip themselves where scipy or pyfmmlib is missing.
set -eu
fake=$(realpath "$1") layer=$(realpath "$2") least=$3
shift 3
tests=/usr/share/doc/python-pyopencl-doc/examples
[ -f $tests/test_wrapper.py ] && /usr/bin/python3 -c 'import pyopencl, pytest' 2>/dev/null || exit 77
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
slow='test_bitwise or test_mix_complex or test_divide_inplace_array or test_dtype_conversions or test_divide_scalar'
files=$*
[ "$files" != all ] || { files=$(cd "$tests" && echo test_*.py) slow=none; }
for f in $files; do
        cp "$tests/$f" "$tmp"
done
cp $tests/*.spv $tests/empty-header.h "$tmp"
cd "$tmp"
export FAKE_REPORT=$tmp/report HOME=$tmp XDG_CACHE_HOME=$tmp PYTHONDONTWRITEBYTECODE=1
memory=$(clinfo --raw 2>/dev/null | awk '/CL_DEVICE_GLOBAL_MEM_SIZE/ {print $NF; exit}')

suite() { # FILE COMMAND…: the results go to FILE
        file=$1
        shift
        "$@" /usr/bin/python3 -m pytest -v -p no:cacheprovider -k "not ($slow)" >"$file.log" 2>&1 || true
        sed -n 's/^\(test_[a-z_]*\.py::[a-z_0-9]*\).* \(PASSED\|FAILED\|ERROR\|SKIPPED\|XFAIL\|XPASS\).*/\1 \2/p' "$file.log" | sort >"$file"
}
# The layer goes first: the second finds the first one's binaries.
suite layer "$fake" "$layer" "$memory" --
suite native
[ "$(grep -c PASSED native)" -gt "$least" ] || { tail -20 native.log; echo "natively too little passes to compare"; exit 1; }
diff native layer || { tail -50 layer.log; exit 1; }
grep -q ' left 0 ' report || { cat report; echo "memory left behind"; exit 1; }
cat report
echo "the same with and without the layer: $(cut -d' ' -f2 native | sort | uniq -c | tr -s ' \n' ' ')"
