# SPDX-License-Identifier: Apache-2.0
"""Where vGPUs go on a node with several GPUs, by each policy, and that what is said of it is what is done."""
import json
import os
import subprocess

import harness
from simulated import Simulated

CLI = os.environ["FASTGPU_CLI"]


def class_of(stem, project=1):
    """As the daemon has it: FNV-1a of the name's stem, with the project's number."""
    h = 0xcbf29ce484222325
    for c in stem.encode():
        h = (h ^ c) * 0x100000001b3 % 2**64
    return (h ^ project * 0x9e3779b97f4a7c15 % 2**64) * 0x100000001b3 % 2**64


class Placement(harness.Case):
    def where(self, d, name, **wish):
        return [v["device"] for v in d.create(name, **wish)["vgpus"]]

    def asked(self, d, query):
        return d.ok("GET", "/v1/placement?" + query)

    def test_whole_gpus_are_kept(self):
        """Four quarters and three whole ones fit onto four GPUs, whichever come first."""
        with Simulated("4xH100") as d:
            for i in range(4):
                self.assertEqual(self.where(d, f"q{i}", memory="20G", compute="25"), [0])
            self.assertEqual(sorted(self.where(d, "w", gpus=3, memory="79G", compute="100")), [1, 2, 3])

    def test_what_is_said_is_what_is_done(self):
        with Simulated("3xH100") as d:
            self.where(d, "a", memory="20G", compute="25")
            said = self.asked(d, "memory=40G&compute=50")
            self.assertEqual((said["policy"], said["fits"], said["vgpus"][0]["device"]), ("fgd", True, 0))
            gpu = said["vgpus"][0]["devices"]
            self.assertEqual([v["fate"] for v in gpu], ["chosen", "less", "less", "no-memory"])
            self.assertEqual(gpu[1]["why"], "is kept whole for who wants all of it")
            self.assertEqual((gpu[0]["share_free"], gpu[1]["share_free"]), (750, 1000))
            self.assertEqual(self.where(d, "b", memory="40G", compute="50"), [0])
            # Who leaves an amount open gets the freest, and a set is spread.
            self.assertEqual(self.asked(d, "gpus=2&memory=1G")["vgpus"][0]["device"], 1)
            self.assertEqual(self.where(d, "c", gpus=2, memory="1G", compute="10"), [0, 1])
            # Nothing was made by asking.
            self.assertEqual(len(d.ok("GET", "/v1/vgpus")["sets"]), 3)

    def test_what_does_not_fit(self):
        with Simulated("2xH100") as d:
            said = self.asked(d, "gpus=3&memory=50G,50G,60G&compute=60")
            self.assertEqual((said["fits"], len(said["vgpus"])), (False, 3))
            self.assertEqual([v["fate"] for v in said["vgpus"][2]["devices"]], ["no-share", "no-share", "no-memory"])
            self.assertNotIn("device", said["vgpus"][2])
            self.assertEqual(self.asked(d, "device=1&memory=1G&compute=1")["vgpus"][0]["devices"][0]["fate"], "not-usable")
            for query, word in (("gpus=17", "16"), ("gpus=x", "gpus"), ("memory=1G,,1G", "memory"), ("memory=5Q", "memory"), ("gpu=1", "gpu"), ("device=9", "9")):
                status, reply = d.request("GET", "/v1/placement?" + query)
                self.assertIn(status, (400, 404), query)
                self.assertIn(word, reply["detail"])

    def test_no_gpu_comes_last(self):
        with Simulated("1xH100") as d:
            self.assertEqual(self.where(d, "a", memory="100M", compute="60"), [0])
            self.assertEqual(self.where(d, "b", memory="100M", compute="60"), [1])
            self.assertEqual(self.where(d, "c", memory="100M", compute="40"), [0])

    def test_policies(self):
        quarters = {"fgd": [0, 0, 0, 0, 1], "fastgpu": [0, 0, 0, 0, 1], "packing": [0, 0, 0, 0, 1], "first-fit": [0, 0, 0, 0, 1], "spread": [0, 1, 2, 0, 1]}
        for policy, places in quarters.items():
            with Simulated("3xH100", placement_policy=policy) as d:
                got = [self.where(d, f"q{i}", memory="15G", compute="25")[0] for i in range(5)]
                self.assertEqual(got, places, policy)
                self.assertEqual(self.asked(d, "memory=1G&compute=1")["policy"], policy)

    def test_jobs_go_the_same_way(self):
        with Simulated("3xH100") as d:
            self.where(d, "a", memory="20G", compute="25")
            job = d.ok("POST", "/v1/jobs", {"command": ["sleep", "60"], "memory": "20G", "compute": "25"}, status=201)
            harness.wait_until(lambda: len(d.ok("GET", "/v1/vgpus")["sets"]) == 2, "the job's vGPU")
            self.assertEqual({v["device"] for s in d.ok("GET", "/v1/vgpus")["sets"] for v in s["vgpus"]}, {0})
            d.ok("DELETE", f"/v1/jobs/{job['id']}")

    def test_who_would_be_slowed_goes_elsewhere(self):
        """By what an earlier daemon learned: train takes twice as long next to serve."""
        train, serve = (class_of(name) for name in ("train", "serve"))
        learned = (f"fastgpu-pairs 1 2 2 9\n{train} 5 1 600 1000\n{serve} 5 2 600 1000\n"
                   f"{train} {serve} 5 3 2000\n{serve} {train} 5 4 1000\n")
        d = Simulated("2xH100", slowdown_limit=45)
        self.addCleanup(d.__exit__)
        os.makedirs(d.state, exist_ok=True)
        with open(os.path.join(d.state, "paired"), "w") as f:
            f.write(learned)
        d.start()
        wish = {"memory": "10G", "compute": "10"}
        self.assertEqual(self.where(d, "serve-1", **wish), [0])
        said = self.asked(d, "memory=10G&compute=10&name=train-1")["vgpus"][0]
        self.assertEqual((said["device"], said["devices"][0]["fate"]), (1, "crowded"))
        self.assertEqual(self.asked(d, "memory=10G&compute=10&name=other")["vgpus"][0]["device"], 0)
        self.assertEqual(self.where(d, "train-1", **wish), [1])
        # Two of a kind use more than a device has: by what is usual they would take 1.5 times as long.
        status, reply = d.request("POST", "/v1/vgpus", {"name": "train-2", **wish})
        self.assertEqual((status, reply["type"]), (409, "no-capacity"))
        self.assertIn("slowdown-limit", reply["detail"])
        status, reply = d.request("POST", "/v1/vgpus", {"name": "train-9", "memory": "10G", "compute": "99"})
        self.assertEqual((status, reply["type"]), (409, "no-capacity"))
        self.assertNotIn("slowdown-limit", reply["detail"])
        for bad in ("memory=10G,%ff", "device=%ff"):
            self.assertEqual(d.request("GET", f"/v1/placement?{bad}")[0], 400, bad)
        job = d.ok("POST", "/v1/jobs", {"command": ["sleep", "60"], "name": "train-3", **wish}, status=201)
        harness.wait_until(lambda: d.ok("GET", f"/v1/why/{job['id']}")["reason"] == "crowded", "the job waits for it")
        other = d.ok("POST", "/v1/jobs", {"command": ["sleep", "60"], "name": "else", **wish}, status=201)
        harness.wait_until(lambda: any(s.get("job") == other["id"] for s in d.ok("GET", "/v1/vgpus")["sets"]), "another job")
        for one in (job, other):
            d.ok("DELETE", f"/v1/jobs/{one['id']}")
        d.stop()
        with open(os.path.join(d.state, "paired")) as f:
            self.assertEqual(f.read().splitlines()[1:], learned.splitlines()[1:])

    def test_of_equal_devices_the_least_slowed(self):
        """serve and load leave as much free; next to serve train takes 1.3 times as long, next to load 1.1. Without a limit nobody asks."""
        train, serve, load = (class_of(name) for name in ("train", "serve", "load"))
        learned = (f"fastgpu-pairs 1 3 2 9\n{train} 5 1 200 1000\n{serve} 5 2 200 1000\n{load} 5 3 200 1000\n"
                   f"{train} {serve} 5 4 1300\n{train} {load} 5 5 1100\n")
        wish = {"memory": "20G", "compute": "25"}
        for limit, device, fate in ((0, 0, "chosen"), (50, 1, "slower")):
            d = Simulated("3xH100", slowdown_limit=limit)
            self.addCleanup(d.__exit__)
            os.makedirs(d.state, exist_ok=True)
            with open(os.path.join(d.state, "paired"), "w") as f:
                f.write(learned)
            d.start()
            for at, name in enumerate(("serve-1", "load-1")):
                self.assertEqual(self.where(d, name, device=str(at), **wish), [at])
            said = self.asked(d, "memory=20G&compute=25&name=train-1")["vgpus"][0]
            self.assertEqual((said["device"], [v["fate"] for v in said["devices"]][0]), (device, fate))
            self.assertEqual(self.where(d, "train-1", **wish), [device])
            if limit:
                self.assertIn("more", said["devices"][0]["why"])
                self.assertEqual(said["devices"][2]["fate"], "less")  # a whole one is not broken for it
                d.ok("DELETE", "/v1/vgpus/train-1")
                job = d.ok("POST", "/v1/jobs", {"command": ["sleep", "60"], "name": "train-2", **wish}, status=201)
                harness.wait_until(lambda: len(d.ok("GET", "/v1/vgpus")["sets"]) == 3, "the job's vGPU")
                self.assertEqual([v["device"] for s in d.ok("GET", "/v1/vgpus")["sets"] if s.get("job") == job["id"] for v in s["vgpus"]], [1])
                d.ok("DELETE", f"/v1/jobs/{job['id']}")
            d.stop()

    def test_damage_is_learned_anew(self):
        d = Simulated("1xH100")
        self.addCleanup(d.__exit__)
        os.makedirs(d.state, exist_ok=True)
        with open(os.path.join(d.state, "paired"), "w") as f:
            f.write("fastgpu-pairs 1 1 0 9\n0 0 0 0 0\n")
        d.start()
        self.assertTrue(any("line 2" in p for p in d.ok("GET", "/v1/devices")["problems"]))

    def test_for_people(self):
        with Simulated("2xH100") as d:
            self.where(d, "a", memory="20G", compute="25")

            def cli(*args):
                return subprocess.run([CLI, "create", "--explain", *args], env={**d.env, "FASTGPU_NO_START": "1"}, capture_output=True, text=True)
            said = cli("--memory", "25%", "--compute", "50")
            self.assertEqual((said.returncode, said.stderr), (0, ""))
            self.assertRegex(said.stdout, r"vGPU 0, placed by fgd:\n  \* device 0 .* is where it goes\n    device 1 .* is kept whole")
            self.assertEqual(cli("-g", "2", "-m", "61G", "-c", "60").returncode, 5)
            self.assertEqual(json.loads(cli("-j", "-m", "1G,2G", "-c", "10").stdout)["vgpus"][1]["device"], 1)
            self.assertEqual(len(d.ok("GET", "/v1/vgpus")["sets"]), 1)


if __name__ == "__main__":
    harness.main()
