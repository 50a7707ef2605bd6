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

install_it() {
        mkdir -p /etc/systemd/system/fastgpud.service.d
        printf '[Service]\nEnvironment=FASTGPU_SIM=2xT4\n' >/etc/systemd/system/fastgpud.service.d/sim.conf
        check 'dpkg -i of all packages' 'Setting up fastgpu ' dpkg -i packages/*.deb
        check 'cgroup v2' cgroup2fs stat -f -c %T /sys/fs/cgroup
        check 'the socket is active' active systemctl is-active fastgpud.socket
        check 'the service starts with the machine' enabled systemctl is-enabled fastgpud.service
        check 'the daemon has the devices' 'Tesla T4' fastgpu devices
        check 'the service is active' active systemctl is-active fastgpud.service
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
        check 'the machine started again: the daemon is there, unasked' active systemctl is-active fastgpud.service
        check 'the vGPUs are there' 'my-vgpu/1' fastgpu list
        check 'podman finds them' "$two" podman run --rm --device fastgpu.dev/vgpu=my-vgpu fastgpu-box
        check 'docker run --gpus 2' "$two" docker run --rm --gpus 2 fastgpu-box
        podman rm -f stays >/dev/null 2>&1
        docker rm -f stays >/dev/null 2>&1
        check 'purged' 'Purging configuration files for fastgpu ' dpkg --purge python3-fastgpu fastgpu-container fastgpu-monitoring fastgpu-otlp \
                fastgpu-kubernetes fastgpu-remote fastgpu-sim fastgpu-slurm fastgpu-spark fastgpu-top fastgpu
        check 'no daemon is left' inactive systemctl is-active fastgpud.service
        check 'no state is left' 'No such file' ls -d /var/lib/fastgpu
}

if [ ! -e second ]; then
        touch second
        echo "note  Linux $(uname -r), systemd $(systemctl --version | sed -n '1s/[^0-9]*\([0-9]*\).*/\1/p'), $(nproc) processor"
        install_it
        engines
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
