#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# walk.sh: every way that docs/containers.md names into a container, on this machine: which engine, which way, and whether the container
# has what it should. FastGPU is installed, its daemon has two simulated GPUs, Docker runs and was told of FastGPU.
#
# usage: walk.sh IMAGE ROOT        the image (box/) in docker and in podman, and the same as a folder
#
# PODMAN: podman with the options that this machine needs. NETWORK: the containers' network. What env -i keeps is the simulated driver's own.
# The last line counts; exit 1 when a way failed.
set -u
image=$1 root=$2
podman=${PODMAN:-podman}
net=${NETWORK:+--network=$NETWORK}
passed=0 failed=0 skipped=0
two='2 vGPUs of 536870912,536870912 bytes, sums right, more refused'
one='1 vGPUs of 536870912 bytes, sums right, more refused'

print() {
        printf '%-5s %-26s %s\n' "$1" "$2" "$3"
}

# NAME, WAY, what must be said, and the command.
row() {
        name=$1 way=$2 expected=$3
        shift 3
        said=$("$@" 2>&1 </dev/null | tr -d '\r')
        case $said in
        *"$expected"*) print ok "$name" "$way"
                passed=$((passed + 1)) ;;
        *) print FAIL "$name" "$way"
                printf '%s\n' "$said" | tail -8 | sed 's/^/      | /'
                failed=$((failed + 1)) ;;
        esac
}

not_here() {
        print skip "$1" "$2"
        skipped=$((skipped + 1))
}

version() {
        "$1" --version | sed -n '1s/[^0-9]*\([0-9][0-9.]*\).*/\1/p'
}

by_cdi() {
        name="podman $(version podman), $1 $(version "$1")"
        row "$name" '--device fastgpu.dev/vgpu=my-vgpu' "$two" $podman --runtime "$1" run $net --rm --device fastgpu.dev/vgpu=my-vgpu "$image"
        row "$name" '--device fastgpu.dev/vgpu=my-vgpu::1' "$one" $podman --runtime "$1" run $net --rm --device fastgpu.dev/vgpu=my-vgpu::1 "$image"
        row "$name" '$(fastgpu container my-vgpu)' "$two" $podman --runtime "$1" run $net --rm $(fastgpu container my-vgpu) "$image"
        row "$name" 'env -i' "$two" $podman --runtime "$1" run $net --rm --device fastgpu.dev/vgpu=my-vgpu "$image" env -i PATH=/usr/bin:/bin FASTGPU_SIM=2xT4 /opt/look
        row "$name" 'unknown vGPU: not started' 'fastgpu.dev/vgpu=nobody' $podman --runtime "$1" run $net --rm --device fastgpu.dev/vgpu=nobody "$image"
}

by_runtime() {
        name="podman $(version podman)"
        row "$name" '--runtime fastgpu-runtime --annotation' "$two" \
                $podman --runtime "$(command -v fastgpu-runtime)" run $net --rm --annotation fastgpu.dev/vgpu=my-vgpu "$image"
        row "$name" '--annotation, unknown vGPU: not started' 'FastGPU: ' \
                $podman --runtime "$(command -v fastgpu-runtime)" run $net --rm --annotation fastgpu.dev/vgpu=nobody "$image"
}

by_docker() {
        server=$(docker version --format '{{.Server.Version}}')
        name="docker ${server%%+*}"
        row "$name" '--runtime fastgpu -e FASTGPU_VISIBLE_DEVICES' "$two" \
                docker run $net --rm --runtime fastgpu -e FASTGPU_VISIBLE_DEVICES=my-vgpu "$image"
        row "$name" 'the same, env -i' "$two" \
                docker run $net --rm --runtime fastgpu -e FASTGPU_VISIBLE_DEVICES=my-vgpu "$image" env -i PATH=/usr/bin:/bin FASTGPU_SIM=2xT4 /opt/look
        row "$name" '--gpus 2' "$two" docker run $net --gpus 2 --rm "$image"
        row "$name" '--gpus all' "$two" docker run $net --gpus all --rm "$image"
        row "$name" '--gpus 1' "$one" docker run $net --gpus 1 --rm "$image"
        row "$name" '--gpus "device=my-vgpu"' "$two" docker run $net --gpus '"device=my-vgpu"' --rm "$image"
        row "$name" '--gpus 3: not started' 'FastGPU: ' docker run $net --gpus 3 --rm "$image"
        row "$name" 'unknown vGPU: not started' 'FastGPU: ' docker run $net --rm --runtime fastgpu -e FASTGPU_VISIBLE_DEVICES=nobody "$image"
        row "$name" 'no vGPU asked for: none' 'libnvidia-ml.so.1: cannot open' docker run $net --rm "$image"
        case ${server%%.*} in
        1? | 2[0-4]) not_here "$name" '--device fastgpu.dev/vgpu=my-vgpu: Docker knows CDI from 25 on' ;;
        *) row "$name" '--device fastgpu.dev/vgpu=my-vgpu' "$two" docker run $net --rm --device fastgpu.dev/vgpu=my-vgpu "$image" ;;
        esac
}

by_ctr() {
        name="containerd $(version containerd)"
        row "$name" 'ctr run --runc-binary fastgpu-runtime' "$two" \
                ctr run --rm --runc-binary fastgpu-runtime --env FASTGPU_VISIBLE_DEVICES=my-vgpu --rootfs "$root" box-ctr /opt/look
}

by_bwrap() {
        row "bwrap $(version bwrap)" '$(fastgpu container my-vgpu --for bwrap)' "$two" \
                bwrap --bind "$root" / --dev /dev --proc /proc --ro-bind /sys /sys $(fastgpu container my-vgpu --for bwrap) /opt/look
}

fastgpu create --gpus 2 --name my-vgpu --memory 512M --compute 30 >/dev/null || exit 1
for runtime in crun runc; do
        if command -v "$runtime" >/dev/null && command -v podman >/dev/null; then by_cdi "$runtime"; else not_here "podman, $runtime" 'not installed'; fi
done
if command -v podman >/dev/null; then by_runtime; fi
if docker version >/dev/null 2>&1; then by_docker; else not_here docker 'does not run here'; fi
if ctr version >/dev/null 2>&1; then by_ctr; else not_here containerd 'does not run here'; fi
if command -v bwrap >/dev/null; then by_bwrap; else not_here bwrap 'not installed'; fi
fastgpu delete my-vgpu --force >/dev/null
echo "$passed ways work, $failed do not, $skipped cannot be tried here"
[ "$failed" = 0 ]
