#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fastgpu-runtime between an engine and crun or runc: what a container gets, who may ask for it, and what is not started."""
import json
import os
import shutil
import subprocess
import time
import unittest

from e2e import INSIDE as PROGRAM
from e2e import FASTGPU, MIB, PYTHON, main, wait_until
from node import BURN, Node, tool
import room as rooms

RUNTIME = tool("bin", "fastgpu-runtime")
NAME = "FASTGPU_VISIBLE_DEVICES="
HOOK = {"path": "/usr/bin/nvidia-container-runtime-hook", "args": ["nvidia-container-runtime-hook", "prestart"]}
# Before it attaches, and afterwards.
NODES = """import os
def tried():
    try:
        return os.open("/dev/fuse", os.O_RDWR) and "opened"
    except PermissionError:
        return "refused"
print(tried())
import pyopencl
assert pyopencl.get_platforms()[0].get_devices()
print(tried())
"""


def needs(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    return unittest.skipIf(missing, f"{' and '.join(missing)} not installed: NOT TESTED")


class RuntimeTest(unittest.TestCase):
    real = "crun"

    @classmethod
    def setUpClass(cls):
        cls.room = rooms.Room()
        cls.addClassCleanup(cls.room.close)
        cls.program, cls.burn = cls.room.put(PROGRAM), cls.room.put(BURN)

    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.close)
        self.policy = os.path.join(self.node.dir, "runtime.conf")
        self.allow()
        # Engines do not hand their environment on; the test's node is told by a script in between.
        self.runtime = os.path.join(self.node.dir, "fastgpu")
        with open(self.runtime, "w", encoding="utf-8") as f:
            f.write(f'#!/bin/sh\nFASTGPU_STATE_DIR={self.node.dir} FASTGPU_RUNTIME_CONF={self.policy} exec {RUNTIME} "$@"\n')
        os.chmod(self.runtime, 0o755)
        self.node.json("create", "--name", "q", "--gpus", "2", "--memory", "37M,64M", "--compute", "50,30")

    def allow(self, text=""):
        with open(self.policy, "w", encoding="utf-8") as f:
            f.write(f"runtime = {shutil.which(self.real)}\n{text}")

    def outlives(self, inside, *restarts):
        """A program computes in a container of q/1 while each of these happens: the same program goes on, is metered, and its quota holds. inside(words)
        is what another program in the container says."""
        wait_until(lambda: self.node.usage("q/1")["launches"], 60, "it computes")
        pid, = self.node.usage("q/1")["pids"]
        for restart in restarts:
            restart()
            before = wait_until(lambda: self.node.usage("q/1"), 30, "the daemon answers")
            wait_until(lambda: self.node.usage("q/1")["gpu_ns"] > before["gpu_ns"] + 10**7, 60, f"metered after {restart.__name__}")
            self.assertEqual(self.node.usage("q/1")["pids"], [pid], restart.__name__)
            self.assertEqual([d["memory"] for d in inside("devices")], [64 * MIB], restart.__name__)
            self.assertEqual(inside("ask", "1"), "ok", restart.__name__)
            self.assertNotEqual(inside("ask", str(64 * MIB)), "ok", restart.__name__)

    def another_daemon(self):
        self.node.stop_daemon(9)
        self.node.fastgpu("list")


@needs("crun")
class Bundle(RuntimeTest):
    """crun alone, with a config.json of the test's."""

    def config(self, *env, edit=None):
        bundle = os.path.join(self.room.dir, "bundle")
        shutil.rmtree(bundle, ignore_errors=True)
        os.makedirs(bundle)
        subprocess.run(["crun", "spec"], cwd=bundle, check=True)
        self.path = os.path.join(bundle, "config.json")
        with open(self.path, encoding="utf-8") as f:
            config = json.load(f)
        config["root"] = {"path": self.room.root, "readonly": False}
        config["process"].update(terminal=False, args=[PYTHON, self.program, "devices"])
        config["process"]["env"] = ["PATH=/usr/bin:/bin", "HOME=/tmp", *env]
        config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"] if n["type"] != "cgroup"]
        if edit:
            edit(config)
        text = json.dumps(config)
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(text)
        return bundle

    def run_box(self, *env, edit=None, options=()):
        bundle = self.config(*env, edit=edit)
        return subprocess.run([self.runtime, f"--root={self.room.dir}/crun", *options, "run", "--bundle", bundle, "box"],
                              capture_output=True, text=True, timeout=60, check=False)

    def memory(self, *env, edit=None):
        done = self.run_box(*env, edit=edit)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return [d["memory"] for d in json.loads(done.stdout.splitlines()[-1])]

    def refused(self, *env, says=(), edit=None):
        log = os.path.join(self.room.dir, "log")
        done = self.run_box(*env, edit=edit, options=["--log", log, "--log-format=json"])
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, "")
        with open(log, encoding="utf-8") as f:
            last = json.loads(f.read().splitlines()[-1])
        self.assertEqual(last["level"], "error")
        for text in ("FastGPU: ", *says):
            self.assertIn(text, last["msg"])
            self.assertIn(text, done.stderr)
        with open(self.path, encoding="utf-8") as f:
            self.assertNotIn("libfastgpu", f.read())

    def test_a_container_is_its_vgpus(self):
        self.assertEqual(self.memory(NAME + "q"), [37 * MIB, 64 * MIB])
        self.assertEqual(self.memory(NAME + "q/1", "OPENCL_LAYERS=/forged.so"), [64 * MIB])
        self.assertEqual(self.memory(edit=lambda c: c.update(annotations={"fastgpu.dev/vgpu": "q/0"})), [37 * MIB])

        def clear(config):
            config["process"]["args"] = ["env", "-i", *config["process"]["args"]]
        self.assertEqual(self.memory(NAME + "q/1", edit=clear), [64 * MIB])

    def test_others_go_through_as_they_are(self):
        for env in ([], [NAME + "none"], [NAME]):
            bundle = self.config(*env)
            with open(self.path, "rb") as f:
                before = f.read()
            done = subprocess.run([self.runtime, f"--root={self.room.dir}/crun", "run", "--bundle", bundle, "box"], capture_output=True,
                                  text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(self.path, "rb") as f:
                self.assertEqual(f.read(), before)
        self.assertIn("crun", subprocess.run([self.runtime, "--version"], capture_output=True, text=True, check=True).stdout)

    def test_what_cannot_be_kept_is_not_started(self):
        self.refused(NAME + "nobody", says=["nobody", "fastgpu"])
        self.refused(NAME + "q/2", says=["q/2"])
        self.refused(NAME + "q,other", says=["one set", "fastgpu create"])
        self.refused(NAME + "../../etc", says=["does not name a vGPU"])
        self.refused(NAME + "q", says=["/dev/nvidia0", "leave out"],
                     edit=lambda c: c["linux"].update(devices=[{"path": "/dev/nvidia0", "type": "c", "major": 1, "minor": 3}]))
        self.refused(NAME + "q", says=["a driver of its own"],
                     edit=lambda c: c["mounts"].append({"destination": "/usr/lib/x86_64-linux-gnu/libcuda.so.550.1", "type": "bind", "source": "/etc/passwd"}))
        self.refused(NAME + "q", says=["process.env"], edit=lambda c: c["process"].update(env={}) or c.update(annotations={"fastgpu.dev/vgpu": "q"}))
        self.node.stop_daemon(15)
        self.refused(NAME + "q", says=["no fastgpud answers", "systemctl start fastgpud"])

    def test_what_this_machine_lacks_is_named(self):
        def mounted(*words):
            subprocess.run(["mount", *words], check=True)
            self.addCleanup(lambda: subprocess.run(["umount", words[-1]], check=False, capture_output=True))
            return words[-1]
        os.makedirs(f"{self.room.dir}/empty", exist_ok=True)
        run = os.path.join(self.node.dir, "run")
        mounted("--bind", run, run)
        subprocess.run(["mount", "-o", "remount,ro,bind", run], check=True)
        self.refused(NAME + "q", says=["Read-only file system", run])
        subprocess.run(["umount", run], check=True)
        # Before the daemon has looked for what containers get, and after.
        tree = mounted("--bind", f"{self.room.dir}/empty", tool("lib", "fastgpu"))
        self.refused(NAME + "q", says=[tool("lib", "fastgpu"), "No such file", "install FastGPU again"])
        subprocess.run(["umount", tree], check=True)
        self.assertEqual(self.memory(NAME + "q/1"), [64 * MIB])
        mounted("--bind", f"{self.room.dir}/empty", tree)
        self.refused(NAME + "q", says=[tool("lib", "fastgpu"), "is not there", "systemctl restart fastgpud"])

    def test_what_is_somebody_elses_alone_is_refused(self):
        """A vGPU that was made for one run goes with it."""
        self.node.popen([FASTGPU, "run", "--memory", "8M", "--compute", "10", "--", "sleep", "60"])
        name = wait_until(lambda: next((v["name"] for v in self.node.get("/v1/vgpus")["sets"] if v["name"] != "q"), None), 20, "the run's vGPU")
        self.refused(NAME + name, says=[name, "one run", "create a vGPU for the container"])

    @needs("cc")
    def test_an_image_without_a_c_library(self):
        """There is nothing that our libraries could be loaded into, and nothing that could use them: it starts."""
        root = os.path.join(self.room.dir, "bare")
        for folder in ("proc", "dev", "sys"):
            os.makedirs(os.path.join(root, folder), exist_ok=True)
        subprocess.run(["cc", "-static", "-x", "c", "-o", root + "/alone", "-"], input="#include <stdio.h>\nint main(void) { return puts(\"alone\") < 0; }",
                       text=True, check=True)
        done = self.run_box(NAME + "q", edit=lambda c: c["root"].update(path=root) or c["process"].update(args=["/alone"]))
        self.assertEqual((done.returncode, done.stdout), (0, "alone\n"), done.stderr)

    def test_policy(self):
        self.allow("env = off\n")
        self.refused(NAME + "q", says=["env = off", "annotation"])
        self.assertEqual(self.memory(edit=lambda c: c.update(annotations={"fastgpu.dev/vgpu": "q/0"})), [37 * MIB])
        self.allow("enf = off\n")
        self.refused(NAME + "q", says=["line 2", "enf"])

    def test_gpus_of_docker(self):
        """What dockerd makes of --gpus: a hook of NVIDIA's, which must not run, and a variable behind those of the image."""
        def hooked(config):
            config["hooks"] = {"prestart": [HOOK]}
        asked = "NVIDIA_VISIBLE_DEVICES="
        # Nobody said what --gpus is about: nothing of ours, the hook stays (and there is no such program).
        self.assertNotEqual(self.run_box(asked + "all", edit=hooked).returncode, 0)
        self.allow("gpus = q\n")
        self.assertEqual(self.memory(asked + "void", asked + "0,1", edit=hooked), [37 * MIB, 64 * MIB])
        self.assertEqual(self.memory(asked + "all", edit=hooked), [37 * MIB, 64 * MIB])
        self.assertEqual(self.memory(asked + "0", edit=hooked), [37 * MIB])
        self.assertEqual(self.memory(asked + "q/1", edit=hooked), [64 * MIB])
        self.refused(asked + "0,1,2", says=["--gpus 3", '"q" has 2', "fastgpu create --gpus 3"], edit=hooked)
        # An image that says so has no hook, and gets nothing.
        self.assertNotEqual(self.memory(asked + "all"), [37 * MIB, 64 * MIB])


@needs("podman", "crun")
class Podman(RuntimeTest):
    def test_by_annotation(self):
        store = [f"--root={self.room.dir}/store", f"--runroot={self.room.dir}/runroot", "--storage-driver=vfs", "--cgroup-manager=cgroupfs",
                 "--events-backend=none", f"--tmpdir={self.room.dir}/tmp", f"--runtime={self.runtime}"]

        def run(name):
            return subprocess.run(["podman", *store, "run", "--rm", "--network=none", *rooms.ULIMITS, f"--annotation=fastgpu.dev/vgpu={name}",
                                   "--rootfs", self.room.root, PYTHON, self.program, "fill"], capture_output=True, text=True, timeout=60, check=False)
        done = run("q/1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout), [64 * MIB])
        done = run("nobody")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("FastGPU: ", done.stderr)
        self.assertIn("nobody", done.stderr)


    def test_nobody_but_the_container_is_left(self):
        """podman has no daemon; what watches a container, conmon, may be killed as well."""
        store = [f"--root={self.room.dir}/store", f"--runroot={self.room.dir}/runroot", "--storage-driver=vfs", "--cgroup-manager=cgroupfs",
                 "--events-backend=none", f"--tmpdir={self.room.dir}/tmp", f"--runtime={self.runtime}"]
        watch = os.path.join(self.room.dir, "conmon.pid")

        def podman(*words):
            return subprocess.run(["podman", *store, *words], capture_output=True, text=True, timeout=60, check=False)
        done = podman("run", "-d", "--name=stays", "--network=none", *rooms.ULIMITS, "--annotation=fastgpu.dev/vgpu=q/1", f"--conmon-pidfile={watch}", "--rootfs",
                      self.room.root, self.burn, "--iterations", "200", "--seconds", "600")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.addCleanup(podman, "rm", "-f", "-t", "0", "stays")

        def inside(*words):
            done = podman("exec", "stays", PYTHON, self.program, *words)
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(done.stdout.splitlines()[-1])

        def conmon_is_killed():
            with open(watch, encoding="ascii") as f:
                os.kill(int(f.read()), 9)
        self.outlives(inside, self.another_daemon, conmon_is_killed, self.another_daemon)


@needs("podman", "crun", "bwrap", "setpriv")
class Rootless(unittest.TestCase):
    """Somebody without rights: his own daemon, his own containers. The system's vGPUs are out of his engine's reach."""
    USER = 65534

    def setUp(self):
        self.room = rooms.Room()
        self.addCleanup(self.room.close)
        self.node = Node()
        self.addCleanup(self.node.close)
        home = self.node.dir
        self.node.env.update(HOME=home, XDG_RUNTIME_DIR=home + "/xdg")
        self.root = self.room.make_root("theirs")
        self.program = "/opt/" + os.path.basename(shutil.copy(PROGRAM, self.root + "/opt"))
        for folder in (home + "/xdg", home + "/bin", self.root + "/usr/lib/fastgpu"):
            os.makedirs(folder, 0o700, exist_ok=True)
        # Its name is one of those that podman takes for able to do without control groups.
        with open(home + "/bin/crun", "w", encoding="utf-8") as f:
            f.write(f'#!/bin/sh\nFASTGPU_STATE_DIR={home} FASTGPU_RUNTIME_CONF={home}/policy exec {RUNTIME} "$@"\n')
        os.chmod(home + "/bin/crun", 0o755)
        with open(home + "/policy", "w", encoding="utf-8") as f:
            f.write(f"runtime = {shutil.which('crun')}\n")
        theirs = [f"{self.root}/{part}" for part in ("usr/lib/fastgpu", "etc", "run", "opt", "root", "tmp", "var", "proc", "sys", "dev")]
        subprocess.run(["chown", "-R", f"{self.USER}:{self.USER}", home, *theirs], check=True)
        os.chown(self.root, self.USER, self.USER)
        os.chmod(self.room.dir, 0o755)

    def theirs(self, *argv):
        return self.node.native("setpriv", f"--reuid={self.USER}", f"--regid={self.USER}", "--clear-groups", *argv)

    def podman(self, *options):
        home = self.node.dir
        return self.theirs("podman", f"--root={home}/store", f"--runroot={home}/rr", "--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none",
                           f"--runtime={home}/bin/crun", "run", "--rm", "--network=none", "--cgroups=disabled", *rooms.ULIMITS, *options, "--rootfs", self.root,
                           PYTHON, self.program, "fill")

    def test_their_own_daemon(self):
        made = self.theirs(FASTGPU, "create", "--name", "w", "--gpus", "2", "--memory", "32M,48M", "--compute", "20,20")
        self.assertEqual(made.returncode, 0, made.stderr)
        words = self.theirs(FASTGPU, "container", "w", "--for", "bwrap").stdout.split()
        for done in (self.theirs("bwrap", "--bind", self.root, "/", "--dev", "/dev", "--proc", "/proc", "--ro-bind", "/sys", "/sys", "--tmpfs", "/tmp", *words, PYTHON,
                                 self.program, "fill"), self.podman("--annotation=fastgpu.dev/vgpu=w")):
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout), [32 * MIB, 48 * MIB])

    def test_the_systems_daemon(self):
        with Node(FASTGPU_CDI_DIR="/run/cdi") as system:
            os.chmod(system.dir, 0o755)
            system.json("create", "--name", "s", "--memory", "32M", "--compute", "20")
            os.chmod(system.dir + "/run", 0o755)  # as the system's is
            done = self.podman("--device=fastgpu.dev/vgpu=s")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("containers/s", done.stderr)
        self.assertIn("ermission denied", done.stderr)


@needs("containerd", "ctr", "runc")
class Containerd(RuntimeTest):
    real = "runc"

    def setUp(self):
        super().setUp()
        self.socket = f"{self.room.dir}/containerd.sock"
        config = os.path.join(self.room.dir, "containerd.toml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f'version = 2\nroot = "{self.room.dir}/c-root"\nstate = "{self.room.dir}/c-state"\n'
                    f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{self.socket}"\n')
        self.config = config
        self.start()
        self.addCleanup(self.stop)

    def start(self):
        with open(os.path.join(self.room.dir, "containerd.log"), "a", encoding="utf-8") as log:
            self.containerd = subprocess.Popen(["containerd", "--config", self.config], stdout=log, stderr=log)
        wait_until(lambda: self.containerd.poll() is not None or self.ctr("version").returncode == 0, 60, "containerd answers")
        self.assertIsNone(self.containerd.poll())

    def stop(self, kill=False):
        (self.containerd.kill if kill else self.containerd.terminate)()
        self.containerd.wait(30)

    def ctr(self, *words):
        return subprocess.run(["ctr", "--address", self.socket, *words], capture_output=True, text=True, timeout=60, check=False)

    def box(self, target):
        return self.ctr("run", "--rm", f"--runc-binary={self.runtime}", f"--env={NAME}{target}", "--rootfs", self.room.root, "box", PYTHON,
                        self.program, "fill")

    def test_ctr(self):
        done = self.box("q/1")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(json.loads(done.stdout.splitlines()[-1]), [64 * MIB])
        done = self.box("nobody")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("FastGPU: ", done.stderr)
        self.assertIn("nobody", done.stderr)

    def test_containerd_is_restarted(self):
        words = ["--runc-binary=" + self.runtime, f"--env={NAME}q/1", "--env=PATH=/usr/bin:/bin", "--rootfs", self.room.root, "stays", self.burn, "--iterations", "200", "--seconds", "600"]
        done = self.ctr("run", "-d", *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.addCleanup(self.ctr, "task", "rm", "-f", "stays")

        def inside(*words):
            done = self.ctr("task", "exec", "--exec-id", "more", "stays", PYTHON, self.program, *words)
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(done.stdout.splitlines()[-1])

        def ended():
            self.stop()
            self.start()

        def killed():
            self.stop(kill=True)
            self.start()
        self.outlives(inside, ended, killed, self.another_daemon)


class WithDocker(RuntimeTest):
    """A dockerd of the room's own, with a small image."""

    real = "runc"

    def setUp(self):
        super().setUp()
        self.host = f"unix://{self.room.dir}/docker.sock"
        self.start()
        self.addCleanup(self.stop)
        tar = subprocess.Popen(["tar", "-C", self.room.root, "--exclude=./proc/*", "--exclude=./usr", "-c", "."], stdout=subprocess.PIPE)
        subprocess.run(["docker", f"--host={self.host}", "import", "-", "tiny:1"], stdin=tar.stdout, capture_output=True, check=True)
        tar.stdout.close()
        tar.wait()

    def start(self, *options):
        # dockerd knows --gpus once it sees a program of NVIDIA's name; it is never run, as the runtime takes the hook out.
        hook = tool("lib", "fastgpu", "docker")
        with open(os.path.join(self.room.dir, "dockerd.log"), "a", encoding="utf-8") as log:
            self.dockerd = subprocess.Popen(
                ["dockerd", f"--data-root={self.room.dir}/data", f"--exec-root={self.room.dir}/exec", f"--pidfile={self.room.dir}/docker.pid",
                 f"--host={self.host}", "--iptables=false", "--ip-forward=false", "--bridge=none", f"--add-runtime=fastgpu={self.runtime}", *options],
                env={**os.environ, "PATH": f"{os.environ['PATH']}:{hook}"}, stdout=log, stderr=log)
        wait_until(lambda: self.dockerd.poll() is not None or self.docker("version").returncode == 0, 60, "dockerd answers")
        with open(log.name, encoding="utf-8") as f:
            self.assertIsNone(self.dockerd.poll(), f.read()[-1000:])

    def stop(self, kill=False):
        (self.dockerd.kill if kill else self.dockerd.terminate)()
        self.dockerd.wait(30)
        time.sleep(0.2)

    def docker(self, *words):
        return subprocess.run(["docker", f"--host={self.host}", *words], capture_output=True, text=True, timeout=120, check=False)

    def box(self, *options, code=0):
        done = self.docker("run", "--rm", "--network=none", f"--volume={self.room.root}/usr:/usr", "--runtime=fastgpu", *options, "tiny:1",
                           PYTHON, self.program, "fill")
        if code is None:
            return done
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout.splitlines()[-1])


@needs("dockerd", "docker", "runc", "containerd")
class Docker(WithDocker):
    def test_every_way_to_ask(self):
        self.assertEqual(self.box("--env=" + NAME + "q"), [37 * MIB, 64 * MIB])
        self.assertEqual(self.box("--env=" + NAME + "q/1"), [64 * MIB])
        refused = self.box("--env=" + NAME + "nobody", code=None)
        self.assertEqual(refused.returncode, 125)
        self.assertIn("FastGPU: ", refused.stderr)
        self.assertIn("nobody", refused.stderr)
        # Without CDI an engine refuses what only CDI knows.
        if self.docker("version", "--format", "{{.Server.Version}}").stdout.startswith("20."):
            old = self.box("--device=fastgpu.dev/vgpu=q", code=None)
            self.assertEqual(old.returncode, 125)
            self.assertRegex(old.stderr, "not an absolute path|device driver \"cdi\"")
        # What doctor and the page then name.
        self.assertEqual(self.box(*self.node.fastgpu("container", "q/1", "--for", "docker").stdout.split()), [64 * MIB])
        self.allow("gpus = q\n")
        self.assertEqual(self.box("--gpus=2"), [37 * MIB, 64 * MIB])
        self.assertEqual(self.box("--gpus=all"), [37 * MIB, 64 * MIB])
        self.assertEqual(self.box("--gpus=1"), [37 * MIB])
        self.assertEqual(self.box('--gpus="device=q/1"'), [64 * MIB])
        self.assertIn("--gpus 3", self.box("--gpus=3", code=None).stderr)

    def test_dockerd_is_restarted(self):
        """With live-restore, as Docker calls it: containers go on while it is away."""
        self.stop()
        self.start("--live-restore")
        done = self.docker("run", "-d", "--name=stays", "--network=none", f"--volume={self.room.root}/usr:/usr", "--runtime=fastgpu", f"--env={NAME}q/1", "tiny:1",
                           self.burn, "--iterations", "200", "--seconds", "600")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.addCleanup(self.docker, "rm", "-f", "stays")

        def inside(*words):
            done = self.docker("exec", "stays", PYTHON, self.program, *words)
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(done.stdout.splitlines()[-1])

        def ended():
            self.stop()
            self.start("--live-restore")

        def killed():
            """With its containerd, which is ours to bury then: this is process 1 here."""
            with open(f"{self.room.dir}/exec/containerd/containerd.pid", encoding="ascii") as f:
                pid = int(f.read())
            self.stop(kill=True)
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            self.start("--live-restore")
        self.outlives(inside, ended, killed, self.another_daemon)

    @unittest.skipUnless(os.path.exists("/dev/fuse"), "no /dev/fuse here: NOT TESTED")
    def test_the_open_gate(self):
        """test_gate.py has what it keeps; here that it works with Docker's own profile and rules, and with OpenCL."""
        self.allow("open-gate = on\ngate-nodes = /dev/fuse\ngpus = q\n")
        refused = self.box("--env=" + NAME + "q", code=None)
        self.assertIn("no fastgpu-gate answers", refused.stderr)
        self.node.popen([tool("bin", "fastgpu-gate")], stderr=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(os.path.join(self.node.dir, "run", "gate.sock")), 10, "the gate's socket")
        self.assertEqual(self.box("--env=" + NAME + "q"), [37 * MIB, 64 * MIB])
        self.assertIn("--privileged", self.box("--env=" + NAME + "q", "--privileged", code=None).stderr)
        with open(self.room.root + "/opt/nodes.py", "w", encoding="ascii") as f:
            f.write(NODES)
        for options in (["--env=" + NAME + "q/0"], ["--gpus=1"], ["--gpus=1", "--security-opt=seccomp=unconfined"]):
            done = self.docker("run", "--rm", "--network=none", f"--volume={self.room.root}/usr:/usr", f"--volume={self.room.root}/opt:/opt", "--runtime=fastgpu", *options,
                               "tiny:1", "python3", "/opt/nodes.py")
            self.assertEqual(done.stdout, "refused\nopened\n", done.stderr)


if __name__ == "__main__":
    rooms.enter()
    main()
