#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`fastgpu report` over a past that was made beforehand: the page is well formed, needs nothing else, and says the same as `usage` and
`invoice`; recommendations keep to their rule."""
import datetime
import decimal
import html.parser
import http.server
import json
import os
import re
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "daemon"))

from harness import Daemon  # noqa: E402

CLI = os.environ["FASTGPU_CLI"]
MAKE = os.environ["TEST_HISTORY_MAKE"]
MINUTES = 30 * 60
VOID = {"meta", "br", "link", "img", "input", "hr"}
SVG_EMPTY = {"line", "rect", "path"}
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class", "id", "value", "datetime", "style", "viewbox", "role", "aria-label", "x", "y",
              "x1", "x2", "y1", "y2", "width", "height", "rx", "d", "text-anchor"}


class Page(html.parser.HTMLParser):
    """Tags that nest as they should, with what they hold."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.stack, self.seen, self.attributes, self.figures = [], [], set(), []
        self.cells, self.rows, self.data, self.text, self.style = [], [], [], "", ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "data":
            self.data.append(dict(attrs))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in SVG_EMPTY, tag
        self.seen.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.stack and self.stack[-1] == tag, (tag, self.stack)
        self.stack.pop()

    def handle_data(self, data):
        if "style" in self.stack:
            self.style += data
            return
        self.text += data
        if "td" in self.stack or "th" in self.stack:
            self.rows[-1][-1] += data


class Liar(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Between the command and the daemon: passes everything on, with every name in the answers turned into `name`."""
    daemon_threads = True

    def __init__(self, path, daemon, name):
        self.daemon, self.name = daemon, name
        super().__init__(path, Turn)

    def lie(self, value, key=None):
        if isinstance(value, dict):
            return {k: self.lie(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [self.lie(v) for v in value]
        return self.name if isinstance(value, str) and key in ("name", "user", "kind", "currency", "number", "model", "owner") else value


class Turn(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status, reply = self.server.daemon.request("GET", self.path)
        if not self.path.startswith(("/v1/log", "/v1/prices", "/v1/whoami")):
            reply = self.server.lie(reply)
        text = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def address_string(self):
        return "unix"

    def log_message(self, *args):
        pass


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix="fastgpu-report.")
        cls.addClassCleanup(shutil.rmtree, cls.root)
        last = datetime.datetime.now(datetime.timezone.utc).replace(day=1) - datetime.timedelta(days=1)
        cls.month = last.strftime("%Y-%m")
        start = int(last.replace(day=5, hour=6, minute=0, second=0, microsecond=0).timestamp())
        state = os.path.join(cls.root, "state")
        subprocess.run([MAKE, state, str(start), str(MINUTES)], check=True)
        cls.d = Daemon(state=state, idle_lease=0)
        cls.addClassCleanup(cls.d.__exit__)
        cls.d.start()

    def fastgpu(self, *args, code=0, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("FASTGPU_", "OPENCL_"))}
        env.update({"FASTGPU_STATE_DIR": self.d.state, "XDG_STATE_HOME": self.root, **more})
        done = subprocess.run([CLI, *args], capture_output=True, text=True, timeout=60, env=env)
        self.assertEqual(done.returncode, code, f"{args}: {done.stdout}{done.stderr}")
        return done

    def json(self, *args):
        return json.loads(self.fastgpu(*args, "--json").stdout)

    def page(self, *args):
        path = os.path.join(self.root, "page.html")
        self.assertIn("wrote", self.fastgpu("report", *args, "--output", path).stderr)
        with open(path, encoding="utf-8") as f:
            return f.read()


class Report(Case):
    def test_the_page(self):
        text = self.page("--month", self.month)
        page = Page(text)
        self.assertEqual(page.stack, [])
        # Nothing runs, nothing is fetched.
        self.assertFalse({"script", "link", "img", "iframe", "object", "form", "a", "base"} & set(page.seen), page.seen)
        self.assertLessEqual(page.attributes, ATTRIBUTES)
        self.assertNotRegex(page.style, r"url\(|@import|expression")
        self.assertNotIn("://", text)
        self.assertIn("default-src 'none'", text)
        for word in ("prefers-color-scheme:dark", "@media print", "@page"):
            self.assertIn(word, page.style)
        self.assertEqual(page.seen.count("svg"), 5)
        self.assertEqual(page.seen.count("svg"), len(re.findall(r'<svg [^>]*role="img" aria-label="[^"]+"', text)))
        for word in ("Recommendations", "Efficiency", "asked for and got", "Invoice", "730 hours"):
            self.assertIn(word, page.text)
        self.assertNotIn("nan", page.text.lower().split())
        self.assertNotRegex(text, r'(d|x|y|width|height)="[^"]*(nan|inf)')
        # On standard output it is the same but for the time at which it was made.
        made = re.compile(r"<time.*?</time>")
        self.assertEqual(made.sub("", self.fastgpu("report", "--month", self.month, "--output", "-").stdout), made.sub("", text))

    def test_its_figures_are_those_of_the_bill(self):
        page = Page(self.page("--month", self.month))
        invoice, = self.json("invoice", self.month)["invoices"]
        first, until = self.month + "-01", (datetime.date.fromisoformat(self.month + "-01") + datetime.timedelta(days=32)).replace(day=1).isoformat()
        usage = {u["name"]: u for u in self.json("usage", "--from", first, "--until", until)["usage"]}
        self.assertEqual(sorted(usage), ["full/0", "gone/0", "good/0", "idle/0", "slow/0", "wide/0"])
        rows = [r for r in page.rows if len(r) == 9 and r[0].split()[0] in usage]
        self.assertEqual(len(rows), 6)
        money = [d["value"] for d in page.data if d["class"] == "money"]
        hours = [d["value"] for d in page.data if d["class"] == "hours"]
        self.assertEqual(sorted(hours), sorted(u["billed_gpu_hours"] for u in usage.values()))
        for u in usage.values():
            self.assertIn(u["cost"], money)
        for row in rows:
            of = usage[row[0].split()[0]]
            self.assertEqual(row[8], f"{decimal.Decimal(of['cost']).quantize(decimal.Decimal('0.01'), decimal.ROUND_HALF_EVEN)} EUR")
        lines = [r for r in page.rows if len(r) == 5 and r[1] in ("reserved", "burst", "credit", "rebate", "rounding")]
        self.assertEqual([(r[0], r[1], r[4]) for r in lines], [(x["name"], x["kind"], x["amount"] + " EUR") for x in invoice["lines"]])
        self.assertIn(f"{invoice['payable']} EUR", page.text)
        self.assertIn(f"invoice {invoice['number']}", page.text)

    def test_history_agrees_with_the_bill(self):
        told = self.json("report", "--month", self.month)
        usage = {u["vgpu"]: u for u in told["usage"]}
        self.assertEqual({h["vgpu"] for h in told["history"]}, set(usage))
        for h in told["history"]:
            self.assertAlmostEqual(h["gpu_seconds"], float(usage[h["vgpu"]]["busy_gpu_seconds"]), delta=0.002)
            self.assertAlmostEqual(h["reserved_gpu_seconds"] / 3600, float(usage[h["vgpu"]]["reserved_gpu_hours"]), delta=0.001)
            self.assertAlmostEqual(h["cost"], float(usage[h["vgpu"]]["cost"]), delta=0.002)
            self.assertEqual(h["exists"], h["name"] != "gone/0")
        f = told["factors"]
        self.assertAlmostEqual(f["p"], f["alpha"] * f["u"] * f["s"] * f["v"], places=6)
        self.assertAlmostEqual(f["v"], 0.965, places=3)

    def test_recommendations(self):
        told = self.json("report", "--month", self.month)
        advice = {a["name"]: a for a in told["recommendations"]}
        seen = {h["name"]: h for h in told["history"]}
        self.assertEqual({n: a["advice"] for n, a in advice.items()},
                         {"wide/0": "shrink", "idle/0": "delete", "full/0": "more-memory", "slow/0": "more-share"})
        wide = advice["wide/0"]
        self.assertGreaterEqual(wide["memory"], seen["wide/0"]["memory_peak_bytes"] * 1.25)
        self.assertEqual(wide["command"], "fastgpu resize wide/0 --memory 128M --project default")
        # 480 of 1024 MiB are 468750 ppm, 128 are 125000; 730 hours at 2 EUR.
        self.assertEqual((wide["saves_per_month"], wide["currency"]), ("501.88", "EUR"))
        self.assertEqual(advice["idle/0"]["saves_per_month"], "91.25")
        self.assertEqual(advice["idle/0"]["command"], "fastgpu delete idle --project default")
        self.assertTrue(advice["full/0"]["saves_per_month"].startswith("-"))
        self.assertEqual(advice["slow/0"]["share"], 300)
        page = Page(self.page("--month", self.month))
        text = self.fastgpu("report", "--month", self.month).stdout
        for a in advice.values():
            self.assertIn(a["reason"], page.text)
            self.assertIn(a["command"], page.text)
            self.assertIn(a["command"], text)
        self.assertIn("saves 501.88 EUR a month", page.text)
        self.assertIn("wide/0 held 480 MiB and never used more than 100 MiB: saves 501.88 EUR a month", text)

    def test_a_month_of_nothing(self):
        page = Page(self.page("--month", "2020-02"))
        self.assertIn("Nothing to recommend", page.text)
        self.assertEqual(self.json("report", "--month", "2020-02")["invoices"], [])
        self.assertIn("nothing to recommend", self.fastgpu("report", "--month", "2020-02").stdout)

    def test_what_is_typed_wrong(self):
        for args, word in ((["--month", "2026-13"], "2026-13"), (["--month", "9999-01"], "has not begun"), (["--month", "x" * 70000], "is no month"),
                           (["everything"], "everything"), (["--json", "--output", "x"], "--output"), (["--project", "no/such"], "no/such")):
            self.assertIn(word, self.fastgpu("report", *args, code=2).stderr)
        self.assertIn("nosuch", self.fastgpu("report", "--project", "nosuch", code=3).stderr)
        self.assertIn("cannot write", self.fastgpu("report", "--output", "/dev/null/x.html", code=1).stderr)

    def test_hostile_names(self):
        plain = Page(self.page("--month", self.month))
        for name in ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'-->]]></style></svg><script>", "&lt;b&gt; &amp; &#60;", "\u202egnp.exe\u2066",
                     "\x1b[31mred\x7f\x9b\u200b", "x" * 65536, "\U0001f600" * 300, "e\u0301", "${7*7}{{7}}%s%n"):
            state = tempfile.mkdtemp(dir=self.root)
            os.mkdir(os.path.join(state, "run"))
            liar = Liar(os.path.join(state, "run", "api.sock"), self.d, name)
            thread = threading.Thread(target=liar.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                text = self.fastgpu("report", "--month", self.month, "--output", "-", FASTGPU_STATE_DIR=state).stdout
                lines = self.fastgpu("report", "--month", self.month, FASTGPU_STATE_DIR=state).stdout
            finally:
                liar.shutdown()
                thread.join()
                liar.server_close()
            page = Page(text)
            self.assertEqual(page.stack, [])
            self.assertLessEqual(set(page.seen), set(plain.seen), name[:40])
            self.assertLessEqual(page.attributes, ATTRIBUTES, name[:40])
            self.assertLess(len(text), 200000)
            shown = "".join(c if c.isprintable() else "\ufffd" for c in name[:200])
            if len(name) <= 200:
                self.assertIn(shown, page.text)
            self.assertFalse(set(text) & set("\u202e\u2066\u200b"))
            for c in text + lines:
                self.assertTrue(c == "\n" or (ord(c) >= 0x20 and not 0x7f <= ord(c) < 0xa0), (name[:40], hex(ord(c))))

    def test_it_prints(self):
        """To PDF, where there is a Chromium."""
        chromium = shutil.which("chromium")
        if not chromium or "snap" in os.path.realpath(chromium):
            self.skipTest("no chromium")
        self.page("--month", self.month)
        pdf = os.path.join(self.root, "page.pdf")
        done = subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                               "--disable-component-update", "--disable-sync", f"--user-data-dir={self.root}/chromium", f"--print-to-pdf={pdf}",
                               f"file://{self.root}/page.html"], capture_output=True, text=True, timeout=100)
        self.assertTrue(os.path.exists(pdf), done.stderr)
        with open(pdf, "rb") as f:
            self.assertEqual(f.read(5), b"%PDF-")
        self.assertGreater(os.path.getsize(pdf), 10000)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]], warnings="ignore")
