# SPDX-License-Identifier: Apache-2.0
"""/metrics as programs that are not ours read it: the reference parsers of both formats, Debian's promtool, and Debian's Prometheus, which
scrapes a busy daemon over TLS with the configuration, the alerts and the board of packaging/."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "daemon"))

import yaml  # noqa: E402
from prometheus_client import openmetrics, parser as plain  # noqa: E402
import prometheus_client.openmetrics.parser  # noqa: E402, F401

import debian  # noqa: E402
import exposition  # noqa: E402
import harness  # noqa: E402
import tls  # noqa: E402
from harness import MEMORY, wait_until  # noqa: E402
from simulated import Simulated  # noqa: E402

RULES = os.path.join(ROOT, "packaging", "prometheus", "fastgpu.rules.yml")
SCRAPE = os.path.join(ROOT, "packaging", "prometheus", "fastgpu.yml")
BOARD = os.path.join(ROOT, "packaging", "grafana", "fastgpu.json")
RULE_TESTS = os.path.join(HERE, "fastgpu.rules.test.yml")
WORD = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def rules():
    with open(RULES) as f:
        return [rule for group in yaml.safe_load(f)["groups"] for rule in group["rules"]]


def board():
    """Every expression of it, with All for each variable."""
    with open(BOARD) as f:
        panels = json.load(f)["panels"]
    return [re.sub(r"\$\w+", ".*", target["expr"]) for panel in panels for target in panel.get("targets", [])]


def series():
    """What there is, by the list that the manual is made of: {name: labels}."""
    found = {}
    for line in subprocess.check_output([os.environ["TEST_GEN_METRICS"]], text=True).splitlines():
        name, kind, labels = line.split("\t")
        for suffix in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
            found[name + suffix] = set(re.split(", | or ", labels)) - {""}
    return found


def names_in(expression):
    return set(re.findall(r"\b(?:DCGM_\w+|fastgpu_\w+)", re.sub(r'"[^"]*"|project:\w+:\w+', "", expression)))


class Rules(harness.Case):
    def setUp(self):
        self.promtool = debian.program("prometheus", "promtool")

    def test_promtool_takes_them(self):
        self.assertIn(f"{len(rules())} rules found", debian.check(self.promtool, "check", "rules", RULES))

    def test_each_alert_fires_and_does_not(self):
        with open(RULE_TESTS) as f:
            tests = yaml.safe_load(f)["tests"]
        told = [alert for test in tests for alert in test["alert_rule_test"]]
        for alert in (rule["alert"] for rule in rules() if "alert" in rule):
            fired = {bool(t["exp_alerts"]) for t in told if t["alertname"] == alert}
            self.assertEqual(fired, {True, False}, f"{alert} is to be tried both ways")
        with tempfile.TemporaryDirectory() as folder:
            for path in (RULES, RULE_TESTS):
                shutil.copy(path, folder)
            debian.check(self.promtool, "test", "rules", os.path.basename(RULE_TESTS), cwd=folder)

    def test_every_expression_is_of_series_that_there_are(self):
        known = series()
        expressions = board() + [rule["expr"] for rule in rules()]
        self.assertGreater(len(expressions), 40)
        for expression in expressions:
            self.assertLessEqual(names_in(expression), set(known), expression)
            for name, inside in re.findall(r"\b(DCGM_\w+|fastgpu_\w+)\{([^}]*)\}", expression):
                used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', '""', inside)))
                self.assertLessEqual(used, known[name] | {"instance", "job"}, expression)
        used = set().union(*(names_in(e) for e in expressions))
        self.assertFalse({n for n in known if n.startswith("fastgpu_")} - used - {"fastgpu_up", "fastgpu_queue_wait_seconds_sum", "fastgpu_queue_wait_seconds_count"},
                         "nobody looks at these")
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as f:  # promtool knows PromQL
            yaml.safe_dump({"groups": [{"name": "board", "rules": [{"record": f"b:n{i}", "expr": e} for i, e in enumerate(board())]}]}, f)
            f.flush()
            debian.check(self.promtool, "check", "rules", f.name)


class Busy(harness.Case):
    """Two GPUs, vGPUs that are used, jobs that wait, prices, a budget."""

    def setUp(self):
        self.d = Simulated("2xH100", telemetry_interval=1, listen="127.0.0.1:0")
        self.addCleanup(self.d.__exit__)
        d = self.d.start()
        d.ok("PUT", "/v1/prices", {"csv": "currency,price\nEUR,3600\n"})
        d.ok("PUT", "/v1/budgets/default", {"amount": "10", "currency": "EUR", "on_limit": "notify"})
        d.create("a", gpus=2, memory="1G", compute="10")
        tenant = d.tenant(d.open("a")["attach"])
        tenant("reserve", 0, 1 << 20)
        tenant("busy", 0, 10 ** 8)
        d.ok("POST", "/v1/jobs", {"command": ["sleep", "100"], "memory": "64M", "compute": "10"})
        d.ok("POST", "/v1/jobs", {"command": ["sleep", "100"], "memory": "70G", "compute": "100", "gpus": 2, "array": "0-9"})
        d.request("POST", "/v1/vgpus", {"memory": 1000 * MEMORY})
        d.stop()  # so that the minute so far is on record
        d.start()
        wait_until(lambda: exposition.scrape(d).all("DCGM_FI_DEV_GPU_TEMP") and exposition.scrape(d).all("fastgpu_pending"), "figures")

    def get(self, accept):
        c = self.d.connect()
        c.request("GET", "/metrics", headers={"Accept": accept})
        text = c.getresponse().read().decode()
        c.close()
        return text


class Parsers(Busy):
    def test_both_formats_say_the_same(self):
        ours = exposition.Scrape(self.get("text/plain"))
        text = list(plain.text_string_to_metric_families(self.get("text/plain")))
        open_ = list(openmetrics.parser.text_string_to_metric_families(self.get("application/openmetrics-text")))
        # The parser of the plain format has every counter end in _total, also dcgm-exporter's that do not.
        keys = [{(re.sub(r"^(DCGM_\w+)_total$", r"\1", s.name), frozenset(s.labels.items())) for family in families for s in family.samples} for families in (text, open_)]
        self.assertEqual(keys[0], keys[1])
        self.assertEqual(keys[0], set(ours.samples))
        self.assertGreater(len(keys[0]), 60)
        types = {family.name: family.type for family in open_}
        self.assertEqual((types["fastgpu_vgpu_gpu_seconds"], types["fastgpu_queue_wait_seconds"], types["fastgpu_pending"]), ("counter", "histogram", "gauge"))
        self.assertEqual({family.unit for family in open_}, {"", "seconds", "bytes", "ratio"})

    def test_promtool_has_nothing_to_say(self):
        promtool = debian.program("prometheus", "promtool")
        done = subprocess.run([promtool, "check", "metrics"], input=self.get("text/plain"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = [line for line in done.stdout.splitlines() if not line.startswith("DCGM_")]  # their names are not ours to choose
        self.assertEqual(said, [])


class Prometheus(Busy):
    def configure(self, folder):
        """What packaging/ has, but for where the daemon is, and how often it is asked."""
        with open(SCRAPE) as f:
            told = yaml.safe_load(f)
        job, = told["scrape_configs"]
        told["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        told["rule_files"] = [RULES]
        admin = self.d.ok("POST", "/v1/users", {"name": "prometheus", "admin": True})
        job["authorization"]["credentials_file"] = os.path.join(folder, "token")
        with open(job["authorization"]["credentials_file"], "w") as f:
            f.write(self.d.ok("POST", "/v1/tokens", {"user": admin["name"], "role": "viewer"})["secret"] + "\n")
        job["tls_config"]["ca_file"] = os.path.join(self.d.state, "tls-cert.pem")
        job["static_configs"][0]["targets"] = [f"127.0.0.1:{tls.port_of(self.d)}"]
        with open(os.path.join(folder, "prometheus.yml"), "w") as f:
            yaml.safe_dump(told, f)
        return f.name

    def start(self):
        program = debian.program("prometheus", "prometheus")
        folder = tempfile.mkdtemp(prefix="fastgpu-tests-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        log = open(os.path.join(folder, "log"), "w")
        process = subprocess.Popen([program, "--config.file", self.configure(folder), "--storage.tsdb.path", os.path.join(folder, "data"),
                                    "--web.listen-address", f"127.0.0.1:{port}", "--log.level=warn"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
        self.addCleanup(log.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.send_signal, signal.SIGKILL)
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path):
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as reply:
                return json.load(reply)["data"]
        except OSError:
            return None  # it is not up yet

    def query(self, expression):
        data = self.ask("/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        return data["result"] if data else []

    def value(self, expression):
        result = self.query(expression)
        return float(result[0]["value"][1]) if len(result) == 1 else None

    def test_it_scrapes_a_busy_daemon(self):
        self.start()
        wait_until(lambda: self.value("up") == 1, "it scrapes", 30)
        ours = exposition.scrape(self.d)
        stored = {r["metric"]["__name__"] for r in self.query('{job="fastgpu"}')}
        self.assertEqual({n for n in ours.names()} - stored, set())
        target, = self.ask("/api/v1/targets")["activeTargets"]
        self.assertEqual((target["health"], target["lastError"]), ("up", ""))
        self.assertEqual(self.value("sum(fastgpu_vgpu_memory_quota_bytes{vgpu=~\"a/.*\"})"), 2 << 30)
        self.assertEqual(self.value("count(DCGM_FI_DEV_GPU_TEMP)"), 2)
        self.assertGreater(self.value("sum(fastgpu_vgpu_reserved_gpu_seconds_total)"), 0)
        # Of the hour nothing was settled since the daemon was started, and what is not known is not there.
        wait_until(lambda: all(self.query(re.sub(r"\[\d+[mh]\]", "[20s]", e)) for e in board() if "fastgpu_model_" not in e), "every panel has something to show", 30)
        for group in self.ask("/api/v1/rules")["groups"]:
            for rule in group["rules"]:
                self.assertIn(rule["health"], ("ok", "unknown"), rule)
        self.d.process.send_signal(signal.SIGSTOP)
        self.stalls()

    def stalls(self):
        """A daemon that stands still shows as one, and none of its figures stays."""
        wait_until(lambda: self.value("up") == 0, "it is down", 30)
        wait_until(lambda: not self.query("fastgpu_up") and not self.query("DCGM_FI_DEV_GPU_TEMP"), "nothing stale", 30)
        wait_until(lambda: self.query('ALERTS{alertname="FastGPUDown"}'), "the alert is there", 30)
        self.d.process.send_signal(signal.SIGCONT)
        wait_until(lambda: self.value("up") == 1 and self.query("fastgpu_up"), "it is back", 30)


harness.main()
