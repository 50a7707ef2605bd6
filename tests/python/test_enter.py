#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What every Python in a vGPU runs first, without any framework: it loads nothing, hides nothing and breaks no other Python. And what a
process knows of the vGPUs that it is in."""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import common
import fastgpu
from common import Case
from fastgpu import enter, frameworks, here, inside

ENTER = os.path.join(common.ROOT, "python", "enter")
MIB = 1 << 20


class Enter(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = folder.name
        # As it is installed, but where the test may write.
        self.enter = shutil.copytree(ENTER, os.path.join(self.home, "lib", "enter"))
        os.symlink(os.path.join(common.PACKAGE, "fastgpu"), os.path.join(self.home, "lib", "fastgpu"))

    def write(self, name, text):
        path = os.path.join(self.home, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def python(self, code, *folders, python=sys.executable, options=()):
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([self.enter, *folders]), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([python, *options, "-c", code], env=env, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.strip()

    def test_loads_nothing(self):
        show = "import sys; print(sorted(m for m in sys.modules if m != 'sitecustomize'))"
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        plain = subprocess.run([sys.executable, "-c", show], env=env, capture_output=True, text=True, check=True).stdout.strip()
        self.assertEqual(self.python(show), plain)

    def test_the_path_is_the_programs(self):
        """Its own folders keep their order, ours is not among them, and the package is found last."""
        mine = os.path.join(self.home, "mine")
        os.mkdir(mine)
        path = json.loads(self.python("import sys, json; print(json.dumps(sys.path))", mine))
        self.assertNotIn(self.enter, path)
        self.assertEqual((path[1], path[-1]), (mine, os.path.join(self.home, "lib")))
        self.assertEqual(self.python("import fastgpu; print(fastgpu.__version__)"), fastgpu.__version__)
        self.write("mine/fastgpu.py", "x = 'mine'")
        self.assertEqual(self.python("import fastgpu; print(fastgpu.x)", mine), "mine")
        child = "import os, subprocess, sys; print(subprocess.check_output([sys.executable, '-c', 'import fastgpu; print(1)'], text=True).strip())"
        self.assertEqual(self.python(child), "1")

    def test_another_sitecustomize_runs(self):
        self.write("other/sitecustomize.py", "import builtins; builtins.SEEN = __file__")
        other = os.path.join(self.home, "other")
        self.assertEqual(self.python("import sitecustomize; print(SEEN, sitecustomize.__file__)", other), " ".join([other + "/sitecustomize.py"] * 2))
        self.assertEqual(self.python("import fastgpu; print(1)", other), "1")

    def test_another_sitecustomize_fails_aloud(self):
        self.write("other/sitecustomize.py", "import not_there")
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([self.enter, os.path.join(self.home, "other")])}
        done = subprocess.run([sys.executable, "-c", "import fastgpu; print(1)"], env=env, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (0, "1\n"))
        self.assertIn("No module named 'not_there'", done.stderr)

    def test_waits_for_keras(self):
        """A stand-in for Keras: the layer is looked for once that is loaded whole, and what fails is a warning, not an error."""
        self.write("mine/keras/__init__.py", "import sys\nassert 'fastgpu' not in sys.modules\nfrom . import layers\n")
        self.write("mine/keras/layers.py", "Layer = object\n")
        mine = os.path.join(self.home, "mine")
        code = ("import warnings; said = []; warnings.showwarning = lambda m, *rest: said.append(str(m)); import sys, keras; print(len(said), said[0][:47]);"
                "import importlib; print(type(keras.__spec__.loader).__name__, 'exec_module' in vars(keras.__spec__.loader))")
        self.assertEqual(self.python(code, mine).splitlines(), ["1 FastGPU: keras.layers.VirtualGPU is not there: ", "SourceFileLoader False"])

    def test_the_package_loads_no_framework(self):
        """They are there to be loaded, and the client and what the frameworks' modules share do without."""
        names = ("keras", "tensorflow", "jax", "torch")
        for name in names:
            self.write(f"mine/{name}.py", "")
        code = ("import sys, fastgpu; before = [m for m in sys.modules if m.startswith('fastgpu.')]; fastgpu.Client, fastgpu.AsyncClient;"
                f"from fastgpu import frameworks, here, scope; print(before, [m for m in {names} if m in sys.modules])")
        self.assertEqual(self.python(code, os.path.join(self.home, "mine")), "['fastgpu._version'] []")

    def test_fastgpu_keras_comes_first(self):
        """A stand-in that has what the layer needs. `import fastgpu.keras` is what loads it, and its view for TensorFlow within: no warning, and
        the layer is in both."""
        for legacy, name, view in (("0", "keras", "_tf_keras"), ("1", "tf_keras", "api/_v2")):
            inner = view.replace("/", ".") + ".keras.layers"
            self.write(f"mine/{name}/__init__.py", f"from . import backend, layers, saving\nimport {name}.{inner}\n")
            self.write(f"mine/{name}/backend.py", "backend = lambda: 'jax'\n")
            self.write(f"mine/{name}/layers.py", "class Layer: pass\n")
            self.write(f"mine/{name}/saving.py", "register_keras_serializable = lambda package: lambda kind: kind\n")
            self.write(f"mine/{name}/{view}/keras/layers.py", "")
            code = (f"import os, sys; os.environ['TF_USE_LEGACY_KERAS'] = '{legacy}'; import fastgpu.keras as f, {name};"
                    f"print(f.keras.__name__, {name}.layers.VirtualGPU is f.VirtualGPU, {name}.{inner}.VirtualGPU is f.VirtualGPU)")
            self.assertEqual(self.python(code, os.path.join(self.home, "mine")), f"{name} True True")

    def test_another_keras(self):
        self.write("mine/keras.py", "x = 1\n")
        self.assertEqual(self.python("import sys, keras; print(keras.x, 'fastgpu' in sys.modules)", os.path.join(self.home, "mine")), "1 False")

    def test_the_keras_that_is_not_tensorflows(self):
        """A program that has one of the two by itself does not get the other under it."""
        for name in ("keras", "tf_keras"):
            self.write(f"mine/{name}/__init__.py", "from . import layers\n")
            self.write(f"mine/{name}/layers.py", "Layer = object\n")
        for legacy, name, other in (("0", "tf_keras", "keras"), ("1", "keras", "tf_keras")):
            code = f"import os, sys; os.environ['TF_USE_LEGACY_KERAS'] = '{legacy}'; import {name}; print('{other}' in sys.modules, 'fastgpu' in sys.modules)"
            self.assertEqual(self.python(code, os.path.join(self.home, "mine")), "False False", name)

    def test_other_pythons(self):
        """Those too old for the package go on as if nothing were there."""
        tried = 0
        for python in sorted({*map(shutil.which, ("python2.7", "/usr/bin/python3")), *glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python"))} - {None}):
            version = subprocess.run([python, "-c", "import sys; print(sys.version_info >= (3, 8))"], capture_output=True, text=True, check=False)
            if version.returncode == 0:
                tried += 1
                code = "import sys; print(any(p.endswith('/lib') and p.startswith(%r) for p in sys.path))" % self.home
                self.assertEqual(self.python(code, python=python), version.stdout.strip(), python)
        if not tried:
            self.skipTest("no other Python is installed")

    def test_isolated(self):
        self.assertEqual(self.python("import sys; print('sitecustomize' in sys.modules and 'enter' in (sys.modules['sitecustomize'].__file__ or ''))",
                                     options=["-I"]), "False")


class Inside(Case):
    """The pages that a program reads are the daemon's."""

    def setUp(self):
        super().setUp()
        self.addCleanup(os.environ.pop, "FASTGPU_ATTACH", None)
        self.addCleanup(self.leave)

    def leave(self):
        if inside._session:
            inside._session.close()
        inside._session = None

    def attach(self, target):
        self.leave()
        os.environ["FASTGPU_ATTACH"] = self.d.open(target)["attach"]
        return inside.vgpus()

    def test_what_the_daemon_says(self):
        made = self.client.create("a", gpus=2, memory=["64M", "32M"], compute=[30, "12.5"], mode="cap")
        have = self.attach("a")
        self.assertEqual([(v.name, v.index, v.uuid, v.memory, v.share, v.mode) for v in have],
                         [(v.name, v.index, v.uuid, v.memory, v.share, v.mode) for v in made])
        self.assertEqual([v.device_key for v in have], [v["device_key"] for v in made.raw["vgpus"]])
        self.assertEqual([v.usage.pids for v in self.client.inspect("a")], [[os.getpid()]] * 2)
        self.client.resize("a/1", memory="48M")
        self.assertEqual(inside.vgpus()[1].memory, 48 * MIB)
        self.assertEqual([v.name for v in self.attach("a/1")], ["a/1"])

    def test_used(self):
        self.client.create("a", memory="64M", compute=30)
        tenant = self.d.tenant(self.d.open("a")["attach"])
        tenant("reserve", 0, 40 * MIB)
        v = self.attach("a")[0]
        self.assertEqual((v.used, v.free), (40 * MIB, 24 * MIB))
        self.assertEqual(here.memory(0), (64 * MIB, 40 * MIB, 24 * MIB))
        self.raises(ValueError, here.memory, 1)
        tenant("refund", 0, 40 * MIB)
        self.assertEqual(here.memory(0).free, 64 * MIB)

    def test_page_version(self):
        with open(os.path.join(common.ROOT, "include", "fastgpu", "page.h"), encoding="utf-8") as f:
            self.assertIn(f"#define FG_PAGE_VERSION {inside.PAGE_VERSION}u", f.read())

    def test_trouble(self):
        self.assertEqual(inside.vgpus(), [])
        os.environ["FASTGPU_ATTACH"] = self.d.state + "/none.sock"
        self.raises(fastgpu.DaemonUnreachable, inside.vgpus)
        self.client.create("a", memory="64M")
        attach = self.d.open("a")["attach"]
        self.d.stop()
        os.environ["FASTGPU_ATTACH"] = attach
        e = self.raises(fastgpu.DaemonUnreachable, inside.vgpus)
        self.assertIn(attach, str(e))

    def test_one_that_does_not_answer(self):
        import socket
        path = os.path.join(self.d.state, "deaf.sock")
        for answer in (b"", b"x", b"y" * 272):
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
                s.bind(path)
                s.listen(1)
                os.environ["FASTGPU_ATTACH"] = path
                before, inside.TIMEOUT = inside.TIMEOUT, 0.2
                import threading
                serve = threading.Thread(target=lambda: answer and s.accept()[0].send(answer))
                serve.start()
                try:
                    self.raises(fastgpu.DaemonUnreachable, inside.vgpus)
                finally:
                    inside.TIMEOUT = before
                    serve.join()
            os.unlink(path)

    def test_keeps_its_place_when_the_daemon_is_started_anew(self):
        self.client.create("a", memory="64M")
        self.attach("a")
        self.d.stop(signal.SIGKILL)
        self.assertEqual(inside.vgpus()[0].memory, 64 * MIB)
        self.d.start()
        self.assertEqual(self.client.inspect("a")[0].usage.pids, [os.getpid()])
        self.client.resize("a", memory="16M")
        self.assertEqual(inside.vgpus()[0].memory, 16 * MIB)


class Late(Case):
    """A process that goes into vGPUs by itself: fastgpu.keras.scope()."""
    CODE = ("import json, os, sys; from fastgpu import enter, errors, inside\n"
            "try: said = [v.name for v in enter.enter(json.loads(sys.argv[1]), timeout=float(sys.argv[2]))]\n"
            "except errors.Error as e: said = type(e).__name__ + ': ' + str(e)\n"
            "print(json.dumps([said, os.environ.get('OPENCL_LAYERS'), bool(inside.path())]), flush=True); sys.stdin.read()")

    def enter(self, timeout=20, path=None, code="", **what):
        env = {**self.child_env(), "PATH": path or os.path.join(self.d.root, "bin")}
        process = subprocess.Popen([sys.executable, "-c", code + self.CODE, json.dumps(what), str(timeout)], env=env, text=True, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)

        def end():
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
        self.addCleanup(end)
        return process, json.loads(process.stdout.readline())

    def test_holds_until_it_ends(self):
        process, (said, layer, is_in) = self.enter(gpus=2, memory=MIB)
        (name,) = self.d.names()
        self.assertEqual((said, layer, is_in), ([name + "/0", name + "/1"], os.path.join(self.d.root, "lib/fastgpu/libfastgpu-opencl.so"), True))
        self.assertEqual([v.usage.pids for v in self.client.inspect(name)], [[process.pid]] * 2)
        self.d.stop(signal.SIGKILL)
        self.d.start()
        self.assertEqual(self.d.names(), [name])
        process.kill()
        self.nothing_left()

    def refused(self, word, **how):
        _, (said, layer, is_in) = self.enter(**how)
        self.assertIn(word, said)
        self.assertEqual((layer, is_in), (None, False))

    def test_refused_holds_nothing(self):
        self.refused("NoCapacity", gpus=3, memory=1000 * MIB)
        self.refused("is FastGPU installed", path="/usr/bin:/bin", gpus=1)
        open(os.path.join(self.d.root, "libOpenCL.so.1"), "w").write("x")
        loaded = "import mmap; f = open(%r, 'rb'); kept = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)\n" % os.path.join(self.d.root, "libOpenCL.so.1")
        self.refused("TooLate: this process has loaded libOpenCL without limits", code=loaded, gpus=1)
        self.assertEqual(self.d.names(), [])
        self.d.process.send_signal(signal.SIGSTOP)
        self.refused("Timeout", gpus=1, timeout=0.5)
        self.d.process.send_signal(signal.SIGCONT)
        self.nothing_left()
        self.d.stop()
        self.refused("no daemon answers", gpus=1)

    def test_what_fails_half_way_leaves_nothing(self):
        """Before it has attached, and after, when they go with the process: the environment is as before, and the cause is told."""
        for where, name in (("inside.vgpus", "inside, 'vgpus'"), ("enter._set", "enter, '_set'")):
            code = ("import os; from fastgpu import enter, errors, inside; os.environ['LD_LIBRARY_PATH'] = '/mine'; os.environ['FASTGPU_SIM'] = 'mine'; before = dict(os.environ)\n"
                    f"def fails(*words, real={where}):\n    real(*words)\n    raise errors.Error('half way')\n"
                    f"setattr({name}, fails)\n"
                    "import atexit; atexit.register(lambda: open(%r, 'w').write(str(dict(os.environ) == before)))\n" % os.path.join(self.d.root, "same"))
            process, (said, layer, is_in) = self.enter(code=code, gpus=1, memory=MIB)
            self.assertEqual((said, layer, is_in), ("Error: half way", None, False), where)
            if where == "enter._set":
                self.nothing_left()
            process.stdin.close()
            process.wait(20)
            self.nothing_left()
            with open(os.path.join(self.d.root, "same"), encoding="utf-8") as f:
                self.assertEqual(f.read(), "True", where)

    def test_early(self):
        for line, late in (("7f r-xp 0 08:01 1 /usr/lib/libcuda.so.570.1", True), ("7f r-xp 0 08:01 1 /t/libcuda.so.1", False), ("7f rw-p", False),
                           ("7f r-xp 0 08:01 1 /usr/lib/libcudart.so.12", False), ("7f r-xp 0 08:01 1 /u/libnvidia-ml.so.1", True)):
            if late:
                self.raises(enter.TooLate, enter.check_early, "/t", line)
            else:
                enter.check_early("/t", line)


    def test_visible_enough(self):
        for text, n, word in (("", 2, None), ("-1", 2, None), ("0,1", 2, None), ("1,0,7", 2, None), ("0", 2, "shows 1 of 2"), ("0,2,1", 2, "shows 1 of 2"),
                              ("5", 1, "shows 0 of 1"), ("GPU-1111", 1, "shows 0 of 1")):
            if word:
                self.assertIn(word, str(self.raises(enter.Error, enter.check_visible, n, text)))
            else:
                enter.check_visible(n, text)


class Here(unittest.TestCase):
    def vgpu(self, i, **what):
        return inside.Here(**{**dict(name=f"a/{i}", index=i, uuid=f"{i}" * 8 + "-0000-4000-8000-000000000000", device_key="k", memory=64 * MIB, used=0, share=300,
                                     mode="share"), **what})

    def test_sizes(self):
        for value, size in ((None, None), (5, 5), ("8G", 8 << 30), ("1.5GiB", 3 << 29), ("256MB", 256 * MIB), ("7", 7)):
            self.assertEqual(here.size(value), size)
        for value in (0, -1, True, 1.5, "0", "8X", "", "G", []):
            self.assertRaises(ValueError, here.size, value)

    def test_fraction(self):
        self.assertEqual(here.fraction("2G", 8 << 30), 0.25)
        for wanted in ("9G", None, "0"):
            self.assertRaises(ValueError, here.fraction, wanted, 8 << 30)

    def test_shortage(self):
        have = [self.vgpu(0), self.vgpu(1, memory=MIB)]
        self.assertIsNone(here.shortage(here.Wish.of(2), have))
        self.assertIsNone(here.shortage(here.Wish.of(1, "64M", 30, "share"), have))
        for wish, word in ((here.Wish.of(3), "--gpus 3"), (here.Wish.of(2, "64M"), "a/1"), (here.Wish.of(1, None, 30.5), "30.5 %"), (here.Wish.of(1, None, None, "cap"), "mode")):
            self.assertIn(word, here.shortage(wish, have))

    def test_nccl_takes_a_card_once(self):
        same, two = [self.vgpu(0), self.vgpu(1)], [self.vgpu(0), self.vgpu(1, device_key="other")]
        for devices, have, host in ((["GPU:0", "GPU:1"], same, True), (["GPU:0", "GPU:1"], two, False), (["GPU:0", "GPU:1"], [], False), (["GPU:0"], same, False),
                                    (["CPU:0", "CPU:1"], [], True), (["CPU:0"], [], False)):
            self.assertEqual(frameworks.TensorFlow.through_host(devices, have), host, (devices, have))

    def test_visible(self):
        have = [self.vgpu(i) for i in range(3)]
        self.addCleanup(os.environ.pop, "CUDA_VISIBLE_DEVICES", None)
        for text, which in (("0,2", [0, 2]), ("2,0", [2, 0]), ("", []), ("-1", []), ("1,9,0", [1]), ("GPU-2222", [2]), ("GPU-", [])):
            os.environ["CUDA_VISIBLE_DEVICES"] = text
            self.assertEqual([v.index for v in here.visible(have)], which, text)


if __name__ == "__main__":
    common.main()
