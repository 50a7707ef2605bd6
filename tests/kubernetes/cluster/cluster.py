# SPDX-License-Identifier: Apache-2.0
"""A control plane of Kubernetes for tests: Debian's etcd, and the API server, scheduler and claims' controller of components/, which are built once and
kept outside the tree. There is no kubelet: nodes are what the test says, and fastgpu-kubelet on each."""
import base64
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "components")
MANIFESTS = os.path.join(HERE, "..", "..", "..", "packaging", "kubernetes")
sys.path[:0] = [os.path.join(HERE, "..", "..", "lib"), os.path.join(HERE, "..")]

import run  # noqa: E402
import node  # noqa: E402
from node import Node, tool  # noqa: E402
from run import skip  # noqa: E402,F401

NAMESPACE = "fastgpu-system"
RESOURCE = "/apis/resource.k8s.io/v1"
PLURALS = {"DeviceClass": "deviceclasses", "ValidatingAdmissionPolicy": "validatingadmissionpolicies"}


def components():
    """The program; built where that was asked for: ten minutes or more, and downloads of 500 MB."""
    # Not made fast: that takes a third of the time.
    plainly = [f"-gcflags=k8s.io/{module}/...=-N -l" for module in ("kubernetes", "kube-aggregator", "apiextensions-apiserver")]
    return run.built(SOURCE, "kubernetes-components-{}", ("build", "-ldflags=-s -w", *plainly), "kubernetes-cluster-check")


def wait_until(condition, seconds, what):
    """Less often than a daemon of one's own is asked: this one works for others, too."""
    return node.wait_until(lambda: condition() or time.sleep(0.05), seconds, what)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def objects(text):
    """The parts of a file of manifests, each (kind, apiVersion, namespace, name, text); enough of YAML for ours."""
    for part in re.split(r"^---$", text, flags=re.M):
        kind = re.search(r"^kind: (\S+)", part, re.M)
        if not kind:
            continue
        metadata = re.search(r"^metadata:\n((?:  .*\n)+)", part, re.M)[1]
        namespace = re.search(r"^  namespace: (\S+)", metadata, re.M)
        yield kind[1], re.search(r"^apiVersion: (\S+)", part, re.M)[1], namespace and namespace[1], re.search(r"^  name: (\S+)", metadata, re.M)[1], part


class Cluster:
    def __init__(self, program):
        self.program = program
        self.folder = tempfile.mkdtemp(prefix="fastgpu-tests-")
        # etcd waits for the disk with everything that it is told.
        self.data = tempfile.mkdtemp(prefix="fastgpu-tests-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.running = {}
        self.connection = None
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        try:
            self.make_keys()
            self.start_etcd()
            self.start_server()
        except BaseException:
            self.close()
            raise

    def close(self):
        for name in reversed(list(self.running)):
            self.stop(name, signal.SIGKILL)
        for folder in (self.folder, self.data):
            shutil.rmtree(folder, ignore_errors=True)

    # --- programs ---

    def start(self, name, *argv):
        with open(f"{self.folder}/{name}.log", "a") as log:
            self.running[name] = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)

    def stop(self, name, sig=signal.SIGTERM):
        process = self.running.pop(name)
        process.send_signal(sig)
        process.wait()

    def log(self, name):
        with open(f"{self.folder}/{name}.log", errors="replace") as f:
            return f.read()

    def make_keys(self):
        def openssl(*argv):
            subprocess.run(["openssl", *argv], cwd=self.folder, check=True, capture_output=True)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=kube-apiserver",
                "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "tls.key", "-out", "ca")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", "sa.key")
        openssl("pkey", "-in", "sa.key", "-pubout", "-out", "sa.pub")
        with open(f"{self.folder}/tokens", "w") as f:
            f.write('admin,admin,1,system:masters\nscheduler,system:kube-scheduler,2\n')
        self.context = ssl.create_default_context(cafile=f"{self.folder}/ca")

    def kubeconfig(self, token):
        path = f"{self.folder}/kubeconfig-{hashlib.sha256(token.encode()).hexdigest()[:8]}"
        with open(path, "w") as f:
            json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                       "clusters": [{"name": "c", "cluster": {"server": self.url, "certificate-authority": f"{self.folder}/ca"}}], "users": [{"name": "u", "user": {"token": token}}]}, f)
        return path

    def start_etcd(self):
        client, peer = free_port(), free_port()
        self.etcd = f"http://127.0.0.1:{client}"
        self.start("etcd", "etcd", "--data-dir", self.data, "--listen-client-urls", self.etcd, "--advertise-client-urls", self.etcd,
                   "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}", "--initial-cluster", f"default=http://127.0.0.1:{peer}")

    def start_server(self):
        self.start("apiserver", self.program, "apiserver", "--etcd-servers", self.etcd, "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
                   f"--secure-port={self.port}", "--service-cluster-ip-range=10.0.0.0/24",
                   f"--tls-cert-file={self.folder}/ca", f"--tls-private-key-file={self.folder}/tls.key", f"--cert-dir={self.folder}/certs",
                   "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={self.folder}/sa.pub", f"--service-account-signing-key-file={self.folder}/sa.key",
                   f"--token-auth-file={self.folder}/tokens", "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction")
        wait_until(self.is_ready, 300, "the API server is ready")
        for namespace in ("default", "kube-system"):
            self.ask("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})

    def is_ready(self):
        if self.running["apiserver"].poll() is not None:
            raise AssertionError("kube-apiserver ended: " + self.log("apiserver")[-2000:])
        try:
            return self.ask("GET", "/readyz")[0] == 200
        except OSError:
            return False

    # --- requests ---

    def ask(self, method, path, body=None, token="admin", kind="application/json"):
        """(status, answer). One connection, kept open; reopened when the server closed it before it said anything. What may have been done is not asked again."""
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body is not None else None
        headers = {"Authorization": "Bearer " + token, "Content-Type": kind}
        for attempt in (0, 1):
            kept, reply = self.connection, None
            try:
                self.connection = kept or http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=60)
                self.connection.request(method, path, data, headers)
                reply = self.connection.getresponse()
                code, text = reply.status, reply.read()
                break
            except (OSError, http.client.HTTPException) as e:
                used, self.connection = self.connection, None
                used.close()
                if attempt or not kept or reply or not isinstance(e, (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError)):
                    raise
        try:
            return code, json.loads(text)
        except ValueError:
            return code, text.decode(errors="replace")

    def must(self, method, path, body=None, **how):
        code, answer = self.ask(method, path, body, **how)
        if code not in (200, 201):
            raise AssertionError(f"{method} {path}: {code} {answer}")
        return answer

    def apply(self, text, dry=False):
        """By the server itself, strictly. Returns how many objects it took."""
        count = 0
        for kind, version, namespace, name, part in objects(text):
            plural = PLURALS.get(kind, kind.lower() + "s")
            cluster = kind in ("Namespace", "Node", "ClusterRole", "ClusterRoleBinding", "DeviceClass", "PriorityClass", "CustomResourceDefinition") or kind.startswith("Validating")
            base = f"/api/{version}" if "/" not in version else f"/apis/{version}"
            where = "" if cluster else f"/namespaces/{namespace or 'default'}"
            self.must("PATCH", f"{base}{where}/{plural}/{name}?fieldManager=test&force=true&fieldValidation=Strict{'&dryRun=All' if dry else ''}", part, kind="application/apply-patch+yaml")
            count += 1
        return count

    def manifest(self, name):
        with open(os.path.join(MANIFESTS, name)) as f:
            return f.read()

    def token(self, account, pod=None):
        """A service account's, as a pod gets it: bound to the pod, and so to its node."""
        bound = {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}} if pod else {}
        path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account}/token"
        return self.must("POST", path, {"spec": {"audiences": ["https://kubernetes.default.svc"], "expirationSeconds": 7200, **bound}})["status"]["token"]

    # --- what is in it ---

    def add_node(self, name, labels=None, taints=(), **allocatable):
        node = self.must("POST", "/api/v1/nodes", {"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}}, "spec": {"taints": list(taints)}})
        self.be(name, **allocatable)
        return node

    def be(self, name, **allocatable):
        """As its kubelet says."""
        amounts = {"cpu": "16", "memory": "64Gi", "pods": "110", "fastgpu.dev/vgpu-8g-25": None, **{f"fastgpu.dev/{k.replace('_', '-')}": str(v) for k, v in allocatable.items()}}
        self.must("PATCH", f"/api/v1/nodes/{name}/status", {"status": {"allocatable": amounts, "capacity": amounts, "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}},
                  kind="application/strategic-merge-patch+json")
        # The node controller, which is not here, takes this away.
        node = self.must("GET", f"/api/v1/nodes/{name}")
        kept = [t for t in node["spec"].get("taints", []) if t["key"] != "node.kubernetes.io/not-ready"]
        self.must("PATCH", f"/api/v1/nodes/{name}", {"spec": {"taints": kept}}, kind="application/merge-patch+json")

    def add_claim(self, name, memory=None, compute=None, selector=None, count=1, device_class="vgpu.fastgpu.dev"):
        exactly = {"deviceClassName": device_class, "allocationMode": "ExactCount", "count": count}
        if memory:
            exactly["capacity"] = {"requests": {"memory": memory, "compute": compute}}
        if selector:
            exactly["selectors"] = [{"cel": {"expression": selector}}]
        return self.ask("POST", f"{RESOURCE}/namespaces/default/resourceclaims", {"metadata": {"name": name}, "spec": {"devices": {"requests": [{"name": "gpu", "exactly": exactly}]}}})

    def pod(self, name, claim=None, limits=None, scheduler="default-scheduler", **spec):
        container = {"name": "main", "image": "none", "resources": {"limits": limits or {}}}
        if claim:
            container["resources"]["claims"] = [{"name": "gpu"}]
            spec["resourceClaims"] = [{"name": "gpu", "resourceClaimName": claim}]
        return {"metadata": {"name": name, "namespace": "default"}, "spec": {"schedulerName": scheduler, "containers": [container], "terminationGracePeriodSeconds": 0, **spec}}

    def add_pod(self, *args, **kwargs):
        return self.ask("POST", "/api/v1/namespaces/default/pods", self.pod(*args, **kwargs))

    def get_pod(self, name):
        return self.must("GET", f"/api/v1/namespaces/default/pods/{name}")

    def node_of(self, name):
        return self.get_pod(name)["spec"].get("nodeName")

    def said(self, name):
        """By the scheduler, of a pod that it could not place."""
        conditions = self.get_pod(name)["status"].get("conditions", [])
        return next((c.get("message", "") for c in conditions if c["type"] == "PodScheduled" and c["status"] == "False"), None)

    def clear(self):
        for path in ("/api/v1/namespaces/default/pods", f"{RESOURCE}/namespaces/default/resourceclaims"):
            for item in self.must("GET", path)["items"]:
                self.ask("DELETE", f"{path}/{item['metadata']['name']}?gracePeriodSeconds=0")
        wait_until(lambda: not self.must("GET", f"{RESOURCE}/namespaces/default/resourceclaims")["items"], 60, "the claims are gone")


def claims_of(token):
    """What a token says of itself."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


class GpuNode:
    """A node with simulated GPUs: its daemon, and fastgpu-kubelet with its own pod's token."""

    def __init__(self, cluster, name, sim, **node):
        self.cluster, self.name = cluster, name
        self.daemon = Node(FASTGPU_SIM=sim, FASTGPU_MEMORY_RESERVE="0")
        self.daemon.env["FASTGPU_CDI_DIR"] = os.path.join(self.daemon.dir, "cdi")
        os.mkdir(self.daemon.env["FASTGPU_CDI_DIR"])
        self.folder = os.path.join(self.daemon.dir, "kubelet")
        self.daemon.fastgpu("devices")
        self.uid = cluster.add_node(name, **node)["metadata"]["uid"]
        self.pod = cluster.must("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", {
            "metadata": {"name": f"fastgpu-kubelet-{name}"}, "spec": {"serviceAccountName": "fastgpu-kubelet", "nodeName": name, "containers": [{"name": "main", "image": "none"}]}})
        self.token = cluster.token("fastgpu-kubelet", self.pod)
        self.token_file = os.path.join(self.daemon.dir, "token")
        with open(self.token_file, "w") as f:
            f.write(self.token)
        self.plugin = None

    def start(self, *args):
        env = {k: v for k, v in self.daemon.env.items() if not k.startswith(("POD_", "KUBERNETES_"))}
        with open(os.path.join(self.daemon.dir, "plugin.log"), "a") as log:
            self.plugin = self.daemon.popen([tool("bin", "fastgpu-kubelet"), "--dra", "--verbose", f"--node={self.name}", f"--kubelet-dir={self.folder}", f"--api-server={self.cluster.url}",
                                             f"--ca={self.cluster.folder}/ca", f"--token-file={self.token_file}", *args], env=env, stderr=log)

    def log(self):
        with open(os.path.join(self.daemon.dir, "plugin.log")) as f:
            return f.read()

    def slice(self):
        code, answer = self.cluster.ask("GET", f"{RESOURCE}/resourceslices/{self.name}-fastgpu.dev")
        return answer if code == 200 else None

    def close(self):
        self.daemon.close()
