#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo.sh: two vGPUs on one device, real programs in both. Installs what is missing, builds, shows, leaves only the programs' own caches behind.
#
# usage: demo.sh
set -eu
case ${1:-} in
'') ;;
--help | -h) sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0"
        exit 0 ;;
*) echo "demo.sh: there are no options, so not \"$1\"" >&2
        exit 2 ;;
esac
cd "$(dirname "$0")"
tools/install-deps
echo "building …"
make >/dev/null

FASTGPU_STATE_DIR=$(mktemp -d "${TMPDIR:-/tmp}/fastgpu-demo.XXXXXX")
export FASTGPU_STATE_DIR
PATH=$PWD/out/bin:$PWD/out/lib/fastgpu/examples:$PATH

# The daemon of this folder ends when the folder is gone.
clean_up() {
        fastgpu delete my-vgpu --force >/dev/null 2>&1 || :
        rm -rf "$FASTGPU_STATE_DIR"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

show() {
        echo
        echo "\$ $*"
        "$@"
}

show fastgpu devices
show fastgpu create --gpus 2 --name my-vgpu --memory 1G,128M --compute 70,30
show fastgpu run my-vgpu -- clinfo -l
show fastgpu run my-vgpu/1 -- train_mlp --check
cat <<'END'

Now together: hashcat cracks an MD5 hash in my-vgpu/0 (70 %), train_mlp and clpeak run in my-vgpu/1 (30 %).
END
tools/demo-run my-vgpu
