#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A log of money read by somebody who has only the documents: docs/design/{records,metering,money}.md. Standard library alone.

usage: test_bill_oracle.py MAKE TLOG_FOLDER

MAKE writes logs; of each, every hash, signature, window, price, chain and invoice is made again here. Then each is tampered with,
and this reader has to notice as well: a check that cannot fail is none.
"""
import base64
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest
from fractions import Fraction

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_meter_oracle as rule  # noqa: E402

MAKE, TLOG = sys.argv[1:3] if len(sys.argv) > 2 else (None, None)
sys.path.insert(0, TLOG or ".")
import test_independent as tlog  # noqa: E402

STATES = ["run", "hold", "wait", "park", "down"]
DAY = 86400
KINDS = [("reserved", "reserved", 1), ("burst", "surcharge", 1), ("credit", "credit", -1), ("rebate", "rebate", -1)]


class Wrong(Exception):
    pass


def need(condition, *what):
    if not condition:
        raise Wrong(what)


def root_of(leaves):
    stack = []  # (size, hash)
    for leaf in leaves:
        stack.append((1, leaf))
        while len(stack) > 1 and stack[-1][0] == stack[-2][0]:
            (n, a), (m, b) = stack[-2:]
            stack[-2:] = [(n + m, hashlib.sha256(b"\1" + a + b).digest())]
    while len(stack) > 1:
        (n, a), (m, b) = stack[-2:]
        stack[-2:] = [(n + m, hashlib.sha256(b"\1" + a + b).digest())]
    return stack[0][1] if stack else hashlib.sha256().digest()


def written(record):
    """The one text of a record."""
    need(all(isinstance(v, (int, str)) and not isinstance(v, bool) for v in record.values()), record)
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def in_force(prices, device, model, kind, when):
    rows = [p for p in prices if p["device"] in ("", device) and p["model"] in ("", model) and p["class"] in ("", kind)
            and p["from"] <= when and (p["until"] == 0 or when < p["until"])]
    return max(rows, key=lambda p: (p["device"] != "", p["model"] != "", p["class"] != ""), default=None)


def settle(window, usages):
    lines = []
    for u in usages:
        steps = []
        for text in u["segments"].split(";"):
            at, memory, share, mode, state = text.split(":")
            steps.append(rule.Segment(int(at), int(memory), int(share), mode == "cap", STATES.index(state)))
        need(u["mode"] == ("cap" if all(s.cap for s in steps) else "share"), "mode", u["seq"])
        need(steps[0].at == u["begin"], "begin", u["seq"])
        lines.append(rule.Line(u["vgpu"], u["end"], u["busy"], u["busy_cap"], True, steps))
    idle, rows = rule.settle(rule.Window(window["wall"], window["beta"], 0, lines))
    need(idle == window["idle"], "idle", window["seq"])
    for u, row in zip(usages, rows):
        said = [u[k] for k in ("conserved", "conserved_cap", "reserved", "burst", "surcharge", "unused", "credit", "rebate")]
        need(list(row[1:]) == said, "usage", u["seq"], row, said)


def invoice_text(invoice, usages):
    """docs/design/money.md: the canonical text."""
    mine = [u for u in usages if u["project"] == invoice["project"] and u["currency"] == invoice["currency"]
            and invoice["from"] <= u["start"] < invoice["until"]]
    lines, total = {}, 0
    for u in mine:
        for number, (kind, field, sign) in enumerate(KINDS):
            if u[field]:
                line = lines.setdefault((u["vgpu"].encode(), number), {"name": "", "quantity": 0, "cost": 0, "prices": set(), "kind": kind})
                line["name"] = u["name"]
                line["quantity"] += sign * u[field]
                line["cost"] += sign * u[field] * u["price"]
                line["prices"].add(u["price"])

    def stamp(when):
        import datetime
        return datetime.datetime.fromtimestamp(when, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    seqs = [u["seq"] for u in mine]
    out = ["fastgpu invoice 1", f"number {invoice['number']}", f"project {invoice['project']}", f"from {stamp(invoice['from'])}",
           f"until {stamp(invoice['until'])}", f"currency {invoice['currency']}", f"records {len(mine)} first {min(seqs)} last {max(seqs)}"]
    for number, (key, line) in enumerate(sorted(lines.items()), 1):
        amount = round(Fraction(line["cost"], rule.HOUR * 10**7)) * 10**7
        total += amount
        price = next(iter(line["prices"])) if len(line["prices"]) == 1 else "-"
        out.append(f"line {number} {line['kind']} {key[0].decode()} {line['name']} quantity {line['quantity']} price {price} amount {amount}")
    need(total >= 0, "the rounding of an invoice below 0 is not in these logs")
    return "\n".join([*out, f"payable {total}", ""]), total


def check(folder):
    """Raises Wrong; else what there was."""
    def read(name):
        with open(os.path.join(folder, name), "rb") as f:
            return f.read()
    text, note, seed = read("records.log"), read("checkpoint").decode(), base64.b64decode(read("key"))
    lines = text.split(b"\n")
    need(lines.pop() == b"", "torn")
    leaves = [hashlib.sha256(b"\0" + line).digest() for line in lines]
    need(b"".join(leaves) == read("hashes"), "hashes")
    body, signature = note.split("\n\n")
    origin, size, root, *_ = body.split("\n")
    public, signed = tlog.ed25519(seed, (body + "\n").encode())
    key_id = hashlib.sha256(origin.encode() + b"\n\1" + public).digest()[:4]
    need(signature == f"— {origin} {base64.b64encode(key_id + signed).decode()}\n", "signature")
    need(int(size) <= len(leaves) and base64.b64decode(root) == root_of(leaves[: int(size)]), "root")
    records = []
    for line in lines:
        try:
            records.append(json.loads(line))
        except ValueError as e:
            raise Wrong("json") from e
    need(records[0]["type"] == "node" and base64.b64decode(records[0]["key"]) == public and origin == "fastgpu/" + records[0]["node"], "node")
    return walk(records, lines)


def walk(records, lines):
    prices, usages, last, minutes, at = [], [], {}, set(), 0
    counted = {"invoice": 0, "window": 0}
    for number, (record, line) in enumerate(zip(records, lines)):
        need(record["seq"] == number and written(record).encode() == line, "form", number)
    while at < len(records):
        r = records[at]
        at += 1
        if r["type"] == "price":
            rows = records[at - 1 : at - 1 + r["rows"]]
            need([p["row"] for p in rows] == list(range(r["rows"])) and len({p["currency"] for p in rows}) == 1, "list", r["seq"])
            prices, at = rows, at - 1 + r["rows"]
        elif r["type"] == "window":
            group = records[at : at + r["lines"]]
            at += r["lines"]
            need((r["device"], r["start"]) not in minutes and r["start"] % 60 == 0, "minute", r["seq"])
            minutes.add((r["device"], r["start"]))
            for i, u in enumerate(group):
                need((u["type"], u["window"], u["line"], u["start"]) == ("usage", r["seq"], i, r["start"]), "place", u["seq"])
                need(u["prev"] == last.get(u["project"], 0), "prev", u["seq"])
                last[u["project"]] = u["seq"]
                p = in_force(prices, r["device"], r["model"], u["mode"], r["start"])
                need((u["price"], u["currency"]) == ((p["price"], p["currency"]) if p else (0, "")), "price", u["seq"])
            settle(r, group)
            usages += group
            counted["window"] += 1
        elif r["type"] == "invoice":
            text, total = invoice_text(r, usages)
            need(hashlib.sha256(text.encode()).hexdigest() == r["hash"] and total == r["payable"], "invoice", r["seq"], text)
            counted["invoice"] += 1
        else:
            need(r["type"] in ("node", "gap", "budget"), "type", r["seq"])
    return counted


class Oracle(unittest.TestCase):
    def make(self, seed):
        folder = tempfile.mkdtemp(prefix="fastgpu-oracle.")
        self.addCleanup(subprocess.run, ["rm", "-r", folder], check=True)
        subprocess.run([MAKE, folder, str(seed)], check=True, capture_output=True)
        return folder

    def test_logs(self):
        for seed in range(12):
            self.assertEqual(check(self.make(seed)), {"invoice": 3, "window": 25})

    def test_what_is_changed_is_noticed(self):
        folder, dice = self.make(1), random.Random(1)
        path = os.path.join(folder, "records.log")
        with open(path, "rb") as f:
            true = f.read()
        for turn in range(120):
            lines = true.split(b"\n")[:-1]
            i, j = dice.randrange(len(lines)), dice.randrange(len(lines))
            if turn % 4 == 0:
                at = dice.randrange(len(lines[i]))
                lines[i] = lines[i][:at] + bytes([lines[i][at] ^ 1 << dice.randrange(3)]) + lines[i][at + 1 :]
            elif turn % 4 == 1:
                del lines[i]
            elif turn % 4 == 2:
                lines.insert(j, lines[i])
            elif i != j:
                lines[i], lines[j] = lines[j], lines[i]
            else:
                continue
            with open(path, "wb") as f:
                f.write(b"\n".join(lines) + b"\n")
            with self.assertRaises(Wrong):
                check(folder)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
