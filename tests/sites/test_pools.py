#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fastgpu-sites scale over stand-ins of kubectl, aws and az: node pools of a Kubernetes cluster grow for pods that wait and lose nodes that
nobody uses; what fails is not counted on, and what is there is never forgotten."""
import http.server
import json
import os
import pathlib
import socketserver
import threading
import unittest

import test_sites

FILE = """
[home]
provider = private
nodes = n[1-2]
memory = 80G
gpus = 2
[dear]
provider = aks
price = 3.50
currency = EUR
memory = 80G
resource-group = rg
cluster = team
pool = big
most = 2
timeout = 30
[cheap]
provider = eks
price = 0.98
currency = EUR
memory = 24G
region = eu-central-1
cluster = team
pool = small
labels = gpu=l4,zone=a
most = 3
timeout = 30
[own]
provider = cluster-api
price = 2.00
currency = EUR
memory = 40G
namespace = fleet
pool = middle
most = 2
timeout = 30
"""


def pod(name, slices=None, node=None, space="default", **spec):
    """One that waits for vGPUs of a class, or that runs on a node."""
    containers = [{"name": "c", "resources": {"limits": {f"fastgpu.dev/vgpu-{k}": str(v) for k, v in (slices or {}).items()}}}]
    status = {"phase": "Running"} if node else {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}
    return {"metadata": {"name": name, "namespace": space}, "spec": {"containers": containers, **({"nodeName": node} if node else {}), **spec}, "status": status}


class Case(test_sites.Case):
    def setUp(self):
        super().setUp()
        for name in ("aws", "az", "kubectl"):
            self.stand_in(name, "pools")
        self.write(FILE)
        self.put("pools", {"big": {"size": 0, "machines": [], "prefix": "aks-big-"}, "small": {"size": 0, "machines": [], "prefix": "i-"},
                           "middle": {"size": 0, "machines": [], "prefix": "middle-"}})
        self.put("nodes", [])

    def put(self, name, what):
        with open(f"{self.dir}/{name}.json", "w") as f:
            json.dump(what, f)

    def pools(self):
        with open(f"{self.dir}/pools.json") as f:
            return {name: pool["size"] for name, pool in json.load(f).items()}

    def machines(self, name):
        with open(f"{self.dir}/pools.json") as f:
            return json.load(f)[name]["machines"]

    def pods(self, *pods):
        self.put("pods", list(pods))

    def join(self, *machines, used=(), cordoned=()):
        """They are nodes now, as their engines name them; those that are used have a pod, all have a DaemonSet's."""
        nodes, pods = [], []
        for machine in machines:
            name = f"node-{machine}"
            notes = {"cluster.x-k8s.io/machine": machine} if machine.startswith("middle") else {}
            node = machine if machine.startswith("aks") else name
            nodes.append({"metadata": {"name": node, "annotations": notes}, "spec": {"providerID": f"aws:///eu-central-1a/{machine}"} if machine.startswith("i-") else {}})
            nodes[-1]["spec"]["unschedulable"] = machine in cordoned
            daemon = pod(f"kubelet-{machine}", node=node)
            daemon["metadata"]["ownerReferences"] = [{"kind": "DaemonSet"}]
            pods.append(daemon)
            if machine in used:
                pods.append(pod(f"work-{machine}", {"8g-25": 1}, node=node))
        self.put("nodes", nodes)
        return pods

    def let_pass(self, seconds):
        for path in pathlib.Path(f"{self.dir}/state").glob("*.pool"):
            kept = json.loads(path.read_text())
            for part in (kept.get("asked"), kept.get("failed")):
                if part:
                    part["at"] -= seconds
            for machine in kept["machines"].values():
                for name in ("since", "idle", "ended"):
                    if name in machine:
                        machine[name] -= seconds
            path.write_text(json.dumps(kept))

    def log(self):
        try:
            with open(f"{self.dir}/state/log") as f:
                return [json.loads(line) for line in f]
        except FileNotFoundError:
            return []

    def check_bill(self, bill, least):
        """Price times the time it was there, which is at least what the test let pass."""
        self.assertGreaterEqual(bill["until"] - bill["from"], least)
        self.assertAlmostEqual(float(bill["cost"]), 0.98 * (bill["until"] - bill["from"]) / 3600, places=5)

    def notes(self):
        """What pods are told, last."""
        return {call[2]: call[-1].removeprefix("fastgpu.dev/sites=") for call in self.calls("kubectl") if call[:2] == ["annotate", "pod"]}


class Daemon(http.server.BaseHTTPRequestHandler):
    """fastgpud's word on budgets: of k8s-red, a euro is left."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        budgets = [{"project": "k8s-red", "amount": "5.00", "spent": "4.00", "currency": "EUR"}] if self.path == "/v1/budgets?project=k8s-red" else []
        text = json.dumps({"budgets": budgets}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def address_string(self):
        return "unix"

    def log_message(self, *words):
        pass


class Growing(Case):
    def test_cheapest_that_fits(self):
        self.pods(pod("a", {"8g-25": 1}))
        said = self.sites("scale")
        self.assertEqual(self.pools(), {"big": 0, "small": 1, "middle": 0})
        self.assertIn("cheap: from 0 to 1 nodes", said)
        self.assertIn("default/a: site cheap: 0.98 EUR an hour, the cheapest that fits; not home (its nodes are full)", said)
        self.assertEqual(self.notes()["a"], "site cheap: 0.98 EUR an hour, the cheapest that fits; not home (its nodes are full)")
        # It is coming: no second one for the same pod.
        self.assertIn("default/a: site cheap: a node is coming", self.sites("scale"))
        self.assertEqual(self.pools()["small"], 1)

    def test_pods_share_nodes(self):
        """Four quarters of a GPU of 24 GiB are one node by time and, with 8 GiB each, two by memory."""
        self.pods(*(pod(f"p{i}", {"6g-25": 1}) for i in range(4)))
        self.sites("scale")
        self.assertEqual(self.pools()["small"], 1)
        self.pods(*(pod(f"p{i}", {"8g-25": 1}) for i in range(4)))
        self.sites("scale")
        self.assertEqual(self.pools()["small"], 2)

    def test_each_to_what_fits(self):
        self.pods(pod("a", {"40g-50": 1}), pod("b", {"60g-100": 1}), pod("c", {"100g-100": 1}), pod("d"))
        said = self.sites("scale")
        self.assertEqual(self.pools(), {"big": 1, "small": 0, "middle": 1})
        self.assertIn("c: no site fits: home (its GPU has 80 GiB, and 100 GiB is wanted), cheap (its GPU has 24 GiB", said)
        self.assertNotIn("default/d:", said, "it asks for no vGPU")

    def test_at_most(self):
        self.pods(*(pod(f"p{i}", {"24g-100": 1}) for i in range(8)))
        said = self.sites("scale")
        self.assertEqual(self.pools(), {"big": 2, "small": 3, "middle": 2})
        self.assertIn("p7: no site fits: home (its nodes are full), cheap (it has the 3 nodes that it may have), own (it has the 2", said)

    def test_claims(self):
        """DRA: the pod names a claim, which says how much."""
        one = pod("a", resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "t"}])
        one["status"]["resourceClaimStatuses"] = [{"name": "gpu", "resourceClaimName": "a-gpu-x"}]
        self.put("resourceclaims", [{"metadata": {"name": "a-gpu-x", "namespace": space}, "spec": {"devices": {"requests": [
            {"name": "r", "exactly": {"deviceClassName": "vgpu.fastgpu.dev", "capacity": {"requests": {"memory": memory, "compute": "30"}}}}]}}}
            for space, memory in (("default", "30Gi"), ("other", "70Gi"))])
        self.pods(one)
        self.sites("scale")
        self.assertEqual(self.pools(), {"big": 0, "small": 0, "middle": 1})

    def test_labels(self):
        self.pods(pod("a", {"8g-25": 1}, nodeSelector={"gpu": "l4"}), pod("b", {"8g-25": 1}, nodeSelector={"gpu": "a100"}),
                  pod("c", {"8g-25": 1}, affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}))
        said = self.sites("scale")
        self.assertEqual(self.pools(), {"big": 0, "small": 1, "middle": 0})
        self.assertIn("b: no site fits: home (its nodes are full), cheap (its labels lack the pod's gpu=a100)", said)
        self.assertIn("cheap (the pod's node affinity is not read: write nodeSelector)", said)

    def test_who_does_not_wait(self):
        gone, held, fresh = pod("a", {"8g-25": 1}), pod("b", {"8g-25": 1}), pod("c", {"8g-25": 1})
        gone["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        held["status"]["conditions"][0]["reason"] = "SchedulingGated"
        fresh["status"]["conditions"] = []
        self.pods(gone, held, fresh, pod("d", {"8g-25": 1}, node="n1"))
        self.sites("scale")
        self.assertEqual(set(self.pools().values()), {0})

    def test_dry(self):
        self.pods(pod("a", {"8g-25": 1}))
        self.assertIn("cheap: from 0 to 1 nodes", self.sites("scale", "--dry-run"))
        self.assertEqual(self.pools()["small"], 0)
        self.assertEqual(self.notes(), {})
        self.assertEqual(list(pathlib.Path(f"{self.dir}/state").glob("*.pool")), [])

    def budgets(self):
        os.makedirs(f"{self.dir}/daemon/run")
        server = socketserver.ThreadingUnixStreamServer(f"{self.dir}/daemon/run/api.sock", Daemon)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        env = self.env
        self.env = lambda: {**env(), "FASTGPU_STATE_DIR": f"{self.dir}/daemon"}

    def test_budget(self):
        """A namespace's budget is its pods' together, for as long as they may run; others have none."""
        self.budgets()
        self.pods(pod("long", {"24g-100": 1}, space="red", activeDeadlineSeconds=7200), pod("a", {"24g-100": 1}, space="red"), pod("b", {"24g-100": 1}, space="red"),
                  pod("endless", {"24g-100": 1}, space="red", activeDeadlineSeconds=2**63 - 1), pod("c", {"24g-100": 1}, space="blue"))
        said = self.sites("scale", "--project", "k8s-%n")
        self.assertIn("red/long: no site fits: home (its nodes are full), cheap (it would cost 1.96 EUR, and 1.00 are left of the budget)", said)
        self.assertIn("red/a: site cheap: 0.98 EUR an hour", said)
        self.assertIn("red/b: no site fits: home (its nodes are full), cheap (it would cost 0.98 EUR, and 0.02 are left of the budget)", said)
        self.assertIn("red/endless: no site fits: ", said)
        self.assertIn("blue/c: site cheap: 0.98 EUR an hour", said)
        self.assertEqual(self.pools(), {"big": 0, "small": 2, "middle": 0})

    def test_budget_when_a_site_fails(self):
        """What the first pod's node costs is still spent when the second's site has failed and another is sought: 0.49 and 0.50 of a euro, then 0.88."""
        self.budgets()
        self.put("pools", {"big": {"size": 0, "machines": [], "prefix": "aks-big-"}, "small": {"size": 0, "machines": [], "prefix": "i-"},
                           "middle": {"size": 0, "machines": [], "prefix": "middle-", "limit": 0}})
        self.pods(pod("a", {"24g-100": 1}, space="red", activeDeadlineSeconds=1800), pod("b", {"40g-100": 1}, space="red", activeDeadlineSeconds=900))
        self.assertIn("site own: ", self.sites("scale", "--project", "k8s-%n", code=1))
        self.assertIn("dear (it would cost 0.875 EUR, and 0.51 are left of the budget)", self.notes()["b"])
        self.assertEqual(self.pools(), {"big": 0, "small": 1, "middle": 0})

    def test_claim_that_does_not_say_all(self):
        """What it does not say it has all of; more than any node has is no long count."""
        def one(name, count, requests):
            return {"metadata": {"name": name, "namespace": "default"}, "spec": {"devices": {"requests": [
                {"name": "r", "exactly": {"deviceClassName": "vgpu.fastgpu.dev", "count": count, "capacity": {"requests": requests}}}]}}}

        self.put("resourceclaims", [one("a", 1, {"memory": "8e9"}), one("b", 1, {"compute": "25"}), one("c", 10**12, {"memory": "1", "compute": "1"}), one("d", 1, {"memory": "30000000000000m", "compute": "100"})])
        self.pods(*(pod(name, resourceClaims=[{"name": "gpu", "resourceClaimName": name}]) for name in "abcd"))
        self.assertIn("default/c: no site fits", self.sites("scale"))
        self.assertEqual(self.pools(), {"big": 0, "small": 2, "middle": 1})

    def test_budget_cannot_be_asked(self):
        """No word on the budget, no node."""
        env = self.env
        self.env = lambda: {**env(), "FASTGPU_STATE_DIR": f"{self.dir}/nobody"}
        self.pods(pod("a", {"8g-25": 1}, space="red"))
        said = self.sites("scale", "--project", "k8s-%n")
        self.assertIn("red/a: no node is started: ", said)
        self.assertEqual(self.pools()["small"], 0)


class Failing(Case):
    def test_next_site(self):
        """Refused, hanging, lost, rubbish: the pod goes to the next site in the same round, and the pool is left alone for a while."""
        for manner, text in (("resize refuse", "InsufficientInstanceCapacity"), ("resize hang", "was not over after 5 s")):
            self.write(FILE.replace("timeout = 30", "timeout = 5") if "hang" in manner else FILE)
            self.pods(pod("a", {"8g-25": 1}))
            self.manner(manner)
            # All three fail in turn, each with its reason.
            said = self.sites("scale", code=1)
            self.assertIn(text, said)
            self.assertEqual(set(self.pools().values()), {0})
            self.assertEqual(self.notes()["a"].count(text), 3, self.notes())
            self.manner("")
            self.write(FILE)
            self.assertIn("it failed less than 30 min ago", self.sites("scale"))
            self.assertEqual(set(self.pools().values()), {0})
            self.let_pass(1801)
            self.sites("scale")
            self.assertEqual(self.pools()["small"], 1)
            self.put("pools", {"big": {"size": 0, "machines": [], "prefix": "aks-big-"}, "small": {"size": 0, "machines": [], "prefix": "i-"},
                               "middle": {"size": 0, "machines": [], "prefix": "middle-"}})
            self.let_pass(4000)
            self.pods()
            self.sites("scale")

    def test_only_that_one(self):
        """The cheapest has reached its own limit: the next serves."""
        self.put("pools", {"big": {"size": 0, "machines": [], "prefix": "aks-big-"}, "small": {"size": 0, "machines": [], "prefix": "i-", "limit": 0},
                           "middle": {"size": 0, "machines": [], "prefix": "middle-"}})
        self.pods(pod("a", {"8g-25": 1}))
        said = self.sites("scale", code=1)
        self.assertIn("site cheap: aws ended with 255: An error occurred (InvalidParameterException)", said)
        self.assertEqual(self.pools(), {"big": 0, "small": 0, "middle": 1})

    def test_done_though_it_failed(self):
        """The answer is lost or is rubbish, and the pool has grown: the node is used, not bought again elsewhere."""
        for manner in ("resize die-after", "resize garbage", "resize other", "resize hang-after"):
            self.setUp()
            self.write(FILE.replace("timeout = 30", "timeout = 5") if "hang" in manner else FILE)
            self.pods(pod("a", {"8g-25": 1}))
            self.manner(manner)
            self.sites("scale")
            self.assertEqual(self.pools(), {"big": 0, "small": 1, "middle": 0}, manner)
            self.manner("")
            self.sites("scale")
            self.assertEqual(self.pools(), {"big": 0, "small": 1, "middle": 0}, manner)
            self.assertEqual([k["id"] for k in self.kept()], ["i-1"], manner)

    def test_half(self):
        """One of two came: it is counted, the other pod goes elsewhere, and none is forgotten."""
        self.pods(pod("a", {"20g-100": 1}), pod("b", {"20g-100": 1}))
        self.manner("resize half")
        self.sites("scale", code=1)
        self.assertEqual(self.pools()["small"], 1)
        self.manner("")
        self.sites("scale")
        self.assertEqual(self.pools()["small"], 1)
        self.assertEqual(self.pools()["small"] + self.pools()["middle"], 2)

    def test_pool_that_cannot_be_read(self):
        for manner in ("read refuse", "read garbage", "read other"):
            self.pods(pod("a", {"8g-25": 1}))
            self.manner(manner)
            self.sites("scale", code=1)
            self.manner("")
            self.assertEqual(set(self.pools().values()), {0}, manner)

    def test_cluster_that_cannot_be_read(self):
        """Without the cluster's word nothing is started or ended."""
        for manner, text in (("cluster refuse", "asking the cluster for its pods"), ("cluster garbage", "no JSON"), ("cluster flood", "no JSON")):
            self.manner(manner)
            self.assertIn(text, self.sites("scale", code=1))
        self.assertFalse([c for c in self.calls("kubectl") if c[0] != "get"])

    def test_nodes_that_do_not_come(self):
        """The provider takes the order and has no machines: the order is taken back, the next site serves."""
        self.pods(pod("a", {"8g-25": 1}))
        self.manner("resize short")
        self.sites("scale")
        self.assertEqual((self.pools()["small"], self.machines("small")), (1, []))
        self.let_pass(600)
        self.sites("scale")
        self.assertEqual(self.pools()["small"], 1, "there is time yet")
        self.let_pass(301)
        self.assertIn("cheap: 0 of 1 nodes have come in 900 s", self.sites("scale"))
        self.assertEqual(self.pools()["small"], 0)
        self.manner("")
        self.sites("scale")
        self.assertEqual(self.pools(), {"big": 0, "small": 0, "middle": 1})

    def test_machine_that_never_joins(self):
        self.pods(pod("a", {"8g-25": 1}))
        self.sites("scale")
        self.sites("scale")
        self.let_pass(901)
        self.assertIn("ends i-1, which did not become a node", self.sites("scale"))
        self.assertEqual(self.machines("small"), [])
        self.sites("scale")
        self.assertEqual(self.pools(), {"big": 0, "small": 0, "middle": 1})
        [bill] = self.log()
        self.assertEqual((bill["node"], bill["site"], bill["currency"]), ("i-1", "cheap", "EUR"))
        self.check_bill(bill, 901)


class Shrinking(Case):
    def three(self, used):
        """i-1, i-2 and i-3 are there."""
        self.put("pools", {"big": {"size": 0, "machines": [], "prefix": "aks-big-"}, "small": {"size": 3, "machines": ["i-1", "i-2", "i-3"], "prefix": "i-", "made": 3},
                           "middle": {"size": 0, "machines": [], "prefix": "middle-"}})
        self.pods(*self.join("i-1", "i-2", "i-3", used=used))
        self.sites("scale")

    def test_the_unused_one_by_name(self):
        self.three(used=("i-1", "i-3"))
        self.let_pass(300)
        self.sites("scale")
        self.assertEqual(self.pools()["small"], 3)
        self.let_pass(301)
        self.assertIn("cheap: ends node-i-2, which nobody uses", self.sites("scale"))
        self.assertEqual(self.machines("small"), ["i-1", "i-3"])
        self.assertIn(["cordon", "node-i-2"], self.calls("kubectl"))
        self.sites("scale")
        self.assertEqual([b["node"] for b in self.log()], ["node-i-2"])

    def test_all_engines(self):
        for pool, machine in (("small", "i-1"), ("big", "aks-big-1"), ("middle", "middle-1")):
            self.setUp()
            self.put("pools", {p: {"size": 2 if p == pool else 0, "machines": [machine, machine[:-1] + "2"] if p == pool else [], "prefix": "x"} for p in ("big", "small", "middle")})
            self.pods(*self.join(machine, machine[:-1] + "2", used=(machine[:-1] + "2",)))
            self.sites("scale")
            self.let_pass(601)
            self.sites("scale")
            self.assertEqual(self.machines(pool), [machine[:-1] + "2"])

    def test_used_again_meanwhile(self):
        self.three(used=("i-1", "i-3"))
        self.let_pass(300)
        self.pods(*self.join("i-1", "i-2", "i-3", used=("i-1", "i-2", "i-3")))
        self.sites("scale")
        self.pods(*self.join("i-1", "i-2", "i-3", used=("i-1", "i-3")))
        self.sites("scale")
        self.let_pass(301)
        self.sites("scale")
        self.assertEqual(self.pools()["small"], 3, "its ten minutes began anew")

    def test_pod_that_comes_at_the_last_moment(self):
        """The node is closed, looked at again, and opened."""
        self.three(used=("i-1", "i-3"))
        self.let_pass(601)
        self.put("late", self.join("i-1", "i-2", "i-3", used=("i-1", "i-2", "i-3")))
        self.sites("scale")
        self.assertEqual(self.pools()["small"], 3)
        self.assertIn(["uncordon", "node-i-2"], self.calls("kubectl"))

    def test_cannot_be_ended(self):
        self.three(used=("i-1", "i-3"))
        self.let_pass(601)
        self.manner("drop refuse")
        self.assertIn("site cheap: aws ended with 255", self.sites("scale", code=1))
        self.assertIn(["uncordon", "node-i-2"], self.calls("kubectl"))
        self.assertEqual(len(self.kept()), 3)
        self.manner("")
        self.sites("scale")
        self.assertEqual(self.machines("small"), ["i-1", "i-3"])

    def test_mark_of_a_machine_that_stays(self):
        """Cluster API ends the machine that is marked when the number falls: where it did not fall the mark is gone, and where the answer is lost it stays."""
        def marked():
            with open(f"{self.dir}/pools.json") as f:
                return json.load(f)["middle"].get("marked")

        for manner, mark, machines in (("drop refuse", None, ["middle-1", "middle-2"]), ("drop die-after", "middle-1", ["middle-2"])):
            self.setUp()
            self.put("pools", {p: {"size": 2 if p == "middle" else 0, "machines": ["middle-1", "middle-2"] if p == "middle" else [], "prefix": "x"} for p in ("big", "small", "middle")})
            self.pods(*self.join("middle-1", "middle-2", used=("middle-2",)))
            self.sites("scale")
            self.let_pass(601)
            self.manner(manner)
            self.sites("scale", code=1 if machines[1:] else 0)
            self.assertEqual((marked(), self.machines("middle")), (mark, machines), manner)
        # What could not be taken back then is, as soon as it can.
        self.setUp()
        self.put("pools", {p: {"size": 2 if p == "middle" else 0, "machines": ["middle-1", "middle-2"] if p == "middle" else [], "prefix": "x"} for p in ("big", "small", "middle")})
        self.pods(*self.join("middle-1", "middle-2", used=("middle-2",)))
        self.sites("scale")
        self.let_pass(601)
        self.manner("drop refuse-and-read")
        self.sites("scale", code=1)
        self.assertEqual(marked(), "middle-1")
        self.manner("")
        self.pods(*self.join("middle-1", "middle-2", used=("middle-1", "middle-2")))
        self.sites("scale")
        self.assertEqual((marked(), self.machines("middle")), (None, ["middle-1", "middle-2"]))

    def test_cordoned_by_somebody(self):
        """It stays so when a pod is on it after all, and it is no room for pods that wait."""
        self.three(used=("i-1", "i-3"))
        self.pods(*self.join("i-1", "i-2", "i-3", used=("i-1", "i-3"), cordoned=("i-2",)), pod("a", {"8g-25": 1}))
        said = self.sites("scale")
        self.assertNotIn("a node is coming", said)
        self.assertEqual(self.pools(), {"big": 0, "small": 3, "middle": 1})
        self.let_pass(601)
        self.put("late", self.join("i-1", "i-2", "i-3", used=("i-1", "i-2", "i-3"), cordoned=("i-2",)))
        self.manner("drop refuse")
        self.sites("scale", code=1)
        self.assertEqual([c for c in self.calls("kubectl") if "cordon" in c[0]], [])

    def test_another_cluster(self):
        """Machines that were there before and of which none is a node here: it is not for this cluster to end them."""
        self.put("pools", {"big": {"size": 0, "machines": [], "prefix": "aks-big-"}, "small": {"size": 2, "machines": ["i-1", "i-2"], "prefix": "i-", "made": 2},
                           "middle": {"size": 0, "machines": [], "prefix": "middle-"}})
        self.sites("scale")
        self.let_pass(901)
        self.assertNotIn("ends", self.sites("scale"))
        self.assertEqual(self.machines("small"), ["i-1", "i-2"])
        # One of them is: the other is late.
        self.pods(*self.join("i-1", used=("i-1",)))
        self.assertIn("ends i-2, which did not become a node", self.sites("scale"))

    def test_dry_run_does_not_bill(self):
        self.three(used=("i-1", "i-2", "i-3"))
        self.put("pools", {"big": {"size": 0, "machines": [], "prefix": "aks-big-"}, "small": {"size": 2, "machines": ["i-1", "i-3"], "prefix": "i-"},
                           "middle": {"size": 0, "machines": [], "prefix": "middle-"}})
        self.sites("scale", "--dry-run")
        self.assertEqual(self.log(), [])
        self.sites("scale")
        self.sites("scale")
        self.assertEqual([b["node"] for b in self.log()], ["node-i-2"])

    def test_least(self):
        self.write(FILE.replace("most = 3", "least = 2\nmost = 3"))
        self.three(used=())
        self.let_pass(601)
        self.sites("scale")
        self.assertEqual(self.pools()["small"], 2)

    def test_pods_that_stay_away(self):
        """A node is there for a pod that the scheduler does not put on it: once it is ended, no other is started there for a while."""
        self.three(used=("i-1", "i-3"))
        self.pods(*self.join("i-1", "i-2", "i-3", used=("i-1", "i-3")), pod("a", {"8g-25": 1}))
        self.let_pass(601)
        self.sites("scale")
        self.assertEqual(self.machines("small"), ["i-1", "i-3"])
        self.sites("scale")
        self.assertEqual(self.pools(), {"big": 0, "small": 2, "middle": 1})
        self.assertIn("was there for pods, which did not come to it in 600 s", self.notes()["a"])

    def test_site_that_is_gone(self):
        """Its nodes are still paid for: every round says so until it is back."""
        self.three(used=("i-1",))
        self.write(FILE.replace("[cheap]", "[other]").replace("pool = small", "pool = middle"))
        said = self.sites("scale", code=1)
        self.assertIn("site cheap has i-1 and is no longer in the sites file: put it back, or end its nodes by hand", said)
        self.write(FILE)
        self.sites("scale")
        self.assertEqual(len(self.kept()), 3)

    def test_cost(self):
        self.three(used=("i-1",))
        self.let_pass(7200)
        for kept in self.kept():
            self.assertGreaterEqual(float(kept["cost"]), 2 * 0.98)
        self.sites("scale")
        self.sites("scale")
        self.assertEqual(sorted(b["node"] for b in self.log()), ["node-i-2", "node-i-3"])
        for bill in self.log():
            self.check_bill(bill, 7200)


class Files(Case):
    def test_what_is_wrong(self):
        for before, after, text in (("pool = small\n", "", "pool is missing"), ("most = 3\n", "", "most is missing"), ("namespace = fleet\n", "", "namespace is missing"),
                                    ("cluster = team\npool = big", "pool = big", "cluster is missing"), ("most = 3", "most = many", "nodes of a pool")):
            self.assertIn(before, FILE)
            self.write(FILE.replace(before, after, 1))
            self.assertIn(text, self.sites("check", code=2))

    def test_kubeconfig_that_others_read(self):
        config = f"{self.dir}/config"
        pathlib.Path(config).write_text("apiVersion: v1\n")
        os.chmod(config, 0o644)
        self.assertIn("can be read by others (mode 644): chmod 600", self.sites("scale", "--kubeconfig", config, code=1))
        self.assertFalse(os.path.exists(f"{self.dir}/calls"))

    def test_pools_are_not_slurms(self):
        self.assertEqual([line.split()[0] for line in self.sites("nodes").splitlines()], ["NodeName=n[1-2]"])
        self.assertEqual(self.sites("choose", "--memory", "8G", "--features").strip(), "home")
        self.assertIn("no site in", self.sites("resume", "g1", code=1))


if __name__ == "__main__":
    unittest.main()
