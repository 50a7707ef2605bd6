#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon that a user without privileges gets: below the XDG folders, theirs alone, with limits that hold."""
import glob
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys

from e2e import FASTGPU, INSIDE, MIB, PYTHON, Node, NodeTest, alive, main, wait_until

NOBODY = 65534
SYSTEM_SOCKET = "/run/fastgpu/api.sock"


def as_user():
    """The command in front of everything that this user is to do; none if the test is run by one already."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]


def leave_the_system():
    """Root goes on with a /run of its own, where there is no daemon of the system, nor the folder that one left."""
    private = ["unshare", "--mount", "--propagation", "private", "sh", "-c", 'mount -t tmpfs -o mode=755 none /run && exec "$@"', "sh"]
    if os.geteuid() != 0 or "FASTGPU_TEST_RUN" in os.environ or subprocess.run([*private, "true"], check=False).returncode:
        return
    os.environ["FASTGPU_TEST_RUN"] = "private"
    os.execvp(private[0], [*private, sys.executable, *sys.argv])


def system_obstacle():
    with socket.socket(socket.AF_UNIX) as s:
        try:
            s.connect(SYSTEM_SOCKET)
            return "a system's daemon answers first"
        except PermissionError:
            return f"whether a system's daemon answers at {SYSTEM_SOCKET} is not this user's to know"
        except OSError:
            return None


def obstacle():
    """Why there is no such user to try it with; None if there is."""
    why = system_obstacle()
    if why:
        return why
    if as_user() and not shutil.which("setpriv"):
        return "setpriv is not installed"
    for path in (FASTGPU, INSIDE, PYTHON):
        if subprocess.run([*as_user(), "test", "-r", path], check=False).returncode:
            return f"the user may not read {path}"
    return None


class UserNode(Node):
    """The daemon of a user: no FASTGPU_STATE_DIR, nothing but the folders that a login gives."""

    def __init__(self):
        super().__init__()
        self.env = {k: v for k, v in self.env.items() if not k.startswith(("FASTGPU_", "XDG_"))}
        self.state, self.runtime = os.path.join(self.dir, "state"), os.path.join(self.dir, "runtime")
        self.env.update(HOME=self.dir, XDG_STATE_HOME=self.state, XDG_RUNTIME_DIR=self.runtime)
        for path in (self.state, self.runtime):
            os.mkdir(path, 0o700)
        self.user = NOBODY if as_user() else os.geteuid()
        if as_user():
            for path in (self.dir, self.state, self.runtime):
                os.chown(path, NOBODY, NOBODY)

    def popen(self, argv, **kwargs):
        return super().popen([*as_user(), *argv], **kwargs)

    def native(self, *argv, timeout=120):
        return super().native(*as_user(), *argv, timeout=timeout)

    def socket_path(self):
        return os.path.join(self.runtime, "fastgpu", "api.sock")


class User(NodeTest):
    def setUp(self):
        self.node = UserNode()
        self.addCleanup(self.node.close)
        self.create("mine", "--gpus", "2", "--memory", "64M", "--compute", "60,40")

    def test_everything_is_theirs_and_in_its_place(self):
        version = self.node.get("/v1/version")
        self.assertEqual(version["state_dir"], os.path.join(self.node.state, "fastgpu"))
        self.assertEqual(version["run_dir"], os.path.join(self.node.runtime, "fastgpu"))
        self.assertEqual(os.stat(f"/proc/{version['pid']}").st_uid, self.node.user)
        self.assertTrue(os.path.exists(os.path.join(version["state_dir"], "store.db")))
        self.start_inside("mine/0", "hold", MIB)
        for folder in (version["state_dir"], version["run_dir"]):
            for path in (folder, *glob.glob(folder + "/**", recursive=True)):
                found = os.lstat(path)
                self.assertEqual(found.st_uid, self.node.user, path)
                if path.startswith(version["run_dir"]) and stat.S_ISDIR(found.st_mode):
                    self.assertEqual(found.st_mode & 0o077, 0, path)
        self.assertEqual(os.listdir(self.node.state), ["fastgpu"])
        self.assertEqual(os.listdir(self.node.runtime), ["fastgpu"])

    def test_limits_hold(self):
        self.assertEqual(self.inside("mine", "fill"), [64 * MIB, 64 * MIB])
        holder, said = self.start_inside("mine/0", "hold", 60 * MIB)
        self.assertEqual(said, "ok")
        self.assertNotEqual(self.inside("mine/0", "ask", 5 * MIB), "ok")
        self.assertIn(holder.pid, self.node.usage("mine/0")["pids"])
        holder.kill()
        holder.wait()
        wait_until(lambda: self.node.usage("mine/0")["memory_used"] == 0, 5, "memory of the killed process is back")
        self.node.fastgpu("resize", "mine/0", "--memory", "96M")
        self.assertEqual(self.inside("mine/0", "ask", 96 * MIB), "ok")

    def test_the_next_daemon_knows_what_the_last_one_knew(self):
        before = self.node.json("list")["sets"]
        killed = self.node.stop_daemon(signal.SIGKILL)
        shutil.rmtree(os.path.join(self.node.runtime, "fastgpu"))  # as when the user logs out
        self.assertEqual([(s["name"], [v["uuid"] for v in s["vgpus"]]) for s in self.node.json("list")["sets"]],
                         [(s["name"], [v["uuid"] for v in s["vgpus"]]) for s in before])
        self.assertFalse(alive(killed))
        self.assertEqual(self.inside("mine", "add"), [True, True])


if __name__ == "__main__":
    leave_the_system()
    why = PYTHON and obstacle()
    if why:
        print(f"skipped: {why}", file=sys.stderr)
        sys.exit(77)
    main()
