#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No function that takes or gives out a device number is forgotten: whatever has one among its arguments, or anywhere inside a
structure among them, stands in src/shim/cuda/device_table.h, and what that says is so. Reads our interface header, and any
vendor's <cuda.h> that is given or found.

usage: test_device_table.py SOURCE-ROOT [FOLDER-OR-HEADER]...
"""
import pathlib
import re
import sys
import unittest

ROOT, EXTRA = pathlib.Path(sys.argv[1]), [pathlib.Path(name) for name in sys.argv[2:]]
ROOM = ROOT / "src/shim/cuda"
HOOKS = {name: ROOM / f"hooks_{name}.h" for name in ("core", "device", "memory", "time")}
SYSTEM = ["/usr/local/cuda/include", "/usr/include"]


# A device number by another name: a plain int in a location, a bit in a mask, the value of an attribute.
SEEDS = {"CUdevice", "CUdevice_v1", "CUmemLocation", "CUarrayMapInfo", "CUpointer_attribute", "CUmem_range_attribute",
         "CUmemPool_attribute"}


def plain(file):
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", file.read_text(errors="replace"), flags=re.S)


def records(text):
    """{type: its members as text}, for records and for pointers to functions."""
    found = {}
    for match in re.finditer(r"(\btypedef\s+)?\b(?:struct|union)\s*(\w*)\s*\{", text):
        depth, at = 1, match.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        names = text[at:text.index(";", at)].split(",") if match[1] else []
        for name in names + [match[2]]:
            word = re.match(r"\W*(\w*)", name)[1]  # an array's length, a pointer's star and attributes are not its name
            found[word] = text[match.end():at]
    for match in re.finditer(r"\btypedef\s+(?:struct\s+|union\s+)?(\w+)\s+((?:\w+,\s*)*CU\w+)\s*;", text):
        for name in match[2].split(","):
            found.setdefault(name.strip(), match[1])
    found.pop("", None)
    return found


def carriers(text):
    """Types in which a device number may be, directly or further inside."""
    all_records, found = records(text), set(SEEDS)
    while True:
        pattern = re.compile(r"\b(%s)\b" % "|".join(found))
        more = {name for name, body in all_records.items() if pattern.search(body)} - found
        if not more:
            return found
        found |= more


def functions(text):
    """{exported name: arguments}. The vendor's header renames: the version in a #define is the exported one as well."""
    found = {}
    for match in re.finditer(r"\bCUresult\s+(?:CUDAAPI\s+)?(cu[A-Z]\w*)\s*\(([^;{}]*?)\)\s*;", text):
        found.setdefault(match[1], "")
        found[match[1]] += match[2] + ", "
    return found


def with_devices(text):
    pattern = re.compile(r"\b(%s)\b" % "|".join(carriers(text)))
    return {name for name, arguments in functions(text).items() if pattern.search(arguments)}


def table():
    return {m[1]: m[2] for m in re.finditer(r"\bX\((cu\w+), (\w+)\)", plain(ROOM / "device_table.h"))}


def hooked():
    found = {}
    for owner, file in HOOKS.items():
        for name in re.findall(r"\bX\((cu\w+)\)", plain(file)):
            found.setdefault(name, []).append(owner)
    return found


def finished(headers):
    """What another test is unpacking at the moment is in a folder whose name begins with a dot."""
    return sorted(h for h in headers if not any(part.startswith(".new") for part in h.parts))


def vendor_headers():
    for place in EXTRA + [pathlib.Path(p) for p in SYSTEM]:
        yield from [place] if place.is_file() else finished(place.rglob("cuda.h")) if place.is_dir() and place in EXTRA else \
            [place / "cuda.h"] if (place / "cuda.h").is_file() else []


class DeviceTable(unittest.TestCase):
    def test_ours(self):
        abi = ROOT / "src/abi"
        missing = with_devices(plain(abi / "cuda_types.h") + plain(abi / "cuda.h")) - table().keys()
        self.assertFalse(missing, "not in device_table.h")

    def test_vendors(self):
        headers = list(vendor_headers())
        if not headers:
            self.skipTest("no cuda.h of the vendor's here")
        for header in headers:
            with self.subTest(str(header)):
                names = with_devices(plain(header))
                self.assertGreater(len(names), 40)
                known = {re.sub(r"(_v\d)?(_pt[ds]s?z?)?$", "", name) for name in table()}
                self.assertFalse({n for n in names if n not in table() and re.sub(r"_v\d$", "", n) not in known})

    def test_hooks(self):
        """What the table says is hooked is, once, in the list it says; what it says is not hooked is in none."""
        lists, wrong = hooked(), []
        for name, how in table().items():
            owners = lists.get(name, [])
            want = {"MEMORY": ["memory"], "TIME": ["time"], "BARE": []}.get(how, ["device"])
            if owners != want:
                wrong.append(f"{name}: {how}, hooked by {owners or 'nobody'}")
        self.assertFalse(wrong)

    def test_every_hook_of_ours_is_there(self):
        ours = {name for name, owners in hooked().items() if "device" in owners}
        self.assertFalse(ours - table().keys())

    def test_it_would_notice(self):
        text = "typedef struct A_st { int x; CUdevice d; } A; typedef struct { A *inner; } B;" \
               "CUresult cuNew(B *b); CUresult cuOld(int x);"
        self.assertEqual(with_devices(text), {"cuNew"})


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
