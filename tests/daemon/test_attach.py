# SPDX-License-Identifier: Apache-2.0
"""Attaching, liveness, deletion by force, a daemon that dies under load."""
import errno
import glob
import json
import os
import signal
import socket
import struct

import harness
from harness import Daemon, Runner, wait_until


class Attaching(harness.Case):
    def setUp(self):
        self.d = Daemon().start()
        self.addCleanup(self.d.__exit__)
        self.d.create("a", gpus=2, memory="100M", compute="10")
        self.path = self.d.open("a")["attach"]

    def used(self, index=0):
        return self.d.usage("a", index)["memory_used"]

    def test_view_and_quota(self):
        both, one = self.d.tenant(self.path), self.d.tenant(self.d.open("a/1")["attach"])
        self.assertEqual((both.attached, one.attached), (2, 1))
        self.assertEqual(both("quota", 0), 100 << 20)
        self.assertEqual(both("reserve", 1, 60 << 20), 0)
        self.assertEqual(one("reserve", 0, 60 << 20), -errno.ENOMEM)
        self.assertEqual(one("reserve", 0, 40 << 20), 0)
        usage = self.d.usage("a", 1)
        self.assertEqual((usage["memory_used"], usage["memory_peak"], usage["refusals"], usage["processes"]), (100 << 20, 100 << 20, 1, 2))
        self.assertEqual(sorted(usage["pids"]), sorted([both.pid, one.pid]))

    def test_death_gives_back(self):
        for how in (signal.SIGKILL, signal.SIGTERM):
            t = self.d.tenant(self.path)
            t("reserve", 0, 50 << 20)
            os.kill(t.pid, how)
            t.process.wait()
            wait_until(lambda: self.used() == 0, "the dead process's memory is back", 5)
            self.assertEqual(self.d.usage("a")["processes"], 0)

    def test_exec_gives_back_and_attaches_again(self):
        t = self.d.tenant(self.path)
        t("reserve", 0, 50 << 20)
        self.assertEqual(t("exec"), t.pid)
        wait_until(lambda: self.used() == 0, "the old image's memory is back", 5)
        self.assertEqual(t("attach", self.path), 2)
        self.assertEqual(t("reserve", 0, 100 << 20), 0)

    def test_hang_up_keeps_what_is_mapped(self):
        t = self.d.tenant(self.path)
        t("reserve", 0, 50 << 20)
        t("hangup")
        for _ in range(5):
            self.assertEqual(self.used(), 50 << 20)
        self.assertEqual(t("reserve", 0, 1 << 20), 0)
        t("close")
        wait_until(lambda: self.used() == 0, "unmapped pages are given back")

    def test_table_full(self):
        tenants = [self.d.tenant(self.path) for _ in range(256)]
        self.assertEqual({t.attached for t in tenants}, {2})
        extra = self.d.tenant(self.path)
        self.assertEqual(extra.attached, -errno.ENOSPC)
        tenants[7].kill()
        wait_until(lambda: self.d.usage("a")["processes"] == 255, "a slot is vacant")
        self.assertEqual(extra("attach", self.path), 2)

    def test_resize_while_running(self):
        t = self.d.tenant(self.path)
        t("reserve", 0, 50 << 20)
        reply = self.refused(self.d, "PATCH", "/v1/vgpus/a", {"memory": ["40M", "40M"]}, 409, "in-use", "50 MiB")
        self.assertEqual(reply["used"], 50 << 20)
        self.assertEqual((t("quota", 0), t("quota", 1)), (100 << 20, 100 << 20))
        self.refused(self.d, "PATCH", "/v1/vgpus/a", {"memory": ["200M", "2G"]}, 409, "no-capacity")
        self.assertEqual((t("quota", 0), t("quota", 1)), (100 << 20, 100 << 20))
        self.d.ok("PATCH", "/v1/vgpus/a", {"memory": ["50M", "300M"], "compute": "40"})
        self.assertEqual((t("quota", 0), t("quota", 1), t("share", 0)), (50 << 20, 300 << 20, 400))
        self.assertEqual(t("reserve", 0, 1), -errno.ENOMEM)

    def test_limits_are_out_of_reach(self):
        t = self.d.tenant(self.path)
        self.assertLess(t("write-limits", 0), 0)

    def test_cut_usage_page(self):
        t = self.d.tenant(self.path)
        self.assertEqual(t("truncate", 0), 0)
        wait_until(lambda: self.d.ok("GET", "/v1/vgpus/a")["vgpus"][0]["state"] == "quarantined", "the cut page is noticed")
        other = self.d.tenant(self.path)
        self.assertEqual(other.attached, -errno.EUCLEAN)
        t.kill()
        wait_until(lambda: self.d.request("DELETE", "/v1/vgpus/a")[0] == 204, "the set is free")
        self.assertIn("usage page", self.d.ok("GET", "/v1/devices")["problems"][0])

    def test_delete_in_use(self):
        t = self.d.tenant(self.path)
        reply = self.refused(self.d, "DELETE", "/v1/vgpus/a", None, 409, "in-use")
        self.assertIn(t.pid, reply["pids"])

    def test_garbage_on_the_attach_socket(self):
        for hello in (b"", b"x", b"\0" * 16, struct.pack("<4I", 0x41504746, 9, 0, 0), b"A" * 4096):
            s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            s.settimeout(10)
            s.connect(self.path)
            s.send(hello)
            reply = s.recv(64)
            self.assertTrue(reply == b"" or struct.unpack_from("<4I", reply)[2] != 0, reply)
            s.close()
        silent = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(1500)]
        for s in silent:
            s.connect(self.path)
        self.assertEqual(self.d.tenant(self.path).attached, 2)
        self.assertEqual(silent[0].recv(1), b"")  # the oldest silent one had to go
        for s in silent:
            s.close()


class Running(harness.Case):
    def setUp(self):
        self.d = Daemon().start()
        self.addCleanup(self.d.__exit__)

    def runner(self, body):
        r = Runner(self.d, body)
        self.addCleanup(r.kill)
        return r

    def test_ephemeral_goes_with_its_last_user(self):
        r = self.runner({"memory": "64M", "compute": "30"})
        name = r.reply["name"]
        self.assertEqual(self.d.names(), [name])
        t = self.d.tenant(r.reply["attach"])
        r.kill()
        wait_until(lambda: self.d.usage(name)["processes"] == 1, "the attached process is seen")
        t.kill()
        wait_until(lambda: self.d.names() == [], "the ephemeral set is gone")
        self.assertEqual(glob.glob(self.d.state + "/run/*/*"), [])
        self.assertEqual(self.d.ok("GET", "/v1/devices")["devices"][0]["share_free"], 1000)

    def test_runner_counts_as_use(self):
        self.d.create("a")
        r = self.runner({"target": "a/0"})
        self.assertEqual((r.reply["name"], r.reply["vgpus"]), ("a/0", 1))
        self.assertEqual(self.refused(self.d, "DELETE", "/v1/vgpus/a", None, 409, "in-use")["pids"], [r.process.pid])
        self.d.stop(signal.SIGKILL)
        self.d.start()
        self.assertEqual(self.refused(self.d, "DELETE", "/v1/vgpus/a", None, 409, "in-use")["pids"], [r.process.pid])
        r.kill()
        wait_until(lambda: self.d.request("DELETE", "/v1/vgpus/a")[0] == 204, "the set is free")

    def test_force(self):
        self.d.create("a", memory="10M", compute="10")
        r = self.runner({"target": "a"})
        t = self.d.tenant(r.reply["attach"])
        self.assertEqual(self.d.request("DELETE", "/v1/vgpus/a?force=1"), (204, None))
        self.assertEqual((r.process.wait(1), t.process.wait(1)), (-signal.SIGTERM, -signal.SIGTERM))
        self.assertEqual(self.d.names(), [])
        self.assertEqual(glob.glob(self.d.state + "/run/*/*"), [])

    def test_force_on_the_deaf_and_a_stop_meanwhile(self):
        for stop in (False, True):
            self.d.create("a", memory="10M", compute="10")
            r = self.runner({"target": "a"})
            os.kill(r.process.pid, signal.SIGSTOP)  # SIGTERM waits, SIGKILL does not
            wait_until(lambda: harness.state(r.process.pid) == "T", "the program is stopped")
            c = self.d.connect()
            c.request("DELETE", "/v1/vgpus/a?force=1")
            wait_until(lambda: "being deleted" in str(self.d.request("PATCH", "/v1/vgpus/a", {"compute": "10"})), "the deletion is under way")
            self.assertEqual(self.d.request("DELETE", "/v1/vgpus/a?force=1")[0], 409)
            self.refused(self.d, "PATCH", "/v1/vgpus/a", {"compute": "1"}, 409, "in-use")
            if stop:
                self.assertEqual(self.d.stop(), 0)
                self.d.start()
                self.assertEqual(self.d.names(), ["a"])
            else:
                self.assertEqual(c.getresponse().status, 204)
                self.assertEqual(r.process.wait(5), -signal.SIGKILL)
            c.close()

    def test_open_refusals(self):
        self.d.create("a")
        self.refused(self.d, "POST", "/v1/open", {"target": "b"}, 404, "not-found", "b")
        self.refused(self.d, "POST", "/v1/open", {"target": "a/1"}, 404, "not-found", "a/1")
        self.refused(self.d, "POST", "/v1/open", {"target": 5}, 400, "bad-request")
        self.refused(self.d, "POST", "/v1/open", {"target": "a", "memory": "1M"}, 400, "bad-request", "memory")
        self.refused(self.d, "POST", "/v1/open", {"memory": "1M"}, 409, "no-capacity")
        self.assertEqual(self.d.names(), ["a"])


class Boxes(harness.Case):
    """What containers get: a folder with a socket, which is the vGPU for whoever reaches it."""

    def setUp(self):
        self.d = Daemon().start()
        self.addCleanup(self.d.__exit__)
        self.d.create("a", gpus=2, memory=["100M", "50M"], compute=["10", "5"])

    def test_a_box_is_its_vgpus(self):
        status, box = self.d.request("POST", "/v1/containers", {"target": "a/1"})
        self.assertEqual((status, box["name"], box["vgpus"]), (200, "a/1", 1))
        self.assertNotIn("device", box)  # a private daemon tells no engine
        self.assertIn({"hostPath": box["folder"], "containerPath": "/run/fastgpu-vgpu", "options": ["bind", "ro", "nosuid", "nodev"]},
                      box["edits"]["mounts"])
        path = os.path.join(box["folder"], "attach.sock")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o666)
        self.assertEqual(os.stat(os.path.dirname(box["folder"])).st_mode & 0o777, 0o700)
        self.assertEqual(self.d.tenant(path).attached, 1)
        self.assertEqual(self.d.request("DELETE", "/v1/vgpus/a")[0], 409)
        self.d.stop(signal.SIGKILL)
        self.d.start()
        self.assertEqual(self.d.tenant(path).attached, 1)
        self.assertEqual(self.d.request("DELETE", "/v1/vgpus/a?force=1")[0], 204)
        self.assertFalse(os.path.exists(box["folder"]))

    def test_a_socket_that_somebody_took_away_is_made_anew(self):
        d = Daemon()
        self.addCleanup(d.__exit__)
        d.env["FASTGPU_CDI_DIR"] = d.root
        d.start()
        d.create("a", memory="100M", compute="10")
        path = os.path.join(d.request("POST", "/v1/containers", {"target": "a"})[1]["folder"], "attach.sock")
        for _ in range(2):
            os.unlink(path)
            self.assertEqual(d.request("POST", "/v1/containers", {"target": "a"})[0], 200)
            self.assertEqual(d.tenant(path).attached, 1)
        spec, = glob.glob(d.root + "/*.json")
        with open(spec) as f:
            self.assertEqual([device["name"] for device in json.load(f)["devices"]], ["a"])  # engines refuse a spec that has one twice

    def test_refused(self):
        for body, status, kind in (({"target": "b"}, 404, "not-found"), ({"target": "a/2"}, 404, "not-found"), ({}, 400, "bad-request"),
                                   ({"target": "../a"}, 400, "bad-request"), ({"target": "a", "memory": "1M"}, 400, "bad-request")):
            self.refused(self.d, "POST", "/v1/containers", body, status, kind)


class Dying(harness.Case):
    def setUp(self):
        self.d = Daemon().start()
        self.addCleanup(self.d.__exit__)

    def test_restart_adopts(self):
        self.d.create("a", memory="100M", compute="10")
        path = self.d.open("a")["attach"]
        lives, dies = self.d.tenant(path), self.d.tenant(path)
        lives("reserve", 0, 30 << 20)
        dies("reserve", 0, 40 << 20)
        lives("launches", 0, 1000)
        before = self.d.usage("a")
        self.d.stop(signal.SIGKILL)
        self.assertEqual(lives("reserve", 0, 31 << 20), -errno.ENOMEM)
        self.assertEqual(lives("reserve", 0, 1 << 20), 0)
        dies.kill()
        lives("launches", 0, 7)
        self.d.start()
        after = self.d.usage("a")
        self.assertEqual((after["memory_used"], after["pids"]), (31 << 20, [lives.pid]))
        self.assertEqual((before["launches"], after["launches"], after["refusals"]), (1000, 1007, 1))
        self.assertEqual(self.d.tenant(path).attached, 1)
        lives.kill()
        wait_until(lambda: self.d.usage("a")["memory_used"] == 0, "the adopted process's death is seen")
        self.assertEqual(self.d.usage("a")["launches"], 1007)

    def test_usage_survives_everything(self):
        self.d.create("a", memory="100M", compute="10")
        path = self.d.open("a")["attach"]
        for n in range(3):
            t = self.d.tenant(path)
            t("launches", 0, 10)
            t.kill()
            wait_until(lambda: self.d.usage("a")["processes"] == 0, "detached")
            self.d.stop(signal.SIGTERM if n else signal.SIGKILL)
            self.d.start()
            self.assertEqual(self.d.usage("a")["launches"], 10 * (n + 1))
        self.d.stop()
        for page in glob.glob(self.d.state + "/run/vgpu/*/*"):
            os.unlink(page)  # as after a reboot
        self.d.start()
        self.assertEqual(self.d.usage("a")["launches"], 30)
        t = self.d.tenant(self.d.open("a")["attach"])
        t("launches", 0, 1)
        self.assertEqual(self.d.usage("a")["launches"], 31)

    def test_ephemeral_after_restart(self):
        r = Runner(self.d, {"memory": "1M"})
        self.addCleanup(r.kill)
        self.d.stop(signal.SIGKILL)
        self.d.start()
        self.assertEqual(self.d.names(), [r.reply["name"]])
        self.d.stop(signal.SIGKILL)
        r.kill()
        self.d.start()
        self.assertEqual(self.d.names(), [])

    def damage(self, name, function):
        """Changes that file of the only vGPU; returns (the vGPU's folder, what is in the file now)."""
        folder, = glob.glob(self.d.state + "/run/vgpu/????????-????-????-????-????????????")
        page = os.path.join(folder, name)
        with open(page, "rb") as f:
            data = function(f.read())
        with open(page, "wb") as f:
            f.write(data)
        return folder, data

    def test_half_a_folder(self):
        """As it is left by a daemon that was killed while it removed the pages of an earlier boot."""
        self.d.create("a", memory="100M", compute="10")
        for name in ("limits", "usage", "poke"):
            self.d.open("a")
            self.d.stop()
            page, = glob.glob(self.d.state + "/run/vgpu/*/" + name)
            os.unlink(page)
            self.d.start()
            t = self.d.tenant(self.d.open("a")["attach"])
            self.assertEqual(t("quota", 0), 100 << 20)
            t.kill()
            self.assertEqual(self.d.ok("GET", "/v1/devices")["problems"], [])

    def test_corrupt_pages(self):
        self.d.create("a", memory="100M", compute="10")
        for name, function, words in (("limits", lambda b: b"\0" * len(b), "limits page"), ("usage", lambda b: b[:100], "100 bytes"),
                                      ("limits", lambda b: b[:256] + b"\xff" * 8 + b[264:], None)):
            path = self.d.open("a")["attach"]
            t = self.d.tenant(path)
            t("launches", 0, 5)
            t.kill()
            self.d.stop()
            before = set(glob.glob(self.d.state + "/run/vgpu/*.corrupt-*"))
            folder, data = self.damage(name, function)
            self.d.start()
            aside = sorted(set(glob.glob(folder + ".corrupt-*")) - before)
            problems = " ".join(self.d.ok("GET", "/v1/devices")["problems"])
            if words:  # no page any more: kept as it was found, and said
                with open(os.path.join(aside[0], name), "rb") as f:
                    self.assertEqual(f.read(), data)
                self.assertEqual(len(aside), 1)
                for said in (problems, self.d.logged()):
                    self.assertIn(f"the pages in {aside[0]} were put aside: ", said)
                    self.assertIn(words, said)
            else:  # a whole page with a number that is not the store's: set right
                self.assertEqual((aside, problems), ([], ""))
            t = self.d.tenant(self.d.open("a")["attach"])
            self.assertEqual(t("quota", 0), 100 << 20)
            t.kill()
            self.d.stop()
            self.d.start()
        self.assertEqual(self.d.usage("a")["launches"], 15)


harness.main()
