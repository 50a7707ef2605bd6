#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: test_independent.py VECTORS

What src/tlog prints, made again from the specifications with nothing but hashlib: RFC 6962's trees and proofs, RFC 8032's Ed25519,
C2SP's signed notes, JSON."""
import base64
import hashlib
import json
import subprocess
import sys
import unittest

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
BASE_Y = 4 * pow(5, -1, P) % P
BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202


def sha256(data):
    return hashlib.sha256(data).digest()


# RFC 6962, 2.1: D is a list of records.
def split(n):
    return 1 << (n - 1).bit_length() - 1


def mth(d):
    if len(d) < 2:
        return sha256(b"\0" + d[0]) if d else sha256(b"")
    k = split(len(d))
    return sha256(b"\1" + mth(d[:k]) + mth(d[k:]))


def path(m, d):
    if len(d) == 1:
        return []
    k = split(len(d))
    return path(m, d[:k]) + [mth(d[k:])] if m < k else path(m - k, d[k:]) + [mth(d[:k])]


def subproof(m, d, known):
    if m == len(d):
        return [] if known else [mth(d)]
    k = split(len(d))
    return subproof(m, d[:k], known) + [mth(d[k:])] if m <= k else subproof(m - k, d[k:], False) + [mth(d[:k])]


# RFC 8032, 5.1, in projective coordinates: x = X/Z, y = Y/Z.
def add(p, q):
    (x1, y1, z1), (x2, y2, z2) = p, q
    a, b, e = z1 * z2 % P, z1 * z2 * z1 * z2 % P, D * x1 * x2 * y1 * y2 % P
    x3 = a * (b - e) * ((x1 + y1) * (x2 + y2) - x1 * x2 - y1 * y2)
    return x3 % P, a * (b + e) * (y1 * y2 + x1 * x2) % P, (b - e) * (b + e) % P


def times(n, p):
    total = (0, 1, 1)
    for bit in bin(n)[2:]:
        total = add(total, total)
        total = add(total, p) if bit == "1" else total
    return total


def compress(p):
    x, y, z = p
    inverse = pow(z, -1, P)
    return (y * inverse % P | (x * inverse % P & 1) << 255).to_bytes(32, "little")


def sha512_int(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")


def ed25519(seed, message):
    """(public key, signature)"""
    digest = hashlib.sha512(seed).digest()
    a = int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254
    base = (BASE_X, BASE_Y, 1)
    public = compress(times(a, base))
    r = sha512_int(digest[32:], message) % L
    big_r = compress(times(r, base))
    s = (r + sha512_int(big_r, public, message) * a) % L
    return public, big_r + s.to_bytes(32, "little")


def checkpoint(size, time):
    origin, seed, root = b"fastgpu/node-7", bytes(7 * i + 1 & 255 for i in range(32)), bytes(200 + i for i in range(32))
    text = b"%s\n%d\n%s\n" % (origin, size, base64.b64encode(root)) + (b"time %d\n" % time if time else b"")
    public, signature = ed25519(seed, text)
    key_id = sha256(origin + b"\n\1" + public)[:4]
    return text + "\n— ".encode() + origin + b" " + base64.b64encode(key_id + signature) + b"\n"


class Independent(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lines = subprocess.run([VECTORS], capture_output=True, check=True).stdout.decode().splitlines()

    def rows(self, what):
        rows = [line.split(" ", 1)[1] for line in self.lines if line.startswith(what + " ")]
        self.assertTrue(rows)
        return rows

    def test_ed25519_itself(self):
        """RFC 8032, 7.1, test 1: so that the comparison is with something right."""
        public, signature = ed25519(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"), b"")
        self.assertEqual(public.hex(), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
        self.assertEqual(signature.hex(), "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac"
                                          "c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b")

    def test_trees(self):
        records = [b"record %d" % i for i in range(100)]
        made = {"root": lambda n: [mth(records[:n])], "path": lambda m, n: path(m, records[:n]),
                "grow": lambda m, n: subproof(m, records[:n], True)}
        for what, make in made.items():
            for row in self.rows(what):
                words = row.split()
                numbers = [int(word) for word in words[:1 if what == "root" else 2]]
                self.assertEqual(words[len(numbers):], [h.hex() for h in make(*numbers)], f"{what} {row}")

    def test_checkpoints(self):
        notes = [bytes.fromhex(row) for row in self.rows("note")]
        self.assertEqual(notes, [checkpoint(0, 0), checkpoint(20852163, 1767225600), checkpoint(2**63 - 1, 2**63 - 1)])

    def test_record(self):
        record, = self.rows("record")
        fields = {"type": "charge", "least": -2**63, "none": 0, "most": str(2**127 - 1), "text": '"quoted" \\ Grüße /<>& 😀'}
        self.assertEqual(list(json.loads(record).items()), list(fields.items()))
        self.assertEqual(record, json.dumps(fields, ensure_ascii=False, separators=(",", ":")))


if __name__ == "__main__":
    VECTORS = sys.argv.pop(1)
    unittest.main(verbosity=0)
