#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`make deb-check`: the Debian packages are built, judged by lintian, installed into a fresh Debian, used and purged without a trace."""
import os
import shutil
import subprocess
import sys
import unittest

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import chroot  # noqa: E402

NAMES = ("fastgpu", "fastgpu-container", "fastgpu-kubernetes", "fastgpu-monitoring", "fastgpu-otlp", "fastgpu-remote", "fastgpu-sim",
         "fastgpu-slurm", "fastgpu-spark", "fastgpu-top", "python3-fastgpu")
# What runs in one go, as processes end with it: the daemon that the first command starts, and what is asked of it.
USE = r"""set -e
export FASTGPU_SIM=2xT4
fastgpu create --gpus 2 --name my-vgpu --memory 1G --compute 30
fastgpu list
fastgpu run my-vgpu -- /usr/lib/fastgpu/examples/cuda_vectors
fastgpu container my-vgpu
fastgpu top --once
test ! -e /usr/bin/python3 || python3 -m fastgpu
"""


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.built = chroot.packages()
        cls.debian = chroot.Chroot(chroot.base())
        cls.addClassCleanup(cls.debian.__exit__)
        os.mkdir(os.path.join(cls.debian.dir, "packages"))
        for file in cls.built:
            shutil.copy(file, os.path.join(cls.debian.dir, "packages"))
        try:
            cls.debian.run("apt-get", "-qq", "update")
        except AssertionError as e:
            chroot.skip(f"no package registry: {e}")

    def setUp(self):
        self.before = self.debian.files()

    def tearDown(self):
        if self.debian.files() != self.before:
            self.purge()

    def install(self, *names):
        return self.debian.run("sh", "-c", 'cd /packages && apt-get -qq -y --no-install-recommends install "$@"', "sh",
                               *("./" + os.path.basename(f) for f in self.built if os.path.basename(f).split("_")[0] in names))

    def purge(self):
        self.debian.run("sh", "-c", "apt-get -qq -y purge $(dpkg-query -W -f '${Package} ' '*fastgpu*') && apt-get -qq -y --purge autoremove")

    def test_each_part_is_there(self):
        self.assertEqual(sorted(os.path.basename(f).split("_")[0] for f in self.built), sorted(NAMES))

    def test_lintian_finds_no_error(self):
        if not shutil.which("lintian"):
            self.skipTest("no lintian: NOT TESTED")
        # Root's own complaint is not about the packages.
        done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error", *self.built], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotRegex(done.stdout, r"(?m)^[EW]:")

    def test_the_core_alone(self):
        self.install("fastgpu")
        for unit in ("fastgpud.service", "fastgpud.socket"):
            self.assertTrue(os.path.exists(os.path.join(self.debian.dir, "lib/systemd/system", unit)), unit)
        self.assertIn("fastgpud", self.debian.run("fastgpud", "--version"))
        said = self.debian.run("sh", "-c", "fastgpu devices; fastgpu doctor; true")
        self.assertNotIn("not found", said)
        # A part that is not installed is named by its package.
        self.assertIn("fastgpu-remote", self.debian.run("fastgpu", "list", code=None, FASTGPU_URL="https://127.0.0.1:1"))
        self.assertIn("fastgpu-container", self.debian.run("fastgpu", "docker", "enable", code=None))
        self.install("fastgpu-container")
        self.assertIn("fastgpu-gate", self.debian.run("fastgpu-gate", "--version"))
        self.assertTrue(os.path.exists(os.path.join(self.debian.dir, "lib/systemd/system/fastgpu-gate.service")))
        wanted = os.path.join(self.debian.dir, "etc/systemd/system/multi-user.target.wants")
        self.assertTrue(os.path.lexists(f"{wanted}/fastgpud.service"))
        self.assertFalse(os.path.lexists(f"{wanted}/fastgpu-gate.service"), "the gate is for those who ask for it")
        # Somebody tidied up by hand: it can be removed all the same.
        shutil.rmtree(os.path.join(self.debian.dir, "usr/lib/fastgpu/python"))
        self.purge()
        self.assertEqual(sorted(self.debian.files() - self.before), [])

    def test_all_of_it(self):
        self.install(*NAMES)
        self.assertTrue(os.path.exists(os.path.join(self.debian.dir, "lib/systemd/system/fastgpu-kubelet.service")))
        self.assertFalse(os.path.lexists(os.path.join(self.debian.dir, "etc/systemd/system/multi-user.target.wants/fastgpu-kubelet.service")))
        said = self.debian.run("sh", "-c", USE)
        self.assertIn("my-vgpu", said)
        for folder in ("usr/lib/python3/dist-packages/fastgpu", "usr/lib/fastgpu/python/fastgpu", "usr/lib/fastgpu/python/enter"):
            self.assertTrue(os.path.isdir(os.path.join(self.debian.dir, folder, "__pycache__")), f"{folder} is not compiled")
        self.assertRegex(said, r"fastgpu \S+ \(Python\), fastgpud \S+ at ")
        self.assertRegex(said, r"(?m)^--device=fastgpu.dev/vgpu=my-vgpu$")
        self.assertTrue(os.path.isdir(os.path.join(self.debian.dir, "var/lib/fastgpu")))
        # Installed again over itself, it stays as it was.
        self.install(*NAMES)
        self.debian.run("sh", "-c", "apt-get -qq -y remove fastgpu")
        self.assertTrue(os.path.isdir(os.path.join(self.debian.dir, "var/lib/fastgpu")), "removing keeps what purging deletes")
        self.purge()
        self.assertEqual(sorted(self.debian.files() - self.before), [])
        self.assertFalse(os.path.exists(os.path.join(self.debian.dir, "var/lib/fastgpu")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
