#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fastgpu-scheduler between a kube-scheduler and an API server, both of this test: questions as k8s.io/kube-scheduler/extender/v1 has them, lists in
pages, events, and `fastgpu why pod/…` through a kubectl that is a script. The real ones are in cluster/."""
import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

from node import Node, tool, wait_until  # noqa: E402

SCHEDULER = os.environ.get("TEST_SCHEDULER") or tool("bin", "fastgpu-scheduler")
FASTGPU = os.environ.get("TEST_FASTGPU") or tool("bin", "fastgpu")
CLASS = {"metadata": {"name": "vgpu.fastgpu.dev"}, "spec": {"selectors": [{"cel": {"expression": 'device.driver == "fastgpu.dev"'}}]}}


def slice_of(node, *gpus):
    return {"metadata": {"name": f"{node}-fastgpu.dev"}, "spec": {"driver": "fastgpu.dev", "nodeName": node, "devices": [
        {"name": f"gpu-{i}", "attributes": {"model": {"string": "A100"}}, "capacity": {"memory": {"value": memory}, "compute": {"value": "100"}}} for i, memory in enumerate(gpus)]}}


def claim(name, memory, compute, on=None, pod=""):
    made = {"metadata": {"namespace": "team", "name": name}, "spec": {"devices": {"requests": [{"name": "gpu", "exactly": {
        "deviceClassName": "vgpu.fastgpu.dev", "capacity": {"requests": {"memory": memory, "compute": compute}}}}]}}}
    if on:
        made["status"] = {"reservedFor": [{"resource": "pods", "name": pod}], "allocation": {"devices": {"results": [
            {"driver": "fastgpu.dev", "pool": on, "device": "gpu-0", "request": "gpu", "consumedCapacity": {"memory": memory, "compute": compute}}]}}}
    return made


def pod(name, claim, **spec):
    return {"metadata": {"namespace": "team", "name": name, "uid": "uid-" + name}, "status": {"phase": "Pending"},
            "spec": {"schedulerName": "fastgpu-scheduler", "resourceClaims": [{"name": "gpu", "resourceClaimName": claim}], **spec}}


class Server(http.server.ThreadingHTTPServer):
    """As much of an API server as is asked, two items a page; `page` None: as many as are asked for."""
    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Handler)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=api", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", f"{folder}/key", "-out", f"{folder}/ca"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{folder}/ca", f"{folder}/key")
        self.socket = context.wrap_socket(self.socket, server_side=True)
        with open(f"{folder}/token", "w") as f:
            f.write("secret\n")
        self.lists = {"resourceslices": [], "resourceclaims": [], "deviceclasses": [CLASS], "nodes": [], "pods": []}
        self.events, self.asked, self.broken, self.refused, self.page = [], [], None, [], 2
        self.url = f"https://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, code, body):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        what = url.path.rsplit("/", 1)[1]
        self.server.asked.append(self.path)
        if self.headers["Authorization"] != "Bearer secret":
            self.answer(401, {"message": "Unauthorized"})
        elif self.server.broken:
            self.answer(*self.server.broken)
        elif what in self.server.lists:
            start, items, page = int(query.get("continue", "p/0")[2:]), self.server.lists[what], self.server.page or int(query["limit"])
            more = {"continue": f"p/{start + page}"} if start + page < len(items) else {}
            self.answer(200, {"metadata": more, "items": items[start:start + page]})
        elif what == "events":
            wanted = dict(part.split("=") for part in query["fieldSelector"].split(","))
            self.answer(200, {"items": [e for e in self.server.events if all(e["involvedObject"].get(k.removeprefix("involvedObject.")) == v for k, v in wanted.items())]})
        else:
            found = [p for p in self.server.lists["pods"] if p["metadata"]["name"] == what]
            self.answer(200, found[0]) if found else self.answer(404, {"message": f'pods "{what}" not found'})

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(self.path)
        if self.path.split("/")[4] in self.server.refused:
            self.answer(403, {"message": "the namespace is being terminated"})
            return
        if any(e["metadata"]["name"] == event["metadata"]["name"] for e in self.server.events):
            self.answer(409, {"message": "already exists"})
            return
        self.server.events.append(event)
        self.answer(201, event)


class Scheduler(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="fastgpu-tests-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.server = Server(self.folder)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.server.lists["resourceslices"] = [slice_of("n1", "16Gi"), slice_of("n2", "16Gi", "16Gi"), slice_of("n3", "40Gi")]
        self.server.lists["resourceclaims"] = [claim("held", "8Gi", "50", "n1", "eval"), claim("small", "4Gi", "20"), claim("half", "10Gi", "60"), claim("huge", "1Ti", "10")]
        self.server.lists["nodes"] = [{"metadata": {"name": n}, "spec": {}} for n in ("n1", "n2", "n3")]
        self.process = None

    def where(self):
        return ["--api-server", self.server.url, "--ca", f"{self.folder}/ca", "--token-file", f"{self.folder}/token"]

    def start(self, *args):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.log = open(f"{self.folder}/log", "w+")
        self.process = subprocess.Popen([SCHEDULER, "--listen", f"127.0.0.1:{self.port}", *self.where(), *args], stderr=self.log)
        self.addCleanup(self.stop)
        wait_until(lambda: self.ask("GET", "/healthz", None) is not None, 30, "it answers")

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.assertEqual(self.process.wait(30), 0)
            self.process = None
        self.log.close()

    def ask(self, method, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body if isinstance(body, (bytes, type(None))) else json.dumps(body))
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())
        except ConnectionRefusedError:
            return None
        finally:
            connection.close()

    def filter(self, name, nodes=("n1", "n2", "n3")):
        code, reply = self.ask("POST", "/filter", {"Pod": pod("p", name), "Nodes": None, "NodeNames": list(nodes)})
        self.assertEqual((code, reply["Error"]), (200, ""))
        return reply

    def test_questions(self):
        self.start("--no-events")
        reply = self.filter("half")
        self.assertEqual(reply["NodeNames"], ["n2", "n3"])
        self.assertEqual(reply["FailedNodes"], {"n1": "FastGPU: no GPU has 10 GiB and 60 percent free"})
        self.assertEqual(self.filter("huge")["FailedNodes"], {n: "FastGPU: no GPU has 1 TiB and 10 percent for claims" for n in ("n1", "n2", "n3")})
        self.assertTrue(any("continue=p%2F2" in path for path in self.server.asked), self.server.asked)
        code, scores = self.ask("POST", "/prioritize", {"Pod": pod("p", "small"), "Nodes": None, "NodeNames": ["n3", "n2", "n1"]})
        scores = {s["Host"]: s["Score"] for s in scores}
        self.assertEqual(code, 200)
        self.assertEqual(scores["n1"], 10)  # its GPU is begun
        self.assertEqual(len(set(scores.values())), 3)
        self.assertEqual(self.ask("GET", "/healthz", None)[0], 200)

    def test_what_was_read_before_refuses_nobody(self):
        self.start("--no-events")
        self.assertIn("n1", self.filter("half")["FailedNodes"])
        # At once, within the second that a view is used: the claim is gone, and another has come where there was room.
        self.server.lists["resourceclaims"] = [c for c in self.server.lists["resourceclaims"] if c["metadata"]["name"] != "held"]
        self.assertEqual(self.filter("half")["NodeNames"], ["n1", "n2", "n3"])

    def test_nonsense(self):
        self.start("--no-events")
        for body, code in ((b"", 400), (b"{", 400), ({}, 400), ({"Pod": 1, "NodeNames": []}, 400), ({"Pod": {}}, 400), (b"[" * 100000, 400), (b"\xff\xfe", 400), (b"x" * (17 << 20), 413)):
            status, reply = self.ask("POST", "/filter", body)
            self.assertEqual(status, code, reply)
            self.assertTrue(reply["Error"])
        self.assertEqual(self.ask("GET", "/filter", None)[0], 405)
        self.assertEqual(self.ask("POST", "/bind", {})[0], 404)
        self.assertEqual(self.filter("small")["NodeNames"], ["n1", "n2", "n3"])

    def test_an_api_server_that_is_away_or_lies(self):
        self.start("--no-events")
        for broken, code in (((500, {"message": "no"}), 503), ((200, b"no"), 503), ((403, {"message": "forbidden"}), 503), ((200, b"[]"), 200), ((200, b'{"items": {"a": 1}}'), 200),
                             ((200, b'{"items": [1, null, {"spec": 2}]}'), 200)):
            self.server.broken = broken
            time.sleep(1.1)
            status, reply = self.ask("POST", "/filter", {"Pod": pod("p", "half"), "NodeNames": ["n1"]})
            self.assertEqual((status, reply["Error"]), (code, "the API server cannot be asked" if code == 503 else ""), broken)
        self.server.broken = None
        time.sleep(1.1)
        self.assertIn("n1", self.filter("half")["FailedNodes"])

    def test_events(self):
        self.server.lists["resourceslices"] = [slice_of("n1", "16Gi")]
        self.server.lists["pods"] = [pod("train", "half"), pod("other", "none", resourceClaims=[]), pod("fits", "small")]
        self.start()
        wait_until(lambda: self.server.events, 30, "an event")
        time.sleep(0.5)
        self.assertEqual([e["involvedObject"]["name"] for e in self.server.events], ["train"])
        event = self.server.events[0]
        self.assertEqual((event["type"], event["reason"], event["metadata"]["namespace"], event["involvedObject"]["uid"]), ("Warning", "FastGPU", "team", "uid-train"))
        self.assertTrue(event["message"].startswith("no GPU has 10 GiB and 60 % free (claim half); the nearest that may be, gpu-0 of node n1"), event["message"])
        self.assertIn("What helps: it fits when claim team/held, of pod eval on that GPU ends", event["message"])
        # The same reason in other words is no news yet.
        self.server.lists["resourceclaims"][0] = claim("held", "12Gi", "60", "n1", "eval")
        asked = len(self.server.asked)
        wait_until(lambda: sum("/pods?" in p for p in self.server.asked[asked:]) > 1, 60, "it looks again")
        self.assertEqual(len(self.server.events), 1)
        self.server.lists["resourceclaims"][0] = claim("held", "8Gi", "50", "n1", "eval")
        # Who restarts says the same under the same name, and the server refuses that quietly.
        self.stop()
        asked = len(self.server.asked)
        self.start()
        wait_until(lambda: any("/pods?" in p for p in self.server.asked[asked:]), 30, "it looks again")
        time.sleep(1)
        self.assertEqual(len(self.server.events), 1)
        self.log.seek(0)
        self.assertNotIn("cannot", self.log.read())

    def test_events_that_are_refused(self):
        """In one namespace, or behind many pods that want nothing of ours: the others are told all the same."""
        self.server.lists["resourceslices"] = [slice_of("n1", "16Gi")]
        ended = pod("a", "half")
        ended["metadata"]["namespace"] = "ended"
        self.server.lists["resourceclaims"].append({**claim("half", "10Gi", "60"), "metadata": {"namespace": "ended", "name": "half"}})
        self.server.lists["pods"] = [ended, *(pod(f"cpu{i}", "none", resourceClaims=[]) for i in range(600)), pod("train", "half")]
        self.server.refused, self.server.page = ["ended"], None
        self.start()
        wait_until(lambda: self.server.events, 30, "an event")
        self.assertEqual([e["involvedObject"]["name"] for e in self.server.events], ["train"])
        self.assertIn("/api/v1/namespaces/ended/events", self.server.asked)
        time.sleep(0.5)
        self.log.seek(0)
        self.assertIn("pending pods are not told why: /api/v1/namespaces/ended/events: the namespace is being terminated (403)", self.log.read())

    def test_large_nodes(self):
        """Of 60 kB each: all of them are more than an answer may have."""
        self.server.lists["nodes"] = [{"metadata": {"name": f"n{i}", "managedFields": ["x" * 60000]}, "spec": {}} for i in range(1, 161)]
        self.server.lists["pods"] = [pod("train", "huge")]
        self.server.page = None
        done = subprocess.run([SCHEDULER, "--why", "team/train", *self.where()], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("no GPU of any node has 1 TiB and 10 % for claims", done.stdout)

    def test_why(self):
        self.server.lists["resourceslices"] = [slice_of("n1", "16Gi")]
        self.server.lists["pods"] = [pod("train", "half")]
        done = subprocess.run([SCHEDULER, "--why", "team/train", *self.where()], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(done.stdout.startswith("team/train is pending: no GPU has 10 GiB and 60 % free (claim half)"), done.stdout)
        self.assertIn("\nOf all nodes: 0 of 3 nodes fit; ", done.stdout)
        said = json.loads(subprocess.run([SCHEDULER, "--why", "team/train", "--json", *self.where()], capture_output=True, text=True).stdout)
        self.assertEqual((said["name"], said["state"], said["reason"]), ("team/train", "pending", "room"))
        gone = subprocess.run([SCHEDULER, "--why", "team/gone", *self.where()], capture_output=True, text=True)
        self.assertEqual(gone.returncode, 3)
        self.assertIn("there is no pod team/gone", gone.stderr)

    def test_whose_events(self):
        """This pod's, not those of one of the same name that was there before; a static pod's bear the kubelet's own name for it."""
        def refused(uid, why):
            return {"metadata": {"name": why}, "type": "Warning", "reason": "FailedResourceClaimCreation", "message": why, "lastTimestamp": "2026-01-01T00:05:00Z",
                    "involvedObject": {"kind": "Pod", "name": "train", "uid": uid}}
        made = pod("train", None, resourceClaims=[{"name": "gpu", "resourceClaimTemplateName": "t"}])
        self.server.lists["pods"] = [made]
        self.server.events = [refused("uid-before", "exceeded quota")]

        def said():
            return json.loads(subprocess.run([SCHEDULER, "--why", "team/train", "--json", *self.where()], capture_output=True, text=True).stdout)["text"]
        self.assertEqual(said(), "its claim has not been made of the template t yet")
        self.server.events.append(refused("uid-train", "no such template"))
        self.assertEqual(said(), "its claim has not been made of the template t yet: no such template")
        made["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "uid-before"}
        self.assertEqual(said(), "its claim has not been made of the template t yet: exceeded quota")
        # What is no uid asks nothing else.
        made["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "uid-before&limit=1"}
        self.assertEqual(said(), "its claim has not been made of the template t yet: no such template")

    def test_a_server_without_claims(self):
        """Kubernetes before 1.34: slices alone."""
        for what in ("resourceslices", "resourceclaims", "deviceclasses"):
            del self.server.lists[what]
        self.server.lists["nodes"][0]["status"] = {"allocatable": {"fastgpu.dev/vgpu-8g-25": "2"}}
        self.server.lists["pods"] = [pod("a", None, resourceClaims=[], containers=[{"resources": {"limits": {"fastgpu.dev/vgpu-9g-25": "1"}}}])]
        said = json.loads(subprocess.run([SCHEDULER, "--why", "team/a", "--json", *self.where()], capture_output=True, text=True).stdout)
        self.assertEqual((said["reason"], said["text"]), ("resource-unknown", "no node offers fastgpu.dev/vgpu-9g-25; there are fastgpu.dev/vgpu-8g-25"))

    def test_why_through_kubectl(self):
        """A kubectl that shows its own certificates to the server."""
        self.server.lists["resourceslices"] = [slice_of("n1", "16Gi")]
        self.server.lists["pods"] = [pod("train", "half")]
        os.mkdir(f"{self.folder}/bin")
        with open(f"{self.folder}/bin/kubectl", "w") as f:
            f.write(f"#!{sys.executable}\nimport ssl, sys, urllib.request, urllib.error\nprint('warning: old', file=sys.stderr)\n"
                    f"request = urllib.request.Request('{self.server.url}' + sys.argv[4], headers={{'Authorization': 'Bearer secret'}})\n"
                    "assert sys.argv[1:4] == ['get', '--request-timeout=10s', '--raw'], sys.argv\n"
                    f"context = ssl.create_default_context(cafile='{self.folder}/ca')\n"
                    "try:\n    sys.stdout.buffer.write(urllib.request.urlopen(request, context=context).read())\n"
                    "except urllib.error.HTTPError as e:\n    sys.exit('Error from server (NotFound): ' + str(e))\n")
        os.chmod(f"{self.folder}/bin/kubectl", 0o755)
        node = Node()
        self.addCleanup(node.close)
        env = {**node.env, "PATH": f"{self.folder}/bin:{node.env['PATH']}"}
        done = subprocess.run([FASTGPU, "why", "pod/team/train"], env=env, capture_output=True, text=True)
        self.assertTrue(done.stdout.startswith("team/train is pending: no GPU has 10 GiB and 60 % free (claim half)"), done)
        self.assertEqual(done.returncode, 0)
        said = json.loads(subprocess.run([FASTGPU, "why", "pod/team/train", "--json"], env=env, capture_output=True, text=True).stdout)
        self.assertEqual(said["reason"], "room")
        self.assertEqual(subprocess.run([FASTGPU, "why", "pod/team/gone"], env=env, capture_output=True).returncode, 3)
        os.unlink(f"{self.folder}/bin/kubectl")
        env["PATH"] = f"{self.folder}/bin"
        nobody = subprocess.run([FASTGPU, "why", "pod/team/train"], env=env, capture_output=True, text=True)
        self.assertEqual(nobody.returncode, 3)
        self.assertIn("kubectl is not installed here", nobody.stderr)
        self.assertIn("kubectl describe pod", nobody.stderr)

    def test_options(self):
        for args, word in ((["--listen", "0.0.0.0:9650"], "only this machine is answered"), (["--listen", "127.0.0.1"], "ADDRESS:PORT"), (["--listen", "127.0.0.1:0"], "ADDRESS:PORT"),
                           (["--api-server", "http://x"], "it starts with https://"), (["--why", "x"], "NAMESPACE/NAME"), (["--class", "8"], "MEMORY:COMPUTE"), (["x"], "not expected"),
                           ([], "--api-server URL")):
            env = {k: v for k, v in os.environ.items() if not k.startswith("KUBERNETES_")}
            where = [] if not args or args[0] == "--api-server" else self.where()
            done = subprocess.run([SCHEDULER, *where, *args], capture_output=True, text=True, env=env, timeout=30)
            self.assertIn(done.returncode, (1, 2), args)
            self.assertIn(word, done.stderr)


if __name__ == "__main__":
    for program in (SCHEDULER, FASTGPU):
        if not os.access(program, os.X_OK):
            print(f"{program} is not built: NOT TESTED", file=sys.stderr)
            sys.exit(77)
    if not shutil.which("openssl"):
        print("no openssl: NOT TESTED", file=sys.stderr)
        sys.exit(77)
    unittest.main()
