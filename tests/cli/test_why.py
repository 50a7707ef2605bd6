#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`why` of applications of Spark, Flink and YARN, over what their managers answer; and over managers that are none. The answers have the
members that the engines' own give, which tests/spark, flink and yarn ask."""
import contextlib
import json
import socket
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench import Case
from fake_daemon import Server


class Manager(ThreadingHTTPServer):
    """Answers what it was told: {path: object, or bytes as they are, or what makes one of the request's headers}."""
    daemon_threads = True

    def __init__(self, pages, address=("127.0.0.1", 0)):
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                page = pages.get(self.path)
                if callable(page):
                    page = page(self.headers)
                if isinstance(page, bytes):
                    self.wfile.write(page)
                    return
                body = json.dumps(page).encode()
                with contextlib.suppress(BrokenPipeError):
                    self.send_response(404 if page is None else 200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        super().__init__(address, Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        self.url = f"http://{host}:{self.server_port}"


def worker(cores=(4, 0), memory=(4096, 0), gpus=(2, 0), state="ALIVE"):
    def addresses(n):
        return {"gpu": {"name": "gpu", "addresses": [f"s/{i}" for i in range(n)]}}
    return {"id": "worker-1", "state": state, "cores": cores[0], "coresused": cores[1], "memory": memory[0], "memoryused": memory[1],
            "resources": addresses(gpus[0]), "resourcesused": addresses(gpus[1])}


def resource(**amounts):
    names = {"memory": "memory-mb", "cores": "vcores", "vgpus": "fastgpu.dev/vgpu"}
    amounts.pop("other", None)
    return {"resourceInformations": {"resourceInformation": [{"name": names[k], "value": v} for k, v in amounts.items()]}}


def has_six():
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


class Engines(Case):
    def serve(self, pages, *address):
        manager = Manager(pages, *address)
        self.addCleanup(manager.server_close)
        self.addCleanup(manager.shutdown)
        return manager.url

    def why(self, name, pages):
        return json.loads(self.fastgpu("why", "--json", name, "--url", self.serve(pages)).stdout)

    def test_spark(self):
        app = {"id": "app-1-0", "state": "WAITING", "cores": 0, "memoryperexecutor": 1024, "resourcesperexecutor": [{"name": "gpu", "amount": 1}]}
        for workers, change, reason, says in (
                ([], {}, "no-worker", "no worker that lives"), ([worker(state="DEAD")], {}, "no-worker", "no worker that lives"),
                ([worker(gpus=(2, 2))], {}, "no-vgpu", "wants 1 gpu, and the worker with most free, worker-1, has 0 of 2"),
                ([worker(memory=(4096, 4000))], {}, "no-memory", "wants 1024 MiB, and no worker has more than 96 MiB free"),
                ([worker(cores=(4, 4))], {}, "no-cores", "no worker has a core free"), ([worker()], {}, "waits", "is free on some worker"),
                ([worker(gpus=(2, 2))], {"state": "RUNNING", "cores": 3}, "runs", "executors on 3 cores"),
                ([worker(gpus=(2, 2))], {"state": "RUNNING"}, "no-vgpu", "has 0 of 2 (Spark: RUNNING)"),
                ([worker()], {"resourcesperexecutor": [{"name": "fpga", "amount": 1}, {"name": "gpu", "amount": 1}]}, "no-resource", "wants 1 fpga"),
                ([worker()], {"resourcesperexecutor": [{"name": "none", "amount": 0}, {"name": "gpu", "amount": 3}]}, "no-vgpu", "wants 3 gpu")):
            why = self.why("spark/app-1-0", {"/json/": {"workers": workers, "activeapps": [{**app, **change}], "completedapps": []}})
            self.assertEqual(why["reason"], reason, why)
            self.assertIn(says, why["text"])
            self.assertIn("(Spark: ", why["text"])
        # What helps is not what is set already.
        for has, wants, remedy in ((0, 1, "a worker with more of them (spark.worker.resource.gpu.amount)"), (2, 2, "an application that has some ends"),
                                   (1, 2, "a worker with more of them (spark.worker.resource.gpu.amount), or spark.executor.resource.gpu.amount=1")):
            asks = {**app, "resourcesperexecutor": [{"name": "gpu", "amount": wants}]}
            self.assertEqual(self.why("spark/app-1-0", {"/json/": {"workers": [worker(gpus=(has, has))], "activeapps": [asks]}})["remedy"], remedy)
        two = {**app, "resourcesperexecutor": [{"name": "gpu", "amount": 2}]}
        self.assertEqual(self.why("spark/app-1-0", {"/json/": {"workers": [worker(gpus=(1, 0)), worker(gpus=(4, 4))], "activeapps": [two]}})["remedy"],
                         "an application that has some ends", "on the other worker")
        self.assertEqual(self.why("spark/app-1-0", {"/json/": {"completedapps": [{**app, "state": "FINISHED"}]}})["state"], "ended")

    def test_flink(self):
        def pages(state, tasks, managers, total, free, root=None):
            return {"/jobs/ab12": {"state": state, "vertices": [{"tasks": tasks}]}, "/overview": {"taskmanagers": managers, "slots-total": total, "slots-available": free},
                    "/jobs/ab12/exceptions": {"root-exception": root}}
        refused = "NoResourceAvailableException: could not acquire\n\tat a.b"
        for page, state, reason, says in (
                (pages("RUNNING", {"SCHEDULED": 4}, 0, 0, 0), "pending", "no-worker", "no TaskManager"),
                (pages("RUNNING", {"SCHEDULED": 2, "RUNNING": 2}, 1, 2, 0), "pending", "no-slot", "2 of its tasks wait, and none of the 2 slots"),
                (pages("RESTARTING", {"CREATED": 2}, 1, 2, 2, refused), "pending", "waits", "could not acquire)"),
                (pages("RUNNING", {"RUNNING": 4}, 2, 4, 0), "running", "runs", "waits for a slot"),
                (pages("RUNNING", {"RUNNING": 4, "CREATED": 4}, 2, 4, 0), "running", "runs", "waits for a slot"),
                (pages("CREATED", {"CREATED": 2}, 1, 2, 0), "pending", "no-slot", "2 of its tasks wait"),
                (pages("CANCELLING", {"CANCELING": 4}, 2, 4, 0), "stopping", "stopping", "being stopped (Flink: CANCELLING)"),
                (pages("FAILING", {"CANCELING": 4}, 2, 4, 0, refused), "stopping", "stopping", "FAILING, NoResourceAvailableException: could not acquire)"),
                (pages("SUSPENDED", {"CANCELED": 4}, 0, 0, 0), "ended", "ended", "given it up (Flink: SUSPENDED)"),
                (pages("FAILED", {"CANCELED": 4}, 0, 0, 0, refused), "ended", "ended", "FAILED, NoResourceAvailableException: could not acquire)")):
            why = self.why("flink/ab12", page)
            self.assertEqual((why["state"], why["reason"]), (state, reason), why)
            self.assertIn(says, why["text"])

    def test_yarn(self):
        node = {"id": "n1:1", "state": "RUNNING", "availableResource": resource(memory=512, cores=4, vgpus=1), "usedResource": resource(memory=512, cores=4, vgpus=4)}

        def pages(state="RUNNING", said="", nodes=(node,), first=None, **wants):
            requests = [{"resourceName": "*", "numContainers": 1, "capability": resource(**w)} for w in (first, wants) if w]
            return {"/ws/v1/cluster/apps/application_1_1": {"app": {"state": state, "diagnostics": said, "queue": "default", "resourceRequests": requests}},
                    "/ws/v1/cluster/nodes": {"nodes": {"node": list(nodes)} if nodes else None}}
        for page, reason, says in (
                (pages(memory=64, vgpus=2), "no-vgpu", "wants 2 of fastgpu.dev/vgpu, and the node with most free, n1:1, has 1 of 5 (YARN: RUNNING)"),
                (pages(memory=4096), "no-resource", "wants 4096 of memory-mb"), (pages(memory=64, nodes=()), "no-node", "no node that runs"),
                (pages(memory=64, vgpus=0, nodes=({**node, "availableResource": resource(memory=-512, vgpus=-1)},)), "no-resource", "n1:1, has -512 of 0"),
                # Hadoop 2 names no resources.
                (pages(memory=64, vgpus=1), "waits", "have room"), (pages(other=None), "waits", "have room"), (pages(), "runs", "all the containers"),
                (pages("ACCEPTED", "Queue's AM resource limit exceeded.\nmore"), "queue", "(YARN: ACCEPTED, Queue's AM resource limit exceeded.)"),
                (pages("ACCEPTED", "Queue's AM resource limit exceeded.", memory=64), "queue", "its queue default has not let it begin"),
                (pages(first={"memory": 64}, vgpus=2), "no-vgpu", "wants 2 of fastgpu.dev/vgpu"),
                (pages("FAILED", "no such class"), "ended", "(YARN: FAILED, no such class)")):
            why = self.why("yarn/application_1_1", page)
            self.assertEqual(why["reason"], reason, why)
            self.assertIn(says, why["text"])

    def test_typing(self):
        for words, says in ((["spark/"], "type spark/app-"), (["flink/a/b"], "type flink/JOBID"), (["yarn/a b"], "type yarn/application_"),
                            (["spark/app-1", "--url", "https://h"], "without TLS"), (["spark/app-1", "--url", "h:80"], "no address"),
                            (["spark/app-1", "--url", "http://h:99999"], "no port"), (["spark/app-1", "--url", "http://u@h"], "no address"),
                            (["spark/app-1", "--url", "http://[::1]foo"], "no address"), (["spark/app-1", "--url", "http://[::1"], "no address"),
                            (["spark/app-1", "--url", "http://h:80x"], "no address"), (["spark/app-1", "--url", "http://h/" + "p" * 600], "is too long"),
                            (["17", "--url", "http://h"], "--url is for"), (["pod/x/y", "--url", "http://h"], "--url is for")):
            self.assertIn(says, self.fastgpu("why", *words, code=2).stderr)
        # A set may have an engine's name.
        self.assertIn("spark is queued", self.fastgpu("why", "spark/0").stdout)

    def test_managers_that_are_none(self):
        closed = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        closed.close()
        self.assertIn("does not answer at " + url, self.fastgpu("why", "yarn/application_1_1", "--url", url, code=1).stderr)
        self.assertIn("no address is known for that host", self.fastgpu("why", "yarn/application_1_1", "--url", "http://a..b:1", code=1).stderr)
        for page, says in ((b"SSH-2.0-OpenSSH\r\n\r\n", "that is not HTTP"), (b"HTTP/1.1 200 OK\r\n\r\n<html>", "answers 200 and no JSON"),
                           (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", "answers 500 and no JSON"),
                           (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "that is not HTTP"),
                           (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100000, "its answer is too long")):
            self.assertIn(says, self.fastgpu("why", "spark/app-1", "--url", self.serve({"/json/": page}), code=1).stderr)
        for page in ([], {"workers": 3, "activeapps": "x"}, {"activeapps": [7]}):
            self.assertIn("knows no app-1", self.fastgpu("why", "spark/app-1", "--url", self.serve({"/json/": page}), code=3).stderr)
        self.assertIn("knows no ab", self.fastgpu("why", "flink/ab", "--url", self.serve({}), code=3).stderr)

    def test_one_that_refuses(self):
        def answers(status, body):
            return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body
        for answer, says in ((answers(503, b'{"errors":["no leader yet"]}'), 'answers 503: {"errors":["no leader yet"]}\n'),
                             (answers(503, b"<html>"), "answers 503 and no JSON; is it YARN's ResourceManager?"),
                             (answers(307, b"This is standby RM. The redirect url is: http://rm2:8088/ws\n"), "answers 307, which sends elsewhere: This is standby RM. The "
                              "redirect url is: http://rm2:8088/ws; say where by --url"), (answers(302, b""), "answers 302, which sends elsewhere; say")):
            self.assertIn(says, self.fastgpu("why", "yarn/application_1_1", "--url", self.serve({"/ws/v1/cluster/apps/application_1_1": answer}), code=1).stderr)

    def test_one_that_hangs(self):
        """All requests together have ten seconds: the second may not begin anew."""
        def slow(_):
            time.sleep(6)
            return {"state": "RUNNING"}
        self.assertIn("Connection timed out", self.fastgpu("why", "flink/ab", "--url", self.serve({"/jobs/ab": slow, "/overview": slow}), code=1).stderr)

    @unittest.skipUnless(has_six(), "no IPv6")
    def test_an_address_that_leads_nowhere(self):
        """localhost is two addresses; behind the first nobody takes connections."""
        if {found[4][0] for found in socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)} != {"::1", "127.0.0.1"}:
            self.skipTest("localhost is one address")
        url = self.serve({"/json/": {"activeapps": [{"id": "app-1-0", "state": "RUNNING", "cores": 1}]}})
        with socket.create_server(("::1", int(url.split(":")[-1])), family=socket.AF_INET6, backlog=0) as silent, contextlib.ExitStack() as stack:
            for _ in range(4):
                waits = stack.enter_context(socket.socket(socket.AF_INET6))
                waits.setblocking(False)
                waits.connect_ex(silent.getsockname())
            self.assertIn("runs", self.fastgpu("why", "--json", "spark/app-1-0", "--url", url.replace("127.0.0.1", "localhost")).stdout)

    @unittest.skipUnless(has_six(), "no IPv6")
    def test_host(self):
        """A server of many names is told which, as it was typed."""
        hosts = []

        def page(headers):
            hosts.append(headers["Host"])
            return {"activeapps": [{"id": "app-1-0", "state": "RUNNING", "cores": 1}]}
        six = self.serve({"/a/json/": page}, ("::1", 0))
        self.fastgpu("why", "spark/app-1-0", "--url", six + "/a/")
        self.assertEqual(hosts, [six[len("http://"):]])

    def test_where_the_engine_says(self):
        """Each by its own configuration."""
        yarn = "<property><name>yarn.resourcemanager.%s</name>\n<value> %s </value></property>"
        away = f"<!-- {yarn % ('webapp.address', '127.0.0.1:1')} -->"
        for name, file, text, port in (
                ("flink/ab", "config.yaml", "rest.address: 127.0.0.1\nrest.port: '7' # the page\n", 7),
                # Flink's own form.
                ("flink/ab", "config.yaml", "jobmanager:\n  bind-host: localhost\n  rpc:\n    address: 127.0.0.9\n    port: 6123\n  memory:\n    process:\n      size: 1600m\n"
                 "rest:\n  # The address\n  address: 127.0.0.1\n\n  port: 8\n  bind-address: 127.0.0.9\n", 8),
                ("flink/ab", "config.yaml", "rest:\n  port: 9\njobmanager:\n  rpc:\n    address: 127.0.0.1\n", 9),
                ("yarn/application_1_1", "yarn-site.xml", away + yarn % ("webapp.address", "127.0.0.1:8"), 8),
                ("yarn/application_1_1", "yarn-site.xml", yarn % ("hostname", "127.0.0.1"), 8088),
                ("yarn/application_1_1", "yarn-site.xml", yarn % ("webapp.address", "${yarn.resourcemanager.hostname}:9") + yarn % ("hostname", "127.0.0.1"), 9),
                ("yarn/application_1_1", "yarn-site.xml", yarn % ("ha.rm-ids", "r1,r2") + yarn % ("webapp.address.r2", "127.0.0.1:8") + yarn % ("webapp.address.r1", "127.0.0.1:9"), 9)):
            with open(f"{self.state}/{file}", "w") as f:
                f.write(text)
            env = {"FLINK_CONF_DIR": self.state, "HADOOP_CONF_DIR": self.state}
            self.assertIn(f"does not answer at http://127.0.0.1:{port}:", self.fastgpu("why", name, code=1, env=env).stderr, text)
        env = {"SPARK_MASTER_HOST": "127.0.0.1", "SPARK_MASTER_WEBUI_PORT": "9"}
        self.assertIn("does not answer at http://127.0.0.1:9:", self.fastgpu("why", "spark/app-1", code=1, env=env).stderr)

    def test_what_the_engine_says_wrong(self):
        """Not --url is wrong, but what says so."""
        with open(f"{self.state}/yarn-site.xml", "w") as f:
            f.write("<property><name>yarn.resourcemanager.webapp.address</name><value>${my.host}:8088</value></property>")
        with open(f"{self.state}/config.yaml", "w") as f:
            f.write("rest:\n  address: 127.0.0.1\n  port: x\n")
        env = {"SPARK_MASTER_HOST": "a b", "FLINK_CONF_DIR": self.state, "YARN_CONF_DIR": self.state}
        for name, says in (("spark/app-1", 'SPARK_MASTER_HOST, SPARK_MASTER_WEBUI_PORT: "http://a b:8080" is no address'),
                           ("yarn/application_1_1", f'{self.state}/yarn-site.xml: "http://${{my.host}}:8088" is no address'),
                           ("flink/ab", f'{self.state}/config.yaml: "http://127.0.0.1:x" has no port')):
            self.assertIn(f"fastgpu: {says}", self.fastgpu("why", name, code=2, env=env).stderr)

    def test_what_others_named_steers_no_terminal(self):
        server = Server(f"{self.state}/run")
        self.addCleanup(server.close)
        server.fake.jobs = lambda method, path: (200, {"name": "8", "state": "queued", "text": "for \33[2Jx", "remedy": "end \7y", "prediction": "\x9bm"})
        self.assertEqual(self.fastgpu("why", "8").stdout, "8 is queued: for ?[2Jx.\nHow long: ?m.\nWhat helps: end ?y.\n")

    def test_devices_of_the_node(self):
        """As many as there is room to say; none half."""
        server = Server(f"{self.state}/run")
        self.addCleanup(server.close)
        server.fake.devices = lambda: (200, {"devices": [{"id": i, "memory_free": (3 << 30) - 1, "share_free": 125} for i in range(100)]})
        app = {"id": "app-1-0", "state": "WAITING", "resourcesperexecutor": [{"name": "gpu", "amount": 3}]}
        devices = self.why("spark/app-1-0", {"/json/": {"workers": [worker()], "activeapps": [app]}})["node"].split(", ")
        self.assertGreater(len(devices), 9)
        self.assertEqual(devices, [f"device {i} has 2.99 GiB and 12.5 % free" for i in range(len(devices))])


if __name__ == "__main__":
    unittest.main()
