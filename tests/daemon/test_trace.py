#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Traces over OTLP/HTTP, as a collector gets them, and collectors that are slow, hostile or gone."""
import fcntl
import http.server
import json
import os
import signal
import socket
import threading
import time

import harness
import jobs
from harness import MEMORY, Daemon, main, wait_until


class Collector(http.server.ThreadingHTTPServer):
    """answers: what to do with the requests, one after the other, the last one for all that follow; a status, or a function of the handler."""
    daemon_threads = True

    def __init__(self, *answers):
        self.requests, self.spans, self.answers = [], [], list(answers) or [200]
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *who):
        pass  # a client that went away

    def close(self):
        self.shutdown()
        self.server_close()

    def named(self, name):
        return [s for s in self.spans if s["name"] == name]


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *words):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server = self.server
        server.requests.append((self.path, dict(self.headers)))
        what = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        if callable(what):
            what(self)
            return
        if what == 200:
            for resource in json.loads(body)["resourceSpans"]:
                server.resource = {a["key"]: a["value"]["stringValue"] for a in resource["resource"]["attributes"]}
                for scope in resource["scopeSpans"]:
                    server.spans += scope["spans"]
        self.send_response(what)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


def attributes(span):
    return {a["key"]: int(a["value"]["intValue"]) if "intValue" in a["value"] else a["value"]["stringValue"] for a in span["attributes"]}


def helpers(pid):
    found = []
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        for child in f.read().split():
            with open(f"/proc/{child}/comm") as c:
                if c.read().strip() == "fastgpu-otlp":
                    found.append(int(child))
    return found


class Traces(jobs.Case):
    def setUp(self):
        self.collector = Collector()
        self.addCleanup(self.collector.close)
        self.options = {"otlp_endpoint": self.collector.url + "/"}
        super().setUp()

    def check_shape(self, spans):
        for s in spans:
            self.assertRegex(s["traceId"], "^[0-9a-f]{32}$")
            self.assertRegex(s["spanId"], "^[0-9a-f]{16}$")
            self.assertLessEqual(int(s["startTimeUnixNano"]), int(s["endTimeUnixNano"]))
            self.assertLess(abs(int(s["endTimeUnixNano"]) / 1e9 - time.time()), 300)
        self.assertEqual(len({s["spanId"] for s in spans}), len(spans))

    def test_a_job_is_a_trace(self):
        fine, bad = self.submit("true", name="fine"), self.submit("exit 3", name="bad")
        self.ends(fine)
        self.ends(bad, "failed")
        c = self.collector
        wait_until(lambda: len(c.named("job")) == 2 and len(c.spans) == 8, "two jobs, each queued, run and with a vGPU")
        self.check_shape(c.spans)
        self.assertEqual({path for path, _ in c.requests}, {"/v1/traces"})
        self.assertEqual(c.requests[0][1]["Content-Type"], "application/json")
        self.assertEqual((c.resource["service.name"], c.resource["host.name"]), ("fastgpud", os.uname().nodename))
        for id, state, code in ((fine, "done", 0), (bad, "failed", 3)):
            root, = [s for s in c.named("job") if attributes(s)["fastgpu.job.id"] == id]
            of = [s for s in c.spans if s["traceId"] == root["traceId"]]
            queue, run, vgpu = (next(s for s in of if s["name"] == n) for n in ("queue", "run", "vgpu"))
            self.assertEqual(len(of), 4)
            self.assertNotIn("parentSpanId", root)
            self.assertEqual((queue["parentSpanId"], run["parentSpanId"], vgpu["parentSpanId"]), (root["spanId"], root["spanId"], run["spanId"]))
            self.assertEqual(queue["startTimeUnixNano"], root["startTimeUnixNano"])
            self.assertEqual((attributes(root)["fastgpu.job.state"], attributes(root)["fastgpu.project"]), (state, "default"))
            self.assertEqual(attributes(run)["process.exit.code"], code)
            self.assertEqual([s.get("status", {}).get("code") for s in (root, run)], [2, 2] if code else [None, None])

    def test_a_vgpu_is_a_trace_with_events(self):
        self.d.create("a", memory=MEMORY // 4, compute=50)
        self.d.ok("PATCH", "/v1/vgpus/a", {"compute": 20})
        self.d.ok("POST", "/v1/vgpus/a/suspend")
        self.d.ok("POST", "/v1/vgpus/a/resume")
        self.d.ok("DELETE", "/v1/vgpus/a")
        wait_until(lambda: self.collector.spans, "a span")
        span, = self.collector.spans
        self.check_shape([span])
        self.assertEqual([e["name"] for e in span["events"]], ["vgpu.resized", "vgpu.suspended", "vgpu.resumed"])
        self.assertEqual({k: attributes(span)[k] for k in ("fastgpu.vgpu.name", "fastgpu.vgpu.memory", "fastgpu.vgpu.share_permille")},
                         {"fastgpu.vgpu.name": "a", "fastgpu.vgpu.memory": MEMORY // 4, "fastgpu.vgpu.share_permille": 200})

    def test_what_is_left_is_sent_when_the_daemon_ends(self):
        self.d.create("a", memory="1M", compute=1)
        self.d.ok("DELETE", "/v1/vgpus/a")
        self.d.stop()
        wait_until(lambda: self.collector.spans, "it came all the same")


class Endings(harness.Case):
    def daemon(self, url=None, **environment):
        d = Daemon(**({"otlp_endpoint": url} if url else {}))
        self.addCleanup(d.__exit__)
        d.env.update(environment)
        return d.start()

    def churn(self, d, count=20):
        for i in range(count):
            d.create(f"s{i}", memory="1M", compute=1)
            d.ok("DELETE", f"/v1/vgpus/s{i}")

    def collector(self, *answers):
        c = Collector(*answers)
        self.addCleanup(c.close)
        return c

    def test_off_unless_asked_for(self):
        d = self.daemon()
        self.churn(d)
        self.assertEqual(helpers(d.process.pid), [])
        self.assertEqual(d.ok("GET", "/v1/devices")["problems"], [])

    def test_what_the_environment_says(self):
        c = self.collector()
        d = self.daemon(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=c.url + "/mine", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
                        OTEL_EXPORTER_OTLP_HEADERS="x-key=a%20b, x-evil=c%0d%0aX-More: d,none,=", OTEL_SERVICE_NAME="node 7")
        self.churn(d, 3)
        wait_until(lambda: len(c.spans) == 3, "spans")
        path, headers = c.requests[0]
        self.assertEqual((path, headers["x-key"], c.resource["service.name"]), ("/mine", "a b", "node 7"))
        self.assertFalse({"x-evil", "X-More"} & set(headers))

    def test_bad_addresses_are_said_and_nothing_starts(self):
        for url in ("localhost:4318", "http://", "http:// x", "file:///etc/passwd"):
            d = self.daemon(url)
            self.churn(d, 1)
            self.assertIn("otlp-endpoint", " ".join(d.ok("GET", "/v1/devices")["problems"]))
            self.assertEqual(helpers(d.process.pid), [])
            d.stop()

    def test_it_comes_again_when_the_collector_was_busy(self):
        c = self.collector(503, 429, 200)
        d = self.daemon(c.url)
        self.churn(d, 5)
        wait_until(lambda: len(c.spans) == 5, "all of them, once", 30)
        self.assertEqual(len(c.requests), 3)
        d = self.daemon(self.collector(400).url)
        self.churn(d, 3)
        wait_until(lambda: "does not take traces: HTTP status 400" in d.logged(), "it is said")

    def test_hostile_collectors_delay_nothing(self):
        release = threading.Event()
        self.addCleanup(release.set)

        def never(handler):
            release.wait(60)

        def endless(handler):
            handler.send_response(200)
            handler.end_headers()
            while not release.is_set():
                handler.wfile.write(b"x" * 65536)

        elsewhere = self.collector()

        def away(handler):
            handler.send_response(307)
            handler.send_header("Location", elsewhere.url + "/v1/traces")
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        with socket.socket() as s:  # nobody listens there any more
            s.bind(("127.0.0.1", 0))
            gone = f"http://127.0.0.1:{s.getsockname()[1]}"
        silent = self.collector(never)
        for url in (silent.url, self.collector(endless).url, self.collector(away).url, gone, "http://no-such-host.invalid:4318"):
            d = self.daemon(url)
            self.churn(d)
            helper, = helpers(d.process.pid)
            if url == silent.url:
                wait_until(lambda: silent.requests, "it waits for the answer")
            self.churn(d, 5)
            os.kill(helper, signal.SIGKILL)
            wait_until(lambda: not helpers(d.process.pid), "it is buried")
            self.churn(d, 5)
            self.assertEqual(d.stop(), 0)
        self.assertEqual(elsewhere.requests, [])  # whoever says so does not get them

    def test_a_helper_that_stands_still(self):
        """The pipe fills, the rest is dropped, and the daemon goes on."""
        d = self.daemon(self.collector().url)
        self.churn(d, 1)
        helper, = helpers(d.process.pid)
        os.kill(helper, signal.SIGSTOP)
        with open(f"/proc/{helper}/fd/0", "rb") as pipe:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
        self.churn(d)
        self.assertIn("traces are dropped", d.logged())
        os.kill(helper, signal.SIGCONT)
        self.assertEqual(d.stop(), 0)
        wait_until(lambda: not harness.state_is_alive(helper), "it ends with the daemon")


if __name__ == "__main__":
    main()
