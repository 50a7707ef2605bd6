#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install.sh: installs FastGPU from the unpacked archive, or removes it.
#
# usage: ./install.sh [--prefix FOLDER] [--uninstall]
#
# Root: below /usr/local; anybody else: below ~/.local. Run twice, it changes nothing the second time. What was installed is written
# down in PREFIX/lib/fastgpu/installed, and --uninstall removes that and nothing else.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
me=$(id -u)
prefix=
uninstall=
services='fastgpu-kubelet fastgpu-gate fastgpud'

fail() {
        echo "install.sh: $1" >&2
        exit "${2:-1}"
}

usage() {
        sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0"
}

while [ $# -gt 0 ]; do
        case $1 in
        --prefix) [ $# -gt 1 ] || fail "--prefix needs a folder" 2
                prefix=$2
                shift ;;
        --prefix=*) prefix=${1#--prefix=} ;;
        --uninstall) uninstall=1 ;;
        --help | -h) usage
                exit 0 ;;
        *) fail "there is no option \"$1\"; there are --prefix FOLDER and --uninstall" 2 ;;
        esac
        shift
done

if [ -z "$prefix" ]; then
        if [ "$me" = 0 ]; then
                prefix=/usr/local
        else
                [ -n "${HOME:-}" ] || fail "HOME is not set: say where with --prefix FOLDER" 2
                prefix=$HOME/.local
        fi
fi
case $prefix in
/*) ;;
*) fail "the prefix \"$prefix\" must be a whole path, beginning with /" 2 ;;
esac
case $prefix in
*[:\ ]*) fail "the prefix \"$prefix\" has a colon or a blank, and no OpenCL layer can lie there" 2 ;;
esac
prefix=${prefix%/}
list=$prefix/lib/fastgpu/installed

# Whether this is the machine's own systemd that we talk about, and it looks into this prefix.
has_systemd() {
        [ "$me" = 0 ] && [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1 &&
                { [ "$prefix" = /usr/local ] || [ "$prefix" = /usr ]; }
}

# Deepest first, those that are empty.
remove_folders() {
        sed 's|/[^/]*$||' "$1" | sort -u | while IFS= read -r folder; do
                while [ -n "$folder" ] && [ "$folder" != . ]; do
                        echo "$folder"
                        case $folder in */*) folder=${folder%/*} ;; *) folder= ;; esac
                done
        done | sort -ru | while IFS= read -r folder; do
                rmdir "$prefix/$folder" 2>/dev/null || true
        done
}

# Those that were started, or are to be with the machine; the daemon last.
stop_services() {
        for service in $services; do
                [ -f "$prefix/lib/systemd/system/$service.service" ] || continue
                units=$service.service
                [ "$service" != fastgpud ] || units="fastgpud.socket $units"
                systemctl is-active --quiet $units || systemctl is-enabled --quiet $units 2>/dev/null || continue
                systemctl disable --now $units >/dev/null 2>&1 || true
                echo "stopped $service"
        done
}

remove() {
        [ -f "$list" ] || fail "nothing of FastGPU was installed below $prefix (there is no $list)"
        ! has_systemd || stop_services
        rm -rf "$prefix/lib/python3/dist-packages/fastgpu/__pycache__"
        copy=$(mktemp)
        trap 'rm -f "$copy"' EXIT
        cp "$list" "$copy"
        count=0
        while IFS= read -r file; do
                case $file in /* | *..*) continue ;; esac
                rm -f "$prefix/$file"
                count=$((count + 1))
        done <"$copy"
        rm -f "$list"
        echo lib/fastgpu/installed >>"$copy"
        remove_folders "$copy"
        ! has_systemd || systemctl daemon-reload
        echo "removed $count files from $prefix"
        [ "$me" != 0 ] || [ ! -d /var/lib/fastgpu ] || echo "kept: /var/lib/fastgpu (vGPUs, users, the log of money)"
        [ "$me" != 0 ] || [ ! -d /etc/fastgpu ] || echo "kept: /etc/fastgpu (options)"
}

# One file: only what differs is replaced, by a rename, so that programs that run keep what they have.
changed=0
put() {
        from=$1 to=$prefix/$2
        echo "$2" >>"$new"
        if [ -L "$from" ]; then
                [ "$(readlink "$from")" != "$(readlink "$to" 2>/dev/null)" ] || return 0
        elif [ -f "$to" ] && [ ! -L "$to" ] && cmp -s "$from" "$to"; then
                return 0
        fi
        mkdir -p "$(dirname "$to")"
        cp -P "$from" "$to.new"
        [ -L "$from" ] || chmod "$([ -x "$from" ] && echo 755 || echo 644)" "$to.new"
        mv -f "$to.new" "$to"
        changed=$((changed + 1))
}

# The folder below the prefix in which this machine's Python looks for packages; nothing where it looks in none.
python_folder() {
        PYTHONNOUSERSITE= python3 - "$prefix" 2>/dev/null <<'END' || true
import os, site, sys
prefix = os.path.realpath(sys.argv[1])
folders = [f for f in sys.path if f.endswith("-packages")] + ([site.getusersitepackages()] if os.geteuid() else [])
print(next((os.path.relpath(f, prefix) for f in map(os.path.realpath, folders) if f.startswith(prefix + "/")), ""), end="")
END
}

# The package lies where every version of Python can share it; a line in the machine's own folder leads there.
put_python() {
        python=$(python_folder)
        case $python in "" | lib/python3/dist-packages) return 0 ;; esac
        echo "$prefix/lib/python3/dist-packages" >"$work/fastgpu.pth"
        put "$work/fastgpu.pth" "$python/fastgpu.pth"
}

missing_libraries() {
        for file in "$prefix/bin/"fastgpu* "$prefix/lib/fastgpu/libfastgpu-remote.so"; do
                ldd "$file" 2>/dev/null | awk '/not found/ {print $1}'
        done | sort -u | tr '\n' ' '
}

install_tree() {
        [ -x "$here/tree/bin/fastgpu" ] || fail "$here/tree is not here: run install.sh where the archive was unpacked"
        mkdir -p "$prefix" 2>/dev/null && [ -w "$prefix" ] ||
                fail "$prefix cannot be written: run it with sudo, or say --prefix FOLDER"
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        new=$work/installed
        : >"$new"
        (cd "$here/tree" && find . \( -type f -o -type l \) | sed 's|^\./||' | sort) >"$work/files"
        while IFS= read -r file; do
                put "$here/tree/$file" "$file"
        done <"$work/files"
        for service in $services; do
                [ -x "$here/tree/bin/$service" ] || continue
                sed "s|@bindir@|$prefix/bin|" "$here/$service.service.in" >"$work/$service.service"
                put "$work/$service.service" "lib/systemd/system/$service.service"
        done
        put "$here/fastgpud.socket" lib/systemd/system/fastgpud.socket
        put_python
        # What an earlier version had and this one has not.
        if [ -f "$list" ]; then
                sort "$list" >"$work/before"
                sort "$new" >"$work/now"
                comm -23 "$work/before" "$work/now" | while IFS= read -r file; do
                        case $file in /* | *..*) continue ;; esac
                        rm -f "$prefix/$file"
                done
        fi
        mkdir -p "$(dirname "$list")"
        if ! cmp -s "$new" "$list"; then
                cp "$new" "$list"
        fi
}

say_what_was_done() {
        count=$(wc -l <"$list")
        if [ "$changed" = 0 ]; then
                echo "FastGPU @version@ is installed below $prefix already: nothing was changed"
        else
                echo "FastGPU @version@ is installed below $prefix: $changed of $count files were new or changed"
        fi
        missing=$(missing_libraries)
        [ -z "$missing" ] || echo "missing libraries: $missing
  Debian, Ubuntu: apt-get install libjansson4 libmicrohttpd12 libsodium23 libsqlite3-0 libsystemd0 libgnutls30 libcurl3-gnutls libnghttp2-14 libprotobuf-c1 ocl-icd-libopencl1"
        case :$PATH: in
        *:"$prefix/bin":*) ;;
        *) echo "add it to your path: export PATH=$prefix/bin:\$PATH" ;;
        esac
        [ -n "$python" ] || echo "no Python looks there: PYTHONPATH=$prefix/lib/python3/dist-packages for its package fastgpu"
        if has_systemd; then
                [ "$changed" = 0 ] || systemctl daemon-reload
                if systemctl is-active --quiet fastgpud.service; then
                        [ "$changed" = 0 ] || echo "the daemon runs in its old version (programs in vGPUs outlive it): systemctl restart fastgpud"
                else
                        echo "start the daemon with the machine: systemctl enable --now fastgpud.socket"
                fi
        elif [ "$me" = 0 ]; then
                echo "no systemd looks there: fastgpu starts the daemon itself, or run $prefix/bin/fastgpud"
        fi
        echo "next: fastgpu doctor; man fastgpu; vGPUs in containers: $prefix/share/doc/fastgpu/containers.md"
}

if [ -n "$uninstall" ]; then
        remove
else
        install_tree
        say_what_was_done
fi
