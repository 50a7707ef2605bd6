#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# policies.sh: SELinux's compiler and AppArmor's parser take what packaging/ has for them, and the latter names the socket that containers get.
# 77: neither is installed (Debian: checkpolicy and semodule-utils, apparmor).
set -eu
cd "$(dirname "$0")/../../packaging"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tried=

if command -v checkmodule >/dev/null && command -v semodule_package >/dev/null; then
        checkmodule -M -m -o "$work/fastgpu.mod" selinux/fastgpu.te
        semodule_package -o "$work/fastgpu.pp" -m "$work/fastgpu.mod" -f selinux/fastgpu.fc
        sed 's/ connectto;/;/' selinux/fastgpu.te >"$work/bad.te"
        ! checkmodule -M -m -o "$work/bad.mod" "$work/bad.te" 2>/dev/null || { echo 'checkmodule takes anything' >&2; exit 1; }
        tried="$tried selinux"
fi

# $1: a profile with this abstraction in it.
parse() {
        mkdir -p "$work/abstractions"
        cp "$1" "$work/abstractions/fastgpu"
        printf 'profile box flags=(attach_disconnected) {\n  #include <abstractions/fastgpu>\n}\n' >"$work/profile"
        apparmor_parser --skip-kernel-load --skip-cache --skip-read-cache -I "$work" "$work/profile"
}

if command -v apparmor_parser >/dev/null; then
        parse apparmor/fastgpu
        sed 's/ rw,/ rwz,/' apparmor/fastgpu >"$work/bad"
        ! parse "$work/bad" 2>/dev/null || { echo 'apparmor_parser takes anything' >&2; exit 1; }
        tried="$tried apparmor"
fi

folder=$(sed -n 's/^#define FG_CONTAINER_FOLDER "\(.*\)"/\1/p' ../src/base/paths.h)
file=$(sed -n 's/^#define FG_ATTACH_FILE *"\(.*\)"/\1/p' ../src/base/paths.h)
grep -q "^  $folder/$file rw,$" apparmor/fastgpu || { echo "apparmor/fastgpu does not name $folder/$file" >&2; exit 1; }
[ -n "$tried" ] || { echo 'neither checkmodule nor apparmor_parser is installed: NOT TESTED' >&2; exit 77; }
echo "taken:$tried"
