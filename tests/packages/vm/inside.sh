#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# inside.sh: what the machine of vm_check.py does when it has started: cgroup v2, systemd, podman, Docker, containerd; FastGPU from its packages.
# The first time all of it, then a restart of the machine, and what must be there again.
set -u
cd /check
failed=0
two='2 vGPUs of 536870912,536870912 bytes, sums right, more refused'
none='0 vGPUs'

check() {
        what=$1 expected=$2
        shift 2
        said=$("$@" 2>&1 </dev/null | tr -d '\r')
        case $said in
        *"$expected"*) echo "ok    $what" ;;
        *) echo "FAIL  $what"
                printf '%s\n' "$said" | tail -12 | sed 's/^/      | /'
                failed=$((failed + 1)) ;;
        esac
}

after() {
        echo "note  $(cut -d' ' -f1 /proc/uptime) s: $*"
}

# What containers that were there before have now.
both_have() {
        check "$1: podman's container" "$2" podman exec -e FASTGPU_SIM=2xT4 stays /opt/look
        check "$1: Docker's container" "$2" docker exec -e FASTGPU_SIM=2xT4 stays /opt/look
}

daemon() {
        systemctl show -P MainPID fastgpud.service
}

another_daemon_than() {
        for _ in $(seq 100); do
                if [ "$(daemon)" != "$1" ] && [ "$(daemon)" != 0 ] && fastgpu list >/dev/null 2>&1; then echo another; return; fi
                sleep 0.3
        done
        echo "the daemon is still $1: $(systemctl status fastgpud.service)"
}

another_gate_than() {
        for _ in $(seq 100); do
                now=$(systemctl show -P MainPID fastgpu-gate.service)
                if [ "$now" != "$1" ] && [ "$now" != 0 ] && [ "$(systemctl is-active fastgpu-gate.service)" = active ]; then echo another; return; fi
                sleep 0.3
        done
        echo "the gate is still $1: $(systemctl status fastgpu-gate.service)"
}

# "active" is in "inactive" too.
state() {
        echo "$1: $(systemctl is-active "$1")"
}

# What the container's own program says once it is to go on.
gated_says() {
        docker exec gated touch /go
        for _ in $(seq 100); do
                if docker logs gated 2>&1 | grep then; then return; fi
                sleep 0.3
        done
        docker logs gated
}

install_it() {
        mkdir -p /etc/systemd/system/fastgpud.service.d
        printf '[Service]\nEnvironment=FASTGPU_SIM=2xT4\n' >/etc/systemd/system/fastgpud.service.d/sim.conf
        check 'dpkg -i of all packages' 'Setting up fastgpu ' dpkg -i packages/*.deb
        check 'cgroup v2' cgroup2fs stat -f -c %T /sys/fs/cgroup
        check 'the socket is active' 'fastgpud.socket: active' state fastgpud.socket
        check 'the service starts with the machine' enabled systemctl is-enabled fastgpud.service
        check 'the daemon has the devices' 'Tesla T4' fastgpu devices
        check 'the service is active' 'fastgpud: active' state fastgpud
        check 'doctor: the daemon' 'command and daemon are both' fastgpu doctor
        after 'installed'
}

engines() {
        docker import -c 'CMD ["/opt/look"]' box.tar fastgpu-box >/dev/null && podman import -q -c 'CMD ["/opt/look"]' box.tar fastgpu-box >/dev/null 2>&1 || echo 'FAIL  import'
        mkdir root && tar -C root -xf box.tar
        after 'images are there'
        fastgpu create --gpus 2 --name my-vgpu --memory 512M --compute 30 >/dev/null
        check 'fastgpu docker enable --gpus-compat' 'systemctl restart docker' fastgpu docker enable --gpus-compat=my-vgpu
        fastgpu delete my-vgpu >/dev/null
        systemctl daemon-reload
        check 'systemctl restart docker' '' systemctl restart docker
        check 'Docker knows the runtime' fastgpu docker info
}

# A tenant that is not trusted, in the machine's own control group and under the unit's own limits. No GPU is at hand: /dev/fuse stands for a node of one.
the_gate() {
        fastgpu create --gpus 2 --name my-vgpu --memory 512M --compute 30 >/dev/null
        check 'the gate is not there unasked' 'fastgpu-gate: inactive' state fastgpu-gate
        cp /etc/fastgpu/runtime.conf before.conf
        printf 'open-gate = on\ngate-nodes = /dev/fuse\n' >>/etc/fastgpu/runtime.conf
        check 'open-gate without the gate: not started' 'systemctl enable --now fastgpu-gate' docker run --rm --gpus 2 fastgpu-box
        check 'systemctl enable --now fastgpu-gate' 'Created symlink' systemctl enable --now fastgpu-gate.service
        check 'the gate: active' 'fastgpu-gate: active' state fastgpu-gate
        check 'the gate: the vGPUs as without it' "$two" docker run --rm --gpus 2 fastgpu-box
        check 'the gate: a node for an attached program alone' 'EPERM then opened' docker run --rm --gpus 2 fastgpu-box /opt/opens /dev/fuse
        check 'the gate: other nodes are open as ever' 'opened then opened' docker run --rm --gpus 2 fastgpu-box /opt/opens /dev/null
        check 'the gate: --device is refused' 'may open GPUs, or nodes of gate-nodes, without the gate' docker run --rm --gpus 2 --device /dev/fuse fastgpu-box
        docker run -d --name gated --gpus 2 fastgpu-box sh -c 'until test -e /go; do sleep 1; done; /opt/opens /dev/fuse; sleep 100000' >/dev/null
        was=$(systemctl show -P MainPID fastgpu-gate.service)
        kill -9 "$was"
        check 'kill -9: systemd starts another gate' another another_gate_than "$was"
        check 'after it: another program in their container' 'EPERM then opened' docker exec -e FASTGPU_SIM=2xT4 gated /opt/opens /dev/fuse
        check 'after it: a new container' 'EPERM then opened' docker run --rm --gpus 2 fastgpu-box /opt/opens /dev/fuse
        # What takes new containers is gone then, not the process of each that runs.
        systemctl stop fastgpu-gate.service
        check 'the gate is stopped' 'fastgpu-gate: inactive' state fastgpu-gate
        check 'without it: no new container' 'no fastgpu-gate answers' docker run --rm --gpus 2 fastgpu-box
        check 'without it: no other program in a container' 'gate.sock' docker exec -e FASTGPU_SIM=2xT4 gated /opt/opens /dev/fuse
        check 'without it: programs that ran before it was killed' 'EPERM then opened' gated_says
        systemctl start fastgpu-gate.service
        check 'after systemctl start fastgpu-gate' 'EPERM then opened' docker exec -e FASTGPU_SIM=2xT4 gated /opt/opens /dev/fuse
        docker rm -f gated >/dev/null
        cp before.conf /etc/fastgpu/runtime.conf
        fastgpu delete my-vgpu --force >/dev/null
        after 'the gate'
}

the_unit() {
        fastgpu create --gpus 2 --name my-vgpu --memory 512M --compute 30 >/dev/null
        podman run -d --name stays --device fastgpu.dev/vgpu=my-vgpu fastgpu-box sleep 100000 >/dev/null
        docker run -d --name stays --gpus 2 fastgpu-box sleep 100000 >/dev/null
        both_have 'started' "$two"
        was=$(daemon)
        systemctl restart fastgpud.service
        check 'systemctl restart fastgpud' another another_daemon_than "$was"
        both_have 'after it' "$two"
        systemctl daemon-reload
        both_have 'after systemctl daemon-reload' "$two"
        was=$(daemon)
        kill -9 "$was"
        check 'kill -9: systemd starts another' another another_daemon_than "$was"
        both_have 'after it' "$two"
        was=$(daemon)
        check 'installed again over itself' 'Setting up fastgpu ' dpkg -i packages/fastgpu_*.deb
        check 'it restarts the daemon' another another_daemon_than "$was"
        both_have 'after it' "$two"
        systemctl stop fastgpud.socket fastgpud.service
        both_have 'without a daemon: no limits, no device' "$none"
        check 'without a daemon Docker starts none' 'FastGPU: ' docker run --rm --gpus 2 fastgpu-box
        check 'without a daemon podman starts none' 'fastgpu.dev/vgpu=my-vgpu' podman run --rm --device fastgpu.dev/vgpu=my-vgpu fastgpu-box
        systemctl start fastgpud.socket fastgpud.service
        both_have 'with one again' "$two"
        after 'the unit'
}

after_the_restart() {
        check 'the machine started again: the daemon is there, unasked' 'fastgpud: active' state fastgpud
        check 'the gate too, since it was enabled' 'fastgpu-gate: active' state fastgpu-gate
        check 'the vGPUs are there' 'my-vgpu/1' fastgpu list
        check 'podman finds them' "$two" podman run --rm --device fastgpu.dev/vgpu=my-vgpu fastgpu-box
        check 'docker run --gpus 2' "$two" docker run --rm --gpus 2 fastgpu-box
        podman rm -f stays >/dev/null 2>&1
        docker rm -f stays >/dev/null 2>&1
        check 'purged' 'Purging configuration files for fastgpu ' dpkg --purge python3-fastgpu fastgpu-container fastgpu-monitoring fastgpu-otlp \
                fastgpu-kubernetes fastgpu-remote fastgpu-sim fastgpu-slurm fastgpu-spark fastgpu-top fastgpu
        check 'no daemon is left' 'fastgpud: inactive' state fastgpud
        check 'no gate is left' 'fastgpu-gate: inactive' state fastgpu-gate
        check 'no state is left' 'No such file' ls -d /var/lib/fastgpu
}

if [ ! -e second ]; then
        touch second
        echo "note  Linux $(uname -r), systemd $(systemctl --version | sed -n '1s/[^0-9]*\([0-9]*\).*/\1/p'), $(nproc) processor"
        install_it
        engines
        the_gate
        ./walk.sh fastgpu-box /check/root || failed=$((failed + 1))
        after 'the ways'
        the_unit
        echo "first $failed failed"
        sync
        systemctl reboot
else
        after_the_restart
        after 'all of it'
        echo "second $failed failed"
        sync
        systemctl poweroff
fi
