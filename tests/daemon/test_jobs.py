# SPDX-License-Identifier: Apache-2.0
"""Jobs: from submission to their end, arrays, what makes them wait, and what is refused."""
import base64
import json
import os
import time

import harness
import jobs
from harness import is_sanitized, wait_until

MIB = 1 << 20


class Running(jobs.Case):
    def test_runs_and_ends(self):
        job = self.submit("echo hello; echo there >&2; exit 0", name="first")
        got = self.ends(job)
        self.assertEqual((got["name"], got["exit_code"], got["gpus"], got["memory"], got["share"], got["owner"], got["log"]),
                         ("first", 0, 1, 64 * MIB, 100, "operator", 12))
        self.assertEqual(self.log(job), "hello\nthere\n")
        self.assertLessEqual(got["submitted"], got["started"])
        self.assertLessEqual(got["started"], got["ended"])
        self.nothing_left()
        kinds = [e["kind"] for e in self.d.ok("GET", "/v1/events")["events"] if e["kind"].startswith("job.")]
        self.assertEqual(kinds, ["job.submitted", "job.started", "job.ended"])
        audit = self.d.ok("GET", "/v1/audit?action=/v1/jobs")["audit"]
        self.assertEqual([(a["action"], a["status"], a["target"]) for a in audit], [("POST /v1/jobs", 201, "first")])

    def test_how_it_ends(self):
        for script, state, want in (("exit 3", "failed", {"exit_code": 3, "reason": "exit code 3"}), ("kill -9 $$", "failed", {"signal": 9}),
                                    ("exit 127", "failed", {"exit_code": 127})):
            got = self.ends(self.submit(script), state)
            self.assertEqual({k: got[k] for k in want}, want)
        got = self.ends(self.submit("/does/not/exist", "x"), "failed")
        self.assertEqual(got["exit_code"], 127)
        self.assertIn("was not found", got["reason"])
        self.nothing_left()

    def test_its_vgpus(self):
        """They are a set of the job's own, there as long as it, and nobody else's to change."""
        job = self.submit("echo $FASTGPU_TEST_OPENED; sleep 300", gpus=3)
        self.until(job, "running")
        (one,) = self.d.ok("GET", "/v1/vgpus")["sets"]
        self.assertEqual((one["name"], one["job"], [(v["memory"], v["share"]) for v in one["vgpus"]]), (f"job-{job}", job, [(64 * MIB, 100)] * 3))
        wait_until(lambda: self.job(job)["log"] or self.d.ok("GET", f"/v1/jobs/{job}/log")["size"], "it has written")
        piece = self.d.ok("GET", f"/v1/jobs/{job}/log")
        opened = json.loads(base64.b64decode(piece["data"]))
        self.assertEqual(opened["name"], f"job-{job}")
        tenant = self.d.tenant(opened["attach"])
        self.assertEqual(tenant.attached, 3)
        for method, body in (("DELETE", None), ("PATCH", {"memory": "1M"})):
            self.refused(self.d, method, f"/v1/vgpus/job-{job}", body, 409, "in-use", f"fastgpu cancel {job}")
        self.assertEqual(self.d.ok("GET", f"/v1/why/job-{job}")["reason"], "ready")
        self.d.ok("DELETE", f"/v1/jobs/{job}")
        self.ends(job, "cancelled")
        wait_until(lambda: not harness.state_is_alive(tenant.pid), "the tenant is gone with the vGPUs")
        self.nothing_left()

    def test_a_name_that_is_taken(self):
        """Somebody has a set called as the job's would be: the job gets another name."""
        self.d.create("job-1", memory="1M", compute="1")
        self.ends(self.submit("true"))
        self.assertEqual(self.d.names(), ["job-1"])

    def test_where_and_with_what(self):
        where = os.path.join(self.d.root, "here")
        os.mkdir(where)
        job = self.submit("pwd; echo $A-$FASTGPU_JOB-$FASTGPU_ARRAY_INDEX-$FASTGPU_JOB_ATTEMPT; echo ${NOT_GIVEN-unset}", cwd=where, env={"A": "x y\nz"})
        self.ends(job)
        self.assertEqual(self.log(job), f"{where}\nx y z-{job}--0\nunset\n")

    def test_time_limit(self):
        job = self.submit("trap '' TERM; sleep 300 & wait", time_limit=1)
        self.assertEqual(self.job(job)["time_limit"], 1)
        self.assertIn("time limit", self.ends(job, "failed")["reason"])
        self.nothing_left()

    def test_not_before(self):
        job = self.submit("true", not_before="1h")
        self.assertEqual(self.d.ok("GET", f"/v1/why/{job}")["reason"], "not-before")
        soon = self.submit("true", not_before=int(time.time()) + 1)
        self.ends(soon)
        self.assertEqual(self.state(job), "queued")

    def test_retries(self):
        """Tried again as often as was said, each time with an empty log."""
        flag = os.path.join(self.d.root, "tries")
        job = self.submit(f"echo $FASTGPU_JOB_ATTEMPT; echo x >> {flag}; [ $(wc -l < {flag}) = 3 ]", retries=5)
        self.assertEqual(self.ends(job)["attempt"], 2)
        self.assertEqual(self.log(job), "2\n")
        once = self.submit(f"echo x >> {flag}; false")
        self.ends(once, "failed")
        twice = self.submit(f"echo x >> {flag}; false", retries=1)
        self.ends(twice, "failed")
        with open(flag) as f:
            self.assertEqual(len(f.readlines()), 3 + 1 + 2)
        self.nothing_left()
        wait_until(lambda: os.listdir(self.folder("")) == [f"{job}_2"], "what wrote nothing has no folder any more")

    def test_log_is_bounded(self):
        self.d.stop()
        self.d.env["FASTGPU_JOB_LOG_MAX"] = "8192"
        self.d.start()
        job = self.submit("head -c 100000 /dev/zero; echo end > " + self.d.root + "/end")
        got = self.ends(job)
        self.assertTrue(os.path.exists(self.d.root + "/end"), "the job went on although its log was full")
        self.assertGreaterEqual(got["dropped"], 100000 - 8192)
        self.assertLessEqual(got["log"], 8192 + 200)

    def test_log_in_pieces(self):
        job = self.submit("printf 'abc\\377\\000def'; sleep 300")
        wait_until(lambda: self.d.ok("GET", f"/v1/jobs/{job}/log")["size"] == 8, "it has written")
        piece = self.d.ok("GET", f"/v1/jobs/{job}/log?from=2&limit=3")
        self.assertEqual((piece["from"], piece["next"], piece["size"], piece["end"], piece["data"]), (2, 5, 8, False, "Y/8A"))
        piece = self.d.ok("GET", f"/v1/jobs/{job}/log?from=8&wait=1")
        self.assertEqual((piece["next"], piece["end"], piece["data"]), (8, False, ""))
        self.d.ok("DELETE", f"/v1/jobs/{job}")
        piece = self.d.ok("GET", f"/v1/jobs/{job}/log?from=8&wait=30")
        self.assertTrue(piece["end"])

    def test_many_at_once(self):
        """As many as fit run side by side, the others after them: all of them end, once each."""
        mark = os.path.join(self.d.root, "mark")
        ids = [self.submit(f"echo {n} >> {mark}", compute="30", memory="300M") for n in range(20)]
        for job in ids:
            self.ends(job)
        with open(mark) as f:
            self.assertEqual(sorted(map(int, f.read().split())), list(range(20)))
        self.nothing_left()


class Waiting(jobs.Case):
    options = {"MIN_RUN": 0}

    def test_cancel(self):
        blocker = self.blocker()
        job = self.submit("true")
        self.assertEqual(self.state(job), "queued")
        self.assertEqual(self.d.ok("DELETE", f"/v1/jobs/{job}")["state"], "cancelled")
        self.refused(self.d, "DELETE", f"/v1/jobs/{job}", None, 409, "ended")
        self.assertIn(self.d.ok("DELETE", f"/v1/jobs/{blocker}")["state"], ("stopping", "cancelled"))
        self.assertEqual(self.ends(blocker, "cancelled")["signal"], 15)
        self.nothing_left()

    def test_suspend_and_resume(self):
        """A suspended job keeps its memory and gives its share away; what waits is held."""
        job = self.blocker()
        waiting = self.submit("true", memory="1M")
        self.d.ok("POST", f"/v1/jobs/{waiting}/suspend")
        self.d.ok("POST", f"/v1/jobs/{job}/suspend")
        self.until(job, "suspended")
        device = self.d.ok("GET", "/v1/devices")["devices"][0]
        self.assertEqual((device["share_free"], device["memory_free"]), (1000, 0))
        self.assertEqual(self.d.ok("GET", f"/v1/why/{job}")["reason"], "held")
        self.assertEqual(self.d.ok("GET", f"/v1/why/{waiting}")["reason"], "held")
        self.assertEqual(self.d.ok("GET", "/v1/quotas")["quotas"][0]["used"]["share"], 0)
        self.d.ok("POST", f"/v1/jobs/{job}/resume")
        self.until(job, "running")
        self.assertEqual(self.d.ok("GET", "/v1/devices")["devices"][0]["share_free"], 0)
        self.d.ok("DELETE", f"/v1/jobs/{job}")
        self.ends(job, "cancelled")
        self.assertEqual(self.state(waiting), "queued")
        self.d.ok("POST", f"/v1/jobs/{waiting}/resume")
        self.ends(waiting)
        self.nothing_left()

    def test_cancel_while_suspended(self):
        job = self.blocker()
        self.d.ok("POST", f"/v1/jobs/{job}/suspend")
        self.until(job, "suspended")
        self.d.ok("DELETE", f"/v1/jobs/{job}")
        self.ends(job, "cancelled")
        self.nothing_left()

    def test_preemption(self):
        """One of a higher class takes the share of a lower one, which goes on afterwards."""
        low = self.submit("sleep 300", memory="256M", compute="100", priority="low")
        self.until(low, "running")
        high = self.submit("sleep 300", memory="256M", compute="100", priority="high")
        self.until(high, "running")
        self.assertEqual(self.state(low), "suspended")
        self.d.ok("DELETE", f"/v1/jobs/{high}")
        self.until(low, "running")
        self.d.ok("DELETE", f"/v1/jobs/{low}")
        self.ends(low, "cancelled")
        self.nothing_left()

    def test_preempted_by_being_stopped(self):
        """Where memory is missing, one that may be started again is stopped, and is started again."""
        low = self.submit("sleep 300", memory="1G", compute="100", priority="low", retries=3)
        self.until(low, "running")
        high = self.submit("true", memory="1G", compute="100", priority="high")
        self.ends(high)
        self.until(low, "running")
        self.assertEqual(self.job(low)["attempt"], 1)
        self.d.ok("DELETE", f"/v1/jobs/{low}")
        self.ends(low, "cancelled")

    def test_why(self):
        blocker = self.blocker(time_limit=3600)
        job = self.submit("true")
        why = self.d.ok("GET", f"/v1/why/{job}")
        self.assertEqual((why["reason"], why["state"], why["name"]), ("no-memory", "queued", str(job)))
        self.assertIn("64 MiB", why["text"])
        self.assertIn("start", why)
        self.assertTrue(why["remedy"])
        self.assertEqual(self.d.ok("GET", f"/v1/why/{blocker}")["reason"], "runs")
        lower = self.submit("true", priority="low")
        self.assertIn(self.d.ok("GET", f"/v1/why/{lower}")["reason"], ("no-memory", "behind-class"))
        self.refused(self.d, "GET", "/v1/why/999", None, 404, "not-found", "999")
        self.refused(self.d, "GET", "/v1/why/nobody", None, 404, "not-found", "nobody")
        self.d.ok("DELETE", f"/v1/jobs/{blocker}")
        self.ends(job)
        self.assertEqual(self.d.ok("GET", f"/v1/why/{job}")["reason"], "ended")

    def test_quotas_hold_it(self):
        """Quotas of running jobs make it wait, and let it go when they are raised; what could never start is refused."""
        self.d.ok("PUT", "/v1/quotas", {"scope": "project", "jobs": 1, "vgpus": 2})
        first = self.submit("sleep 300")
        self.until(first, "running")
        second = self.submit("sleep 300")
        self.assertEqual(self.d.ok("GET", f"/v1/why/{second}")["reason"], "quota-jobs")
        self.refused(self.d, "POST", "/v1/jobs", {"command": ["true"], "gpus": 3, "memory": "1M", "compute": "1"}, 409, "quota", "vgpus")
        self.d.ok("PUT", "/v1/quotas", {"scope": "project", "jobs": 2, "memory": "64M"})
        wait_until(lambda: self.d.ok("GET", f"/v1/why/{second}")["reason"] == "quota-memory", "memory holds it")
        self.d.ok("PUT", "/v1/quotas", {"scope": "project", "memory": 0})
        self.until(second, "running")
        third = self.submit("true")
        self.d.ok("PUT", "/v1/quotas", {"scope": "organisation", "vgpus": 2})
        self.d.ok("PUT", "/v1/quotas", {"scope": "project", "jobs": 0, "vgpus": 0})
        wait_until(lambda: self.d.ok("GET", f"/v1/why/{third}")["reason"] == "quota-organisation", "the organisation holds it")
        for job in (first, second):
            self.d.ok("DELETE", f"/v1/jobs/{job}")

    def test_weights(self):
        self.d.ok("PUT", "/v1/quotas", {"scope": "project", "weight": 5})
        self.assertEqual(self.d.ok("GET", "/v1/quotas")["quotas"][0]["limits"], {"weight": 5})
        self.refused(self.d, "PUT", "/v1/quotas", {"scope": "organisation", "weight": 5}, 400, "bad-request", "weight")


class Arrays(jobs.Case):
    def test_array(self):
        job = self.submit("echo $FASTGPU_ARRAY_INDEX of $FASTGPU_ARRAY_COUNT; [ $FASTGPU_ARRAY_INDEX != 13 ]", array="5-24")
        got = self.ends(job, "failed")
        self.assertEqual((got["array"], got["counts"]), ("5-24", {"queued": 0, "running": 0, "done": 19, "failed": 1, "cancelled": 0}))
        elements = self.elements(job)
        self.assertEqual([e["index"] for e in elements], list(range(5, 25)))
        self.assertEqual([e["index"] for e in elements if e["state"] != "done"], [13])
        self.assertEqual(self.log(job, "&index=7"), "7 of 20\n")
        self.refused(self.d, "GET", f"/v1/jobs/{job}/log", None, 400, "bad-request", "array")
        self.refused(self.d, "GET", f"/v1/jobs/{job}/log?index=25", None, 404, "not-found")
        self.refused(self.d, "GET", f"/v1/jobs/{job}?index=4", None, 404, "not-found")
        self.assertEqual([e["index"] for e in self.job(job, "?index=13")["elements"]], [13])
        self.nothing_left()

    def test_at_most_so_many_at_once(self):
        job = self.submit("sleep 300", array="0-9%3", memory="1M", compute="1")
        wait_until(lambda: self.job(job)["counts"]["running"] == 3, "three run")
        self.assertEqual([e["state"] for e in self.elements(job)].count("queued"), 7)
        self.assertEqual(self.d.ok("GET", f"/v1/why/{job}/9")["reason"], "at-once")
        self.d.ok("DELETE", f"/v1/jobs/{job}?index=1")
        wait_until(lambda: [e["state"] for e in self.elements(job)[:4]] == ["running", "cancelled", "running", "running"], "the next one runs")
        self.d.ok("DELETE", f"/v1/jobs/{job}?index=8")
        self.assertEqual(self.job(job)["counts"], {"queued": 5, "running": 3, "done": 0, "failed": 0, "cancelled": 2})
        self.refused(self.d, "DELETE", f"/v1/jobs/{job}?index=8", None, 409, "ended")
        self.d.ok("DELETE", f"/v1/jobs/{job}")
        self.ends(job, "cancelled")
        self.assertEqual({e["state"] for e in self.elements(job)}, {"cancelled"})
        self.nothing_left()

    def test_why_of_an_array_of_which_some_run(self):
        """What is said is true of whom it is said: the one that waits."""
        job = self.submit("sleep 300", array="5-7", memory="1M", compute="60")
        wait_until(lambda: self.job(job)["counts"]["running"] == 1, "one runs")
        why = self.d.ok("GET", f"/v1/why/{job}")
        self.assertEqual((why["name"], why["state"], why["reason"]), (f"{job}/6", "queued", "no-share"))
        self.assertEqual(self.d.ok("GET", f"/v1/why/{job}/5")["reason"], "runs")
        self.d.ok("DELETE", f"/v1/jobs/{job}")
        self.ends(job, "cancelled")

    def test_suspend_an_element(self):
        job = self.submit("sleep 300", array="0-4%2", memory="1M", compute="1")
        wait_until(lambda: self.job(job)["counts"]["running"] == 2, "two run")
        self.d.ok("POST", f"/v1/jobs/{job}/suspend?index=0")
        self.d.ok("POST", f"/v1/jobs/{job}/suspend?index=2")
        wait_until(lambda: [e["state"] for e in self.elements(job)] == ["suspended", "running", "queued", "queued", "queued"], "as was said")
        self.d.ok("DELETE", f"/v1/jobs/{job}?index=1")
        self.d.ok("POST", f"/v1/jobs/{job}/resume?index=0")
        wait_until(lambda: self.elements(job)[0]["state"] == "running", "it goes on")
        self.d.ok("DELETE", f"/v1/jobs/{job}")
        self.ends(job, "cancelled")
        self.nothing_left()

    def test_quota_hit_in_the_middle(self):
        """An array that is more than may wait is refused whole."""
        self.d.ok("PUT", "/v1/quotas", {"scope": "project", "queued": 5})
        body = {"command": ["true"], "array": "1-6", "memory": "1M", "compute": "1"}
        got = self.refused(self.d, "POST", "/v1/jobs", body, 409, "quota", "queued")
        self.assertEqual((got["limit"], got["used"], got["wanted"]), (5, 0, 6))
        self.assertEqual(self.d.ok("GET", "/v1/jobs")["jobs"], [])
        self.nothing_left()
        self.ends(self.submit("true", array="1-5"))


class Lists(jobs.Case):
    def test_pages_and_filters(self):
        blocker = self.blocker()
        waiting = [self.submit("true", name=f"w{n}") for n in range(25)]
        for job in waiting[:5]:
            self.d.ok("DELETE", f"/v1/jobs/{job}")
        listed, after = [], ""
        while True:
            page = self.d.ok("GET", "/v1/jobs?limit=4" + after)
            listed += [j["id"] for j in page["jobs"]]
            self.assertLessEqual(len(page["jobs"]), 4)
            if "next" not in page:
                break
            after = f"&after={page['next']}"
        self.assertEqual(listed, sorted([blocker, *waiting], reverse=True))
        for state, ids in (("queued", waiting[5:]), ("cancelled", waiting[:5]), ("running", [blocker]), ("done", []), ("suspended", [])):
            self.assertEqual([j["id"] for j in self.d.ok("GET", f"/v1/jobs?state={state}")["jobs"]], sorted(ids, reverse=True))
        self.assertEqual(len(self.d.ok("GET", "/v1/jobs?mine=1&project=default&limit=1000")["jobs"]), 26)
        self.refused(self.d, "GET", "/v1/jobs?state=walking", None, 400, "bad-request", "walking")

    def test_old_ones_go(self):
        self.d.stop()
        self.d.env["FASTGPU_JOBS_KEEP"] = "3"
        self.d.start()
        ids = [self.submit("echo x") for _ in range(6)] + [self.submit("echo x", array="1-150", memory="1M", compute="1")]
        for job in ids:
            wait_until(lambda: (self.d.request("GET", f"/v1/jobs/{job}")[1] or {}).get("state", "done") == "done", f"{job} is over", 100)
        wait_until(lambda: len(self.d.ok("GET", "/v1/jobs")["jobs"]) == 3, "three are left")
        kept = {j["id"] for j in self.d.ok("GET", "/v1/jobs")["jobs"]}
        self.assertEqual(kept, set(ids[-3:]))
        wait_until(lambda: {name.split(".")[0] for name in os.listdir(self.folder(""))} == {str(i) for i in kept}, "so are their folders")


class Many(jobs.Case):
    def rss(self):
        with open(f"/proc/{self.d.process.pid}/status") as f:
            return int(next(line for line in f if line.startswith("VmRSS")).split()[1]) << 10

    def test_what_waits_takes_little_memory(self):
        if is_sanitized(self.d.process.pid):
            self.skipTest("the sanitizer's memory is counted as well")
        self.blocker()
        before = self.rss()
        arrays = [self.submit("true", array="1-100000%50") for _ in range(3)]
        self.assertLess(self.rss() - before, 4 * MIB)
        before, connection = self.rss(), self.d.connect()
        body = {"command": ["true"], "memory": "1M", "compute": "1"}
        for _ in range(4000):
            self.assertEqual(self.d.request("POST", "/v1/jobs", body, connection)[0], 201)
        connection.close()
        self.assertLess(self.rss() - before, 4000 * 700 + 4 * MIB)
        self.d.stop()
        self.d.start()
        self.assertEqual(self.d.ok("GET", "/v1/jobs?limit=1")["waiting"], 304000)
        self.assertLess(self.rss(), 40 * MIB)
        self.assertEqual([e["index"] for e in self.job(arrays[1], "?elements=1&limit=3&after=99998")["elements"]], [99999, 100000])
        for job in arrays:
            self.assertEqual(self.d.ok("DELETE", f"/v1/jobs/{job}")["counts"]["cancelled"], 100000)


class Refused(jobs.Case):
    def test_bad_fields(self):
        good = {"command": ["true"], "memory": "1M", "compute": "1"}
        for field, values in {
                "command": ("true", [], [""], [1], ["a", None], {}, ["a\0b"]),
                "name": ("", "-x", "a b", "x" * 64, "../x", 7, "a\n"),
                "priority": ("urgent", 3, ""),
                "time_limit": (0, -1, 1 << 40, "0", "-5", "1y", "5 m", 1.5, True),
                "not_before": (-1, "yesterday", 1 << 50, 1.5),
                "retries": (-1, 101, "3"),
                "array": ("10-1", "1-", "-3", "a", "1-10%0", "1-10%", "0-1000000000", "1-5,7", 5, "1-99999999999999999999", "1-2%3x"),
                "gpus": (0, -1, 1025, "2"),
                "memory": ("0", "1X", ["1M", "2M"]),
                "compute": ("0", "101", ["1", "2"]),
                "env": (["A"], {"A=B": "x"}, {"1A": "x"}, {"A": 1}, {"A": "a\0b"}, {"": "x"}, {"A\n": "x"}, {"FASTGPU_ATTACH": "x"}, {"LD_PRELOAD": "x"},
                        {"OPENCL_LAYERS": "x"}),
                "cwd": ("relative", 7, "/a\0b"),
                "colour": ("red",)}.items():
            for value in values:
                with self.subTest(field=field, value=value):
                    self.refused(self.d, "POST", "/v1/jobs", {**good, field: value}, 400, "bad-request")
        self.refused(self.d, "POST", "/v1/jobs", {**good, "memory": "2G"}, 409, "no-capacity", "2 GiB")
        self.refused(self.d, "POST", "/v1/jobs", {**good, "project": "none"}, 404, "not-found", "none")
        self.refused(self.d, "POST", "/v1/jobs", {**good, "device": "9"}, 404, "not-found", "9")
        self.assertEqual(self.d.ok("GET", "/v1/jobs")["jobs"], [])

    def test_large(self):
        """A command is bounded; one up to that bound runs."""
        self.refused(self.d, "POST", "/v1/jobs", {"command": ["echo", "x" * 900000]}, 413, "too-large")
        self.refused(self.d, "POST", "/v1/jobs", {"command": ["echo"] * 5000}, 400, "bad-request")
        self.refused(self.d, "POST", "/v1/jobs", {"command": ["true"], "env": {f"V{n}": "x" * 100 for n in range(2000)}}, 413, "too-large")
        job = self.submit("sh", "-c", "echo ${#1}", "x", "y" * 120000)
        self.ends(job)
        self.assertEqual(self.log(job), "120000\n")

    def test_forged_ids(self):
        for id in ("0", "-1", "x", "99", "1e3", "9223372036854775808", "1%2F2", "..", "1;DROP TABLE jobs", "%20"):
            path = id.replace(" ", "%20").replace(";", "%3B")
            for method, tail in (("GET", ""), ("DELETE", ""), ("GET", "/log"), ("POST", "/suspend"), ("POST", "/resume")):
                got, reply = self.d.request(method, f"/v1/jobs/{path}{tail}")
                self.assertEqual((got, reply["type"]), (404, "not-found"), (method, path, reply))

    def test_idempotency(self):
        body = {"command": ["true"], "memory": "1M", "compute": "1"}
        key = {"Idempotency-Key": "one"}
        first = self.d.request("POST", "/v1/jobs", body, headers=key)
        again = self.d.request("POST", "/v1/jobs", body, headers=key)
        self.assertEqual(first, again)
        self.assertEqual(first[0], 201)
        self.assertEqual(self.d.request("POST", "/v1/jobs", {**body, "name": "x"}, headers=key)[0], 409)
        self.assertEqual(len(self.d.ok("GET", "/v1/jobs")["jobs"]), 1)


if __name__ == "__main__":
    harness.main()
