#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`make image-check`: the walk-through of docs/containers.md with Docker and podman, from the archive to a Dockerfile that has nothing of FastGPU:
install, the image leptona/fastgpu, every way into a container, and training on two vGPUs. In a machine of the test's own."""
import glob
import os
import shutil
import subprocess
import sys
import time
import unittest

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import chroot  # noqa: E402
import machine  # noqa: E402
from machine import sh  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
# (fastgpu itself, on the machine, would start another daemon there while none answers.)
IN_THE_MACHINE = ("docker run -d --name my-fgpu --pid=host --cap-add=SYS_ADMIN --cap-add=SYS_PTRACE --security-opt apparmor=unconfined -v /opt/fastgpu:/opt/fastgpu"
                  " -v /run/fastgpu:/run/fastgpu -v /run/cdi:/run/cdi -v /var/lib/fastgpu:/var/lib/fastgpu")


def wait_until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.1)


def answers(line):
    return subprocess.run(line, shell=True, capture_output=True, check=False).returncode == 0


class Walk(unittest.TestCase):
    """In the order of the walk-through: each step stands on those before."""

    @classmethod
    def setUpClass(cls):
        cls.work = os.environ["FASTGPU_TEST_MACHINE"]
        wait_until(lambda: answers("ip addr show tap0 | grep -q 'inet '"), "the network is there")
        cls.log = open(os.path.join(cls.work, "dockerd.log"), "w", encoding="utf-8")
        cls.dockerd = None

    @classmethod
    def tearDownClass(cls):
        cls.stop_docker()
        cls.log.close()

    @classmethod
    def start_docker(cls):
        """As systemd would, with what `fastgpu docker enable` wrote for it."""
        path = os.environ["PATH"]
        for drop_in in glob.glob("/etc/systemd/system/docker.service.d/fastgpu.conf"):
            with open(drop_in, encoding="utf-8") as f:
                path = next((line.split("=", 2)[2].strip() for line in f if line.startswith("Environment=PATH=")), path)
        cls.dockerd = subprocess.Popen(["dockerd"], env={**os.environ, "PATH": path}, stdout=cls.log, stderr=cls.log)
        wait_until(lambda: cls.dockerd.poll() is not None or answers("docker version"), "dockerd answers")
        if cls.dockerd.poll() is not None:
            with open(cls.log.name, encoding="utf-8") as f:
                chroot.skip(f"dockerd does not run here: {f.read()[-600:]}")

    @classmethod
    def stop_docker(cls):
        if cls.dockerd:
            cls.dockerd.terminate()
            cls.dockerd.wait(30)

    def stop_daemon(self):
        if os.path.exists("/run/fastgpu/daemon.lock"):
            with open("/run/fastgpu/daemon.lock", encoding="ascii") as f:
                pid = int(f.read())
            os.kill(pid, 15)
            # This process is the first of its machine: who ends there is its child.
            wait_until(lambda: os.waitpid(pid, os.WNOHANG)[0], "the daemon ends")

    def test_1_the_archive(self):
        folder = os.path.join(self.work, "archive")
        os.mkdir(folder)
        sh(f"tools/dist --to {folder}")
        self.assertIn("is installed below /usr/local", sh("tar xf fastgpu-*.tar.gz && cd fastgpu-*/ && ./install.sh", where=folder))
        self.assertIn("nothing was changed", sh("cd fastgpu-*/ && ./install.sh", where=folder))
        self.assertIn("fastgpu ", sh("/usr/local/bin/fastgpu version"))
        self.assertIn("(Python)", sh("/usr/bin/python3 -m fastgpu", code=None, where="/"))
        self.stop_daemon()
        self.assertIn("removed", sh("cd fastgpu-*/ && ./install.sh --uninstall", where=folder))
        self.assertEqual([f for f in glob.glob("/usr/local/**", recursive=True) if "fastgpu" in f], [])

    def test_2_the_packages_and_the_image(self):
        chroot.packages()  # as long as it takes
        sh("dpkg -i --force-depends build-deb/packages/fastgpu_*.deb build-deb/packages/fastgpu-container_*.deb build-deb/packages/fastgpu-sim_*.deb")
        self.start_docker()
        sh(f"docker import {chroot.base()} debian:bookworm-slim")
        sh("tools/image --engine docker --base debian:bookworm-slim")

    def test_3_the_image_by_itself(self):
        sh("docker network create fastgpu_network")
        sh("docker run -d --net fastgpu_network --name my-fgpu leptona/fastgpu")
        wait_until(lambda: answers("docker exec my-fgpu fastgpu list"), "the daemon answers")
        self.assertIn("no device was found", sh("docker exec my-fgpu fastgpu devices"))
        sh("docker rm -f my-fgpu")
        sh("docker run -d --net fastgpu_network --name my-fgpu -e FASTGPU_SIM=2xT4 leptona/fastgpu")
        wait_until(lambda: answers("docker exec my-fgpu fastgpu list"), "the daemon answers")
        sh("docker exec my-fgpu fastgpu create --gpus 2 --name my-vgpu --memory 512M --compute 30")
        self.assertIn(" 0 wrong", sh("docker exec my-fgpu fastgpu run my-vgpu -- /usr/lib/fastgpu/examples/cuda_vectors 1000"))
        began = time.monotonic()
        sh("docker stop my-fgpu")
        self.assertLess(time.monotonic() - began, 9, "ended by its own, not killed after ten seconds")
        sh("docker rm my-fgpu && docker network rm fastgpu_network")

    def make_box(self):
        """The program that looks around in a container: an image in both engines, and a folder."""
        folder = shutil.copytree(os.path.join(HERE, "box"), os.path.join(self.work, "box"))
        for file in ("build/tests/nvml/smi", "out/lib/fastgpu/examples/cuda_vectors"):
            shutil.copy(os.path.join(chroot.ROOT, file), folder)
        root = os.path.join(self.work, "root")
        os.mkdir(root)
        sh(f"docker build -t fastgpu-box -f Containerfile . && docker create --name box-root fastgpu-box && docker export box-root | tar -C {root} -xf -"
           " && docker rm box-root && docker save fastgpu-box | podman load", where=folder)
        # As it is now: ctr and bwrap, which mount into the folder itself, leave an empty file for each mount behind.
        sh(f"tar -C {root} -cf {self.work}/box.tar .")
        return root

    def test_4_the_image_for_the_machine(self):
        """The daemon in a container, containers of both engines beside it."""
        type(self).root = self.make_box()
        os.makedirs("/opt/fastgpu")
        sh(f"{IN_THE_MACHINE} -e FASTGPU_SIM=2xT4 leptona/fastgpu")
        fastgpu = "docker exec my-fgpu fastgpu"
        wait_until(lambda: answers(f"{fastgpu} list"), "the daemon answers")
        sh(f"{fastgpu} create --gpus 2 --name my-vgpu --memory 512M --compute 30")
        right = "2 vGPUs of 536870912,536870912 bytes, sums right, more refused"
        self.assertIn(right, sh(f"podman run --rm $({fastgpu} container my-vgpu) fastgpu-box"))
        # Another daemon takes over what runs, also that of a container which was made anew.
        # (podman exec has the environment of `run`, without what CDI added: the simulated driver needs its own.)
        sh("podman run -d --name stays --device fastgpu.dev/vgpu=my-vgpu fastgpu-box sleep 1000")
        self.assertIn(right, sh("podman exec -e FASTGPU_SIM=2xT4 stays /opt/look"))
        sh("docker rm -f my-fgpu")
        self.assertIn("0 vGPUs", sh("podman exec -e FASTGPU_SIM=2xT4 stays /opt/look"))
        sh(f"{IN_THE_MACHINE} -e FASTGPU_SIM=2xT4 leptona/fastgpu")
        wait_until(lambda: answers(f"{fastgpu} list"), "the daemon answers again")
        self.assertIn(right, sh("podman exec -e FASTGPU_SIM=2xT4 stays /opt/look"))
        sh(f"podman rm -f -t 0 stays; {fastgpu} delete my-vgpu --force; docker rm -f my-fgpu")

    def test_5_every_way_into_a_container(self):
        os.environ["FASTGPU_SIM"] = "2xT4"
        # Processors as a third device would get a vGPU too.
        vendors = shutil.move("/etc/OpenCL/vendors", self.work) if os.path.exists("/etc/OpenCL/vendors") else None
        sh("fastgpu create --gpus 2 --name my-vgpu --memory 512M --compute 30")
        sh("fastgpu docker enable --gpus-compat=my-vgpu && fastgpu delete my-vgpu")
        self.stop_docker()
        self.start_docker()
        with subprocess.Popen(["containerd"], stdout=self.log, stderr=self.log) as containerd:
            wait_until(lambda: answers("ctr version"), "containerd answers")
            said = sh(f"{HERE}/walk.sh fastgpu-box {self.root}", code=None)
            containerd.terminate()
        print(said)
        self.assertIn(" 0 do not", said.splitlines()[-1])
        self.stop_daemon()
        del os.environ["FASTGPU_SIM"]
        if vendors:
            shutil.move(vendors, "/etc/OpenCL/vendors")

    def test_6_training_on_two(self):
        if not os.path.exists("/etc/OpenCL/vendors/pocl.icd"):
            self.skipTest("pocl-opencl-icd is not installed: NOT TESTED")
        sh("fastgpu create --gpus 2 --name my-vgpu --memory 256M --compute 30")
        typed = "docker build -t fastgpu_example . && docker run --gpus 2 --rm -it fastgpu_example"
        said = sh(f"script -qec '{typed}' /dev/null", where=os.path.join(chroot.ROOT, "examples", "train_mlp"))
        self.trained(said)
        sh("docker save fastgpu_example | podman load")
        self.trained(sh("podman run --rm --device fastgpu.dev/vgpu=my-vgpu fastgpu_example"))
        # The quota holds there too: 10 000 000 samples are 400 MB.
        said = sh("docker run --gpus 2 --rm fastgpu_example ./train_mlp --samples 10000000 --epochs 1", code=1)
        self.assertRegex(said, "CL_MEM_OBJECT_ALLOCATION_FAILURE|CL_OUT_OF_RESOURCES|CL_INVALID_BUFFER_SIZE")
        sh("fastgpu delete my-vgpu --force")
        self.stop_daemon()

    def trained(self, said):
        for device in (0, 1):
            self.assertRegex(said, rf"device {device}  epoch 10/10  loss 0\.\d+  accuracy 0\.9")
        self.assertEqual(said.count(": the same"), 2, said)
        self.assertNotIn("device 2", said)

    def newer(self, tar):
        """The engines of the next Debian, in its own root file system; FastGPU and its daemon are this machine's."""
        root = os.path.join(self.work, "newer")
        os.mkdir(root)
        sh(f"tar -C {root} --numeric-owner -xf {tar} && cp /usr/bin/fastgpu /usr/bin/fastgpu-runtime {root}/usr/bin"
           f" && cp {HERE}/walk.sh {self.work}/box.tar {root} && mkdir -p {root}/box {root}/etc/docker {root}/usr/lib/fastgpu"
           f" && tar -C {root}/box -xf {root}/box.tar && cp -r /etc/containers {root}/etc")
        # A root that is a mount point, as engines change its mounts.
        sh(f"mount --bind {root} {root} && mount --make-private {root} && mount --rbind /dev {root}/dev && mount -t proc none {root}/proc"
           f" && mount --rbind /sys {root}/sys && mount -t tmpfs none {root}/run")
        for folder in ("/run/fastgpu", "/run/cdi", "/usr/lib/fastgpu"):
            sh(f"mkdir -p {root}{folder} && mount --rbind {folder} {root}{folder}")
        with open(f"{root}/etc/docker/daemon.json", "w", encoding="ascii") as f:
            f.write('{"features": {"cdi": true}, "iptables": false, "bridge": "none"}')
        return root

    def test_7_newer_engines(self):
        tar = chroot.base("engines-trixie", "--suite", "trixie", "--include", "docker.io,docker-cli,containerd,runc,iptables,podman,crun,netavark,aardvark-dns,bubblewrap,"
                          "libjansson4,libsodium23")
        os.environ["FASTGPU_SIM"] = "2xT4"
        shutil.move("/etc/OpenCL/vendors", "/etc/OpenCL/none")
        root = self.newer(tar)
        sh("fastgpu create --gpus 2 --name my-vgpu --memory 512M --compute 30 && fastgpu docker enable --gpus-compat=my-vgpu --root " + root)
        sh("fastgpu delete my-vgpu")
        path = os.environ["PATH"] + ":/usr/lib/fastgpu/docker"
        docker = subprocess.Popen(["chroot", root, "env", f"PATH={path}", "dockerd"], stdout=self.log, stderr=self.log)
        containerd = subprocess.Popen(["chroot", root, "containerd"], stdout=self.log, stderr=self.log)
        try:
            wait_until(lambda: answers(f"chroot {root} docker version") and answers(f"chroot {root} ctr version"), "both answer")
            for engine in ("docker", "podman"):
                sh(f"chroot {root} {engine} import -c 'CMD [\"/opt/look\"]' /box.tar fastgpu-box")
            said = sh(f"chroot {root} /walk.sh fastgpu-box /box", code=None, NETWORK="none")
        finally:
            docker.terminate()
            containerd.terminate()
            docker.wait(30)
            containerd.wait(30)
        print(said)
        self.assertIn(" 0 do not", said.splitlines()[-1])
        self.assertRegex(said, r"(?m)^ok    docker \S+ +--device fastgpu.dev/vgpu=my-vgpu$")
        self.stop_daemon()


if __name__ == "__main__":
    machine.enter("dockerd", "docker", "runc", "podman", "crun", "containerd", "ctr", "iptables", "script")
    unittest.main(verbosity=2, failfast=True)
