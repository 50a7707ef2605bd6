# SPDX-License-Identifier: Apache-2.0
"""What the API does, and every refusal."""
import json
import threading

import harness
from harness import MEMORY, Daemon


class Reading(harness.Case):
    def test_version_and_devices(self):
        with Daemon(devices=2) as d:
            version = d.ok("GET", "/v1/version")
            self.assertEqual((version["api"], version["pid"], version["state_dir"]), (1, d.process.pid, d.state))
            devices = d.ok("GET", "/v1/devices")
            self.assertEqual(devices["problems"], [])
            self.assertEqual([x["key"] for x in devices["devices"]], ["opencl/Fake/0", "opencl/Fake/1"])
            first, second = devices["devices"]
            self.assertNotEqual(first["uuid"], second["uuid"])
            self.assertEqual((first["memory"], first["memory_free"], first["share_free"], first["compute_units"]),
                             (MEMORY, MEMORY, 1000, 4))
            self.assertEqual(first["model"], "fake ? device")

    def test_reserve_is_kept_out(self):
        with Daemon(memory_reserve="64M") as d:
            device = d.ok("GET", "/v1/devices")["devices"][0]
            self.assertEqual((device["memory_reserved"], device["memory_free"]), (64 << 20, MEMORY - (64 << 20)))
            self.refused(d, "POST", "/v1/vgpus", {"name": "a", "memory": MEMORY}, 409, "no-capacity")

    def test_zero_devices(self):
        with Daemon(devices=0) as d:
            reply = d.ok("GET", "/v1/devices")
            self.assertEqual(reply["devices"], [])
            self.assertIn("no OpenCL platform", reply["problems"][0])
            self.refused(d, "POST", "/v1/vgpus", {"name": "a"}, 409, "no-capacity", "no device")


class Creating(harness.Case):
    def test_whole_life(self):
        with Daemon() as d:
            made = d.create("my-vgpu", gpus=2, memory=["256M", 1 << 20], compute=["70", 30], mode="cap", priority="high")
            self.assertEqual([(v["memory"], v["share"], v["mode"], v["priority"], v["state"]) for v in made["vgpus"]],
                             [(256 << 20, 700, "cap", "high", "ready"), (1 << 20, 300, "cap", "high", "ready")])
            self.assertNotIn("note", made)
            device = d.ok("GET", "/v1/devices")["devices"][0]
            self.assertEqual((device["memory_free"], device["share_free"], device["vgpus"]), (MEMORY - (257 << 20), 0, 2))
            self.assertEqual(d.ok("GET", "/v1/vgpus/my-vgpu"), made)
            self.assertEqual(d.ok("GET", "/v1/vgpus")["sets"], [made])
            self.assertEqual(d.request("DELETE", "/v1/vgpus/my-vgpu"), (204, None))
            device = d.ok("GET", "/v1/devices")["devices"][0]
            self.assertEqual((device["memory_free"], device["share_free"], device["vgpus"]), (MEMORY, 1000, 0))
            self.assertEqual(d.names(), [])

    def test_defaults_are_equal_parts_and_said(self):
        with Daemon() as d:
            made = d.ok("POST", "/v1/vgpus", {"gpus": 4})
            self.assertEqual([(v["memory"], v["share"]) for v in made["vgpus"]], [(MEMORY // 4, 250)] * 4)
            self.assertIn("equal part", made["note"])
            self.assertTrue(made["name"].startswith("vgpu-"))

    def test_percent_and_device(self):
        with Daemon(devices=2) as d:
            uuid = d.ok("GET", "/v1/devices")["devices"][1]["uuid"]
            for n, (device, want) in enumerate([("1", 1), (0, 0), ("opencl/Fake/1", 1), (uuid[:8], 1)]):
                made = d.create(f"v{n}", memory="10%", compute="5", device=device)["vgpus"][0]
                self.assertEqual((made["device"], made["memory"]), (want, MEMORY // 10))

    def test_a_device_for_each(self):
        with Daemon(devices=2) as d:
            made = d.create("s", gpus=4, memory=["1M", "2M", "3M", "4M"], compute="5", devices=["1", 0, "opencl/Fake/1", "1"])["vgpus"]
            self.assertEqual([(v["device"], v["memory"] >> 20) for v in made], [(1, 1), (0, 2), (1, 3), (1, 4)])

    def test_refusals(self):
        with Daemon() as d:
            d.create("taken", memory="1M", compute="1")
            bad = [
                ({"name": "taken"}, 409, "exists", ["taken"]),
                ({"name": "a/b"}, 400, "bad-request", ["a/b"]),
                ({"name": ""}, 400, "bad-request", []),
                ({"name": "x" * 64}, 400, "bad-request", []),
                ({"name": 5}, 400, "bad-request", ["5"]),
                ({"gpus": 0}, 400, "bad-request", ["0", "10000"]),
                ({"gpus": -1}, 400, "bad-request", ["-1"]),
                ({"gpus": 10001}, 400, "bad-request", ["10001"]),
                ({"gpus": "2"}, 400, "bad-request", ['"2"']),
                ({"gpus": True}, 400, "bad-request", ["true"]),
                ({"gpus": 1.5}, 400, "bad-request", ["1.5"]),
                ({"memory": 0}, 400, "bad-request", ["0"]),
                ({"memory": -5}, 400, "bad-request", ["-5"]),
                ({"memory": 1 << 60}, 400, "bad-request", []),
                ({"memory": "lots"}, 400, "bad-request", ["lots"]),
                ({"memory": None}, 400, "bad-request", ["null"]),
                ({"memory": ["1M", "1M"], "gpus": 3}, 400, "bad-request", ["2 values for 3"]),
                ({"memory": [], "gpus": 3}, 400, "bad-request", ["0 values"]),
                ({"compute": "0"}, 400, "bad-request", ["0"]),
                ({"compute": "101"}, 400, "bad-request", ["101"]),
                ({"compute": {}}, 400, "bad-request", []),
                ({"mode": "fast"}, 400, "bad-request", ["fast", "cap"]),
                ({"priority": 1}, 400, "bad-request", ["1", "normal"]),
                ({"device": "9"}, 404, "not-found", ["9"]),
                ({"device": ""}, 400, "bad-request", []),
                ({"devices": ["0"]}, 400, "bad-request", ["memory", "compute"]),
                ({"devices": [], "memory": "1M", "compute": "1"}, 400, "bad-request", ["list of 1"]),
                ({"devices": "0", "memory": "1M", "compute": "1"}, 400, "bad-request", ["list of 1"]),
                ({"devices": ["0", "9"], "gpus": 2, "memory": "1M", "compute": "1"}, 404, "not-found", ["9"]),
                ({"devices": ["0"], "device": "0", "memory": "1M", "compute": "1"}, 400, "bad-request", ["without"]),
                ({"devices": ["0", "0"], "gpus": 2, "memory": "600M", "compute": "1"}, 409, "no-capacity", ["vGPU 1 of 2"]),
                ({"nmae": "x"}, 400, "bad-request", ["nmae"]),
                ({"memory": "2G"}, 409, "no-capacity", []),
                ({"compute": "100"}, 409, "no-capacity", []),
                ([], 400, "bad-request", []),
                ("{", 400, "bad-request", ["JSON"]),
                ('{"name":"a","name":"b"}', 400, "bad-request", []),
                ("", 400, "bad-request", ["body"]),
                (b'{"name":"\xff"}', 400, "bad-request", []),
            ]
            for body, status, kind, words in bad:
                with self.subTest(body=str(body)[:60]):
                    self.refused(d, "POST", "/v1/vgpus", body, status, kind, *words)
            self.refused(d, "POST", "/v1/vgpus", {"memory": "2G"}, 409, "no-capacity", "wants 2 GiB and an equal part of the compute")
            self.refused(d, "POST", "/v1/vgpus", {"compute": "100"}, 409, "no-capacity", "an equal part of the memory and 100.0 % of")
            reply = self.refused(d, "POST", "/v1/vgpus", {"gpus": 2, "memory": "16M", "compute": ["70", "40"]}, 409, "no-capacity",
                                 "vGPU 1 of 2", "29.0 % free beside those before it")
            self.assertEqual((reply["available"], reply["available_share"]), (MEMORY - (17 << 20), 290))
            reply = self.refused(d, "POST", "/v1/vgpus", {"memory": "2G"}, 409, "no-capacity")
            self.assertEqual((reply["available"], reply["available_share"]), (MEMORY - (1 << 20), 990))
            self.assertEqual(d.names(), ["taken"])

    def test_paths_and_methods(self):
        with Daemon() as d:
            self.refused(d, "GET", "/v1/nothing", None, 404, "not-found")
            self.refused(d, "PUT", "/v1/vgpus", None, 405, "method-not-allowed")
            self.refused(d, "DELETE", "/v1/devices", None, 405, "method-not-allowed")
            self.refused(d, "GET", "/v1/vgpus/none", None, 404, "not-found", "none")
            self.refused(d, "GET", "/v1/vgpus/%zz", None, 400, "bad-request")
            self.refused(d, "GET", "/v1/vgpus/a%00b", None, 400, "bad-request")
            self.refused(d, "GET", "/v1/vgpus?all=1", None, 400, "bad-request", "all=1")
            self.refused(d, "DELETE", "/v1/vgpus/none?force=yes", None, 400, "bad-request", "force=1")
            d.create("a")
            self.refused(d, "GET", "/v1/vgpus/a/1", None, 404, "not-found", "a/1")
            self.refused(d, "DELETE", "/v1/vgpus/a/0", None, 405, "method-not-allowed")
            self.refused(d, "DELETE", "/v1/vgpus/a%2F0", None, 400, "bad-request", "as a whole")
            self.assertEqual(d.ok("GET", "/v1/vgpus/a/0")["name"], "a")
            status, reply = d.request("POST", "/v1/vgpus", "x" * ((1 << 20) + 1))
            self.assertEqual((status, reply["type"]), (413, "too-large"))

    def test_a_whole_number_is_one_however_it_is_written(self):
        with Daemon() as d:
            made = d.ok("POST", "/v1/vgpus", '{"name": "a", "gpus": 2.0, "memory": 1048576.0, "device": 0.0, "compute": 10}')
            self.assertEqual([v["memory"] for v in made["vgpus"]], [1048576] * 2)
            for gpus in ("1.5", "1e300", "-1.0", "9007199254740994.0"):
                self.refused(d, "POST", "/v1/vgpus", f'{{"gpus": {gpus}}}', 400, "bad-request", "gpus")

    def test_queries(self):
        with Daemon() as d:
            for path in ("/v1/vgpus?project=", "/v1/vgpus?limit=", "/v1/tokens?user=", "/v1/version?x=1", "/v1/audit?actor=%C2%84", "/v1/audit?via=a%0Ab",
                         "/v1/audit?actor=" + "a" * 101, "/v1/vgpus?limit=1&limit=1", "/v1/vgpus?project=%00"):
                self.refused(d, "GET", path, None, 400, "bad-request")

    def test_no_over_commit_in_a_race(self):
        with Daemon(devices=2) as d:
            made, refused = [], []

            def creator(n):
                c = d.connect()
                for i in range(60):
                    status, reply = d.request("POST", "/v1/vgpus", {"name": f"c{n}-{i}", "memory": "30M", "compute": "2.5"}, c)
                    (made if status == 201 else refused).append((status, reply.get("type")))
                c.close()

            threads = [threading.Thread(target=creator, args=(n,)) for n in range(8)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(len(made), 2 * min(MEMORY // (30 << 20), 40))
            self.assertEqual({kind for _, kind in refused}, {"no-capacity"})
            for device in d.ok("GET", "/v1/devices")["devices"]:
                mine = [v for s in d.ok("GET", "/v1/vgpus")["sets"] for v in s["vgpus"] if v["device"] == device["id"]]
                self.assertEqual(device["memory_free"], MEMORY - sum(v["memory"] for v in mine))
                self.assertEqual(device["share_free"], 1000 - sum(v["share"] for v in mine))
                self.assertGreaterEqual(device["share_free"], 0)


class Resizing(harness.Case):
    def test_resize(self):
        with Daemon() as d:
            d.create("a", gpus=2, memory="100M", compute="10")
            got = d.ok("PATCH", "/v1/vgpus/a/1", {"memory": "200M"})["vgpus"]
            self.assertEqual([v["memory"] for v in got], [100 << 20, 200 << 20])
            got = d.ok("PATCH", "/v1/vgpus/a", {"compute": ["20", "30"], "mode": "cap", "priority": "low"})["vgpus"]
            self.assertEqual([(v["share"], v["mode"], v["priority"]) for v in got], [(200, "cap", "low"), (300, "cap", "low")])
            device = d.ok("GET", "/v1/devices")["devices"][0]
            self.assertEqual((device["memory_free"], device["share_free"]), (MEMORY - (300 << 20), 500))

    def test_all_or_none(self):
        with Daemon() as d:
            d.create("a", gpus=2, memory="100M", compute="10")
            before = d.ok("GET", "/v1/vgpus/a")
            self.refused(d, "PATCH", "/v1/vgpus/a", {"memory": ["10M", "2G"]}, 409, "no-capacity")
            self.refused(d, "PATCH", "/v1/vgpus/a", {"compute": ["1", "100"]}, 409, "no-capacity")
            self.refused(d, "PATCH", "/v1/vgpus/a", {"compute": "60"}, 409, "no-capacity")
            self.refused(d, "PATCH", "/v1/vgpus/a", {}, 400, "bad-request")
            self.refused(d, "PATCH", "/v1/vgpus/a", {"name": "b"}, 400, "bad-request", "name")
            self.refused(d, "PATCH", "/v1/vgpus/b", {"memory": "1M"}, 404, "not-found")
            self.refused(d, "PATCH", "/v1/vgpus/a/2", {"memory": "1M"}, 404, "not-found")
            self.assertEqual(d.ok("GET", "/v1/vgpus/a"), before)


class Devices(harness.Case):
    def test_vanish_and_return(self):
        with Daemon(devices=2) as d:
            d.create("a", memory="10M", compute="10", device="1")
            d.devices(1)
            state = [x["state"] for x in d.ok("GET", "/v1/devices?rescan=1")["devices"]]
            self.assertEqual(state, ["ok", "lost"])
            self.assertEqual(d.ok("GET", "/v1/vgpus/a")["vgpus"][0]["state"], "lost")
            self.refused(d, "POST", "/v1/open", {"target": "a"}, 409, "device-lost", "vanished")
            self.refused(d, "POST", "/v1/vgpus", {"device": "1"}, 409, "device-lost")
            d.devices(2)
            d.ok("GET", "/v1/devices?rescan=1")
            self.assertEqual(d.ok("GET", "/v1/vgpus/a")["vgpus"][0]["state"], "ready")

    def test_smaller_device_quarantines(self):
        with Daemon() as d:
            d.create("a", memory="600M", compute="10")
            d.create("b", memory="300M", compute="10")
            d.devices(1, 700 << 20)
            d.ok("GET", "/v1/devices?rescan=1")
            self.assertEqual([d.ok("GET", f"/v1/vgpus/{n}")["vgpus"][0]["state"] for n in "ab"], ["ready", "quarantined"])
            self.refused(d, "POST", "/v1/open", {"target": "b"}, 409, "quarantined")

    def test_broken_driver_is_a_problem_line(self):
        with Daemon() as d:
            d.devices(1, MEMORY, "crash")
            reply = d.ok("GET", "/v1/devices?rescan=1")
            self.assertIn("ended early", reply["problems"][0])
            self.assertEqual(reply["devices"][0]["state"], "ok")  # nobody said it is gone
            d.devices(1, MEMORY, "chatter")
            reply = d.ok("GET", "/v1/devices?rescan=1")
            self.assertEqual((reply["problems"], reply["devices"][0]["state"]), ([], "ok"))


harness.main()
