#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""/metrics: what it tells, to whom, and that it adds up to the bill. Programs that are not ours read it in tests/api."""
import os
import signal
import subprocess
import tempfile
import time

import harness
import jobs
import people
from exposition import Bad, Scrape, scrape
from harness import MEMORY, Connection, Daemon, main, wait_until
from simulated import Simulated

PPM = 1000000
DCGM_LABELS = {"gpu", "UUID", "device", "modelName", "Hostname"}
BOARD_12239 = {"DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_SM_CLOCK", "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED"}


class Reader(harness.Case):
    def test_it_refuses_what_is_wrong(self):
        for text in ("a 1\n", "# HELP a x\n# TYPE a gauge\na 1\na 1\n", '# HELP a x\n# TYPE a gauge\na{b="c"d"} 1\n', "# HELP a x\n# TYPE a gauge\nab 1\n",
                     "# HELP a x\n# TYPE a gauge\na 1"):
            with self.assertRaises((Bad, KeyError), msg=text):
                Scrape(text)


class Metrics(harness.Case):
    def test_the_drivers_figures(self):
        with Simulated("2xH100", telemetry_interval=1) as d:
            wait_until(lambda: "telemetry" in d.device(1), "figures")
            s, told = scrape(d), d.device(1)["telemetry"]
            self.assertLessEqual(BOARD_12239, s.names())
            for name in s.names():
                if name.startswith("DCGM_"):
                    self.assertEqual({frozenset(labels) for labels, _ in s.all(name)}, {frozenset(DCGM_LABELS)}, name)
                    self.assertEqual(sorted(labels["gpu"] for labels, _ in s.all(name)), ["0", "1"])
            uuid = d.device(1)["key"].partition("/")[2]
            labels, = [labels for labels, _ in s.all("DCGM_FI_DEV_GPU_TEMP", gpu="1")]
            self.assertEqual((labels["UUID"], labels["device"], labels["modelName"]), (uuid, "nvidia1", "NVIDIA H100 80GB HBM3"))
            self.assertEqual(labels["Hostname"], os.uname().nodename)
            self.assertEqual(s.one("DCGM_FI_DEV_GPU_TEMP", gpu="1"), told["temperature_c"])
            self.assertEqual(s.one("DCGM_FI_DEV_FB_FREE", gpu="1"), told["memory_free"] >> 20)
            self.assertEqual(s.one("fastgpu_device_present", UUID=uuid), 1)
            d.create("a", memory="1G", compute="10")  # has no figure of the device's
            self.assertEqual(len(scrape(d).all("DCGM_FI_DEV_GPU_UTIL")), 2)

    def test_a_pod_of_a_cluster(self):
        """What OpenCost asks for: by container, pod and namespace, with the GPU that it is on. The payer's people see theirs; the whole device's figure is
        for admins."""
        people.require_root()
        with Simulated("1xH100", telemetry_interval=1) as d:
            d.ok("POST", "/v1/projects", {"name": "red"})
            d.ok("POST", "/v1/users", {"name": "eve"})
            d.ok("PUT", "/v1/projects/red/members/eve", {"role": "viewer"})
            token = d.ok("POST", "/v1/tokens", {"user": "eve"})["secret"]
            d.create("a", memory="1G", compute="10")
            d.create("b", memory="1G", compute="10")
            d.ok("PUT", "/v1/vgpus/a/payer", {"project": "red", "workload": "team/web-0/main"})
            wait_until(lambda: scrape(d).all("DCGM_FI_DEV_DEC_UTIL"), "figures")
            rows = scrape(d).all("DCGM_FI_DEV_DEC_UTIL")
            self.assertEqual(len({value for _, value in rows}), 1)
            pods = {(labels["namespace"], labels["pod"], labels["container"]): labels for labels, _ in rows if labels.get("container")}
            self.assertEqual(set(pods), {("team", "web-0", "main"), ("default", "b", "b/0")})
            self.assertEqual(len(rows), 3)
            for labels in pods.values():
                self.assertEqual(set(labels), DCGM_LABELS | {"namespace", "pod", "container", "vgpu"})
                self.assertEqual((labels["UUID"], labels["device"]), (d.device()["key"].partition("/")[2], "nvidia0"))
            # Several vGPUs of one container on one device are several series: the reader takes none twice.
            d.create("c", gpus=2, memory=["1G", "1G"], compute=["10", "10"])
            d.ok("PUT", "/v1/vgpus/c/payer", {"workload": "team/web-1/main"})
            both = {labels["vgpu"] for labels, _ in scrape(d).all("DCGM_FI_DEV_DEC_UTIL", container="main", pod="web-1")}
            self.assertEqual(both, {"c/0", "c/1"})
            eves = scrape(d, Authorization="Bearer " + token)
            self.assertEqual(eves.all("DCGM_FI_DEV_DEC_UTIL"), [])
            self.assertEqual([(labels["project"], labels["vgpu"]) for labels, _ in eves.all("fastgpu_vgpu_share_ratio")], [("red", "a/0")])

    def test_stale_figures_go_and_never_repeat(self):
        with Simulated("1xH100", telemetry_interval=1) as d:
            wait_until(lambda: scrape(d).all("DCGM_FI_DEV_GPU_TEMP"), "figures")
            helper = d.helper(b"--sample")
            os.kill(helper, signal.SIGSTOP)
            wait_until(lambda: not any(n.startswith("DCGM_") for n in scrape(d).names()), "they are gone")
            self.assertGreater(scrape(d).all("fastgpu_telemetry_age_seconds")[0][1], 3)
            os.kill(helper, signal.SIGKILL)
            wait_until(lambda: scrape(d).all("DCGM_FI_DEV_GPU_TEMP"), "figures again")
            d.create("a", memory="1G", compute="10")
            self.assertEqual(len(scrape(d).all("fastgpu_vgpu_memory_quota_bytes")), 1)
            d.ok("DELETE", "/v1/vgpus/a")
            self.assertEqual(scrape(d).all("fastgpu_vgpu_memory_quota_bytes"), [])
            os.unlink(os.path.join(d.root, "lib/fastgpu/sim/libnvidia-ml.so.1"))
            d.ok("GET", "/v1/devices?rescan=1")
            s = scrape(d)
            self.assertEqual(s.one("fastgpu_device_present", model="NVIDIA H100 80GB HBM3"), 0)
            self.assertEqual(s.all("DCGM_FI_DEV_GPU_TEMP"), [])

    def test_a_fault_of_the_device_is_told(self):
        """A program's Xid, once the driver has told of it, until the daemon listens anew."""
        with tempfile.NamedTemporaryFile("w", suffix=".sim") as f:
            f.write("[gpu]\nmodel = H100\n[fault]\nat = cuMemAlloc*\nkind = xid\nxid = 31\n")
            f.flush()
            with Simulated(f.name, telemetry_interval=1) as d:
                wait_until(lambda: scrape(d).all("DCGM_FI_DEV_XID_ERRORS"), "figures")
                self.assertEqual(scrape(d).one("DCGM_FI_DEV_XID_ERRORS"), 0)
                env = {**os.environ, "FASTGPU_SIM": f.name, "FASTGPU_SIM_STATE": d.root, "LD_LIBRARY_PATH": os.path.dirname(os.environ["TEST_SIM_NVML"])}
                self.assertNotEqual(subprocess.run([os.environ["TEST_CUDA_VECTORS"]], env=env, stderr=subprocess.DEVNULL, timeout=60).returncode, 0)
                wait_until(lambda: scrape(d).one("DCGM_FI_DEV_XID_ERRORS") == 31, "the Xid")
                self.assertEqual(d.device()["telemetry"]["xid"], 31)

    def test_what_a_vgpu_has(self):
        with Daemon() as d:
            d.create("a", memory=MEMORY // 4, compute=50)
            tenant = d.tenant(d.open("a")["attach"])
            self.assertEqual(tenant("reserve", 0, 1 << 20), 0)
            self.assertLess(tenant("reserve", 0, MEMORY), 0)
            s = scrape(d)
            usage = d.usage("a")
            for name, value in (("memory_used_bytes", 1 << 20), ("memory_quota_bytes", MEMORY // 4), ("share_ratio", 0.5),
                                ("oom_denied_total", usage["refusals"]), ("throttled_seconds_total", usage["wait_ns"] / 1e9)):
                self.assertEqual(s.one("fastgpu_vgpu_" + name, vgpu="a/0", project="default"), value, name)
            self.assertGreater(usage["refusals"], 0)
            self.assertEqual(s.all("fastgpu_model_v"), [])  # not known: absent, not 0
            self.assertEqual(s.one("fastgpu_queue_pass_seconds"), 0)  # there is no job to decide about

    def test_totals_are_the_bills_and_survive(self):
        """Of each vGPU what is on record, whatever happens to the daemon; never more than the device's time."""
        with Daemon() as d:
            d.ok("PUT", "/v1/prices", {"csv": "currency,price\nEUR,3600\n"})
            for name, share in (("a", 50), ("b", 25)):
                d.create(name, memory=MEMORY // 4, compute=share)
            before, began = {}, time.clock_gettime(time.CLOCK_BOOTTIME)
            liar = d.tenant(d.open("a")["attach"])
            # What it tells before anybody looks was told of no time at all.
            wait_until(lambda: (liar("busy", 0, 1_000_000), d.usage("a")["gpu_ns"] > 0)[1], "it is looked at")
            for how in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
                liar("busy", 0, 50_000_000)
                d.stop(how)
                d.start()
                s = scrape(d)
                bill = {row["vgpu"]: row for row in d.ok("GET", "/v1/usage?group_by=vgpu")["usage"]}
                beta = d.ok("GET", "/v1/usage/now")["burst_price_ppm"] / PPM  # what is billed of a burst
                for name in ("a", "b"):
                    row = bill[d.ok("GET", f"/v1/vgpus/{name}")["vgpus"][0]["uuid"]]
                    for series, value in (("gpu_seconds", float(row["busy_gpu_seconds"])), ("reserved_gpu_seconds", float(row["reserved_gpu_hours"]) * 3600),
                                          ("burst_gpu_seconds", float(row["burst_gpu_hours"]) * 3600 / beta)):
                        told = s.one(f"fastgpu_vgpu_{series}_total", vgpu=name + "/0")
                        self.assertAlmostEqual(told, value, places=5, msg=(name, series))
                        self.assertGreaterEqual(told, before.get((name, series), 0))
                        before[name, series] = told
                cost = sum(float(row["cost"]) for row in bill.values())
                self.assertAlmostEqual(s.one("fastgpu_cost_total", project="default", currency="EUR"), cost, places=5)
                wall = (time.clock_gettime(time.CLOCK_BOOTTIME) - began) * len(bill)
                self.assertLessEqual(sum(v for _, v in s.all("fastgpu_vgpu_gpu_seconds_total")), wall)
                self.assertGreater(s.one("fastgpu_vgpu_gpu_seconds_total", vgpu="a/0"), 0)
                self.assertGreater(s.one("fastgpu_vgpu_reserved_gpu_seconds_total", vgpu="a/0"), 0)

    def test_dropped_beyond_the_limit(self):
        with Daemon(metrics_limit=3) as d:
            d.create("a", gpus=5, memory="1M", compute="1")
            s = scrape(d)
            self.assertEqual(len(s.all("fastgpu_vgpu_share_ratio")), 3)
            self.assertEqual(s.one("fastgpu_metrics_dropped"), 2)

    def test_refusals_are_counted(self):
        with Daemon() as d:
            self.assertEqual({v for _, v in scrape(d).all("fastgpu_refusals_total")}, {0})
            self.refused(d, "POST", "/v1/vgpus", {"memory": 2 * MEMORY}, 409, "no-capacity")
            self.assertEqual(scrape(d).one("fastgpu_refusals_total", type="no-capacity"), 1)

    def test_hostile_words(self):
        """A device's name may hold anything; nobody's name or query comes back as something else."""
        with Simulated("1xH100", telemetry_interval=1) as d:
            d.stop()
            with tempfile.NamedTemporaryFile("w", suffix=".sim", dir=d.root) as f:
                f.write('[gpu]\nmemory = 1G\nmodel = x"} 1\\n\\evil{a="\u202eb\n')
                f.flush()
                d.env["FASTGPU_SIM"] = f.name
                d.start()
                wait_until(lambda: scrape(d).all("DCGM_FI_DEV_GPU_TEMP"), "figures")
                labels, = [labels for labels, _ in scrape(d).all("DCGM_FI_DEV_GPU_TEMP")]
                self.assertEqual(labels["modelName"], 'x"} 1\\n\\evil{a="\u202eb')
            for query in ("?project=%22%7D%201%0a", "?project=..%2f", "?x=1", "?project=" + "a" * 5000):
                status, reply = d.request("GET", "/metrics" + query)
                self.assertIn(status, (400, 404), query[:40])

    def test_formats(self):
        with Daemon() as d:
            openmetrics, plain = "application/openmetrics-text", "text/plain"
            for accept, wanted in ((None, plain), ("", plain), ("*/*", plain), (openmetrics, openmetrics), ("text/html", plain), (",;q=,,", plain),
                                   (f"{openmetrics};version=1.0.0;q=0.5,{plain};version=0.0.4;q=0.4,*/*;q=0.1", openmetrics),
                                   (f"{openmetrics};q=0.3,{plain};q=0.4", plain), (f"{openmetrics};q=0", plain), (f"{openmetrics};q=0.0001", plain)):
                c = d.connect()
                c.request("GET", "/metrics", headers={} if accept is None else {"Accept": accept})
                reply = c.getresponse()
                text = reply.read().decode()
                c.close()
                self.assertEqual((reply.status, reply.getheader("Content-Type").split(";")[0]), (200, wanted), accept)
                self.assertEqual(text.endswith("# EOF\n"), wanted == openmetrics)
            self.refused(d, "POST", "/metrics", None, 405, "method-not-allowed")
            self.refused(d, "GET", "/metrics/x", None, 404, "not-found")

    def test_every_series_is_declared(self):
        """What is told is in the list that the manual is made of, and the list names each once."""
        rows = [line.split("\t") for line in subprocess.check_output([os.environ["TEST_GEN_METRICS"]], text=True).splitlines()]
        names = [row[0] for row in rows]
        self.assertEqual(len(set(names)), len(names))
        for name, kind, labels in rows:
            self.assertRegex(name, r"^(DCGM_FI_(DEV|PROF)_[A-Z_]+|fastgpu_[a-z_]+)$")
            if name.startswith("fastgpu_"):
                self.assertEqual(name.endswith("_total"), kind == "counter", name)
            self.assertFalse({"pid", "process"} & set(labels.split(", ")))
        with Simulated("1xH100", telemetry_interval=1) as d:
            d.create("a", memory="1G", compute="10")
            wait_until(lambda: scrape(d).all("DCGM_FI_DEV_GPU_TEMP"), "figures")
            self.assertLessEqual(scrape(d).names(), set(names))


class Queue(jobs.Case):
    def test_what_waits_and_for_how_long(self):
        self.submit("sleep 100", memory=MEMORY, compute=100)
        wait_until(lambda: scrape(self.d).all("fastgpu_queue_wait_seconds_count"), "it started")
        waits = self.submit("sleep 100", memory=MEMORY, compute=100)
        held = self.submit("sleep 100", memory=MEMORY, compute=100)
        self.submit("sleep 100", memory=MEMORY, compute=100, array="0-9")
        self.d.ok("POST", f"/v1/jobs/{held}/suspend")
        reason = self.d.ok("GET", f"/v1/why/{waits}")["reason"]
        s = scrape(self.d)
        self.assertEqual(s.one("fastgpu_pending", reason="held", project="default"), 1)
        self.assertGreaterEqual(s.one("fastgpu_pending", reason=reason, project="default"), 1)
        self.assertEqual(sum(v for _, v in s.all("fastgpu_pending")), 12)
        self.assertGreater(s.one("fastgpu_pending_oldest_seconds", project="default"), 0)
        buckets = sorted((float(labels["le"]), v) for labels, v in s.all("fastgpu_queue_wait_seconds_bucket"))
        self.assertEqual([v for _, v in buckets], sorted(v for _, v in buckets))
        self.assertEqual((buckets[-1], s.one("fastgpu_queue_wait_seconds_count")), ((float("inf"), 1), 1))
        self.assertGreaterEqual(s.one("fastgpu_queue_wait_seconds_sum"), 0)
        self.assertGreater(s.one("fastgpu_queue_pass_seconds"), 0)
        self.assertLess(s.one("fastgpu_queue_pass_seconds"), 60)


class OfOthers(people.Case):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("only root can call with the uid of others")
        super().setUp()
        self.populate()

    def scrape(self, person, query=""):
        headers = {"Authorization": "Bearer " + person.token} if person.token else {}
        return scrape(self.d, query, Connection(self.d.socket, uid=person.uid), **headers)

    def projects(self, s):
        return {dict(k[1])["project"] for k in s.samples if "project" in dict(k[1])}

    def test_each_sees_his_own(self):
        self.bob.create("reds")
        self.carol.create("blues")
        whole = {"fastgpu_device_present", "fastgpu_refusals_total", "fastgpu_up", "fastgpu_stall_seconds", "fastgpu_queue_pass_seconds"}
        s = self.scrape(self.operator)
        self.assertLessEqual(whole - {"fastgpu_refusals_total"}, s.names())
        self.assertLessEqual({"red", "blue"}, self.projects(s))
        token = people.Person(self.d, token=self.carol.ok("POST", "/v1/tokens", {})["secret"])
        for person, project, vgpu in ((self.alice, "red", "reds/0"), (self.bob, "red", "reds/0"), (self.carol, "blue", "blues/0"), (token, "blue", "blues/0")):
            s = self.scrape(person)
            self.assertEqual(self.projects(s), {project})
            self.assertEqual([labels["vgpu"] for labels, _ in s.all("fastgpu_vgpu_share_ratio")], [vgpu])
            self.assertFalse(whole & s.names())
            self.assertFalse([k for k in s.samples if "fake" in str(k)])
        self.assertEqual(self.projects(self.scrape(self.operator, "?project=red")), {"red"})
        self.assertFalse(whole & self.scrape(self.operator, "?project=red").names())
        for query, status, kind in (("?project=red", 404, "not-found"), ("?project=nobody", 404, "not-found")):
            self.denied(self.carol, "GET", "/metrics" + query, None, status, kind)
        self.denied(people.Person(self.d, people.NOBODY), "GET", "/metrics", None, 403, "forbidden")
        self.denied(people.Person(self.d, token="fgt_x"), "GET", "/metrics", None, 401, "unauthorized")


if __name__ == "__main__":
    main()
