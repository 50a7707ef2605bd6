# SPDX-License-Identifier: Apache-2.0
"""The FOCUS export judged by the FinOps Foundation's own validator, with the rules of FOCUS 1.2 that it brings: nothing is fetched but the
packages. They are large (700 MB) and want Python 3.12, so this is done when FOCUS_VALIDATOR=1 asks for it."""
import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "daemon"))

import cache  # noqa: E402
from harness import Case, Daemon, main  # noqa: E402

VERSION = "1.2.0.1"
# What a FastGPU node does, in the specification's words. It has no regions, zones, reservations, discounts or other currencies.
APPLIES = ("ACCOUNT_NAMING", "MULTIPLE_PRICING_CATEGORIES", "MULTIPLE_SUB_ACCOUNT_TYPES", "MULTIPLE_BILLING_ACCOUNT_TYPES", "PUBLIC_PRICE_LIST",
           "USAGE_MEASUREMENT", "UNIT_PRICING", "SUB_ACCOUNT", "BILLING_BASED_ON_PROVISIONED_RESOURCES", "RESOURCE_TYPE_ASSIGNMENT", "TAGGING")
# Where the validator is wrong, with why.
EXCUSED = {
    r"InvoiceId-C-004-C": "it demands that InvoiceId is always null, and InvoiceId-C-005-C that it never is: it has neither condition",
    r"PricingCurrency\w+-C-.*|CostAndUsage-D-04[678]-C|CostAndUsage-D-05[0-6]-C":
        "for who has virtual currency AND publishes prices; the validator takes one for both",
    r"CostAndUsage-D-000-M|CostAndUsage-D-002-M": "the sum of the others",
}


class Focus(Case):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="fastgpu-focus.")
        self.addCleanup(shutil.rmtree, self.home)
        self.d = Daemon()
        self.addCleanup(self.d.__exit__)
        money = os.path.join(self.d.state, "money")
        os.makedirs(money)
        subprocess.run([os.environ["TEST_BILL_MAKE"], money, "11"], check=True, capture_output=True)
        self.d.start()
        for project in ("lab", "vision", "ops"):
            self.d.ok("POST", "/v1/projects", {"name": project})
        done = subprocess.run([os.environ["FASTGPU_CLI"], "export", "--focus", "--all", "--month", "2026-11"], capture_output=True, text=True,
                              env={**self.d.env, "XDG_STATE_HOME": self.home}, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.rows = list(csv.DictReader(done.stdout.splitlines()))

    def judge(self, rows):
        """The rules that these rows break, and how many hold. Some ask whether a row has an unused commitment discount, and fail without that
        column: who grants none need not have it, so it is added, empty."""
        rows = [{**row, "CommitmentDiscountStatus": ""} for row in rows]
        path = os.path.join(self.home, "focus.csv")
        with open(path, "w", encoding="utf-8", newline="") as f:
            writer = csv.DictWriter(f, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        program = cache.program("focus-validator")
        # It looks for its list of currencies where it stands.
        at = subprocess.run([cache.program("python3"), "-c", "import focus_validator, os; print(os.path.dirname(os.path.dirname(focus_validator.__file__)))"],
                            check=True, capture_output=True, text=True).stdout.strip()
        said = subprocess.run([program, "--data-file", path, "--validate-version", VERSION, "--block-download", "--focus-dataset", "CostAndUsage",
                               "--applicability-criteria", ",".join(a + "_SUPPORTED" for a in APPLIES)], cwd=at, capture_output=True, text=True).stdout
        total = re.search(r"Total: \d+ \| Pass: (\d+)", said)
        self.assertTrue(total, said[-2000:])
        broken = re.findall(r"(\S+): FAIL ", said)
        return [rule for rule in broken if not any(re.fullmatch(pattern, rule) for pattern in EXCUSED)], int(total[1])

    def test_no_rule_is_broken(self):
        broken, held = self.judge(self.rows)
        self.assertEqual(broken, [])
        self.assertGreater(held, 200)
        print(f"{held} rules hold", file=sys.stderr)
        # And it does find what is wrong.
        for row in self.rows:
            row["ConsumedQuantity"] = ""
        self.rows[0]["BillingCurrency"] = "euro"
        broken, _ = self.judge(self.rows)
        self.assertTrue({"BillingCurrency", "ConsumedUnit"} <= {rule.split("-")[0] for rule in broken}, broken)


def python():
    """3.12 or later."""
    for name in (sys.executable, "python3.14", "python3.13", "python3.12"):
        path = shutil.which(os.environ.get("FOCUS_PYTHON") or name)
        if path and subprocess.run([path, "-c", "import sys; sys.exit(sys.version_info < (3, 12))"], capture_output=True).returncode == 0:
            return path
    return cache.skip("the validator wants Python 3.12 or later: FOCUS_PYTHON=PROGRAM")


if not os.environ.get("FOCUS_VALIDATOR"):
    cache.skip("FOCUS_VALIDATOR=1 has the FOCUS validator run, which is large")
cache.WANTED, cache.PYTHON, cache.FROM_SOURCE = os.path.join(HERE, "requirements-focus.txt"), python(), ("focus-validator", "pandasql")
main()
