#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each method of the client, sync and async, and the exceptions that refusals become."""
import asyncio
import os
import pickle
import subprocess
import sys
import unittest

import common
import fastgpu
from common import Case

MIB = 1 << 20


class Vgpus(Case):
    def test_create_resize_suspend_delete(self):
        made = self.client.create("a", gpus=2, memory=["64M", 32 * MIB], compute=[30, "12.5"], mode="cap")
        self.assertEqual((made.name, len(made), made.ephemeral), ("a", 2, False))
        self.assertEqual([(v.memory, v.share, v.mode) for v in made], [(64 * MIB, 300, "cap"), (32 * MIB, 125, "cap")])
        self.assertEqual(made[1].usage.memory_used, 0)
        self.assertEqual(self.client.resize("a/1", memory="48M")[1].memory, 48 * MIB)
        self.assertEqual([v.state for v in self.client.suspend(made)], ["suspended"] * 2)
        self.assertEqual([v.state for v in self.client.resume("a")], ["ready"] * 2)
        self.assertEqual(self.client.inspect("a")[1].memory, 48 * MIB)
        self.client.delete("a")
        self.raises(fastgpu.NotFound, self.client.inspect, "a")

    def test_context(self):
        with self.client.create(gpus=2, memory="64M") as mine:
            self.assertTrue(mine.ephemeral)
            self.assertEqual((len(mine), self.d.names()), (2, [mine.name]))
        self.assertEqual(self.d.names(), [])
        with self.client.create("named", memory="64M") as named:
            self.assertFalse(named.ephemeral)
        self.assertEqual(self.d.names(), [])
        with self.assertRaises(KeyError), self.client.create(memory="64M"):
            raise KeyError
        self.assertEqual(self.d.names(), [])

    def test_context_ends_its_programs(self):
        with self.client.create(memory="64M") as mine:
            opened = self.d.open(mine.name)
            tenant = self.d.tenant(opened["attach"])
            self.assertEqual(tenant.attached, 1)
        self.assertNotEqual(tenant.process.wait(20), 0)
        self.assertEqual(self.d.names(), [])

    def test_context_spares_who_took_the_name(self):
        with self.client.create("a", memory="64M"):
            self.client.delete("a")
            self.client.create("a", memory="32M")
        self.assertEqual(self.d.names(), ["a"])

    def test_list_by_pages(self):
        pages = []
        ask = self.client.request
        self.client.request = lambda method, path, **how: pages.append(how["query"]) or ask(method, path, query={**how["query"], "limit": 2})
        for name in "abcde":
            self.d.create(name, memory="1M", compute="1")
        self.assertEqual([s.name for s in self.client.list()], list("abcde"))
        self.assertGreaterEqual(len(pages), 3)

    def test_devices(self):
        first, second = self.client.devices()
        self.assertEqual((first.id, second.id, first.memory, first.share_free), (0, 1, common.harness.MEMORY, 1000))

    def test_main(self):
        done = subprocess.run([sys.executable, "-m", "fastgpu"], env=self.child_env(), capture_output=True, text=True, timeout=30)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("1024 of 1024 MiB and 100 % are free", done.stdout)


class Refusals(Case):
    def test_of_the_daemon(self):
        self.client.create("a", memory="512M", compute=60)
        e = self.raises(fastgpu.Conflict, self.client.create, "a", memory="1M")
        self.assertEqual((e.type, e.status, str(e)), ("exists", 409, e.detail))
        self.assertIn('"a"', e.detail)
        e = self.raises(fastgpu.NoCapacity, self.client.create, gpus=3, memory="1000M")
        self.assertIn("available", e.fields)
        same = pickle.loads(pickle.dumps(e))
        self.assertEqual((type(same), same.detail, same.fields), (type(e), e.detail, e.fields))
        self.raises(fastgpu.NotFound, self.client.delete, "b")
        e = self.raises(fastgpu.BadRequest, self.client.create, memory="8X")
        self.assertIn("8X", e.detail)
        tenant = self.d.tenant(self.d.open("a")["attach"])
        e = self.raises(fastgpu.InUse, self.client.delete, "a")
        self.assertIn(tenant.pid, e.fields["pids"])
        self.client.delete("a", force=True)
        self.d.ok("PUT", "/v1/quotas", {"scope": "organisation", "vgpus": 1})
        e = self.raises(fastgpu.QuotaExceeded, self.client.create, gpus=2, memory="1M")
        self.assertEqual((e.fields["key"], e.fields["limit"]), ("vgpus", 1))
        e = self.raises(fastgpu.Unauthorized, self.connect(token="fgt_x_y").devices)
        self.assertEqual(e.status, 401)
        self.assertEqual(self.d.names(), [])

    def test_viewer_is_forbidden(self):
        self.d.ok("POST", "/v1/users", {"name": "eve"})
        self.d.ok("POST", "/v1/projects", {"name": "red"})
        self.d.ok("PUT", "/v1/projects/red/members/eve", {"role": "viewer"})
        eve = self.connect(token=self.d.ok("POST", "/v1/tokens", {"user": "eve"})["secret"])
        self.assertEqual(list(eve.list()), [])
        self.raises(fastgpu.Forbidden, eve.create, "a", memory="1M")
        self.raises(fastgpu.Forbidden, eve.create, memory="1M")

    def test_bad_input_goes_nowhere(self):
        create, bad = self.client.create, fastgpu.BadRequest
        self.d.stop()  # what is refused here did not need it
        for gpus in (0, -1, "2", 1.5, True, None):
            self.assertIn("gpus", self.raises(bad, create, gpus=gpus).detail)
        for memory in (0, -1, 1.5, True, [None], b"1G"):
            self.assertIn("memory", self.raises(bad, create, memory=memory).detail)
        for compute in (True, [None], b"1"):
            self.assertIn("compute", self.raises(bad, create, compute=compute).detail)
        for name in ("", "/", "../x", "a/../b", None, 7):
            self.raises(bad, self.client.inspect, name)
        for command in ("python3 x.py", b"x", [], [1]):
            self.raises(bad, self.client.submit, command)
        for job in (0, "1", None):
            self.raises(bad, self.client.job, job)
        self.raises(bad, create, "a", keep=False)
        for how in ({"timeout": 0}, {"timeout": "1"}, {"url": "http://x"}, {"url": "https://u:p@x"}, {"url": 7}, {"token": "a b"}, {"fingerprint": "ab"}):
            self.raises(bad, fastgpu.Client, **{"url": "https://x", **how})

    def test_words_in_a_name_are_no_path(self):
        self.raises(fastgpu.Error, self.client.inspect, "a?force=1 HTTP/1.1\r\nX: y")


class Rest(Case):
    def test_events(self):
        self.client.create("a", memory="1M")
        self.client.delete("a")
        self.assertEqual([(e.kind, e.target) for e in self.client.events(follow=False)], [("vgpu.created", "a"), ("vgpu.deleted", "a")])
        following = self.client.events()
        self.assertEqual([next(following).kind, next(following).kind], ["vgpu.created", "vgpu.deleted"])
        self.client.create("b", memory="1M")
        self.assertEqual(next(following).target, "b")

    def test_money(self):
        self.d.ok("PUT", "/v1/prices", {"csv": "currency,price\nEUR,2.00\n"})
        self.assertEqual([(p["currency"], float(p["price"])) for p in self.client.price()], [("EUR", 2.0)])
        self.assertEqual(self.client.usage(), [])

    def test_jobs(self):
        job = self.client.submit(["sh", "-c", "echo out; echo $X"], name="hi", memory="1M", compute=1, env={"X": "y", "PATH": os.environ["PATH"]})
        self.assertEqual(b"".join(self.client.logs(job, follow=True)), b"out\ny\n")
        done = self.client.job(job.id)
        self.assertEqual((done.state, done.exit_code, done.name), ("done", 0, "hi"))
        self.assertEqual([j.id for j in self.client.jobs()], [job.id])
        self.assertEqual(list(self.client.jobs(state="unfinished")), [])
        late = self.client.submit(["true"], memory="1M", not_before="1h")
        self.assertEqual(self.client.cancel(late).state, "cancelled")
        self.raises(fastgpu.NotFound, self.client.job, 999)


class Async(Case):
    def test_all(self):
        async def go():
            async with fastgpu.AsyncClient("unix:" + self.d.socket) as client:
                async with client.create(gpus=2, memory="16M") as mine:
                    self.assertEqual([s.name async for s in client.list()], [mine.name])
                    self.assertEqual((await client.resize(mine, memory="8M"))[0].memory, 8 * MIB)
                self.assertEqual(self.d.names(), [])
                many = await asyncio.gather(*(client.create(f"n{i}", memory="1M", compute=1) for i in range(8)))
                self.assertEqual(sorted(s.name for s in many), sorted(self.d.names()))
                self.assertEqual([e.kind async for e in client.events(follow=False)].count("vgpu.created"), 9)
                with self.assertRaises(fastgpu.NotFound):
                    await client.inspect("none")
        asyncio.run(go())

    def test_every_method(self):
        for name in dir(fastgpu.Client):
            self.assertTrue(name.startswith("_") or name in ("where", "is_remote") or hasattr(fastgpu.AsyncClient, name), name)

        async def go():
            client = fastgpu.AsyncClient("unix:" + self.d.socket)
            await client.create("a", memory="1M", compute=1)
            self.assertEqual((await client.suspend("a"))[0].state, "suspended")
            self.assertEqual((await client.resume("a"))[0].state, "ready")
            self.assertEqual((await client.inspect("a")).name, "a")
            await client.delete("a")
            self.assertEqual(len(await client.devices()), 2)
            self.assertEqual((await client.version())["api"], 1)
            self.assertEqual((await client.usage(), await client.price()), ([], []))
            job = await client.submit(["echo", "x"], memory="1M", compute=1, env={"PATH": os.environ["PATH"]})
            self.assertEqual([part async for part in client.logs(job, follow=True)], [b"x\n"])
            self.assertEqual((await client.job(job)).state, "done")
            late = await client.submit(["true"], memory="1M", not_before="1h")
            self.assertEqual((await client.cancel(late)).state, "cancelled")
            self.assertEqual([j.id async for j in client.jobs()], [late.id, job.id])
            self.assertEqual((await client.request("GET", "/v1/whoami"))["operator"], True)
            await client.close()
        asyncio.run(go())

    def test_cancelled_leaves_nothing(self):
        async def go():
            client = fastgpu.AsyncClient("unix:" + self.d.socket)
            task = asyncio.ensure_future(client.create("a", memory="1M")._create())
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
        asyncio.run(go())
        self.assertEqual(self.d.names(), [])
        self.assertIn("vgpu.deleted", [e.kind for e in self.client.events(follow=False)])


class Import(unittest.TestCase):
    def test_loads_nothing_until_used(self):
        code = ("import sys; before=set(sys.modules); import fastgpu; print(sorted(set(sys.modules)-before)); fastgpu.Client('unix:/x');"
                "print([m for m in ('ssl','http.client','asyncio','json','subprocess') if m in sys.modules and m not in before and m!='subprocess'])")
        done = subprocess.run([sys.executable, "-S", "-c", code], env={"PYTHONPATH": common.PACKAGE}, capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout.splitlines(), ["['fastgpu', 'fastgpu._version']", "[]"])

    def test_names(self):
        for name in fastgpu.__all__:
            self.assertIsNotNone(getattr(fastgpu, name))
        self.assertRaises(AttributeError, lambda: fastgpu.nothing)

    def test_version_is_the_projects(self):
        said = subprocess.run([common.harness.DAEMON, "--version"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(said.split(), ["fastgpud", fastgpu.__version__])


if __name__ == "__main__":
    common.main()
