#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test.sh: installs what is missing, builds, runs every check and test. The last line counts them.
#
# usage: test.sh [--frameworks]     fetches TensorFlow, Keras, JAX, torch and scikit-learn (1.2 GB, once), and Slurm, for the
#                                   tests that need them; CI=true does so as well. Without them those tests are skipped.
set -eu
cd "$(dirname "$0")"
case ${1:-} in
'') ;;
--help | -h) sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0"
        exit 0 ;;
--frameworks) export FASTGPU_FRAMEWORKS=1 ;;
*) echo "test.sh: there is --frameworks, not \"$1\"" >&2
        exit 2 ;;
esac
if [ "${FASTGPU_FRAMEWORKS:-}" != 1 ] && [ "${CI:-}" != true ]; then
        tools/install-deps
else
        tools/install-deps --slurm --frameworks
        if ! python3 tests/frameworks/frameworks_venv.py make; then
                echo 'not all frameworks could be had: what needs them is NOT TESTED' >&2
                export FASTGPU_FRAMEWORKS=0
        fi
fi

log=build/meson-logs/testlog.json
if ! make; then
        printf 'the build failed: nothing was tested\n0 passed, 1 failed, 0 skipped\n'
        exit 1
fi
rm -f "$log"
code=0
# Most tests wait more than they compute: two for each processor. Slow machines are no failure: three times what the tests give themselves.
meson test -C build --print-errorlogs --num-processes $(($(nproc) * 2)) --timeout-multiplier 3 || code=$?

# One line of JSON for each test that ran; no log means that none did.
python3 - "$log" "$code" <<'END'
import collections, json, sys

try:
    with open(sys.argv[1]) as log:
        results = [json.loads(line)["result"] for line in log]
except FileNotFoundError:
    results = []
count = collections.Counter({"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped"}.get(r, "failed") for r in results)
print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
sys.exit(1 if count["failed"] or not count["passed"] or sys.argv[2] != "0" else 0)
END
