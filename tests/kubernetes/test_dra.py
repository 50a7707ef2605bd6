# SPDX-License-Identifier: Apache-2.0
"""fastgpu-kubelet as a DRA driver, between a real daemon, a kubelet made of gRPC's own package, and an API server that says whatever it is told to. What
the kubelet's and the scheduler's own code make of it is judged in kubelet/."""
import http.server
import json
import os
import queue
import shutil
import signal
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from concurrent import futures

import grpc

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from test_plugin import Kubelet, Node, field, parse, pods, require_tree, texts, tool, wait_until  # noqa: E402

UNKNOWN, HEALTHY, UNHEALTHY = 0, 1, 2
UID = "00000000-0000-4000-8000-%012d"
API = "/apis/resource.k8s.io/v1"


class Server(http.server.ThreadingHTTPServer):
    """The paths that the driver uses; `say` overrides claims: a string, or (status, string), or an event before which nothing is said."""

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Handler)
        self.pods, self.patches, self.namespaces, self.labels_read, self.forbids = {}, [], {}, [], False
        self.refusals = 0  # how many more writes of slices are refused
        self.applied, self.refuses = [], None  # what claims' status was told; (status, body) instead, or an event before which nothing is said
        self.slices, self.claims, self.say, self.answered, self.waiting, self.lock = {}, {}, None, 0, 0, threading.Lock()
        self.ca, key = f"{folder}/ca.pem", f"{folder}/key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", self.ca, "-days", "2", "-subj", "/CN=test",
                        "-addext", "subjectAltName=IP:127.0.0.1"], capture_output=True, check=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, address):
        """Whoever hangs up is not the test's concern."""

    def args(self):
        return ["--dra", "--node=node-1", f"--api-server=https://127.0.0.1:{self.server_address[1]}", f"--ca={self.ca}", "--token-file=/dev/null"]

    def slice(self):
        with self.lock:
            return next(iter(self.slices.values()), None)


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, body):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        server, name = self.server, self.path.rsplit("/", 1)[1]
        say = server.say if "/resourceclaims/" in self.path else None
        if isinstance(say, threading.Event):
            with server.lock:
                server.waiting += 1
            say.wait(60)
        elif say is not None:
            return self.answer(*(say if isinstance(say, tuple) else (200, say)))
        server.answered += "/resourceclaims/" in self.path
        with server.lock:
            if self.path == "/api/v1/nodes/node-1":
                found = {"metadata": {"name": "node-1", "uid": "node-uid"}}
            elif self.path.startswith("/api/v1/namespaces/"):
                server.labels_read.append(self.path)
                if server.forbids:
                    return self.answer(403, {"message": "forbidden"})
                found = (server.pods if "/pods/" in self.path else server.namespaces).get(name)
            else:
                found = (server.slices if "resourceslices" in self.path else server.claims).get(name)
        return self.answer(200, found) if found else self.answer(404, {"message": "not found"})

    def keep(self):
        slice = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.refusals -= 1
            if self.server.refusals >= 0:
                return self.answer(403, {"message": "a policy forbids it"})
            slice["metadata"]["resourceVersion"] = str(time.monotonic_ns())
            self.server.slices[slice["metadata"]["name"]] = slice
        self.answer(200, slice)

    do_POST = do_PUT = keep

    def do_PATCH(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "/resourceclaims/" in self.path:
            return self.apply(body)
        self.server.patches.append((self.path, self.headers["Content-Type"], body))
        self.answer(200, body)

    def apply(self, body):
        """Of this claim, under the name of who writes; nobody else writes here."""
        server, refuses = self.server, self.server.refuses
        path, _, query = self.path.partition("?")
        with server.lock:
            claim = server.claims.get(path.split("/")[-2])
            server.applied.append((path, query, self.headers["Content-Type"], body))
        if isinstance(refuses, threading.Event):
            refuses.wait(60)
        elif refuses:
            return self.answer(*refuses)
        if not claim or claim["metadata"]["uid"] != body["metadata"]["uid"]:
            return self.answer(409 if claim else 404, {"message": "another"})
        with server.lock:
            claim["status"]["devices"] = body["status"]["devices"]
        self.answer(200, claim)


class Between(socketserver.ThreadingUnixStreamServer):
    """Between fastgpu-kubelet and the daemon: what refuses(line) says fails. `lines`: all that was asked."""
    daemon_threads = True

    def __init__(self, path):
        self.daemon, self.lines, self.refuses = path + ".real", [], lambda line: False
        os.rename(path, self.daemon)
        super().__init__(path, Forward)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()
        os.rename(self.daemon, self.server_address)


class Forward(socketserver.BaseRequestHandler):
    def handle(self):
        def back():
            while data := daemon.recv(1 << 16):
                self.request.sendall(data)
        with socket.socket(socket.AF_UNIX) as daemon:
            daemon.connect(self.server.daemon)
            threading.Thread(target=back, daemon=True).start()
            while data := self.request.recv(1 << 16):
                line = data.split(b"\r\n", 1)[0].decode()
                self.server.lines.append(line)
                if self.server.refuses(line):
                    self.request.sendall(b"HTTP/1.1 500 Refused\r\nContent-Length: 2\r\n\r\n{}")
                else:
                    daemon.sendall(data)
            daemon.shutdown(socket.SHUT_RDWR)


class Dra(unittest.TestCase):
    sim = '2x"Test GPU":8G'

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="fastgpu-dra-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        os.makedirs(self.folder + "/cdi")
        self.node = Node(FASTGPU_SIM=self.sim, FASTGPU_CDI_DIR=self.folder + "/cdi", FASTGPU_MEMORY_RESERVE="0", FASTGPU_SIM_STATE=self.folder,
                         FASTGPU_TELEMETRY_INTERVAL="1")
        self.addCleanup(self.node.close)
        self.node.fastgpu("devices")
        self.kubelet = Kubelet(self.folder)
        self.addCleanup(lambda: self.kubelet.stop())
        self.server = Server(self.folder)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    @staticmethod
    def listens(path):
        """The file may still be that of the one before."""
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(path) == 0

    def start(self, *options, **how):
        env = {k: v for k, v in self.node.env.items() if not k.startswith("POD_")}
        process = self.node.popen([tool("bin", "fastgpu-kubelet"), f"--kubelet-dir={self.folder}", *self.server.args(), *options], env=env, **how)
        path = self.folder + "/plugins/fastgpu.dev/dra.sock"
        wait_until(lambda: self.server.slice() and self.listens(path), 30, "the slice is published")
        self.channel = grpc.insecure_channel("unix:" + path, options=[("grpc.use_local_subchannel_pool", 1)])
        self.addCleanup(self.channel.close)
        return process

    def gpus(self):
        return sorted(d["name"] for d in self.server.slice()["spec"]["devices"])

    def claim(self, n, device=None, **capacity):
        """Allocated as the scheduler would, or as it never should."""
        result = {"driver": "fastgpu.dev", "pool": "node-1", "device": device or self.gpus()[0], "request": "gpu", "shareID": "s%d" % n,
                  "consumedCapacity": capacity or {"memory": "1Gi", "compute": "10"}}
        self.server.claims[f"c{n}"] = {"metadata": {"name": f"c{n}", "uid": UID % n, "namespace": "team"},
                                       "status": {"allocation": {"devices": {"results": [result]}}}}

    def call(self, method, *numbers, version="v1", timeout=20):
        """{n: (error, [CDI names])}"""
        request = b"".join(field(1, field(1, "team") + field(2, UID % n) + field(3, f"c{n}")) for n in numbers)
        reply = parse(self.channel.unary_unary(f"/k8s.io.kubelet.pkg.apis.dra.{version}.DRAPlugin/{method}")(request, timeout=timeout))
        found = {}
        for entry in map(parse, reply.get(1, [])):
            value = parse(entry.get(2, [b""])[0])
            error = value.get(2 if method == "NodePrepareResources" else 1, [b""])[0]
            devices = [parse(d) for d in value.get(1, [])] if method == "NodePrepareResources" else []
            found[int(texts(entry, 1)[0].rsplit("-", 1)[1])] = (error.decode(), [n for d in devices for n in texts(d, 4)])
        return found

    def sets(self):
        status, body = self.node.request("GET", "/v1/vgpus?project=k8s-team")
        return {s["name"]: s for s in body["sets"]} if status == 200 else {}

    def watch(self, version):
        """A queue of {device: (health, message)}."""
        news, stream = queue.Queue(), self.channel.unary_stream(f"/{version}.DRAResourceHealth/NodeWatchResources")(b"")
        self.addCleanup(stream.cancel)

        def take():
            try:
                for data in stream:
                    devices = [parse(d) for d in parse(data).get(1, [])]
                    news.put({texts(parse(d[1][0]), 2)[0]: (d.get(2, [0])[0], texts(d, 5)) for d in devices})
            except grpc.RpcError:
                pass
        threading.Thread(target=take, daemon=True).start()
        return news

    def until(self, news, is_it):
        """Within 30 s, or the queue says so."""
        end = time.monotonic() + 30
        while True:
            told = news.get(timeout=max(0.1, end - time.monotonic()))
            if is_it(told):
                return told

    # --- what goes well ---

    def test_claims(self):
        """Prepared by either version of the interface, twice as once; the namespace's pods have it, and pay."""
        self.start("--payer=other=x")
        for n in range(1, 4):
            self.claim(n)
        first = self.call("NodePrepareResources", 1, 2)
        self.assertEqual(first, {n: ("", [f"fastgpu.dev/vgpu=k8s-team:claim-{UID % n}"]) for n in (1, 2)})
        with open(self.folder + "/cdi/fastgpu.dev-vgpu.json") as f:
            self.assertEqual({d["name"] for d in json.load(f)["devices"]}, {f"k8s-team:claim-{UID % n}" for n in (1, 2)})
        self.assertEqual(self.call("NodePrepareResources", 2, 3, version="v1beta1")[2], first[2])
        self.assertEqual(len(self.sets()), 3)
        cdi = field(1, field(1, f"fastgpu.dev/vgpu=k8s-team:claim-{UID % 3}"))
        self.kubelet.pods = field(1, field(1, "p") + field(2, "team") + field(3, field(1, "main") + field(5, field(2, "c3") + field(3, "team") + field(4, cdi))))
        name = f"claim-{UID % 3}"
        wait_until(lambda: self.sets()[name].get("workload") == "team/p/main", 30, "it is known whose it is")
        self.assertNotIn("payer", self.sets()[name])  # its project is the namespace's already
        self.assertEqual(self.call("NodeUnprepareResources", 1, 2, 3), {n: ("", []) for n in (1, 2, 3)})
        self.assertEqual(self.call("NodeUnprepareResources", 3), {3: ("", [])})
        self.assertEqual(self.sets(), {})

    def of_pods(self, *numbers):
        """The kubelet's list, in which pod N has claim N."""
        cdi = {n: field(1, field(1, f"fastgpu.dev/vgpu=k8s-team:claim-{UID % n}")) for n in numbers}
        return b"".join(field(1, field(1, f"p{n}") + field(2, "team") + field(3, field(1, "main") + field(5, field(4, cdi[n])))) for n in numbers)

    def payer(self, n):
        """Once it is known whose the claim is."""
        claim = self.sets()[f"claim-{UID % n}"]
        return claim.get("workload") and (claim.get("payer") or claim["project"])

    def paid_by_another(self, **fields):
        """Finance pays for claim 1, until somebody says otherwise while nothing of ours runs."""
        process = self.start("--payer=team=finance")
        self.claim(1)
        self.call("NodePrepareResources", 1)
        self.kubelet.pods = self.of_pods(1)
        wait_until(lambda: self.payer(1) == "finance", 30, "finance pays")
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        self.node.request("POST", "/v1/projects", {"name": "other"})
        self.assertEqual(self.node.request("PUT", f"/v1/vgpus/claim-{UID % 1}/payer?project=k8s-team", {"project": "other", **fields})[0], 200)

    def test_another_payer(self):
        """No restart takes back what somebody said."""
        self.paid_by_another(workload="team/p1/main")
        self.start("--payer=team=finance")
        self.claim(2)
        self.call("NodePrepareResources", 2)
        self.kubelet.pods = self.of_pods(1, 2)
        wait_until(lambda: self.payer(2) == "finance", 30, "finance pays for what is new")
        self.assertEqual(self.payer(1), "other")

    def between(self):
        self.node.disconnect()
        between = Between(self.node.socket_path())
        self.addCleanup(between.close)
        return between

    def test_a_payer_that_cannot_be_read(self):
        """What somebody said, if only who pays, stays while the daemon does not tell it."""
        self.paid_by_another()
        between = self.between()
        between.refuses = lambda line: line.startswith(("GET /v1/vgpus ", "GET /v1/vgpus/"))
        asked = self.kubelet.asked
        self.start("--payer=team=finance")
        wait_until(lambda: self.kubelet.asked > asked + 1 and any(map(between.refuses, between.lines)), 60, "pods are listed again")
        self.assertEqual(self.payer(1), "other")
        between.refuses = lambda line: False
        self.claim(2)
        self.call("NodePrepareResources", 2)
        self.kubelet.pods = self.of_pods(1, 2)
        wait_until(lambda: self.payer(2) == "finance", 30, "finance pays for what is new")
        self.assertEqual(self.payer(1), "other")

    def test_a_payer_that_is_refused(self):
        """It is said again with each list, and what is there not asked for again."""
        between = self.between()
        between.refuses = lambda line: line.startswith("PUT ")
        self.start()
        self.claim(1)
        self.call("NodePrepareResources", 1)
        self.kubelet.pods = self.of_pods(1)
        wait_until(lambda: sum(map(between.refuses, between.lines)) > 1, 60, "it is said again")
        pairs = zip(between.lines, between.lines[1:])
        self.assertEqual(sum(first.startswith("GET /v1/vgpus ") and then.startswith("PUT ") for first, then in pairs), 1)
        between.refuses = lambda line: False
        wait_until(lambda: self.payer(1) == "k8s-team", 30, "it is known whose it is")

    def test_labels_say_who_pays(self):
        """A pod's, else its namespace's, else nobody's; each pod is asked for once, and a named payer before any label."""
        process = self.start("--payer-label=example.com/project")
        self.server.namespaces["team"] = {"metadata": {"name": "team"}}
        self.server.pods = {f"p{n}": {"metadata": {"name": f"p{n}", "labels": labels}} for n, labels in
                            enumerate(({"example.com/project": "finance"}, {"project": "x"}, {"example.com/project": "../x"}), 1)}
        for n in (1, 2, 3):
            self.claim(n)
        self.call("NodePrepareResources", 1, 2, 3)
        self.kubelet.pods = self.of_pods(1, 2)
        wait_until(lambda: (self.payer(1), self.payer(2)) == ("finance", "k8s-team"), 30, "the label's project pays, and the namespace's for who has none")
        self.server.namespaces["team"] = {"metadata": {"name": "team", "labels": {"example.com/project": "research"}}}
        self.kubelet.pods = self.of_pods(1, 2, 3)
        wait_until(lambda: self.payer(3) == "research", 30, "the namespace's label counts where the pod's is no project")
        asked = self.kubelet.asked
        wait_until(lambda: self.kubelet.asked > asked, 60, "pods are listed again")
        pod, namespace = "/api/v1/namespaces/team/pods/p", "/api/v1/namespaces/team"
        self.assertEqual(sorted(self.server.labels_read), sorted([f"{pod}1", f"{pod}2", f"{pod}3", namespace, namespace]))
        self.assertEqual((self.payer(1), self.payer(2)), ("finance", "k8s-team"))
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        self.server.labels_read.clear()
        self.start("--payer-label=example.com/project", "--payer=team=operations")
        self.claim(4)
        self.call("NodePrepareResources", 4)
        self.kubelet.pods = self.of_pods(1, 2, 3, 4)
        wait_until(lambda: self.payer(4) == "operations", 30, "who was named pays")
        self.assertEqual(self.server.labels_read, [])
        # Of those that run, who paid before.
        self.assertEqual([self.payer(n) for n in (1, 2, 3)], ["finance", "k8s-team", "research"])

    def test_labels_that_cannot_be_read(self):
        """Nobody is billed by guess: it is asked again, and said once."""
        process = self.start("--payer-label=project", "--class=2G:20")
        plugin = self.kubelet.registered.get(timeout=30)
        self.addCleanup(plugin.channel.close)
        self.server.forbids, self.server.pods = True, {"a": {"metadata": {"labels": {"project": "finance"}}}}
        device = sorted(plugin.watch())[0]
        plugin.allocate([device])
        self.kubelet.pods = pods(("a", "main", plugin.resource, [device]))

        def made():
            return self.node.request("GET", "/v1/vgpus?project=kubernetes")[1]["sets"][0]
        wait_until(lambda: len(self.server.labels_read) > 2, 30, "it is asked again")
        self.assertEqual((made().get("payer"), made().get("workload")), (None, None))
        self.server.forbids = False
        wait_until(lambda: (made().get("payer"), made().get("workload")) == ("finance", "team/a/main"), 30, "finance pays")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 0)

    def test_registration(self):
        self.start()
        with grpc.insecure_channel(f"unix:{self.folder}/plugins_registry/fastgpu.dev-reg.sock") as channel:
            info = parse(channel.unary_unary("/pluginregistration.Registration/GetInfo")(b"", timeout=20))
            self.assertEqual(texts(info, 4), ["v1.DRAPlugin", "v1beta1.DRAPlugin", "v1.DRAResourceHealth", "v1alpha1.DRAResourceHealth"])
            # A kubelet of another version says that it does not know ours; it is asked nothing, and may come back.
            channel.unary_unary("/pluginregistration.Registration/NotifyRegistrationStatus")(field(2, "version is not supported"), timeout=20)
            with self.assertRaises(grpc.RpcError) as e:
                channel.unary_unary("/pluginregistration.Registration/GetInfoOfTomorrow")(b"", timeout=20)
            self.assertEqual(e.exception.code(), grpc.StatusCode.UNIMPLEMENTED)
        self.claim(1)
        with self.assertRaises(grpc.RpcError) as e:
            self.call("NodePrepareResources", 1, version="v9")
        self.assertEqual(e.exception.code(), grpc.StatusCode.UNIMPLEMENTED)
        self.assertEqual(self.call("NodePrepareResources", 1)[1][0], "")

    def test_a_kubelet_that_removes_slices_late(self):
        """One that starts does, and if the API server is away, only when that is back: long after it registered us. It is looked for sooner than every 10 s."""
        self.start()
        with grpc.insecure_channel(f"unix:{self.folder}/plugins_registry/fastgpu.dev-reg.sock") as channel:
            channel.unary_unary("/pluginregistration.Registration/NotifyRegistrationStatus")(field(1, 1), timeout=20)
        for _ in range(3):
            wait_until(self.server.slice, 8, "the slice is there")
            self.server.slices.clear()
        wait_until(self.server.slice, 8, "the slice is there")

    def test_a_slice_that_is_refused(self):
        """It is tried each second, and said once."""
        self.server.refusals = 3
        with open(self.folder + "/log", "w") as log:
            self.start(stderr=log)
        with open(self.folder + "/log") as log:
            said = [line for line in log if "ResourceSlice cannot be" in line]
        self.assertEqual((len(said), "written: a policy forbids it (403)" in said[0]), (1, True), said)
        self.assertLess(self.server.refusals, 0)

    def test_health(self):
        """Each GPU's, in both versions, at once and again; a daemon that is away leaves it unknown."""
        self.start()
        streams = [self.watch(version) for version in ("v1", "v1alpha1")]
        for news in streams:
            self.assertEqual(self.until(news, lambda _: True), {gpu: (HEALTHY, []) for gpu in self.gpus()})
        self.node.stop_daemon(signal.SIGKILL)
        for news in streams:
            told = self.until(news, lambda t: all(health == UNKNOWN for health, _ in t.values()))
            self.assertEqual({m for _, messages in told.values() for m in messages}, {"fastgpud does not answer"})
        self.node.fastgpu("devices")
        for news in streams:
            self.until(news, lambda t: all(health == HEALTHY for health, _ in t.values()))

    def ready(self, n):
        """(status, reason, message, since) of the claim's condition, None without."""
        with self.server.lock:
            device, = self.server.claims[f"c{n}"]["status"].get("devices", [None])
        if device is None:
            return None
        condition, = device["conditions"]
        self.assertEqual(condition["type"], "Ready")
        return tuple(condition[k] for k in ("status", "reason", "message", "lastTransitionTime"))

    def test_the_claim_says_it(self):
        """Why it is not prepared, in the words of the pod's event; then that it is, since when, and the same is not written twice."""
        self.start()
        self.claim(1, memory="99Gi", compute="10")
        self.server.claims["c1"]["status"]["allocation"]["devices"]["results"].append({"driver": "other.dev", "pool": "node-1", "device": "x", "request": "other"})
        error, _ = self.call("NodePrepareResources", 1)[1]
        self.assertIn("does not fit", error)
        wait_until(lambda: self.ready(1), 30, "the claim says it")
        self.assertEqual(self.ready(1)[:3], ("False", "NotPrepared", error))
        path, query, kind, body = self.server.applied[0]
        self.assertEqual((path, query, kind), (f"{API}/namespaces/team/resourceclaims/c1/status", "fieldManager=fastgpu.dev&force=true", "application/apply-patch+yaml"))
        self.assertEqual((body["apiVersion"], body["kind"], body["metadata"]), ("resource.k8s.io/v1", "ResourceClaim", {"namespace": "team", "name": "c1", "uid": UID % 1}))
        device, = body["status"]["devices"]
        self.assertEqual({k: device[k] for k in device if k != "conditions"}, {"driver": "fastgpu.dev", "pool": "node-1", "device": self.gpus()[0], "shareID": "s1"})
        # Other words, the same state: since when stays.
        with self.server.lock:
            result = self.server.claims["c1"]["status"]["allocation"]["devices"]["results"][0]
            result["consumedCapacity"]["compute"] = "101"
            self.server.claims["c1"]["status"]["devices"][0]["conditions"][0]["lastTransitionTime"] = "2026-01-01T00:00:00Z"
        error, _ = self.call("NodePrepareResources", 1)[1]
        wait_until(lambda: self.ready(1) == ("False", "NotPrepared", error, "2026-01-01T00:00:00Z"), 30, "it says the other")
        self.call("NodePrepareResources", 1)
        result["consumedCapacity"] = {"memory": "1Gi", "compute": "10"}
        self.assertEqual(self.call("NodePrepareResources", 1)[1][0], "")
        wait_until(lambda: self.ready(1)[:3] == ("True", "Prepared", "FastGPU: prepared"), 30, "it says that it is")
        self.assertNotEqual(self.ready(1)[3], "2026-01-01T00:00:00Z")
        self.assertEqual(len(self.server.applied), 3)

    def test_a_claim_s_status_that_cannot_be_written(self):
        """Pods do not wait for it, nothing is tried again, and it is said once."""
        with open(self.folder + "/log", "w") as log:
            self.start(stderr=log)
        for n in range(1, 9):
            self.claim(n, memory="1Mi", compute="1")
        for n, refuses in enumerate(((403, {"message": "FORBIDDEN"}), (422, {"message": "INVALID"}), (404, {"message": "GONE"}), (500, "<html>"), (200, "{")), 1):
            self.server.refuses = refuses
            self.assertEqual(self.call("NodePrepareResources", n)[n][0], "")
            wait_until(lambda: len(self.server.applied) == n, 30, "it is tried")
        silence = self.server.refuses = threading.Event()
        try:
            for n in (6, 7):
                self.assertEqual(self.call("NodePrepareResources", n)[n][0], "")
            wait_until(lambda: len(self.server.applied) == 6, 30, "it is tried")
            self.assertEqual(self.call("NodeUnprepareResources", 6)[6][0], "")
            self.assertEqual(len(self.server.applied), 6)  # one at a time
        finally:
            self.server.refuses = None
            silence.set()
        wait_until(lambda: self.ready(7), 30, "it goes on")
        self.assertEqual(self.call("NodePrepareResources", 8)[8][0], "")
        wait_until(lambda: self.ready(8), 30, "it goes on")
        self.assertEqual([path.split("/")[-2] for path, *_ in self.server.applied], [f"c{n}" for n in range(1, 9)])
        with open(self.folder + "/log") as log:
            said = [line for line in log if "claims' status cannot be written" in line]
        self.assertEqual((len(said), "FORBIDDEN (403)" in said[0]), (1, True), said)

    def test_what_the_claim_says_last(self):
        """Is what is so, however slowly it is written what was."""
        self.start()
        self.claim(1)
        result, = self.server.claims["c1"]["status"]["allocation"]["devices"]["results"]
        self.call("NodePrepareResources", 1)
        wait_until(lambda: self.ready(1), 30, "the claim says it")
        self.call("NodeUnprepareResources", 1)
        silence = self.server.refuses = threading.Event()
        try:
            result["consumedCapacity"]["memory"] = "99Gi"
            self.assertIn("does not fit", self.call("NodePrepareResources", 1)[1][0])
            wait_until(lambda: len(self.server.applied) == 2, 30, "it is being written")
            result["consumedCapacity"]["memory"] = "1Gi"
            self.assertEqual((self.call("NodePrepareResources", 1)[1][0], self.ready(1)[0]), ("", "True"))
        finally:
            self.server.refuses = None
            silence.set()
        wait_until(lambda: len(self.server.applied) == 3, 30, "it is written again")
        wait_until(lambda: self.ready(1)[0] == "True", 30, "it says that it is")

    # --- what does not ---

    def refused(self, *words, n=1):
        error, devices = self.call("NodePrepareResources", n)[n]
        for word in ("FastGPU: ", *words):
            self.assertIn(word, error)
        self.assertEqual((devices, self.sets()), ([], {}))

    def test_impossible_claims(self):
        self.start()
        for capacity, words in (({"memory": "99Gi", "compute": "10"}, ("does not fit",)), ({"memory": "1Gi", "compute": "101"}, ("101.0 %", "cannot be had")),
                                ({"memory": "0", "compute": "10"}, ("0 bytes", "cannot be had")), ({"memory": "-1Gi", "compute": "10"}, ('"-1Gi"', "memory")),
                                ({"memory": "much", "compute": "10"}, ('"much"', "no quantity")), ({"memory": "1Gi", "compute": []}, ("compute", "no quantity"))):
            self.claim(1, **capacity)
            self.refused(*words)
        for device, word in (("gpu-00ffee", "gpu-00ffee is not on this node any more"), ("gpu", "gpu is not on this node"), ("x" * 300, "not on this node")):
            self.claim(1, device=device)
            self.refused(word)

    def test_an_api_server_that_lies(self):
        self.start()
        self.claim(1)
        truth = json.dumps(self.server.claims["c1"])
        for say, word in (("", "the API server"), ("{", "no claim"), ("[]", "no claim"), ("<html>", "no claim"), ('{"metadata": 7}', "made anew"), ((500, truth), "does not tell"),
                          ((403, truth), "ClusterRole"), ((404, truth), "no such claim"), (truth.replace(UID % 1, UID % 2), "made anew"),
                          (truth.replace("node-1", "node-2"), "node-2"), (truth.replace("fastgpu.dev", "other.dev"), "no device of fastgpu.dev"),
                          (truth.replace('"results"', '"result"'), "not allocated"), (truth[:-1] + ', "status": {}}', "no claim"),
                          (truth.replace('"1Gi"', '"1Gi", "memory": "2Gi"'), "no claim"), ("x" * (9 << 20), "its answer is over 8 MiB")):
            self.server.say = say
            self.refused(word)
        # Of the claim that was asked for, with a device on this node, alone something is said.
        self.assertEqual({json.dumps(body["metadata"]) for *_, body in self.server.applied}, set())
        self.server.say = None
        self.assertEqual(self.call("NodePrepareResources", 1)[1][0], "")

    def test_an_api_server_that_is_slow_or_gone(self):
        """Who waits for it keeps nobody else waiting, and who gave up is not given anything later."""
        self.start()
        self.claim(1)
        self.claim(2)
        self.call("NodePrepareResources", 2)
        silence = self.server.say = threading.Event()
        with self.assertRaises(grpc.RpcError) as e:
            self.call("NodePrepareResources", 1, timeout=0.5)
        self.assertEqual(e.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        # It still waits.
        self.assertEqual(self.call("NodePrepareResources", 2)[2][0], "")
        self.assertEqual(self.call("NodeUnprepareResources", 2)[2][0], "")
        self.assertEqual(self.server.answered, 1)
        silence.set()
        wait_until(lambda: self.server.answered == 2, 30, "the answer comes")
        self.server.say = None
        self.assertEqual(self.call("NodePrepareResources", 2)[2][0], "")
        self.assertEqual(list(self.sets()), [f"claim-{UID % 2}"])
        self.call("NodeUnprepareResources", 2)
        self.server.shutdown()
        self.server.server_close()
        self.refused("the API server at https://127.0.0.1")

    def test_claims_that_come_together(self):
        """Four are asked for at once, the others as those are told, in whatever time that takes; who asks one after the other needs no four connections."""
        process = self.start()
        claims = range(1, 21)
        for n in claims:
            self.claim(n, memory="1Mi", compute="1")
        for n in (1, 2, 3):
            self.call("NodePrepareResources", n)
        self.assertLess(len(os.listdir(f"/proc/{process.pid}/task")), 5)  # one more than waits for the API server
        silence = self.server.say = threading.Event()
        with futures.ThreadPoolExecutor(len(claims)) as pool:
            answers = [pool.submit(self.call, "NodePrepareResources", n, timeout=60) for n in claims[3:]]
            try:
                wait_until(lambda: self.server.waiting == 4, 30, "four are asked for")
                time.sleep(0.2)
                self.assertEqual(self.server.waiting, 4)
            finally:
                silence.set()
            for n, answer in zip(claims[3:], answers):
                self.assertEqual(answer.result()[n][0], "")
        self.assertEqual(len(self.sets()), len(claims))
        self.assertEqual(len(os.listdir(f"/proc/{process.pid}/task")), 5)

    def test_requests_that_are_none(self):
        self.start()
        for request in (b"\x0a\x7f", b"\x0a\x02\x0a\x05", b"\xff" * 64, field(1, field(1, "../..") + field(2, UID % 1) + field(3, "c1")),
                        field(1, field(1, "team") + field(2, "x" * 80) + field(3, "c1")), field(1, field(1, "team") + field(2, UID % 1) + field(3, "c 1?")),
                        field(1, b"")):
            for method in ("NodePrepareResources", "NodeUnprepareResources"):
                with self.assertRaises(grpc.RpcError) as e:
                    self.channel.unary_unary("/k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin/" + method)(request, timeout=20)
                self.assertEqual(e.exception.code(), grpc.StatusCode.INVALID_ARGUMENT, (method, request))
        for version in ("v1", "v1alpha1"):
            with self.assertRaises(grpc.RpcError) as e:
                next(self.channel.unary_stream(f"/{version}.DRAResourceHealth/NodeWatchResources")(b"\x0a\x7f"))
            self.assertEqual(e.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(self.sets(), {})


class Hami(Dra):
    """Pods that were written for HAMi: what a container asks for is read when it starts."""

    def hami(self, *options):
        process = self.start("--hami=4", *options)
        self.plugin = self.kubelet.registered.get(timeout=30)
        self.addCleanup(self.plugin.channel.close)
        self.ids = sorted(self.plugin.watch())
        return process

    def made(self):
        status, body = self.node.request("GET", "/v1/vgpus?project=kubernetes")
        return {s["name"]: s for s in body["sets"]} if status == 200 else {}

    def pod(self, name, ids, limits, **annotations):
        """As the kubelet has it after its admission, and the API server."""
        self.kubelet.pods += pods((name, "main", "nvidia.com/gpu", ids))
        self.server.pods[name] = {"metadata": {"name": name, "annotations": {"nvidia.com/" + k.replace("_", "-"): v for k, v in annotations.items()}},
                                  "spec": {"containers": [{"name": "main", "resources": {"limits": {"nvidia.com/" + k: v for k, v in limits.items()}}}]}}
        container, = self.plugin.allocate(ids)
        return texts(parse(container[5][0]), 1)[0]

    def begin(self, ids):
        self.plugin.call("PreStartContainer", b"".join(field(1, i) for i in ids))

    def test_hami(self):
        process = self.hami()
        self.assertEqual((self.plugin.resource, len(self.ids)), ("nvidia.com/gpu", 8))
        one = [self.ids[0]]
        device = self.pod("a", one, {"gpu": "1", "gpumem": "3000", "gpucores": "30"})
        name = device.split(":")[1]
        self.assertEqual(self.made(), {})
        self.begin(one)
        self.assertEqual([(v["memory"], v["share"]) for v in self.made()[name]["vgpus"]], [(3000 << 20, 300)])
        with open(self.folder + "/cdi/fastgpu.dev-vgpu.json") as f:
            self.assertIn(device, ["fastgpu.dev/vgpu=" + d["name"] for d in json.load(f)["devices"]])
        self.begin(one)  # its container starts again
        wait_until(lambda: self.made()[name].get("payer") == "k8s-team", 30, "its namespace pays")
        # Two in percent of the memory: two GPUs, and of the time as much as of the memory.
        two = self.ids[1:3]
        other = self.pod("b", two, {"gpu": 2, "gpumem-percentage": 25}).split(":")[1]
        self.begin(two)
        vgpus = self.made()[other]["vgpus"]
        self.assertEqual(([v["memory"] for v in vgpus], len({v["device"] for v in vgpus})), ([2 << 30] * 2, 2))
        self.assertEqual([v["share"] for v in vgpus], [250] * 2)
        # Both go on over a restart, and are given back with their pods.
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        process = self.hami()
        time.sleep(2)
        self.assertEqual(set(self.made()), {name, other})
        # Also without the option, for as long as they run.
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        self.server.slices.clear()
        self.start()
        time.sleep(2)
        self.assertEqual(set(self.made()), {name, other})
        self.kubelet.pods = pods(("none", "main", "cpu", []))
        wait_until(lambda: not self.made(), 30, "they are given back")
        path, kind, body = self.server.patches[-1]
        self.assertEqual((path, kind), ("/api/v1/nodes/node-1/status", "application/merge-patch+json"))
        self.assertEqual(body, {"status": {"capacity": {"nvidia.com/gpumem": "16384", "nvidia.com/gpumem-percentage": "200", "nvidia.com/gpucores": "200"}}})

    def test_annotations(self):
        self.hami()
        _, devices = self.node.request("GET", "/v1/devices")
        uuid = [d["key"].partition("/")[2] for d in devices["devices"]]
        for n, (annotations, on) in enumerate((({"use_gpuuuid": uuid[1]}, 1), ({"nouse_gpuuuid": uuid[1]}, 0), ({"use_gpuuuid": "GPU-x," + uuid[0]}, 0),
                                               ({"use_gputype": "A100,test"}, None), ({"nouse_gputype": "Test"}, "refused"), ({"use_gpuuuid": "GPU-x"}, "refused"))):
            ids = [self.ids[n]]
            name = self.pod(f"p{n}", ids, {"gpu": 1, "gpumem": 500}, **annotations).split(":")[1]
            if on == "refused":
                with self.assertRaises(grpc.RpcError) as e:
                    self.begin(ids)
                self.assertIn("FastGPU: no GPU of this node that the pod may have", e.exception.details())
                continue
            self.begin(ids)
            if on is not None:
                self.assertEqual(self.made()[name]["vgpus"][0]["device_key"].partition("/")[2], uuid[on])

    def test_what_cannot_be(self):
        self.hami()
        ids = [self.ids[0]]
        for limits, word in (({"gpumem": "99999"}, "has 99999 MiB and the same part of compute left"), ({"gpumem": "much"}, '"much"'), ({"gpumem": "0.5"}, '"0.5"'), ({"gpucores": "101"}, "gpucores"),
                             ({"gpumem": "-1"}, "gpumem"), ({"gpumem": 1, "gpumem-percentage": 1}, "not for both"), ({"gpumem-percentage": []}, "gpumem-percentage")):
            self.kubelet.pods = b""
            self.pod("a", ids, limits)
            with self.assertRaises(grpc.RpcError) as e:
                self.begin(ids)
            self.assertTrue(e.exception.details().startswith("FastGPU: "), e.exception.details())
            self.assertIn(word, e.exception.details())
        self.server.pods["a"] = {"spec": {}}
        with self.assertRaises(grpc.RpcError) as e:
            self.begin(ids)
        self.assertIn("does not say what container main asks for", e.exception.details())
        self.assertEqual(self.made(), {})
        for options, word in ((["--hami"], "--dra"), (["--hami=0"], "--hami=0"), (["--hami=x"], "--hami=x"),
                              ([*self.server.args(), "--hami", "--inject=mounts"], "--inject"),
                              ([*self.server.args(), "--hami", "--class=nvidia.com/gpu=1G:5"], "twice")):
            done = subprocess.run([tool("bin", "fastgpu-kubelet"), *options], env=self.node.env, capture_output=True, text=True, timeout=30)
            self.assertEqual((done.returncode, word in done.stderr), (2, True), done.stderr)


class Failing(Dra):
    """A GPU with an error of its own: no new pods come onto it, and those that have it are told."""

    def setUp(self):
        with tempfile.NamedTemporaryFile("w", suffix=".sim", delete=False) as f:
            f.write("[gpu]\nmodel = H100\n[fault]\nat = cuMemAlloc*\nkind = xid\nxid = 48\n")
        self.addCleanup(os.unlink, f.name)
        self.sim = f.name
        super().setUp()

    def test_failing(self):
        self.start()
        news = self.watch("v1")
        gpu, = self.gpus()
        self.assertEqual(self.until(news, lambda _: True), {gpu: (HEALTHY, [])})
        self.assertNotIn("taints", self.server.slice()["spec"]["devices"][0])
        env = {**self.node.env, "LD_LIBRARY_PATH": tool("lib", "fastgpu", "sim")}
        code = "import ctypes as c; l = c.CDLL('libcuda.so.1'); l.cuInit(0); x = c.c_void_p(); l.cuDevicePrimaryCtxRetain(c.byref(x), 0); " \
               "l.cuCtxSetCurrent(x); p = c.c_void_p(); exit(l.cuMemAlloc_v2(c.byref(p), c.c_size_t(1 << 20)) != 0)"
        self.assertEqual(subprocess.run([sys.executable, "-c", code], env=env, timeout=60).returncode, 1)
        told = self.until(news, lambda t: t[gpu][0] == UNHEALTHY)
        self.assertEqual(told[gpu][1], ["the driver reported error XID 48"])
        wait_until(lambda: self.server.slice()["spec"]["devices"][0].get("taints") == [{"key": "fastgpu.dev/failing", "effect": "NoSchedule"}], 30, "it is tainted")


# What they inherit is Dra's.
for name in [n for n in dir(Dra) if n.startswith("test_")]:
    setattr(Failing, name, None)
    setattr(Hami, name, None)


if __name__ == "__main__":
    require_tree()
    if not os.access(tool("bin", "fastgpu-kubelet"), os.X_OK):
        print("fastgpu-kubelet is not built: NOT TESTED", file=sys.stderr)
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
