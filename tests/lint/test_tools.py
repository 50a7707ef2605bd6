#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Do the checkers check? Each gets a small tree with one violation planted, and the same tree without it. And can be made what
HACKING.md says?"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
CC = os.environ.get("CC", "cc").split()

GOOD = {
    "include/fastgpu/page.h": "#include <stdint.h>\n",
    "include/fastgpu/client.h": "#include <stddef.h>\n",
    "src/base/size.h": "",
    "src/base/size.c": '#include "base/size.h"\n#include <stdio.h>\n',
    "src/ledger/ledger.h": '#include "base/size.h"\n#include "fastgpu/page.h"\n',
    "src/governor/gate.h": '#include "ledger/ledger.h"\n',
    "src/shim/opencl/map.h": "",
    "src/shim/opencl/layer.c": '#include "map.h"\n#include "shim/opencl/map.h"\n#include "governor/gate.h"\n'
                               "#include <CL/cl_layer.h>\n",
    "src/sched/share.h": '#include "base/size.h"\n',
    "src/tlog/tlog.h": '#include "base/size.h"\n#include <sodium.h>\n',
    "src/daemon/manager.h": '#include "sched/share.h"\n#include "ledger/ledger.h"\n#include <jansson.h>\n#include "tlog/tlog.h"\n',
    "src/client/http.h": '#include "fastgpu/client.h"\n#include "base/size.h"\n',
    "src/cli/main.c": '#include "fastgpu/client.h"\n#include "base/size.h"\n#include "generated.h"\n#include "tlog/tlog.h"\n',
}
# file, line to add, words of the complaint
PLANTED = [
    ("src/base/size.c", '#include "ledger/ledger.h"', "base must not include ledger"),
    ("src/base/size.c", '#include "fastgpu/page.h"', "public header page.h"),
    ("src/base/size.c", "#include <jansson.h>", "nothing but libc"),
    ("src/ledger/ledger.h", '#include "governor/gate.h"', "ledger must not include governor"),
    ("src/ledger/ledger.h", '#include "../governor/gate.h"', "ledger must not include governor"),
    ("src/ledger/ledger.h", "#include <governor/gate.h>", "ledger must not include governor"),
    ("src/governor/gate.h", '#  include "shim/opencl/map.h"', "governor must not include shim"),
    ("src/governor/gate.h", '\t#include\t"sched/share.h"', "governor must not include sched"),
    ("src/shim/opencl/layer.c", '#include "daemon/manager.h"', "shim must not include daemon"),
    ("src/shim/opencl/layer.c", '#include "daemon/not_written_yet.h"', "shim must not include daemon"),
    ("src/shim/opencl/layer.c", "#include <systemd/sd-event.h>", "nothing but libc"),
    ("src/shim/opencl/layer.c", '#include "fastgpu/client.h"', "public header client.h"),
    ("src/sched/share.h", '#include "ledger/ledger.h"', "sched must not include ledger"),
    ("src/tlog/tlog.h", '#include "sched/share.h"', "tlog must not include sched"),
    ("src/tlog/tlog.h", "#include <jansson.h>", "nothing but libc and sodium.h"),
    ("src/client/http.h", '#include "tlog/tlog.h"', "client must not include tlog"),
    ("src/daemon/manager.h", '#include "governor/gate.h"', "daemon must not include governor"),
    ("src/cli/main.c", '#include "daemon/manager.h"', "cli must not include daemon"),
    ("src/cli/main.c", '#include "ledger/ledger.h"', "cli must not include ledger"),
    ("src/client/http.h", '#include "daemon/manager.h"', "client must not include daemon"),
    ("include/fastgpu/page.h", '#include "base/size.h"', "a public header must not include"),
    ("src/attic/old.c", "", "no room of this name"),
    ("src/stray.c", "", "no room of this name"),
]


def plant(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def run(tool, *arguments):
    out = subprocess.run([str(TOOLS / tool), *map(str, arguments)], capture_output=True, text=True)
    return out.returncode, out.stdout + out.stderr


class Tree(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        plant(self.root, GOOD)

    def compile(self, *arguments):
        if not shutil.which(CC[0]):
            self.skipTest("no compiler")
        library = self.root / "libfastgpu-x.so"
        source = self.root / "x.c"
        source.write_text("#include <stdlib.h>\n#include <math.h>\nvoid *clGetLayerInfo(void);\nvoid *clInitLayer(double);\n"
                          "void *clGetLayerInfo(void) { return malloc(1); }\n"
                          "void *clInitLayer(double x) { return malloc((size_t)sin(x)); }\n")
        subprocess.run([*CC, "-shared", "-fPIC", "-fno-builtin", "-o", library, source, *arguments], check=True)
        return library


class Layers(Tree):
    def test_good_tree(self):
        self.assertEqual(run("check-layers", "--root", self.root), (0, ""))

    def test_each_violation(self):
        for name, line, words in PLANTED:
            with self.subTest(file=name, line=line):
                plant(self.root, {name: GOOD.get(name, "") + line + "\n"})
                code, text = run("check-layers", "--root", self.root)
                number = GOOD.get(name, "").count("\n") + 1
                self.assertEqual(code, 1)
                self.assertIn(words, text)
                self.assertTrue(text.startswith(f"{name}:{number}: "), text)
                self.assertEqual(len(text.splitlines()), 1, text)
                if name in GOOD:
                    plant(self.root, {name: GOOD[name]})
                else:
                    (self.root / name).unlink()

    def test_empty_tree(self):
        shutil.rmtree(self.root / "src")
        self.assertEqual(run("check-layers", "--root", self.root)[0], 1)

    def test_library(self):
        good = self.compile("-Wl,--as-needed")
        self.assertEqual(run("check-layers", "--root", self.root, "--library", good)[0], 1 if self.needs_libm(good) else 0)
        bad = self.compile("-Wl,--no-as-needed", "-lm")
        code, text = run("check-layers", "--root", self.root, "--library", bad)
        self.assertEqual(code, 1)
        self.assertIn("libm.so", text)
        self.assertEqual(run("check-layers", "--root", self.root, "--library", self.root / "x.c")[0], 1)

    def needs_libm(self, library):
        return "libm.so" in subprocess.run(["readelf", "-d", library], capture_output=True, text=True).stdout

    def test_installed_library_is_found(self):
        bad = self.compile("-Wl,--no-as-needed", "-lm")
        place = self.root / "out/lib/fastgpu"
        place.mkdir(parents=True)
        shutil.copy(bad, place / "libfastgpu-opencl.so")
        self.assertEqual(run("check-layers", "--root", self.root)[0], 1)


def function(name, lines):
    return f"static int {name}(void)\n{{\n" + "        ;\n" * (lines - 4) + "        return 0;\n}\n"


class Shape(Tree):
    def setUp(self):
        super().setUp()
        if run("check-shape", "--root", self.root)[0] == 77:
            self.skipTest("no universal-ctags")

    def test_limits(self):
        for lines, code, said in ((80, 0, False), (81, 0, True), (100, 0, True), (101, 1, True)):
            plant(self.root, {"src/base/long.c": "\n" + function("lengthy", lines)})
            result, text = run("check-shape", "--root", self.root)
            self.assertEqual(result, code, text)
            self.assertEqual(f"src/base/long.c:2: lengthy() has {lines} lines" in text, said, text)

    def test_long_file(self):
        plant(self.root, {"src/base/long.c": "\n" * 701})
        self.assertIn("src/base/long.c:1: 701 lines", run("check-shape", "--root", self.root)[1])
        plant(self.root, {"src/base/long.c": "\n" * 700})
        self.assertNotIn("long.c", run("check-shape", "--root", self.root)[1])

    def test_empty_tree(self):
        shutil.rmtree(self.root / "src")
        self.assertEqual(run("check-shape", "--root", self.root)[0], 1)


class Links(Tree):
    def check(self, text):
        plant(self.root, {"docs/a.md": text, "docs/b.md": "# One, two\n", "build/c.md": "[x](nowhere)\n"})
        return run("check-links", "--root", self.root)

    def test_good(self):
        self.assertEqual(self.check("# A page\n[b](b.md) [h](b.md#one-two) [i](#a-page) [f](../src/base/size.c) [w](https://x.y/z) [d](.)\n"
                                    "`[x](code)`\n```\n[x](code)\n```\n\n    [x](code)\n"), (0, ""))

    def test_each_violation(self):
        for link, words in (("c.md", "there is no c.md"), ("../docs/c.md#x", "there is no ../docs/c.md"), ("b.md#two", "b.md has no heading #two"),
                            ("#x", "a.md has no heading #x")):
            code, text = self.check(f"# A page\n\nmore [x]({link})\n")
            self.assertEqual(code, 1, link)
            self.assertIn(f"docs/a.md:3: {words}", text)
            self.assertEqual(len(text.splitlines()), 1, text)

    def test_no_pages(self):
        self.assertEqual(run("check-links", "--root", self.root)[0], 1)


class Exports(Tree):
    def check(self, library, names):
        plant(self.root, {"list.txt": "# a comment\n\n" + "".join(name + "\n" for name in names)})
        return run("check-exports", library, self.root / "list.txt")

    def test_exports(self):
        library = self.compile("-lm")
        self.assertEqual(self.check(library, ["clInitLayer", "clGetLayerInfo"]), (0, ""))
        code, text = self.check(library, ["clGetLayerInfo"])
        self.assertEqual(code, 1)
        self.assertIn("exports what", text)
        self.assertIn("clInitLayer", text)
        code, text = self.check(library, ["clInitLayer", "clGetLayerInfo", "clDeinitLayer"])
        self.assertEqual(code, 1)
        self.assertIn("lacks what", text)

    def test_no_library(self):
        self.assertEqual(self.check(self.root / "nothing.so", [])[0], 77)
        self.assertNotIn(self.check(self.root / "x.c", ["clInitLayer"])[0], (0,))


class Makefile(unittest.TestCase):
    """What HACKING.md says can be made can be made."""
    ROOT = TOOLS.parent
    CLEAN = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")}

    def targets(self):
        """From the table's first column: `make x`, or `x` for another name of the same."""
        rows = re.findall(r"^\| (`make.*?) \|", (self.ROOT / "HACKING.md").read_text(), re.MULTILINE)
        return [word.removeprefix("make").strip() for row in rows for word in re.findall("`([^`]*)`", row)]

    def commands(self, target):
        out = subprocess.run(["make", "-n", *target.split()], cwd=self.ROOT, env=self.CLEAN, capture_output=True, text=True)
        self.assertEqual(out.returncode, 0, out.stderr)
        return [line for line in out.stdout.splitlines() if not line.startswith("make: ")]

    def test_every_target_that_is_documented(self):
        if not shutil.which("make"):
            self.skipTest("no make")
        targets = self.targets()
        for name in ("", "test", "check", "tsan", "bench", "gpu-check"):
            self.assertIn(name, targets)
        common = self.commands("")
        self.assertNotEqual(common, [])
        for target in targets:
            with self.subTest(target=target):
                commands = self.commands(target)
                self.assertTrue(not target or set(commands) - set(common), "it does nothing of its own")
                for script in re.findall(r"(?<!\S)(?:tools|tests)/[\w./-]+(?=\s|$)", "\n".join(commands)):
                    self.assertTrue(os.access(self.ROOT / script, os.X_OK), script)


class Openapi(unittest.TestCase):
    """What is not fully described ends the build, with the place."""
    DAEMON = TOOLS.parent / "src" / "daemon"
    GET = {"summary": "s", "needs": "caller", "answer": {"200": "name"}}
    POST = {"summary": "s", "needs": "caller", "answer": {"200": "name"}, "body": {"type": "object", "properties": {}}}

    def made(self, method, told, path="/v1/x", version="1", **more):
        source = {"tag": "x", "about": "x", "paths": {path: {method: told}}, **more}
        rest = sorted(self.DAEMON.glob("openapi/[!b]*.json"))
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "x.json")
            file.write_text(json.dumps(source))
            return subprocess.run([TOOLS / "gen-openapi", "--version", version, "--json", self.DAEMON / "problem.c", self.DAEMON / "openapi/base.json",
                                   *rest, file], capture_output=True, text=True)

    def without(self, told, key):
        return {k: v for k, v in told.items() if k != key}

    def test_complete(self):
        for method, told in (("get", self.GET), ("post", self.POST)):
            out = self.made(method, told)
            self.assertEqual((out.returncode, out.stderr), (0, ""))
            self.assertIn("/v1/x", json.loads(out.stdout)["paths"])

    def test_incomplete(self):
        for why, method, told, more in (
                ("missing ['summary']", "get", self.without(self.GET, "summary"), {}),
                ("missing ['needs']", "get", self.without(self.GET, "needs"), {}),
                ("missing ['answer']", "get", self.without(self.GET, "answer"), {}),
                ("have a body", "post", self.without(self.POST, "body"), {}),
                ("have a body", "get", self.POST, {}),
                ("not known ['sumary']", "get", {**self.GET, "sumary": "s"}, {}),
                ('the query parameter "nosuch"', "get", {**self.GET, "query": ["nosuch"]}, {}),
                ('the path parameter "y"', "get", self.GET, {"path": "/v1/x/{y}"}),
                ('no refusal "nosuch"', "get", {**self.GET, "problems": ["nosuch"]}, {}),
                ('the schema "nosuch"', "get", {**self.GET, "answer": {"200": "nosuch"}}, {}),
                ("a string without maxLength", "get", {**self.GET, "answer": {"200": {"type": "string"}}}, {}),
                ("a number without minimum", "get", {**self.GET, "answer": {"200": {"type": "integer"}}}, {}),
                ("a list without", "get", {**self.GET, "answer": {"200": {"type": "array"}}}, {}),
                ("a schema without type", "get", {**self.GET, "answer": {"200": {}}}, {}),
                ("described twice", "get", self.GET, {"path": "/v1/version"}),
                ("there already", "get", self.GET, {"schemas": {"name": {"type": "boolean"}}}),
                ("no request has the parameter", "get", self.GET, {"parameters": {"z": {"name": "z", "in": "query", "schema": {"type": "boolean"}}}})):
            with self.subTest(why=why):
                out = self.made(method, told, **more)
                self.assertEqual(out.returncode, 1, out.stdout[:100])
                self.assertIn(why, out.stderr)


class Web(unittest.TestCase):
    """What checks and packs the dashboard's files."""

    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="fastgpu-lint."))
        self.addCleanup(shutil.rmtree, self.root)
        shutil.copytree(TOOLS.parent / "web", self.root / "web")

    def run_tool(self, tool, *args):
        done = subprocess.run([TOOLS / tool, *args], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def vendor(self, words=None):
        code, said = self.run_tool("check-vendor", "--root", self.root)
        self.assertEqual(code, 1 if words else 0, said)
        self.assertIn(words or "", said)

    def test_what_others_wrote_is_as_they_wrote_it(self):
        uplot = self.root / "web/vendor/uplot"
        self.vendor()
        (uplot / "more.js").write_text("x")
        self.vendor("more.js: not named")
        (uplot / "more.js").unlink()
        with open(uplot / "uPlot.esm.js", "a") as f:
            f.write("\n")
        self.vendor("uPlot.esm.js: is not the file")
        shutil.copy(TOOLS.parent / "web/vendor/uplot/uPlot.esm.js", uplot)
        (uplot / "LICENSE").unlink()
        self.vendor("no LICENSE")
        shutil.copytree(uplot, self.root / "web/vendor/else")
        (self.root / "web/vendor/else/VENDORED").write_text("package jquery\nversion 1\nlicense MIT\n")
        self.vendor("jquery under MIT is not among")

    def test_files_are_packed_whole_or_not_at_all(self):
        web = self.root / "pack"
        web.mkdir()
        (web / "index.html").write_text('<script src="/assets/@HASH@/a.js"></script>@PRELOAD@')
        (web / "a.js").write_text('import {b} from "./b.js";')
        (web / "b.js").write_text("export const b = 1;")
        code, said = self.run_tool("gen-assets", "--list", web, "index.html", "a.js", "b.js")
        self.assertEqual((code, len(said.splitlines())), (0, 3), said)
        first = said.splitlines()[1].split()[2]
        (web / "b.js").write_text("export const b = 2;")
        self.assertNotEqual(self.run_tool("gen-assets", "--list", web, "index.html", "a.js", "b.js")[1].splitlines()[1].split()[2], first, "another content, another name")
        for files, words in ((["index.html", "a.js"], 'a.js: there is no "./b.js"'), (["index.html", "a.exe"], "nobody knows the type"), (["index.html", "c.js"], "No such file")):
            code, said = self.run_tool("gen-assets", web, *files)
            self.assertEqual(code, 1)
            self.assertIn(words, said)


class Help(unittest.TestCase):
    """What a person calls says how; none of it does anything then."""
    CALLED = ("test.sh", "demo.sh", "packaging/install.sh", "tools/install-deps", "tools/dist", "tools/deb", "tools/image", "tools/debian-root",
              "tools/gpu-check", "tools/gpu-bundle", "tools/run-fuzzers", "tools/text-svg")

    def call(self, script, *words):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([TOOLS.parent / script, *words], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(os.listdir(folder), [])
        return done

    def test_usage(self):
        for script in self.CALLED:
            for option in ("--help", "-h"):
                with self.subTest(script=script, option=option):
                    done = self.call(script, option)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                    self.assertIn(os.path.basename(script).replace("gpu-check", "gpu_check.py"), done.stdout)
                    self.assertRegex(done.stdout, r"usage: |text-svg FILE\.svg")

    def test_what_there_is_not(self):
        """An option that needs a word behind it, too."""
        for script, words in (("test.sh", ["--framework"]), ("demo.sh", ["fast"]), ("tools/install-deps", ["--hadoop"]), ("tools/dist", ["--to"]),
                              ("tools/deb", ["--to"]), ("tools/image", ["--tag"]), ("tools/debian-root", ["--suit", "sid"])):
            with self.subTest(script=script):
                done = self.call(script, *words)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(f'not "{words[0]}', done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=0)
