# SPDX-License-Identifier: Apache-2.0
"""fastgpu-kubelet between a real daemon and a kubelet made of gRPC's own package: what goes over the sockets, byte for byte. What the kubelet's own code
makes of it is judged in kubelet/."""
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from concurrent import futures

import grpc

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

from node import Node, require_tree, tool, wait_until  # noqa: E402


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    """One of protobuf's fields: a number, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def parse(data):
    """{number: [value…]} of a message without fixed-size fields."""
    found, at = {}, 0

    def take():
        nonlocal at
        n = shift = 0
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return n
    while at < len(data):
        key = take()
        value = take()
        if key & 7 == 2:
            value, at = data[at:at + value], at + value
        found.setdefault(key >> 3, []).append(value)
    return found


def texts(message, number):
    return [v.decode() for v in message.get(number, [])]


class Kubelet:
    """Its registration, its list of pods and, for each resource that registered, a channel back."""

    def __init__(self, folder):
        self.folder = folder
        self.registered = queue.Queue()
        self.refuses, self.refused = "", 0
        self.pods, self.asked = b"", 0
        os.makedirs(f"{folder}/device-plugins", exist_ok=True)
        os.makedirs(f"{folder}/pod-resources", exist_ok=True)
        self.server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[
            grpc.method_handlers_generic_handler("v1beta1.Registration", {"Register": grpc.unary_unary_rpc_method_handler(self.register)}),
            grpc.method_handlers_generic_handler("v1.PodResourcesLister", {"List": grpc.unary_unary_rpc_method_handler(self.list)})])
        for part in ("device-plugins", "pod-resources"):
            self.server.add_insecure_port(f"unix:{folder}/{part}/kubelet.sock")
        self.server.start()

    def register(self, request, context):
        """As the kubelet does: it asks for the options before it answers."""
        message = parse(request)
        if self.refuses:
            self.refused += 1
            context.abort(grpc.StatusCode.UNIMPLEMENTED, self.refuses)
        plugin = Plugin(f"{self.folder}/device-plugins/{texts(message, 2)[0]}")
        plugin.version, plugin.resource = texts(message, 1)[0], texts(message, 3)[0]
        plugin.options = parse(plugin.call("GetDevicePluginOptions", b""))
        self.registered.put(plugin)
        return b""

    def list(self, request, context):
        self.asked += 1
        return self.pods

    def stop(self):
        self.server.stop(0).wait()


class Plugin:
    def __init__(self, path):
        self.channel = grpc.insecure_channel("unix:" + path, options=[("grpc.use_local_subchannel_pool", 1)])
        self.stream = None

    def call(self, method, request):
        return self.channel.unary_unary("/v1beta1.DevicePlugin/" + method)(request, timeout=20)

    def watch(self):
        self.stream = self.channel.unary_stream("/v1beta1.DevicePlugin/ListAndWatch")(b"")
        return self.next()

    def next(self):
        """{ID: health} of the next list."""
        devices = [parse(d) for d in parse(next(self.stream)).get(1, [])]
        return {texts(d, 1)[0]: texts(d, 2)[0] for d in devices}

    def until(self, is_it):
        while True:
            devices = self.next()
            if is_it(devices):
                return devices

    def allocate(self, *containers):
        request = b"".join(field(1, b"".join(field(1, i) for i in ids)) for ids in containers)
        return [parse(c) for c in parse(self.call("Allocate", request)).get(1, [])]


def pods(*of, namespace="team"):
    """The list of these: (name, container, resource, IDs)."""
    return b"".join(field(1, field(1, name) + field(2, namespace) + field(3, field(1, container) + field(2, field(1, resource) + b"".join(field(2, i) for i in ids))))
                    for name, container, resource, ids in of)


class DevicePlugin(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="fastgpu-kubelet-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        os.makedirs(self.folder + "/cdi")
        self.node = Node(FASTGPU_SIM='2x"Test GPU":8G', FASTGPU_CDI_DIR=self.folder + "/cdi", FASTGPU_MEMORY_RESERVE="0")
        self.addCleanup(self.node.close)
        self.node.fastgpu("devices")
        self.kubelet = Kubelet(self.folder)
        self.addCleanup(lambda: self.kubelet.stop())

    def start(self, *options):
        env = {k: v for k, v in self.node.env.items() if not k.startswith("POD_")}
        process = self.node.popen([tool("bin", "fastgpu-kubelet"), f"--kubelet-dir={self.folder}", *options], env=env)
        plugins = {}
        for _ in range(sum(o.startswith("--class") for o in options)):
            plugin = self.kubelet.registered.get(timeout=30)
            plugins[plugin.resource] = plugin
            self.addCleanup(plugin.channel.close)
        return process, plugins

    def sets(self):
        status, body = self.node.request("GET", "/v1/vgpus?project=kubernetes")
        return {s["name"]: s for s in body["sets"]} if status == 200 else {}

    def test_a_pod(self):
        process, plugins = self.start("--class=2G:20", "--class=big=4G:50")
        small, big = plugins["fastgpu.dev/vgpu-2g-20"], plugins["fastgpu.dev/big"]
        self.assertEqual((small.version, small.options), ("v1beta1", {1: [1], 2: [1]}))
        devices = small.watch()
        self.assertEqual((len(devices), set(devices.values())), (8, {"Healthy"}))
        self.assertEqual(len(big.watch()), 4)
        gpu = sorted({i[:6] for i in devices})
        ids = [f"{gpu[0]}-0", f"{gpu[1]}-3"]
        container, = small.allocate(ids)
        name = f"vgpu-2g-20-{gpu[0]}.0-{gpu[1]}.3"
        self.assertEqual([texts(parse(c), 1) for c in container[5]], [[f"fastgpu.dev/vgpu=kubernetes:{name}"]])
        made = self.sets()[name]["vgpus"]
        self.assertEqual(([(v["memory"], v["share"]) for v in made], len({v["device"] for v in made})), ([(2 << 30, 200)] * 2, 2))
        with open(self.folder + "/cdi/fastgpu.dev-vgpu.json") as f:
            self.assertIn(f"kubernetes:{name}", [d["name"] for d in json.load(f)["devices"]])
        self.assertEqual(sorted(big.until(lambda d: "Unhealthy" in d.values()).values()), ["Healthy", "Healthy", "Unhealthy", "Unhealthy"])
        self.kubelet.pods = pods(("a", "main", small.resource, ids))
        small.call("PreStartContainer", b"".join(field(1, i) for i in ids))
        time.sleep(3)
        self.assertEqual(list(self.sets()), [name])
        self.kubelet.pods = pods(("a", "main", "cpu", []))
        wait_until(lambda: not self.sets(), 30, "it is given back")
        self.assertEqual(set(big.until(lambda d: "Unhealthy" not in d.values()).values()), {"Healthy"})
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 0)
        self.assertEqual(os.listdir(self.folder + "/device-plugins"), ["kubelet.sock"])

    def lines(self):
        """{set: projects} of the open minute, as they will be on the bill."""
        _, body = self.node.request("GET", "/v1/usage/now")
        found = {}
        for device in body["devices"]:
            for line in device["vgpus"]:
                found.setdefault(line["name"].split("/")[0], []).append(line["project"])
        return found

    def billed(self, name):
        made = self.sets()[name]
        return made.get("payer"), made.get("workload")

    def test_who_pays(self):
        """The minutes of a slice are its pod's namespace's, from the first one on, whoever is started again; somebody may have said another payer."""
        process, plugins = self.start("--class=2G:20", "--payer=red=finance.red")
        small = plugins["fastgpu.dev/vgpu-2g-20"]
        gpu = sorted({i[:6] for i in small.watch()})
        name = f"vgpu-2g-20-{gpu[0]}.0"
        small.allocate([f"{gpu[0]}-0"])
        self.assertEqual(self.lines()[name], ["kubernetes"])
        self.kubelet.pods = pods(("a", "main", small.resource, [f"{gpu[0]}-0"]))
        wait_until(lambda: self.billed(name) == ("k8s-team", "team/a/main"), 30, "the namespace pays")
        self.assertEqual(self.lines()[name], ["k8s-team"])
        for again in range(2):
            process.send_signal(signal.SIGKILL)
            process.wait(30)
            self.node.stop_daemon(signal.SIGKILL)
            self.node.fastgpu("devices")
            self.assertEqual(self.billed(name), ("k8s-team", "team/a/main"))
            process, plugins = self.start("--class=2G:20", "--payer=red=finance.red")
            small = plugins["fastgpu.dev/vgpu-2g-20"]
            small.watch()
        self.assertEqual(self.lines()[name], ["k8s-team"])
        _, audit = self.node.request("GET", "/v1/audit?project=kubernetes")
        self.assertEqual([row["status"] for row in audit["audit"] if row["action"] == "PUT /v1/vgpus/*/payer" and row["status"] == 200], [200])
        other = f"vgpu-2g-20-{gpu[1]}.0"
        small.allocate([f"{gpu[1]}-0"])
        self.kubelet.pods = pods(("a", "main", small.resource, [f"{gpu[0]}-0"])) + pods(("b", "main", small.resource, [f"{gpu[1]}-0"]), namespace="red")
        wait_until(lambda: self.billed(other) == ("finance.red", "red/b/main"), 30, "who was named pays")
        self.assertEqual(self.lines(), {name: ["k8s-team"], other: ["finance.red"]})
        status, problem = self.node.request("DELETE", "/v1/projects/finance.red")
        self.assertEqual((status, other in problem["detail"]), (409, True))
        # Deleted within the minute, its line stays the payer's.
        self.kubelet.pods = pods(("a", "main", small.resource, [f"{gpu[0]}-0"]))
        wait_until(lambda: other not in self.sets(), 30, "it is given back")
        self.assertIn(self.lines().get(other), (None, ["finance.red"]))

    def test_a_class_that_is_offered_no_more(self):
        """Its pods keep what they have, and it is given back when they are gone."""
        process, plugins = self.start("--class=2G:20")
        small = plugins["fastgpu.dev/vgpu-2g-20"]
        ids = sorted(small.watch())[:1]
        small.allocate(ids)
        self.kubelet.pods = pods(("a", "main", small.resource, ids))
        wait_until(lambda: self.billed(*self.sets())[1], 30, "it is known whose it is")
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        # As many others as there may be.
        _, plugins = self.start("--class=big=4G:50", *(f"--class=c{i}=1G:5" for i in range(15)))
        self.assertEqual(sorted(plugins["fastgpu.dev/big"].watch().values()), ["Healthy"] * 3 + ["Unhealthy"])
        time.sleep(3)
        self.assertEqual(len(self.sets()), 1)
        self.kubelet.pods = pods(("b", "main", "cpu", []))
        wait_until(lambda: not self.sets(), 30, "it is given back")

    def test_a_pod_that_ended_meanwhile(self):
        """What a process before made is not spared as something new: two lists without it are enough."""
        process, plugins = self.start("--class=2G:20")
        small = plugins["fastgpu.dev/vgpu-2g-20"]
        small.allocate(sorted(small.watch())[:1])
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        self.assertEqual(len(self.sets()), 1)
        self.kubelet.asked = 0
        self.start("--class=2G:20")
        wait_until(lambda: not self.sets(), 30, "it is given back")
        self.assertEqual(self.kubelet.asked, 2)

    def test_a_kubelet_of_another_version(self):
        """It says so; we say so where people look, and are there when it has changed its mind."""
        self.kubelet.refuses = "requested API version v1beta1 is not supported by kubelet. Supported version is v2"
        process = self.node.popen([tool("bin", "fastgpu-kubelet"), f"--kubelet-dir={self.folder}", "--class=2G:20"], stderr=subprocess.PIPE)
        for line in process.stderr:
            if "not registered" in line:
                break
        self.assertIn("fastgpu.dev/vgpu-2g-20 is not registered: the kubelet refuses: requested API version v1beta1 is not supported", line)
        with open(self.node.dir + "/run/kubelet.json") as f:
            self.assertEqual([r["registered"] for r in json.load(f)["resources"]], [False])
        self.kubelet.refuses = ""
        plugin = self.kubelet.registered.get(timeout=30)
        self.addCleanup(plugin.channel.close)
        self.assertEqual(len(plugin.watch()), 8)

    def test_refusals(self):
        _, plugins = self.start("--class=2G:20")
        plugin = plugins["fastgpu.dev/vgpu-2g-20"]
        gpu = sorted({i[:6] for i in plugin.watch()})
        for containers, word in (([["x"]], '"x"'), ([[]], "1 to 64"), ([["00ffee-0"]], "is gone"), ([[f"{gpu[0]}-0"], [f"{gpu[0]}-{i}" for i in range(1, 6)]], "does not fit")):
            with self.assertRaises(grpc.RpcError) as e:
                plugin.allocate(*containers)
            self.assertIn(word, e.exception.details())
            self.assertTrue(e.exception.details().startswith("FastGPU: "), e.exception.details())
            self.assertEqual(self.sets(), {})
        for method in ("Allocate", "GetPreferredAllocation", "PreStartContainer"):
            with self.assertRaises(grpc.RpcError) as e:
                plugin.call(method, b"\x0a\x7f")
            self.assertEqual(e.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        # In use, and given anew nevertheless: the kubelet is wrong.
        plugin.allocate([f"{gpu[0]}-0"])
        name = next(iter(self.sets()))
        self.node.start(f"kubernetes:{name}", sys.executable, "-c", "import ctypes, time; ctypes.CDLL('libcuda.so.1').cuInit(0); time.sleep(60)")
        wait_until(lambda: self.sets()[name]["vgpus"][0]["usage"]["processes"] == 1, 30, "a program is in it")
        with self.assertRaises(grpc.RpcError) as e:
            plugin.allocate([f"{gpu[0]}-0", f"{gpu[0]}-1"])
        self.assertEqual(e.exception.code(), grpc.StatusCode.FAILED_PRECONDITION)
        self.assertEqual(list(self.sets()), [name])

    def test_mounts(self):
        _, plugins = self.start("--class=2G:20", "--inject=mounts")
        plugin = plugins["fastgpu.dev/vgpu-2g-20"]
        container, = plugin.allocate([sorted(plugin.watch())[0]])
        mounts = {texts(parse(m), 1)[0]: parse(m) for m in container[2]}
        self.assertIn("/run/fastgpu-vgpu", mounts)
        self.assertEqual([m.get(3) for m in mounts.values()], [[1]] * len(mounts))
        self.assertIn(["FASTGPU_ATTACH"], [texts(parse(e), 1) for e in container[1]])
        self.assertNotIn(5, container)

    def test_options(self):
        for options, word in (([], "--class"), (["--class=8G"], "8G"), (["--class=1G:5", "--class=1G:5"], "before"), (["--class=1G:5", "--inject=magic"], "magic"),
                              (["--dra"], "--node"), (["--dra", "--node=n"], "--api-server"), (["--dra", "--api-server=http://x"], "https://"), (["x"], '"x"'),
                              (["--class=1G:5", "--payer=team"], '--payer "team": give NAMESPACE=PROJECT'), (["--class=1G:5", "--payer=a=x", "--payer=a=y"], "--payer a=y: x pays"),
                              (["--class=1G:5", "--payer=a=x/y"], '--payer a=x/y: "x/y"'), (["--class=1G:5", "--payer-label=project"], "--dra"),
                              (["--payer-label=a b"], '--payer-label "a b": give a label'), (["--payer-label="], "key"), (["--payer-label=/project"], '"/project"')):
            env = {k: v for k, v in self.node.env.items() if not k.startswith(("POD_", "NODE_", "KUBERNETES_SERVICE"))}
            done = subprocess.run([tool("bin", "fastgpu-kubelet"), *options], env=env, capture_output=True, text=True, timeout=30)
            self.assertEqual((done.returncode, word in done.stderr), (2, True), done.stderr)


if __name__ == "__main__":
    require_tree()
    if not os.access(tool("bin", "fastgpu-kubelet"), os.X_OK):
        print("fastgpu-kubelet is not built: NOT TESTED", file=sys.stderr)
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
