#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""FastGPU in a cluster whose API server, scheduler and claims' controller are Kubernetes' own: manifests and rights, claims from the request to the
vGPU, the scheduler that asks ours, and why a pod is pending."""
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from cluster import NAMESPACE, RESOURCE, Cluster, GpuNode, claims_of, components, free_port, objects, skip, tool, wait_until

import grpc  # noqa: E402
from test_plugin import field, parse, texts  # noqa: E402

PATIENCE = 120
cluster = n1 = n2 = None


def setUpModule():
    global cluster, n1, n2
    cluster = Cluster(components())
    unittest.addModuleCleanup(cluster.close)
    cluster.apply(cluster.manifest("fastgpu.yaml"))
    cluster.apply(cluster.manifest("fastgpu-scheduler.yaml").replace("KUBE-SCHEDULER-IMAGE", "kube-scheduler"))
    cluster.start("scheduler", cluster.program, "scheduler", f"--kubeconfig={cluster.kubeconfig('scheduler')}", f"--authentication-kubeconfig={cluster.kubeconfig('scheduler')}",
                  f"--authorization-kubeconfig={cluster.kubeconfig('scheduler')}", "--leader-elect=false", "--bind-address=127.0.0.1", f"--secure-port={free_port()}", f"--cert-dir={cluster.folder}/scheduler")
    cluster.start("controllers", cluster.program, "controllers", cluster.kubeconfig("admin"))
    n1 = GpuNode(cluster, "n1", '2x"Test GPU":16G', labels={"zone": "a"})
    unittest.addModuleCleanup(n1.close)
    n2 = GpuNode(cluster, "n2", '1x"Big GPU":40G', labels={"zone": "b"})
    unittest.addModuleCleanup(n2.close)
    for node in (n1, n2):
        node.start()
    for node in (n1, n2):
        wait_until(node.slice, PATIENCE, f"{node.name} publishes its GPUs")


class Case(unittest.TestCase):
    claims = set()

    def setUp(self):
        self.addCleanup(cluster.clear)

    def claim(self, name, *args, **kwargs):
        """Each name once: a kube-scheduler (1.37.2) that has not seen one's end yet allocates it, and writes that into the one that was made under its name since."""
        self.assertNotIn(name, self.claims)
        self.claims.add(name)
        code, answer = cluster.add_claim(name, *args, **kwargs)
        self.assertEqual(code, 201, answer)

    def pod(self, name, *args, **kwargs):
        code, answer = cluster.add_pod(name, *args, **kwargs)
        self.assertEqual(code, 201, answer)

    def bound(self, name):
        return wait_until(lambda: cluster.node_of(name), PATIENCE, lambda: f"{name} is on a node; {self.state(name)}")

    def pending(self, name):
        return wait_until(lambda: cluster.said(name), PATIENCE, lambda: f"{name} is said to be unschedulable; {self.state(name)}")

    def state(self, name):
        lines = [line for program in ("scheduler", "second", "controllers") if os.path.exists(f"{cluster.folder}/{program}.log") for line in cluster.log(program).splitlines()]
        return json.dumps(cluster.get_pod(name)) + "\n" + "\n".join(lines[-30:])


class Manifests(Case):
    def test_examples(self):
        self.assertEqual(cluster.apply(cluster.manifest("examples/slice.yaml"), dry=True), 1)
        self.assertEqual(cluster.apply(cluster.manifest("examples/claim.yaml"), dry=True), 2)
        self.assertEqual(cluster.apply(cluster.manifest("examples/sites.yaml"), dry=True), 6)
        self.assertEqual(cluster.apply(cluster.manifest("fastgpu.yaml"), dry=True), 12)

    def test_wrong_ones_are_seen(self):
        for old, new in (("hostPath:", "hostPth:"), ('device.driver == "fastgpu.dev"', 'device.drivr == "fastgpu.dev"'), ("runAsUser: 0", "runAsUser: -1"), ("!variables.ours", "!variables.our")):
            text = cluster.manifest("fastgpu.yaml")
            self.assertIn(old, text)
            with self.assertRaises(AssertionError, msg=new):
                cluster.apply(text.replace(old, new), dry=True)

    def test_selectors_of_the_documentation(self):
        """The server compiles CEL when it takes a claim; what it means the scheduler finds out, below."""
        good = ['device.attributes["fastgpu.dev"].model == "Test GPU"', '"totalMemory" in device.attributes["fastgpu.dev"] && device.attributes["fastgpu.dev"].totalMemory >= 30 * 1024 * 1024 * 1024', 'device.capacity["fastgpu.dev"].memory.compareTo(quantity("40Gi")) >= 0', 'device.driver == "fastgpu.dev"']
        for i, expression in enumerate(good):
            self.claim(f"good-{i}", "1Gi", "5", selector=expression)
        for expression in ('device.capacity["fastgpu.dev"].memory > 3', "device.model ==", "true ||"):
            code, answer = cluster.add_claim("bad", "1Gi", "5", selector=expression)
            self.assertEqual(code, 422, (expression, answer))

    def test_mixing_is_refused(self):
        ours, theirs = {"fastgpu.dev/vgpu-8g-25": "1"}, {"nvidia.com/gpu": "1"}
        wait_until(lambda: cluster.add_pod("mixed", limits={**ours, **theirs})[0] == 422 or cluster.ask("DELETE", "/api/v1/namespaces/default/pods/mixed?gracePeriodSeconds=0")[0] == 0,
                   PATIENCE, "the policy works")
        code, answer = cluster.add_pod("mixed", limits={**ours, **theirs})
        self.assertEqual(code, 422)
        self.assertIn("the latter would bring the whole GPU", answer["message"])
        apart = cluster.pod("apart", limits=ours)
        apart["spec"]["initContainers"] = [{"name": "first", "image": "none", "resources": {"limits": theirs}}]
        self.assertEqual(cluster.ask("POST", "/api/v1/namespaces/default/pods", apart)[0], 422)
        self.pod("one", limits=ours)
        self.pod("other", limits=theirs)


class Rights(Case):
    """With the token that a pod of the DaemonSet gets."""

    def test_its_own(self):
        self.assertEqual(claims_of(n1.token)["kubernetes.io"]["node"]["name"], "n1")
        self.claim("own", "1Gi", "5")
        self.assertEqual(cluster.ask("GET", "/api/v1/nodes/n1", token=n1.token)[0], 200)
        self.assertEqual(cluster.ask("GET", f"{RESOURCE}/namespaces/default/resourceclaims/own", token=n1.token)[0], 200)
        self.assertEqual(cluster.ask("GET", f"{RESOURCE}/resourceslices/n1-fastgpu.dev", token=n1.token)[0], 200)

    def test_nothing_else(self):
        self.claim("theirs", "1Gi", "5")
        claim = cluster.must("GET", f"{RESOURCE}/namespaces/default/resourceclaims/theirs")
        for method, path, body in (
                ("GET", f"{RESOURCE}/resourceclaims", None), ("GET", f"{RESOURCE}/namespaces/default/resourceclaims", None), ("GET", f"{RESOURCE}/resourceslices", None),
                ("PUT", f"{RESOURCE}/namespaces/default/resourceclaims/theirs", claim), ("PUT", f"{RESOURCE}/namespaces/default/resourceclaims/theirs/status", claim),
                ("DELETE", f"{RESOURCE}/namespaces/default/resourceclaims/theirs", None), ("DELETE", f"{RESOURCE}/resourceslices/n1-fastgpu.dev", None),
                ("GET", "/api/v1/nodes", None), ("GET", "/api/v1/pods", None), ("GET", f"/api/v1/namespaces/{NAMESPACE}/pods", None), ("GET", "/api/v1/secrets", None),
                ("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps", None), ("POST", "/api/v1/namespaces/default/pods", cluster.pod("x")), ("GET", f"{RESOURCE}/deviceclasses", None),
                ("POST", "/api/v1/namespaces/default/events", {"metadata": {"name": "x"}, "involvedObject": {}}), ("PATCH", "/api/v1/nodes/n1", {"metadata": {"labels": {"x": "y"}}}),
                ("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/fastgpu-kubelet/token", {"spec": {}})):
            kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
            self.assertEqual(cluster.ask(method, path, body, token=n1.token, kind=kind)[0], 403, (method, path))

    def slice_for(self, node, driver="fastgpu.dev", name="other"):
        return {"metadata": {"name": name}, "spec": {"driver": driver, "nodeName": node, "pool": {"name": node, "generation": 1, "resourceSliceCount": 1}, "devices": []}}

    def test_slices_of_its_own_node_alone(self):
        for made in (self.slice_for("n2"), self.slice_for("n1", "gpu.nvidia.com"), {**self.slice_for("n1"), "spec": {**self.slice_for("n1")["spec"], "nodeName": None, "allNodes": True}}):
            code, answer = cluster.ask("POST", f"{RESOURCE}/resourceslices", made, token=n1.token)
            self.assertEqual(code, 422, answer)
            self.assertIn("FastGPU on node n1 writes its own slices alone", answer["message"])
        theirs = n2.slice()
        self.assertEqual(cluster.ask("PUT", f"{RESOURCE}/resourceslices/n2-fastgpu.dev", theirs, token=n1.token)[0], 422)
        # A token of the same account that is bound to no pod, and so to no node.
        self.assertEqual(cluster.ask("POST", f"{RESOURCE}/resourceslices", self.slice_for("n1"), token=cluster.token("fastgpu-kubelet"))[0], 422)
        code, answer = cluster.ask("POST", f"{RESOURCE}/resourceslices", self.slice_for("n1"), token=n1.token)
        self.assertEqual(code, 201, answer)
        cluster.must("DELETE", f"{RESOURCE}/resourceslices/other")

    def status_of(self, claim, token, **changed):
        """The answer to who applies a condition to the claim's device, or what is said instead."""
        result, = claim["status"]["allocation"]["devices"]["results"]
        condition = {"type": "Ready", "status": "False", "reason": "Test", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        device = {**{k: result[k] for k in ("driver", "pool", "device", "shareID")}, "conditions": [condition]}
        body = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": {"name": claim["metadata"]["name"]}, "status": changed or {"devices": [device]}}
        path = f"{RESOURCE}/namespaces/default/resourceclaims/{claim['metadata']['name']}/status?fieldManager=test-{next(self.writers)}&force=true&dryRun=All"
        return cluster.ask("PATCH", path, body, token=token, kind="application/apply-patch+yaml")

    writers = itertools.count()

    def test_status_of_claims_on_its_own_node_alone(self):
        """By the API server's own rule; and by the policy, where an older one asks for no more than a right to any status."""
        self.claim("on-n2", "1Gi", "5", selector='device.attributes["fastgpu.dev"].model == "Big GPU"')
        self.pod("p", "on-n2")
        self.assertEqual(self.bound("p"), "n2")
        claim = cluster.must("GET", f"{RESOURCE}/namespaces/default/resourceclaims/on-n2")
        nobody = cluster.token("fastgpu-kubelet")
        other = {"resource": "pods", "name": "other", "uid": "1"}

        def are_refused(*words):
            for token, changed in ((n1.token, {}), (nobody, {}), (n2.token, {"reservedFor": [other]}), (n1.token, {"reservedFor": [other]})):
                code, answer = self.status_of(claim, token, **changed)
                self.assertEqual(code, 422, answer)
                self.assertIn(words[bool(changed)], answer["message"])
            code, answer = self.status_of(claim, n2.token)
            self.assertEqual(code, 200, answer)
        are_refused("resourceclaims/driver", "resourceclaims/binding")
        rules = [{"apiGroups": ["resource.k8s.io"], "resources": ["resourceclaims/driver", "resourceclaims/binding"], "verbs": ["arbitrary-node:patch", "patch"]}]
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        cluster.must("POST", f"{rbac}/clusterroles", {"metadata": {"name": "test-older"}, "rules": rules})
        self.addCleanup(cluster.ask, "DELETE", f"{rbac}/clusterroles/test-older")
        cluster.must("POST", f"{rbac}/clusterrolebindings", {
            "metadata": {"name": "test-older"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "test-older"},
            "subjects": [{"kind": "ServiceAccount", "name": "fastgpu-kubelet", "namespace": NAMESPACE}]})
        self.addCleanup(cluster.ask, "DELETE", f"{rbac}/clusterrolebindings/test-older")
        wait_until(lambda: "resourceclaims/" not in self.status_of(claim, n1.token)[1].get("message", ""), PATIENCE, "the binding works")
        are_refused(*["writes of its own devices in claims alone"] * 2)

    def test_the_scheduler_s_role(self):
        """Without kube-scheduler's own roles: lists and events, no more."""
        review = {"spec": {"user": "system:serviceaccount:x:y"}}
        role = cluster.must("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/fastgpu-scheduler")
        cluster.must("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
            "metadata": {"name": "test-y"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role["metadata"]["name"]},
            "subjects": [{"kind": "ServiceAccount", "name": "y", "namespace": "x"}]})
        self.addCleanup(cluster.ask, "DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/test-y")

        def may(verb, group, what):
            what, _, part = what.partition("/")
            attributes = {"verb": verb, "group": group, "resource": what, "subresource": part, "namespace": "default"}
            return cluster.must("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": {**review["spec"], "resourceAttributes": attributes}})["status"]["allowed"]
        wait_until(lambda: may("list", "", "pods"), PATIENCE, "the binding works")
        for group, what in (("", "nodes"), ("resource.k8s.io", "resourceclaims"), ("resource.k8s.io", "resourceslices"), ("resource.k8s.io", "deviceclasses")):
            self.assertTrue(may("list", group, what), what)
            self.assertFalse(may("update", group, what), what)
        self.assertTrue(may("create", "", "events"))
        for verb, what in (("get", "secrets"), ("list", "secrets"), ("create", "pods"), ("delete", "pods"), ("create", "pods/binding"), ("update", "events")):
            self.assertFalse(may(verb, "", what), (verb, what))


class Claims(Case):
    """From the claim to the vGPU, with kube-scheduler as it is."""

    def test_slice(self):
        devices = n1.slice()["spec"]["devices"]
        self.assertEqual([(d["allowMultipleAllocations"], d["capacity"]["memory"]["value"], d["capacity"]["compute"]["value"]) for d in devices], [(True, "16Gi", "100")] * 2)
        owner = n1.slice()["metadata"]["ownerReferences"][0]
        self.assertEqual((owner["kind"], owner["name"], owner["uid"]), ("Node", "n1", n1.uid))

    def test_consumed(self):
        """Three that one GPU has room for, none more than there is."""
        for i in range(7):
            self.claim(f"consumed-{i}", "7Gi", "40")
            self.pod(f"p{i}", f"consumed-{i}")
        placed = [self.bound(f"p{i}") for i in range(6)]
        self.assertEqual((placed.count("n1"), placed.count("n2")), (4, 2))  # by memory 2 and 5, by compute 2 and 2 of each GPU
        self.assertIn("cannot allocate all claims", self.pending("p6"))
        used = {}
        for i in range(6):
            claim = cluster.must("GET", f"{RESOURCE}/namespaces/default/resourceclaims/consumed-{i}")
            result, = claim["status"]["allocation"]["devices"]["results"]
            self.assertEqual(result["consumedCapacity"], {"memory": "7Gi", "compute": "40"})
            self.assertEqual(claim["status"]["reservedFor"][0]["name"], f"p{i}")
            used.setdefault((result["pool"], result["device"]), []).append(i)
        self.assertEqual(sorted(map(len, used.values())), [2, 2, 2])
        # What ends makes room for who waits.
        cluster.must("DELETE", "/api/v1/namespaces/default/pods/p0?gracePeriodSeconds=0")
        self.assertEqual(self.bound("p6"), placed[0])

    def test_selector(self):
        self.claim("big", "1Gi", "5", selector='device.capacity["fastgpu.dev"].memory.compareTo(quantity("40Gi")) >= 0')
        self.claim("test", "1Gi", "5", selector='device.attributes["fastgpu.dev"].model == "Test GPU"')
        self.claim("none", "1Gi", "5", selector='device.attributes["fastgpu.dev"].model == "No GPU"')
        for name in ("big", "test", "none"):
            self.pod(name, name)
        self.assertEqual((self.bound("big"), self.bound("test")), ("n2", "n1"))
        self.assertIn("cannot allocate all claims", self.pending("none"))

    def test_template(self):
        cluster.apply(cluster.manifest("examples/claim.yaml"))
        self.assertEqual(self.bound("claim"), "n2")
        claim, = cluster.must("GET", f"{RESOURCE}/namespaces/default/resourceclaims")["items"]
        self.assertTrue(claim["metadata"]["name"].startswith("claim-gpu-"))
        self.assertEqual(claim["status"]["allocation"]["devices"]["results"][0]["consumedCapacity"], {"memory": "12Gi", "compute": "30"})

    def test_prepared_with_its_own_token(self):
        """As the kubelet asks: the plugin reads the claim at the real server, and the vGPU has what the scheduler gave. The claim says why it has none, then that it has."""
        self.claim("prepared", "3Gi", "20", selector='device.attributes["fastgpu.dev"].model == "Big GPU"')
        self.pod("p", "prepared")
        self.assertEqual(self.bound("p"), "n2")
        uid = cluster.must("GET", f"{RESOURCE}/namespaces/default/resourceclaims/prepared")["metadata"]["uid"]
        request = field(1, field(1, "default") + field(2, uid) + field(3, "prepared"))
        with grpc.insecure_channel(f"unix:{n2.folder}/plugins/fastgpu.dev/dra.sock") as channel:
            def call(method):
                return channel.unary_unary("/k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin/" + method)(request, timeout=60)

            def ready():
                claim = cluster.must("GET", f"{RESOURCE}/namespaces/default/resourceclaims/prepared")
                device, = claim["status"].get("devices", [{"conditions": []}])
                return [(c["type"], c["status"], c["message"]) for c in device["conditions"]]
            # Somebody is faster.
            n2.daemon.fastgpu("create", "--name", "theirs", "--memory", "39G", "--compute", "50")
            try:
                error, = texts(parse(parse(parse(call("NodePrepareResources"))[1][0])[2][0]), 2)
            finally:
                n2.daemon.fastgpu("delete", "theirs")
            self.assertIn("does not fit", error)
            wait_until(lambda: ready() == [("Ready", "False", error)], PATIENCE, lambda: f"the claim says it; {ready()} {n2.log()[-2000:]}")
            reply = parse(parse(parse(call("NodePrepareResources"))[1][0])[2][0])
            self.assertEqual(texts(reply, 2), [], "an error")
            wait_until(lambda: ready() == [("Ready", "True", "FastGPU: prepared")], PATIENCE, lambda: f"the claim says it; {ready()} {n2.log()[-2000:]}")
            device = parse(reply[1][0])
            self.assertEqual(texts(device, 4), [f"fastgpu.dev/vgpu=k8s-default:claim-{uid}"])
            made = n2.daemon.get(f"/v1/vgpus/claim-{uid}?project=k8s-default")["vgpus"]
            self.assertEqual([(v["memory"], v["share"]) for v in made], [(3 << 30, 200)])
            # What the slice says stays what claims can have.
            time.sleep(12)
            self.assertEqual(n2.slice()["spec"]["devices"][0]["capacity"]["memory"]["value"], "40Gi")
            call("NodeUnprepareResources")
            self.assertEqual(n2.daemon.request("GET", f"/v1/vgpus/claim-{uid}?project=k8s-default")[0], 404)

    def test_what_others_have(self):
        """A vGPU of a person on the node is none that claims can have: within the 10 s that the slice is looked at."""
        n2.daemon.fastgpu("create", "--name", "mine", "--memory", "30G", "--compute", "50")
        self.addCleanup(wait_until, lambda: n2.slice()["spec"]["devices"][0]["capacity"]["memory"]["value"] == "40Gi", PATIENCE, "the slice has all again")
        self.addCleanup(n2.daemon.fastgpu, "delete", "mine")
        wait_until(lambda: n2.slice()["spec"]["devices"][0]["capacity"]["memory"]["value"] == "10Gi", PATIENCE, "the slice has less")
        self.claim("others", "20Gi", "10")
        self.pod("p", "others")
        self.assertIn("cannot allocate all claims", self.pending("p"))


class Bridge(Case):
    """The scheduler of fastgpu-scheduler.yaml: its configuration, its account, ours beside it."""

    @classmethod
    def setUpClass(cls):
        cls.port = free_port()
        token = cluster.token("fastgpu-scheduler")
        with open(f"{cluster.folder}/scheduler-token", "w") as f:
            f.write(token)
        text = next(part for kind, _, _, name, part in objects(cluster.manifest("fastgpu-scheduler.yaml")) if kind == "ConfigMap" and name == "fastgpu-scheduler")
        config = re.sub("^    ", "", text.split("scheduler.yaml: |\n")[1], flags=re.M).replace("127.0.0.1:9650", f"127.0.0.1:{cls.port}")
        config += f"clientConnection: {{kubeconfig: {cluster.kubeconfig(token)}}}\n"
        with open(f"{cluster.folder}/scheduler.yaml", "w") as f:
            f.write(config)
        cls.start_ours()
        kubeconfig = cluster.kubeconfig(token)
        cluster.start("second", cluster.program, "scheduler", f"--config={cluster.folder}/scheduler.yaml", f"--authentication-kubeconfig={kubeconfig}", f"--authorization-kubeconfig={kubeconfig}",
                      "--bind-address=127.0.0.1", f"--secure-port={free_port()}", f"--cert-dir={cluster.folder}/second-certs")

    @classmethod
    def start_ours(cls):
        cluster.start("ours", tool("bin", "fastgpu-scheduler"), "--listen", f"127.0.0.1:{cls.port}", "--api-server", cluster.url, "--ca", f"{cluster.folder}/ca",
                      "--token-file", f"{cluster.folder}/scheduler-token")

    @classmethod
    def tearDownClass(cls):
        for name in ("second", "ours"):
            if name in cluster.running:
                cluster.stop(name)

    def pod(self, name, *args, **kwargs):
        super().pod(name, *args, scheduler="fastgpu-scheduler", **kwargs)

    def events(self, name):
        items = cluster.must("GET", f"/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3D{name}")["items"]
        return [e for e in items if e.get("source", {}).get("component") == "fastgpu-scheduler"]

    def test_policy_decides(self):
        """One half of n2 is taken; all that fits there goes there, and n1's two GPUs stay whole."""
        self.claim("first", "20Gi", "40", selector='device.attributes["fastgpu.dev"].model == "Big GPU"')
        self.pod("first", "first")
        self.assertEqual(self.bound("first"), "n2")
        for i in range(4):
            self.claim(f"packed-{i}", "2Gi", "10")
            self.pod(f"p{i}", f"packed-{i}")
            self.assertEqual(self.bound(f"p{i}"), "n2")
        self.claim("rest", "2Gi", "30")
        self.pod("rest", "rest")
        self.assertEqual(self.bound("rest"), "n1")

    def test_classes(self):
        """The kubelet still says that n1 has a slice free; by its claims it has none."""
        cluster.be("n1", vgpu_8g_25=2)
        self.addCleanup(cluster.be, "n1")
        for i in range(2):
            self.claim(f"classes-{i}", "12Gi", "50", selector='device.attributes["fastgpu.dev"].model == "Test GPU"')
            self.pod(f"p{i}", f"classes-{i}")
            self.assertEqual(self.bound(f"p{i}"), "n1")
        self.pod("slice", limits={"fastgpu.dev/vgpu-8g-25": "1"})
        said = self.pending("slice")
        self.assertIn("FastGPU: no GPU has 8 GiB and 25 percent free", said)
        cluster.must("DELETE", "/api/v1/namespaces/default/pods/p0?gracePeriodSeconds=0")
        self.assertEqual(self.bound("slice"), "n1")

    def test_event(self):
        self.claim("event", "100Gi", "10")
        self.pod("large", "event")
        self.pending("large")
        event = wait_until(lambda: self.events("large"), PATIENCE, "an event")[0]
        self.assertIn("no GPU of any node has 100 GiB and 10 % for claims (claim event)", event["message"])
        self.assertIn("What helps: ask for at most 40 GiB and 100 %", event["message"])
        self.assertNotIn("cannot", cluster.log("ours"))

    def test_without_ours(self):
        cluster.stop("ours")
        self.addCleanup(self.start_ours)
        self.claim("alone", "1Gi", "5")
        self.pod("p", "alone")
        self.assertIn(self.bound("p"), ("n1", "n2"))


class Why(Case):
    """Every pod that is pending: one reason, and what helps."""

    def why(self, name):
        done = subprocess.run([tool("bin", "fastgpu-scheduler"), "--why", f"default/{name}", "--json", "--api-server", cluster.url, "--ca", f"{cluster.folder}/ca",
                               "--token-file", self.admin], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def setUp(self):
        super().setUp()
        self.admin = f"{cluster.folder}/admin"
        with open(self.admin, "w") as f:
            f.write("admin")

    def expect(self, name, reason, *words):
        said = self.why(name)
        self.assertEqual(said["reason"], reason, said)
        for word in words:
            self.assertIn(word, said["text"] + "; " + said.get("remedy", ""))
        return said

    def test_reasons(self):
        self.claim("c-large", "100Gi", "10")
        self.claim("c-none", "1Gi", "5", selector='device.attributes["fastgpu.dev"].model == "No GPU"')
        self.claim("c-class", "1Gi", "5", device_class="gone.fastgpu.dev")
        self.claim("c-cpu", "1Gi", "5")
        self.claim("c-label", "1Gi", "5")
        self.claim("c-gated", "1Gi", "5")
        self.pod("large", "c-large")
        self.pod("none", "c-none")
        self.pod("class", "c-class")
        self.pod("missing", "c-missing")
        self.pod("label", "c-label", nodeSelector={"zone": "z"})
        self.pod("gated", "c-gated", schedulingGates=[{"name": "example.com/wait"}])
        self.pod("nobody", "c-label", scheduler="nobody")
        self.pod("resource", limits={"fastgpu.dev/vgpu-9g-25": "1"})
        cpu = cluster.pod("cpu", "c-cpu")
        cpu["spec"]["containers"][0]["resources"]["requests"] = {"cpu": "1000"}
        cluster.must("POST", "/api/v1/namespaces/default/pods", cpu)
        for name in ("large", "none", "class", "label", "resource", "cpu"):
            self.pending(name)
        self.expect("large", "too-large", "no GPU of any node has 100 GiB and 10 % for claims (claim c-large)", "ask for at most 40 GiB and 100 %")
        self.expect("none", "selector", "no GPU with room is one that its claims' CEL selectors allow")
        self.expect("class", "class-unknown", "DeviceClass gone.fastgpu.dev, which does not exist")
        self.expect("missing", "claim-missing", "there is no ResourceClaim c-missing")
        said = self.expect("label", "label", "do not have the label zone")
        self.assertEqual(said["nodes"], "0 of 2 nodes fit; 2: another label, such as of zone")
        self.expect("gated", "gated", "example.com/wait")
        self.expect("nobody", "not-looked-at", "is a scheduler nobody running?")
        self.expect("resource", "resource-unknown", "no node offers fastgpu.dev/vgpu-9g-25")
        self.expect("cpu", "scheduler", "Insufficient cpu")
        missing = subprocess.run([tool("bin", "fastgpu-scheduler"), "--why", "default/gone", "--api-server", cluster.url, "--ca", f"{cluster.folder}/ca", "--token-file", self.admin],
                                 capture_output=True, text=True, timeout=120)
        self.assertEqual(missing.returncode, 3)

    def test_room_and_what_ends_it(self):
        for i, (memory, compute, model) in enumerate((("12Gi", "50", "Test GPU"), ("12Gi", "50", "Test GPU"), ("30Gi", "50", "Big GPU"))):
            self.claim(f"held-{i}", memory, compute, selector=f'device.attributes["fastgpu.dev"].model == "{model}"')
            self.pod(f"p{i}", f"held-{i}")
            self.bound(f"p{i}")
        self.claim("waits", "14Gi", "60")
        self.pod("waits", "waits")
        self.pending("waits")
        self.expect("waits", "room", "no GPU has 14 GiB and 60 % free (claim waits)", "of node n2, has 10 GiB and 50 %",
                    "it fits when claim default/held-2, of pod p2 on that GPU ends, or at once if it asks for no more than 10 GiB and 50 %")
        # It is true.
        cluster.must("DELETE", "/api/v1/namespaces/default/pods/p2?gracePeriodSeconds=0")
        self.assertEqual(self.bound("waits"), "n2")
        said = self.why("waits")
        self.assertEqual((said["state"], said["reason"]), ("pending", "node"))
        self.assertIn("node n2 has it", said["text"])

    def test_taint(self):
        path = "/api/v1/nodes/n2"
        cluster.must("PATCH", path, {"spec": {"taints": [{"key": "team", "value": "red", "effect": "NoSchedule"}]}}, kind="application/merge-patch+json")
        self.addCleanup(cluster.must, "PATCH", path, {"spec": {"taints": [], "unschedulable": None}}, kind="application/merge-patch+json")
        self.claim("tainted", "20Gi", "10")
        self.pod("p", "tainted")
        self.pending("p")
        self.expect("p", "taint", "such as n2, have the taint team=red")
        cluster.must("PATCH", path, {"spec": {"taints": [], "unschedulable": True}}, kind="application/merge-patch+json")
        self.expect("p", "cordoned", "such as n2, are cordoned")

    def of_template(self, name, template):
        pod = cluster.pod(name, "-")
        pod["spec"]["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": template}]
        cluster.must("POST", "/api/v1/namespaces/default/pods", pod)

    def expect_soon(self, name, reason, words):
        """What somebody else is still to say."""
        for _ in range(PATIENCE):
            said = self.why(name)
            if words in said["text"]:
                break
            time.sleep(1)
        self.assertIn(words, said["text"])
        self.assertEqual(said["reason"], reason)

    def test_no_claim_of_a_template(self):
        """None of that name; a quota that is used up."""
        self.of_template("no-template", "gone")
        self.expect_soon("no-template", "claim-missing", 'its claim has not been made of the template gone yet: PodResourceClaim gpu: resource claim template "gone": ')
        path = "/api/v1/namespaces/default/resourcequotas"
        hard = {"count/resourceclaims.resource.k8s.io": "0"}
        cluster.must("POST", path, {"metadata": {"name": "none"}, "spec": {"hard": hard}})
        self.addCleanup(cluster.ask, "DELETE", f"{path}/none")
        cluster.must("PATCH", f"{path}/none/status", {"status": {"hard": hard, "used": hard}}, kind="application/merge-patch+json")
        wait_until(lambda: cluster.add_claim("x", "1Gi", "5")[0] == 403 or cluster.ask("DELETE", f"{RESOURCE}/namespaces/default/resourceclaims/x")[0] == 0, PATIENCE, "the quota works")
        exactly = {"deviceClassName": "vgpu.fastgpu.dev", "capacity": {"requests": {"memory": "1Gi", "compute": "5"}}}
        templates = f"{RESOURCE}/namespaces/default/resourceclaimtemplates"
        cluster.must("POST", templates, {"metadata": {"name": "small"}, "spec": {"spec": {"devices": {"requests": [{"name": "gpu", "exactly": exactly}]}}}})
        self.addCleanup(cluster.ask, "DELETE", f"{templates}/small")
        self.of_template("quota", "small")
        self.expect_soon("quota", "claim-missing", "exceeded quota: none")

    def test_resources_that_nobody_offers(self):
        cluster.be("n1", vgpu_8g_25=2)
        self.addCleanup(cluster.be, "n1")
        first = cluster.pod("first")
        first["spec"]["initContainers"] = [{"name": "first", "image": "none", "resources": {"limits": {"fastgpu.dev/vgpu-9g-25": "1"}}}]
        cluster.must("POST", "/api/v1/namespaces/default/pods", first)
        self.pod("hami", limits={"nvidia.com/gpu": "1", "nvidia.com/gpumem": "3000"})
        self.pod("elsewhere", limits={"fastgpu.dev/vgpu-8g-25": "1"}, nodeSelector={"zone": "b"})
        self.expect("first", "resource-unknown", "no node offers fastgpu.dev/vgpu-9g-25; there are fastgpu.dev/vgpu-8g-25")
        self.expect("hami", "resource-unknown", "no node offers nvidia.com/gpu; ", "--hami")
        self.expect("elsewhere", "label", "such as n1, do not have the label zone as the pod wants it")

    def test_devices(self):
        """A GPU that takes nobody; one that somebody has who has no claim."""
        cluster.add_node("n3")
        self.addCleanup(cluster.ask, "DELETE", "/api/v1/nodes/n3")
        device = {"name": "gpu-1", "allowMultipleAllocations": True, "capacity": {"memory": {"value": "80Gi"}, "compute": {"value": "100"}},
                  "taints": [{"key": "fastgpu.dev/failing", "effect": "NoSchedule"}]}
        cluster.must("POST", f"{RESOURCE}/resourceslices", {"metadata": {"name": "n3"}, "spec": {"driver": "fastgpu.dev", "nodeName": "n3", "devices": [device],
                                                                                          "pool": {"name": "n3", "generation": 1, "resourceSliceCount": 1}}})
        self.addCleanup(cluster.ask, "DELETE", f"{RESOURCE}/resourceslices/n3")
        self.claim("failing", "60Gi", "10")
        self.pod("failing", "failing")
        self.expect("failing", "gpu-taint", "such as gpu-1 of node n3, have the taint fastgpu.dev/failing, which the claim does not tolerate")
        n2.daemon.fastgpu("create", "--name", "mine", "--memory", "30G", "--compute", "50")
        self.addCleanup(wait_until, lambda: n2.slice()["spec"]["devices"][0]["capacity"]["memory"]["value"] == "40Gi", PATIENCE, "the slice has all again")
        self.addCleanup(n2.daemon.fastgpu, "delete", "mine")
        wait_until(lambda: n2.slice()["spec"]["devices"][0]["capacity"]["memory"]["value"] == "10Gi", PATIENCE, "the slice has less")
        self.assertEqual(n2.slice()["spec"]["devices"][0]["attributes"]["totalMemory"], {"int": 40 << 30})
        cluster.must("DELETE", f"{RESOURCE}/resourceslices/n3")
        self.claim("taken", "20Gi", "10")
        self.pod("taken", "taken")
        self.expect("taken", "others", "of node n2, they can have 10 GiB and 50 %", "fastgpu list")

    def test_through_kubectl(self):
        """The real one, if there is one here, with a kubeconfig of its user's."""
        if not shutil.which("kubectl"):
            self.skipTest("no kubectl")
        self.claim("kubectl", "100Gi", "10")
        self.pod("large", "kubectl")
        self.pending("large")
        env = {**n1.daemon.env, "KUBECONFIG": cluster.kubeconfig("admin")}
        done = subprocess.run([tool("bin", "fastgpu"), "why", "pod/default/large"], env=env, capture_output=True, text=True, timeout=120)
        self.assertTrue(done.stdout.startswith("default/large is pending: no GPU of any node has 100 GiB and 10 % for claims (claim kubectl)"), done)
        self.assertEqual(subprocess.run([tool("bin", "fastgpu"), "why", "pod/default/gone"], env=env, capture_output=True, timeout=120).returncode, 3)


# Two kinds of Cluster API's, as far as kubectl looks at them.
CLUSTER_API = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: PLURAL.cluster.x-k8s.io
spec:
  group: cluster.x-k8s.io
  scope: Namespaced
  names: {plural: PLURAL, singular: SINGULAR, kind: KIND}
  versions:
    - name: v1beta2
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {replicas: {type: integer}}}}}}
      subresources: {scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
"""
FLEET = "/apis/cluster.x-k8s.io/v1beta2/namespaces/fleet"
SITES = """
[own]
provider = cluster-api
price = 2.00
currency = EUR
memory = 200G
namespace = fleet
pool = middle
most = 2
"""


@unittest.skipUnless(shutil.which("kubectl"), "no kubectl")
@unittest.skipUnless(os.access(tool("bin", "fastgpu-sites"), os.X_OK), "fastgpu-sites is not built")
class Sites(Case):
    """`fastgpu-sites scale` by the real kubectl, with the token of the account that examples/sites.yaml has, over a pool of Cluster API's whose
    controllers are this test."""

    def setUp(self):
        super().setUp()
        self.folder = tempfile.mkdtemp(prefix="fastgpu-tests-")
        self.addCleanup(shutil.rmtree, self.folder)
        for plural, singular, kind in (("machinedeployments", "machinedeployment", "MachineDeployment"), ("machines", "machine", "Machine")):
            cluster.apply(CLUSTER_API.replace("PLURAL", plural).replace("SINGULAR", singular).replace("KIND", kind))
            self.addCleanup(cluster.ask, "DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.cluster.x-k8s.io")
        cluster.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "fleet"}})
        cluster.apply(cluster.manifest("examples/sites.yaml"))
        cluster.apply(cluster.manifest("examples/sites-cluster-api.yaml"))
        self.token = cluster.token("fastgpu-sites")
        wait_until(lambda: cluster.ask("GET", f"{FLEET}/machines")[0] == 200, PATIENCE, "machines are known")
        wait_until(lambda: cluster.ask("GET", f"{FLEET}/machines", token=self.token)[0] == 200, PATIENCE, "the account may")
        cluster.must("POST", f"{FLEET}/machinedeployments", {"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "MachineDeployment", "metadata": {"name": "middle"}, "spec": {"replicas": 0}})
        self.config = f"{self.folder}/kubeconfig"
        shutil.copy(cluster.kubeconfig(self.token), self.config)
        os.chmod(self.config, 0o600)
        with open(f"{self.folder}/sites", "w") as f:
            f.write(SITES + f"credentials = {self.config}\n")

    def scale(self):
        done = subprocess.run([tool("bin", "fastgpu-sites"), "--file", f"{self.folder}/sites", "--state", f"{self.folder}/state", "scale", "--kubeconfig", self.config],
                              env={**os.environ, "HOME": self.folder}, capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def replicas(self):
        return cluster.must("GET", f"{FLEET}/machinedeployments/middle")["spec"]["replicas"]

    def let_pass(self, seconds):
        path = f"{self.folder}/state/own.pool"
        with open(path) as f:
            kept = json.load(f)
        for machine in kept["machines"].values():
            for name in ("since", "idle", "ended"):
                if name in machine:
                    machine[name] -= seconds
        with open(path, "w") as f:
            json.dump(kept, f)

    def test_a_pool_grows_and_shrinks(self):
        self.claim("pool", "150Gi", "10")
        self.pod("p", "pool")
        self.pending("p")
        self.scale()
        self.assertEqual(self.replicas(), 1)
        self.assertIn("site own: 2.00 EUR an hour", cluster.get_pod("p")["metadata"]["annotations"]["fastgpu.dev/sites"])
        cluster.must("POST", f"{FLEET}/machines", {"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Machine",
                                                   "metadata": {"name": "middle-1", "labels": {"cluster.x-k8s.io/deployment-name": "middle"}}, "spec": {}})
        cluster.add_node("rented")
        self.addCleanup(cluster.ask, "DELETE", "/api/v1/nodes/rented")
        cluster.must("PATCH", "/api/v1/nodes/rented", {"metadata": {"annotations": {"cluster.x-k8s.io/machine": "middle-1"}}}, kind="application/merge-patch+json")
        cluster.clear()
        self.scale()
        self.let_pass(601)
        self.assertIn("own: ends rented, which nobody uses", self.scale())
        self.assertEqual(self.replicas(), 0)
        self.assertTrue(cluster.must("GET", "/api/v1/nodes/rented")["spec"]["unschedulable"])
        self.assertEqual(cluster.must("GET", f"{FLEET}/machines/middle-1")["metadata"]["annotations"]["cluster.x-k8s.io/delete-machine"], "yes")

    def test_rights_and_no_others(self):
        for method, path, body in (
                ("DELETE", "/api/v1/nodes/n1", None), ("GET", "/api/v1/secrets", None), ("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps", None),
                ("POST", "/api/v1/namespaces/default/pods", cluster.pod("x")), ("DELETE", "/api/v1/namespaces/default/pods/x", None), ("GET", f"{RESOURCE}/resourceslices", None),
                ("PATCH", "/api/v1/nodes/n1/status", {"status": {}}), ("PATCH", "/api/v1/namespaces/default/pods/x/status", {"status": {}}),
                ("DELETE", f"{FLEET}/machines/x", None), ("PATCH", f"{FLEET}/machinedeployments/middle", {"spec": {"replicas": 9}}),
                ("GET", FLEET.replace("fleet", "default") + "/machines", None),
                ("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/fastgpu-sites/token", {"spec": {}})):
            kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
            self.assertEqual(cluster.ask(method, path, body, token=self.token, kind=kind)[0], 403, (method, path))


if __name__ == "__main__":
    for program in ("etcd", "openssl"):
        if not shutil.which(program):
            skip(f"no {program}")
    for program in ("fastgpud", "fastgpu-kubelet", "fastgpu-scheduler"):
        if not os.access(tool("bin", program), os.X_OK):
            skip(f"{program} is not built")
    components()
    unittest.main(argv=sys.argv)
