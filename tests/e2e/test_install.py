#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The archive and its install.sh: what is unpacked and installed works where it lies, twice changes nothing, and goes without a trace."""
import filecmp
import fnmatch
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tests", "lib")]
from node import Node, prefix, require_tree  # noqa: E402

# As install.sh stops them. The kubelet's is built where its libraries are.
SERVICES = [name for name in ("fastgpu-kubelet", "fastgpu-gate", "fastgpud") if os.path.exists(os.path.join(prefix(), "bin", name))]


def run(*argv, code=0, **kwargs):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False, **kwargs)
    if done.returncode != code:
        raise AssertionError(f"{argv}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="fastgpu-install-")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        os.chmod(cls.dir, 0o755)
        cls.archive = run(os.path.join(ROOT, "tools", "dist"), "--tree", prefix(), "--to", cls.dir).strip()
        run("tar", "-C", cls.dir, "-xf", cls.archive)
        cls.script = os.path.join(cls.dir, next(n for n in os.listdir(cls.dir) if not n.endswith(".gz")), "install.sh")

    def setUp(self):
        self.to = os.path.join(self.dir, "to")
        self.addCleanup(shutil.rmtree, self.to, ignore_errors=True)

    def files(self, folder):
        return {os.path.join(at, name): os.lstat(os.path.join(at, name)).st_ino for at, _, names in os.walk(folder) for name in names}

    def test_the_same_tree_makes_the_same_archive(self):
        other = os.path.join(self.dir, "again")
        os.mkdir(other)
        again = run(os.path.join(ROOT, "tools", "dist"), "--tree", prefix(), "--to", other).strip()
        self.assertTrue(filecmp.cmp(self.archive, again, shallow=False))

    def test_install_twice_use_remove(self):
        said = run(self.script, "--prefix", self.to)
        self.assertIn(f"installed below {self.to}", said)
        before = self.files(self.to)
        for service in SERVICES:
            with open(os.path.join(self.to, f"lib/systemd/system/{service}.service"), encoding="utf-8") as f:
                self.assertRegex(f.read(), f"(?m)^ExecStart={self.to}/bin/{service}( |$)")
        for name in ("share/man/man1/fastgpu.1", "share/bash-completion/completions/fastgpu", "share/doc/fastgpu/containers.md", "share/doc/fastgpu/design/slurm.md",
                     "bin/fastgpu-runtime", "lib/fastgpu/libfastgpu-enter.so", "lib/python3/dist-packages/fastgpu/py.typed"):
            self.assertIn(os.path.join(self.to, name), before)
        self.assertEqual(run(os.path.join(ROOT, "tools", "check-links"), "--root", os.path.join(self.to, "share/doc/fastgpu")), "")
        self.assertIn("nothing was changed", run(self.script, "--prefix", self.to))
        self.assertEqual(self.files(self.to), before)
        with Node() as node:
            python = [sys.executable, "-m", "fastgpu"]
            where = {"PYTHONPATH": os.path.join(self.to, "lib/python3/dist-packages"), "PYTHONDONTWRITEBYTECODE": ""}
            program = os.path.join(self.to, "bin", "fastgpu")
            run(program, "create", "--name", "x", "--memory", "32M", "--compute", "10", env=node.env)
            self.assertEqual(run(program, "run", "x", "--", "echo", "inside", env=node.env), "inside\n")
            self.assertRegex(run(*python, env={**node.env, **where}), r"^fastgpu \S+ \(Python\), fastgpud \S+ at ")
        # A file of an earlier version, one that was damaged, and one of somebody else's.
        with open(os.path.join(self.to, "lib/fastgpu/installed"), "a", encoding="utf-8") as f:
            f.write("lib/fastgpu/old.so\n")
        for name, text in (("lib/fastgpu/old.so", "old"), ("share/man/man1/fastgpu.1", "damaged"), ("bin/other", "other")):
            with open(os.path.join(self.to, name), "w", encoding="utf-8") as f:
                f.write(text)
        self.assertRegex(run(self.script, "--prefix", self.to), r": 1 of \d+ files were new or changed")
        self.assertFalse(os.path.exists(os.path.join(self.to, "lib/fastgpu/old.so")))
        self.assertIn("removed", run(self.script, f"--prefix={self.to}", "--uninstall"))
        self.assertEqual(list(self.files(self.to)), [os.path.join(self.to, "bin", "other")])
        self.assertEqual(os.listdir(self.to), ["bin"])
        self.assertIn("nothing of FastGPU", run(self.script, "--prefix", self.to, "--uninstall", code=1))

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "needs root, to be somebody else: NOT TESTED")
    def test_without_privileges_into_the_home_folder(self):
        os.mkdir(self.to)
        os.chown(self.to, 65534, 65534)
        someone = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", f"HOME={self.to}", "PATH=/usr/bin:/bin"]
        self.assertIn(f"below {self.to}/.local", run(*someone, self.script))
        self.assertIn("Usage: fastgpu", run(*someone, f"{self.to}/.local/bin/fastgpu", "help"))
        # The machine's Python finds the package where it was put.
        system = [*someone, "/usr/bin/python3", "-c", "import fastgpu; print(fastgpu.__file__)"]
        self.assertEqual(run(*system, cwd="/").strip(), f"{self.to}/.local/lib/python3/dist-packages/fastgpu/__init__.py")
        self.assertIn("cannot be written", run(*someone, self.script, "--prefix", "/usr/local", code=1))
        run(*someone, self.script, "--uninstall")
        self.assertEqual(list(self.files(self.to)), [])

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("unshare"), "needs root, for mounts of its own: NOT TESTED")
    def test_removal_stops_what_was_started(self):
        """Below /usr/local, on a machine with systemd, which a script stands in for: it is asked for the units and told to stop those that run."""
        bin_, log = os.path.join(self.to, "bin"), os.path.join(self.to, "log")
        os.makedirs(bin_)
        script = os.path.join(bin_, "systemctl")

        def went(running):
            with open(script, "w", encoding="ascii") as f:
                f.write(f"#!/bin/sh\necho \"$*\" >>{log}\ncase $* in 'is-active '*'{running}'*) exit 0 ;; is-*) exit 1 ;; esac\n")
            os.chmod(script, 0o755)
            with open(log, "w", encoding="ascii"):
                pass
            said = run("unshare", "-m", "--propagation", "private", "env", f"PATH={bin_}:/usr/bin:/bin", "sh", "-ec",
                       f"cp -r {os.path.dirname(self.script)} {self.to}/archive; mount -t tmpfs none /usr/local; mount -t tmpfs none /run; "
                       f"mkdir -p /run/systemd/system; {self.to}/archive/install.sh; {self.to}/archive/install.sh --uninstall; ls -A /usr/local")
            shutil.rmtree(os.path.join(self.to, "archive"))
            with open(log, encoding="ascii") as f:
                return said, [line.strip() for line in f if line.startswith("disable")]
        said, told = went("fastgpu-gate.service")
        self.assertEqual(told, ["disable --now fastgpu-gate.service"])
        self.assertIn("stopped fastgpu-gate\n", said)
        self.assertNotIn("stopped fastgpud", said)
        said, told = went("")
        self.assertEqual(told, [f"disable --now {units}" for units in (*(f"{s}.service" for s in SERVICES[:-1]), "fastgpud.socket fastgpud.service")])
        said, told = went("nothing")
        self.assertEqual((told, "stopped" in said), ([], False))

    def test_bad_input(self):
        for words, says in ((["--prefx", "/x"], "no option \"--prefx\""), (["--prefix"], "needs a folder"), (["--prefix", "x"], "whole path"),
                            (["--prefix", "/a b"], "blank"), (["--prefix", "/a:b"], "colon")):
            self.assertIn(says, run(self.script, *words, code=2))


class Packages(unittest.TestCase):
    """Each installed file belongs to one Debian package; `make deb-check` builds and installs them."""

    def test_every_file_has_one_package(self):
        found = [os.path.relpath(os.path.join(at, name), prefix()) for at, _, names in os.walk(prefix()) for name in names]
        ours = [name for name in found if not name.startswith("lib/fastgpu/bench/") and "__pycache__" not in name]
        lists = glob.glob(os.path.join(ROOT, "packaging", "debian", "*.install"))
        rows = []
        for path in lists:
            with open(path, encoding="ascii") as f:
                rows += [(os.path.basename(path), line.split()[0].removeprefix("usr/")) for line in f if line.strip()]
        for name in ours:
            takes = [package for package, row in rows if fnmatch.fnmatch(name, row) or name.startswith(row + "/")]
            self.assertEqual(len(takes), 1, f"{name}: in {takes}")
        for package, row in rows:
            self.assertTrue([n for n in ours if fnmatch.fnmatch(n, row) or n.startswith(row + "/")], f"{package}: nothing is {row}")


if __name__ == "__main__":
    require_tree()
    unittest.main(verbosity=2)
