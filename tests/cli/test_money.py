#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The verbs of money against the real daemon over a log of a month: what is shown, exported and checked, and what is said when
the log, a bundle or a price list is not right."""
import csv
import decimal
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "daemon"))

from harness import Daemon, Runner  # noqa: E402

CLI = os.environ["FASTGPU_CLI"]
MAKE = os.environ["TEST_BILL_MAKE"]
DAEMON = os.environ["TEST_FASTGPUD"]
MANDATORY = """BilledCost BillingAccountId BillingAccountName BillingCurrency BillingPeriodStart BillingPeriodEnd ChargeCategory ChargeClass
ChargeDescription ChargePeriodStart ChargePeriodEnd ContractedCost EffectiveCost InvoiceIssuerName ListCost PricingQuantity PricingUnit
ProviderName PublisherName ServiceCategory ServiceName""".split()
NOT_NULL = [c for c in MANDATORY if c not in ("BillingAccountName", "ChargeClass", "PricingQuantity", "PricingUnit")]


class Case(unittest.TestCase):
    log = True  # a month of it is there

    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="fastgpu-money.")
        self.addCleanup(shutil.rmtree, self.home)
        self.d = Daemon()
        self.addCleanup(self.d.__exit__)
        self.money = os.path.join(self.d.state, "money")
        if self.log:
            self.make()
        self.d.start()
        for project in ("lab", "vision", "ops"):
            self.d.ok("POST", "/v1/projects", {"name": project})

    def make(self, seed="11"):
        shutil.rmtree(self.money, ignore_errors=True)
        os.makedirs(self.money)
        subprocess.run([MAKE, self.money, seed], check=True, capture_output=True)

    def fastgpu(self, *args, code=0, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("FASTGPU_", "OPENCL_"))}
        env.update({"FASTGPU_STATE_DIR": self.d.state, "XDG_STATE_HOME": self.home, **more})
        done = subprocess.run([CLI, *args], capture_output=True, text=True, timeout=60, env=env)
        self.assertEqual(done.returncode, code, f"{args}: {done.stdout}{done.stderr}")
        return done

    def json(self, *args, **more):
        return json.loads(self.fastgpu(*args, "--json", **more).stdout)

    def refused(self, *args, code=2, **more):
        done = self.fastgpu(*args, code=code, **more)
        self.assertIn("fastgpu: ", done.stderr)
        return done.stderr

    def file(self, name, text):
        path = os.path.join(self.home, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def ledger(self, code):
        done = subprocess.run([DAEMON, "--check-ledger"], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "FASTGPU_STATE_DIR": self.d.state})
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout


class Prices(Case):
    log = False

    def test_a_list_is_set_shown_and_used(self):
        self.assertIn("no prices are set", self.fastgpu("price").stdout)
        self.assertIn("no prices are set", self.refused("price", "--memory", "1M", "--compute", "10", code=3))
        path = self.file("p.csv", "device,model,class,from,until,currency,price\n,,,,,EUR,2.00\n,,cap,2026-01-01,2099-01-01,EUR,3.5\n")
        self.assertIn("3.50", self.fastgpu("price", "set", path).stdout)
        reply = self.json("price")
        self.assertEqual([(p["class"], p["price"], p["currency"]) for p in reply["prices"]], [("", "2.00", "EUR"), ("cap", "3.50", "EUR")])
        self.assertEqual(self.json("price", "--memory", "1M", "--compute", "25")["per_hour"], "0.50")
        self.assertEqual(self.json("price", "--memory", "1M", "--compute", "25", "--mode", "cap")["per_hour"], "0.875")
        self.assertEqual(self.json("price", "--gpus", "2", "--memory", "1M", "--compute", "25")["per_hour"], "1.00")
        self.assertEqual(self.json("price", "--memory", "75%", "--compute", "25")["per_hour"], "1.50")
        # Lists are numbered; the second replaces the first.
        self.fastgpu("price", "set", self.file("q.csv", "price,currency\n1,EUR\n"))
        self.assertEqual(self.json("price")["list"], 2)
        self.assertIn("all is well", self.ledger(0))

    def test_what_is_wrong_in_a_list_is_named(self):
        for text, *words in [("device,colour\n", "line 1", "colour"), ("currency\nEUR\n", "price", "missing"),
                             ("currency,price\nEUR,2x\n", "line 2", "price"), ("currency,price\nEUR,-1\n", "line 2", "price"),
                             ("currency,price\neuro,1\n", "line 2", "currency"), ("currency,price\nEUR,1\nUSD,1\n", "line 3", "one currency"),
                             ("currency,price\nEUR,1\nEUR,2\n", "line 3", "line 2"), ("currency,price\nEUR\n", "line 2", "missing"),
                             ("currency,price,class\nEUR,1,gold\n", "line 2", "class"), ("currency,price\n", "no row"), ("", "header"),
                             ("currency,price,from\nEUR,1,2026-13-01\n", "line 2", "from"),
                             ("currency,price,from,until\nEUR,1,2026-02-01,2026-01-01\n", "line 2", "until")]:
            said = self.refused("price", "set", self.file("bad.csv", text))
            for word in words:
                self.assertIn(word, said, text)
            status, reply = self.d.request("PUT", "/v1/prices", {"csv": text})
            self.assertEqual((status, reply["type"]), (400, "bad-request"), text)
        self.assertEqual(self.json("price")["list"], 0)
        self.refused("price", "set", os.path.join(self.home, "none"))
        self.refused("price", "sit", "x")

    def test_budget_of_a_job(self):
        job = self.fastgpu("submit", "-y", "-d", "--not-before", "1h", "--memory", "1M", "--budget", "5", "--currency", "EUR", "--", "true").stdout.strip()
        self.assertEqual(self.fastgpu("budget", "set", job, "7.5", "--currency", "EUR").stdout, f"job {job} is queued: 0.00 of 7.50 EUR spent\n")
        self.assertEqual(self.json("budget", "set", job, "8", "--currency", "EUR")["budget"], {"amount": "8.00", "currency": "EUR", "spent": "0.00"})
        self.assertIn("has no budget", self.fastgpu("budget", "set", job, "0", "--currency", "EUR").stdout)
        self.refused("budget", "set", job, "5", "--on-limit", "stop")
        self.refused("budget", "set", "99", "5", "--currency", "EUR", code=3)
        self.refused("budget", "set", job, "much", "--currency", "EUR")
        self.fastgpu("cancel", job)
        self.refused("budget", "set", job, "5", "--currency", "EUR", code=4)

    def test_budgets(self):
        self.refused("budget", "set", "lab", "100")
        self.refused("budget", "set", "nosuch", "100", "--currency", "EUR", code=3)
        self.refused("budget", "set", "lab", "100", "--currency", "EUR", "--on-limit", "explode")
        self.fastgpu("budget", "set", "lab", "100", "--currency", "EUR", "--on-limit", "suspend")
        self.assertEqual([(b["project"], b["amount"], b["spent"], b["on_limit"]) for b in self.json("budget")["budgets"]],
                         [("lab", "100.00", "0.00", "suspend")])
        self.fastgpu("budget", "set", "lab", "0", "--currency", "EUR")
        self.assertEqual(self.json("budget")["budgets"], [])
        self.assertEqual(self.d.ok("GET", "/v1/log/checkpoint")["records"], 3)


class Month(Case):
    def test_invoices_are_shown_and_checked(self):
        invoices = self.json("invoice", "2026-11", "--all")["invoices"]
        self.assertEqual(sorted(i["number"] for i in invoices), ["lab-2026-11-1", "ops-2026-11-1", "vision-2026-11-1"])
        for invoice in invoices:
            total = sum(decimal.Decimal(line["amount"]) for line in invoice["lines"])
            self.assertEqual(total, decimal.Decimal(invoice["payable"]))
            self.assertGreater(total, 0)
        self.assertIn("payable", self.fastgpu("invoice", "2026-11", "--project", "lab").stdout)
        self.assertIn("nothing was used", self.fastgpu("invoice", "2026-10", "--project", "lab").stdout)
        said = self.fastgpu("invoice", "2026-11", "--project", "lab", "--verify").stdout
        self.assertIn("all is well", said)
        answer = self.json("invoice", "2026-11", "--project", "lab", "--verify")
        self.assertTrue(answer["verified"] and answer["usages"] > 20, answer)
        self.refused("invoice", "2026-10", "--project", "lab", "--verify", code=3)
        for month in ("2026-13", "x", "2026"):
            self.refused("invoice", month, "--project", "lab")

    def test_a_bundle_is_checked_without_the_daemon(self):
        folder = os.path.join(self.home, "bills")
        self.fastgpu("invoice", "2026-11", "--project", "lab", "--save", folder)
        path = os.path.join(folder, "lab-2026-11-1.bundle")
        self.d.stop()
        self.assertIn("all is well", self.fastgpu("invoice", "--verify", "--from", path).stdout)
        self.assertIn("nothing here knew it", self.fastgpu("invoice", "--verify", "--from", path, XDG_STATE_HOME=folder).stdout)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        lines = text.split("\n")
        usages = [i for i, line in enumerate(lines) if line.startswith('{"type":"usage"')]
        for at in usages[:3]:
            edited = lines[:]
            edited[at] = edited[at].replace('"reserved":', '"reserved":1')
            number = lines[at - 1].split()[1]
            done = self.fastgpu("invoice", "--verify", "--from", self.file("e", "\n".join(edited)), code=1)
            self.assertIn(f"record {number} (usage): it is not what was signed", done.stdout)
        self.refused("invoice", "--verify", "--from", self.file("cut", text[: len(text) // 2]), code=1)
        self.refused("invoice", "--verify", "--from", os.path.join(self.home, "none"), code=3)

    def test_a_folder_of_bundles_is_checked_without_the_daemon(self):
        folder = os.path.join(self.home, "bills")
        self.fastgpu("invoice", "2026-11", "--all", "--save", folder)
        self.d.stop()
        with open(os.path.join(folder, "README"), "w", encoding="utf-8") as f:
            f.write("of no interest")
        said = self.fastgpu("invoice", "--verify", "--from", folder).stdout
        numbers = ("lab-2026-11-1", "ops-2026-11-1", "vision-2026-11-1")
        for number in numbers:
            self.assertRegex(said, rf"invoice {number}, .*: all is well")
        path = os.path.join(folder, "ops-2026-11-1.bundle")
        with open(path, encoding="utf-8") as f:
            text = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace('"reserved":', '"reserved":1'))
        done = self.fastgpu("invoice", "--verify", "--from", folder, code=1)
        self.assertEqual(done.stdout.count("all is well"), 2)
        self.assertIn("ops-2026-11-1.bundle is not what was signed", done.stderr)
        os.mkdir(os.path.join(self.home, "empty"))
        self.assertIn("no *.bundle", self.refused("invoice", "--verify", "--from", os.path.join(self.home, "empty"), code=3))

    def test_focus(self):
        path = os.path.join(self.home, "meta.json")
        text = self.fastgpu("export", "--focus", "--all", "--month", "2026-11", "--metadata", path).stdout
        rows = list(csv.DictReader(io.StringIO(text)))
        self.assertGreater(len(rows), 30)
        for column in MANDATORY:
            self.assertIn(column, rows[0])
        payable = {i["number"]: decimal.Decimal(i["payable"]) for i in self.json("invoice", "2026-11", "--all")["invoices"]}
        billed = dict.fromkeys(payable, decimal.Decimal(0))
        for row in rows:
            for column in NOT_NULL:
                self.assertNotEqual(row[column], "", column)
            self.assertIn(row["ChargeCategory"], ("Usage", "Credit", "Adjustment"))
            self.assertRegex(row["ChargePeriodStart"], r"\A\d{4}-\d\d-\d\dT\d\d:00:00Z\Z")
            self.assertRegex(row["BilledCost"], r"\A-?\d+\.\d+\Z")
            self.assertTrue(row["ChargeCategory"] != "Usage" or row["PricingUnit"] == "GPU-Hours")
            billed[row["InvoiceId"]] += decimal.Decimal(row["BilledCost"])
            # Rules of the specification that hold where units and prices are published.
            self.assertEqual((row["ConsumedQuantity"] != "", row["ConsumedUnit"] != ""), (row["ChargeCategory"] == "Usage",) * 2, row)
            self.assertGreaterEqual(decimal.Decimal(row["ConsumedQuantity"] or 0), 0)
            self.assertEqual(row["SkuPriceDetails"] != "", row["SkuPriceId"] != "")
            if row["SkuPriceDetails"]:
                self.assertEqual(json.loads(row["SkuPriceDetails"]), {"x_Class": row["x_Mode"]})
        self.assertEqual(billed, payable)
        with open(path, encoding="utf-8") as f:
            meta = json.load(f)
        self.assertEqual(meta["Schema"][0]["FocusVersion"], "1.2")
        self.assertEqual([c["ColumnName"] for c in meta["Schema"][0]["ColumnDefinition"]], list(rows[0]))
        plain = list(csv.DictReader(io.StringIO(self.fastgpu("export", "--csv", "--all", "--month", "2026-11").stdout)))
        self.assertEqual({r["invoice"] for r in plain}, set(payable))
        self.assertEqual(len(self.json("export", "--all", "--month", "2026-11")["invoices"]), 3)
        self.refused("export")
        self.refused("export", "--csv", "--focus")

    def test_usage_adds_up_however_it_is_grouped(self):
        totals = set()
        for group in ("vgpu", "user", "project", "device", "day"):
            rows = self.json("usage", "--all", "--from", "2026-11-01", "--until", "2026-12-01", "--group-by", group)["usage"]
            totals.add(sum(decimal.Decimal(r["cost"]) for r in rows).quantize(decimal.Decimal("0.000001")))
            self.assertEqual(len({r[group] for r in rows}), len(rows))
        self.assertEqual(len(totals), 1, totals)
        self.assertIn("train0", self.fastgpu("usage", "--project", "lab").stdout)
        self.refused("usage", "--group-by", "colour")
        self.refused("usage", "--from", "yesterday")

    def test_a_budget_that_is_passed_is_an_event(self):
        self.fastgpu("budget", "set", "lab", "0.01", "--currency", "EUR")
        rows = [e for e in self.d.ok("GET", "/v1/events")["events"] if e["kind"] == "budget"]
        self.assertEqual([e["target"] for e in rows], ["lab"])
        self.fastgpu("budget", "set", "lab", "100000", "--currency", "EUR")
        self.assertEqual(len([e for e in self.d.ok("GET", "/v1/events")["events"] if e["kind"] == "budget"]), 1)

    def test_a_budget_may_end_programs(self):
        for name in ("lab", "ops"):
            self.d.create("a", memory="1M", compute="1", project=name)
        ours, other = (Runner(self.d, {"target": target}) for target in ("lab:a", "ops:a"))
        for runner in (ours, other):
            self.addCleanup(runner.kill)
            self.assertIn("attach", runner.reply)
        self.fastgpu("budget", "set", "lab", "0.01", "--currency", "EUR", "--on-limit", "stop")
        self.assertEqual(ours.process.wait(20), -signal.SIGTERM)
        self.assertIsNone(other.process.poll())
        self.assertEqual([s["name"] for s in self.d.ok("GET", "/v1/vgpus?project=lab")["sets"]], ["a"])

    def test_the_command_is_a_witness(self):
        self.fastgpu("usage", "--project", "lab")
        self.d.stop()
        self.make("12")  # another history by the same key
        self.d.start()
        self.assertIn("money log of this node was", self.refused("usage", "--project", "lab", code=1))
        self.assertIn("money log of this node was", self.refused("invoice", "2026-11", "--project", "lab", "--verify", code=1))
        self.d.stop()
        shutil.rmtree(self.money)  # a new log by a new key
        self.d.start()
        self.assertIn("another money log", self.refused("usage", "--project", "lab", code=1))

    def test_a_damaged_log_bills_nothing_and_names_the_record(self):
        self.assertIn("all is well", self.ledger(0))
        self.d.stop()
        path = os.path.join(self.money, "records.log")
        with open(path, encoding="utf-8") as f:
            lines = f.read().split("\n")
        lines[20] = lines[20].replace('"project":"', '"project":"x')
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join(lines))
        before = os.path.getsize(path)
        self.assertIn("record 20 (", self.ledger(1))
        self.d.start()
        problems = self.d.ok("GET", "/v1/devices")["problems"]
        self.assertTrue(any("nothing is billed" in p and "record 20" in p for p in problems), problems)
        status, reply = self.d.request("PUT", "/v1/prices", {"csv": "currency,price\nEUR,1\n"})
        self.assertEqual(reply["type"], "storage", (status, reply))
        self.d.create("a", memory="1M", compute="1")  # all else goes on
        self.d.stop()
        self.assertEqual(os.path.getsize(path), before)


class Strangers(Case):
    def test_a_tenant_reads_only_his_own(self):
        self.d.ok("POST", "/v1/users", {"name": "eve"})
        self.d.ok("PUT", "/v1/projects/ops/members/eve", {"role": "manager"})
        token = self.d.ok("POST", "/v1/tokens", {"user": "eve"})["secret"]
        head = {"Authorization": f"Bearer {token}"}

        def ask(path, method="GET", body=None):
            return self.d.request(method, path, body, headers=head)
        self.assertEqual(ask("/v1/log/records?invoice=ops-2026-11-1")[0], 200)
        for path in ("/v1/usage?project=lab", "/v1/invoices?project=lab&month=2026-11", "/v1/log/records?invoice=lab-2026-11-1",
                     "/v1/export?format=csv&project=lab", "/v1/budgets?project=lab", "/v1/log/records?invoice=nosuch"):
            self.assertEqual(ask(path)[0], 404, path)
        for path in ("/v1/usage?all=1", "/v1/invoices?all=1", "/v1/export?format=csv&all=1"):
            self.assertEqual(ask(path)[0], 403, path)
        # Another project's record by its number, through one's own invoice.
        own = {r["number"] for r in ask("/v1/log/records?invoice=ops-2026-11-1")[1]["records"]}
        for at in range(1, 113):
            status, reply = ask(f"/v1/log/records?invoice=ops-2026-11-1&at={at}")
            if at not in own:
                self.assertEqual(status, 404, at)
            for record in reply.get("records", []):
                self.assertFalse('"project":"lab"' in record["text"] or '"project":"vision"' in record["text"])
        self.assertEqual(ask("/v1/prices", "PUT", {"csv": "currency,price\nEUR,1\n"})[0], 403)
        self.assertEqual(ask("/v1/budgets/ops", "PUT", {"amount": "1", "currency": "EUR"})[0], 403)
        self.assertEqual(ask("/v1/prices")[0], 200)
        self.assertEqual(ask("/v1/log/checkpoint")[0], 200)


if __name__ == "__main__":
    unittest.main()
