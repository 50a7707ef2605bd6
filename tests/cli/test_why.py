#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`why` of applications of Spark, Flink and YARN, over what their managers answer; and over managers that are none. The answers have the
members that the engines' own give, which tests/spark, flink and yarn ask."""
import json
import socket
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench import Case


class Manager(ThreadingHTTPServer):
    """Answers what it was told: {path: object, or bytes as they are}."""
    daemon_threads = True

    def __init__(self, pages):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                page = pages.get(self.path)
                if isinstance(page, bytes):
                    self.wfile.write(page)
                    return
                body = json.dumps(page).encode()
                self.send_response(404 if page is None else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_port}"


def worker(cores=(4, 0), memory=(4096, 0), gpus=(2, 0), state="ALIVE"):
    def addresses(n):
        return {"gpu": {"name": "gpu", "addresses": [f"s/{i}" for i in range(n)]}}
    return {"id": "worker-1", "state": state, "cores": cores[0], "coresused": cores[1], "memory": memory[0], "memoryused": memory[1],
            "resources": addresses(gpus[0]), "resourcesused": addresses(gpus[1])}


def resource(**amounts):
    names = {"memory": "memory-mb", "cores": "vcores", "vgpus": "fastgpu.dev/vgpu"}
    return {"resourceInformations": {"resourceInformation": [{"name": names[k], "value": v} for k, v in amounts.items()]}}


class Engines(Case):
    def serve(self, pages):
        manager = Manager(pages)
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
                ([worker(cores=(4, 4))], {}, "no-cores", "no worker has a core free"), ([worker()], {}, "waits", "workers have room"),
                ([worker(gpus=(2, 2))], {"state": "RUNNING", "cores": 3}, "runs", "executors on 3 cores")):
            why = self.why("spark/app-1-0", {"/json/": {"workers": workers, "activeapps": [{**app, **change}], "completedapps": []}})
            self.assertEqual(why["reason"], reason, why)
            self.assertIn(says, why["text"])
            self.assertIn("(Spark: ", why["text"])
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
                (pages("RUNNING", {"RUNNING": 4}, 2, 4, 0), "running", "runs", "have slots"),
                (pages("FAILED", {"CANCELED": 4}, 0, 0, 0, refused), "ended", "ended", "FAILED, NoResourceAvailableException: could not acquire)")):
            why = self.why("flink/ab12", page)
            self.assertEqual((why["state"], why["reason"]), (state, reason), why)
            self.assertIn(says, why["text"])

    def test_yarn(self):
        node = {"id": "n1:1", "state": "RUNNING", "availableResource": resource(memory=512, cores=4, vgpus=1), "usedResource": resource(memory=512, cores=4, vgpus=4)}

        def pages(state="RUNNING", said="", nodes=(node,), **wants):
            requests = [{"resourceName": "*", "numContainers": 1, "capability": resource(**wants)}] if wants else []
            return {"/ws/v1/cluster/apps/application_1_1": {"app": {"state": state, "diagnostics": said, "queue": "default", "resourceRequests": requests}},
                    "/ws/v1/cluster/nodes": {"nodes": {"node": list(nodes)} if nodes else None}}
        for page, reason, says in (
                (pages(memory=64, vgpus=2), "no-vgpu", "wants 2 of fastgpu.dev/vgpu, and the node with most free, n1:1, has 1 of 5 (YARN: RUNNING)"),
                (pages(memory=4096), "no-resource", "wants 4096 of memory-mb"), (pages(memory=64, nodes=()), "no-node", "no node that runs"),
                (pages(memory=64, vgpus=1), "waits", "has room"), (pages(), "runs", "all the containers"),
                (pages("ACCEPTED", "Queue's AM resource limit exceeded.\nmore"), "queue", "(YARN: ACCEPTED, Queue's AM resource limit exceeded.)"),
                (pages("FAILED", "no such class"), "ended", "(YARN: FAILED, no such class)")):
            why = self.why("yarn/application_1_1", page)
            self.assertEqual(why["reason"], reason, why)
            self.assertIn(says, why["text"])

    def test_typing(self):
        for words, says in ((["spark/"], "type spark/app-"), (["flink/a/b"], "type flink/JOBID"), (["yarn/a b"], "type yarn/application_"),
                            (["spark/app-1", "--url", "https://h"], "without TLS"), (["spark/app-1", "--url", "h:80"], "no address"),
                            (["spark/app-1", "--url", "http://h:99999"], "no port"), (["spark/app-1", "--url", "http://u@h"], "no address"),
                            (["17", "--url", "http://h"], "--url is for")):
            self.assertIn(says, self.fastgpu("why", *words, code=2).stderr)
        # A set may have an engine's name.
        self.assertIn("spark is queued", self.fastgpu("why", "spark/0").stdout)

    def test_managers_that_are_none(self):
        closed = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        closed.close()
        self.assertIn("does not answer at " + url, self.fastgpu("why", "yarn/application_1_1", "--url", url, code=1).stderr)
        for page, says in ((b"SSH-2.0-OpenSSH\r\n\r\n", "that is not HTTP"), (b"HTTP/1.1 200 OK\r\n\r\n<html>", "answers 200 and no JSON"),
                           (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", "answers 500 and no JSON"),
                           (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "that is not HTTP"),
                           (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100000, "its answer is too long")):
            self.assertIn(says, self.fastgpu("why", "spark/app-1", "--url", self.serve({"/json/": page}), code=1).stderr)
        for page in ([], {"workers": 3, "activeapps": "x"}, {"activeapps": [7]}):
            self.assertIn("knows no app-1", self.fastgpu("why", "spark/app-1", "--url", self.serve({"/json/": page}), code=3).stderr)
        self.assertIn("knows no ab", self.fastgpu("why", "flink/ab", "--url", self.serve({}), code=3).stderr)

    def test_one_that_hangs(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            done = self.fastgpu("why", "flink/ab", "--url", f"http://127.0.0.1:{silent.getsockname()[1]}", code=1)
        self.assertIn("Connection timed out", done.stderr)

    def test_where_the_engine_says(self):
        """Each by its own configuration."""
        for name, text in (("config.yaml", "rest.address: 127.0.0.1\nrest.port: '7'\n"),
                           ("yarn-site.xml", "<property><name>yarn.resourcemanager.webapp.address</name>\n<value>127.0.0.1:8</value></property>")):
            with open(f"{self.state}/{name}", "w") as f:
                f.write(text)
        env = {"FLINK_CONF_DIR": self.state, "HADOOP_CONF_DIR": self.state, "SPARK_MASTER_HOST": "127.0.0.1", "SPARK_MASTER_WEBUI_PORT": "9"}
        for name, port in (("flink/ab", 7), ("yarn/application_1_1", 8), ("spark/app-1", 9)):
            self.assertIn(f"does not answer at http://127.0.0.1:{port}:", self.fastgpu("why", name, code=1, env=env).stderr)


if __name__ == "__main__":
    unittest.main()
