#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fastgpu simulate: the published figures where the traces are there, the same bytes twice, bad traces refused."""
import csv
import html.parser
import json
import os
import pathlib
import pty
import random
import subprocess
import sys
import tempfile
import unittest

CLI = os.environ["FASTGPU_CLI"]
TRACES = pathlib.Path(os.environ.get("FASTGPU_TRACES") or pathlib.Path(__file__).resolve().parents[3] / "shared/data") / "openb"
NO_TRACES = f"no traces in {TRACES}; FASTGPU_TRACES names the folder that has openb/"
NODES = "sn,cpu_milli,memory_mib,gpu,model\n" + "".join(f"n{i},32000,65536,4,T4\n" for i in range(10))
HEAD = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\n"
PODS = HEAD + "".join(f"p{i},4000,1024,1,{(i * 37 % 10 + 1) * 100}\n" for i in range(60))


JOBS = "submit_s,duration_s,num_gpus,project,name\n" + "".join(
    f"{i * 40},{600 if i % 5 else 9000},{1 + i % 4},p{i % 3},{'long' if i % 5 == 0 else 'short'}\n" for i in range(120))


def is_part(row):
    return row["num_gpu"] == "1" and row["gpu_milli"] != "1000"


def parts(of):
    """Who wants a part of a GPU wants one of these instead."""
    return lambda draw, row: {**row, "gpu_milli": str(draw.choice(of))} if is_part(row) else row


def models(draw, row):
    return {**row, "gpu_spec": draw.choice(("G2", "P100", "T4", "V100M16|V100M32")) if row["num_gpu"] != "0" and draw.random() < 0.33 else ""}


def as_it_is(draw, row):
    return row


MIXES = {  # of traces that nobody has: how often a row of the default one is drawn, and what becomes of it
    "drawn anew": (lambda row: 1, as_it_is),
    "GPUs only": (lambda row: row["num_gpu"] != "0", as_it_is),
    "parts three times": (lambda row: 3 if is_part(row) else 1, as_it_is),
    "parts a third": (lambda row: 1 if is_part(row) else 3, as_it_is),
    "whole only": (lambda row: not is_part(row), as_it_is),
    "several GPUs five times": (lambda row: 5 if int(row["num_gpu"]) > 1 else 1, as_it_is),
    "eight GPUs ten times": (lambda row: 10 if row["num_gpu"] == "8" else 1, as_it_is),
    "one GPU at most": (lambda row: int(row["num_gpu"]) < 2, as_it_is),
    "much CPU four times": (lambda row: 4 if int(row["cpu_milli"]) >= 8000 else 1, as_it_is),
    "tenths": (lambda row: 1, parts(range(100, 1000, 100))),
    "quarters": (lambda row: 1, parts((250, 500))),
    "any part": (lambda row: 1, parts(range(1, 1000))),
    "a third wants a model": (lambda row: 1, models),
}


def run(*args):
    return subprocess.run([CLI, "simulate", *args], capture_output=True, text=True, timeout=150)


def simulate(nodes, trace, *args):
    return run("--nodes", nodes, "--trace", trace, *args)


class Page(html.parser.HTMLParser):
    """Tags that nest as they should; what is in cells, and in charts how many lines there are."""
    VOID = {"meta", "br"}

    def __init__(self, text):
        super().__init__()
        self.stack, self.seen, self.attributes, self.figures, self.data = [], set(), set(), {}, []
        self.feed(text)
        assert not self.stack, self.stack

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "figure":
            self.figures[dict(attrs)["id"]] = 0
        if tag == "path":
            assert "nan" not in dict(attrs)["d"] and "inf" not in dict(attrs)["d"]
            self.figures[list(self.figures)[-1]] += 1
        if tag == "data":
            self.data.append(float(dict(attrs)["value"]))

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag, tag


class Simulate(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.nodes, self.pods, self.jobs = (self.folder / name for name in ("nodes.csv", "pods.csv", "jobs.csv"))
        self.nodes.write_text(NODES)
        self.jobs.write_text(JOBS)
        self.pods.write_text(PODS)

    def test_same_bytes(self):
        one, two = (simulate(self.nodes, self.pods, "--policy", "fastgpu,fgd,random", "--seeds", "1-3", "--json") for _ in "12")
        self.assertEqual((one.returncode, one.stdout), (0, two.stdout))
        self.assertEqual([row["policy"] for row in json.loads(one.stdout)], ["fastgpu", "fgd", "random"])

    def test_churn(self):
        one, two = (simulate(self.nodes, self.pods, "--policy", "fastgpu", "--seeds", "1", "--churn", "20,150", "--ties", "random", "--json")
                    for _ in "12")
        self.assertEqual((one.returncode, one.stdout), (0, two.stdout), one.stderr)
        low, high = json.loads(one.stdout)[0]["churn"]
        self.assertEqual((low["load"], high["load"]), (20, 150))
        self.assertLess(low["refused"], 1)
        self.assertGreater(high["refused"], 100 / 3)  # of 150 at most 100 find a place
        self.assertAlmostEqual(low["allocated"], 20, delta=2)
        table = simulate(self.nodes, self.pods, "--policy", "fastgpu", "--seeds", "1", "--churn", "20")
        self.assertIn("REFUSED AT  20 %", table.stdout)
        for bad in (["--churn", "0"], ["--churn", "50,x"], ["--churn", "201"], ["--churn", "1,2,3,4,5,6,7,8,9"], ["--ties", "last"]):
            got = simulate(self.nodes, self.pods, *bad)
            self.assertEqual((got.returncode, got.stdout), (2, ""))
            self.assertIn(bad[0], got.stderr)

    def test_repack(self):
        few = ("--policy", "fastgpu", "--seeds", "1", "--churn", "90")
        without, with_it = (json.loads(simulate(self.nodes, self.pods, *few, *more, "--json").stdout)[0]["churn"][0] for more in ((), ("--repack", "3")))
        self.assertEqual((without["moves"], without["lost"]), (0, 0))
        self.assertGreater(with_it["moves"], 0)
        self.assertLessEqual(with_it["moves"], 3)
        self.assertGreater(with_it["lost"], 0)
        self.assertIn("MOVES", simulate(self.nodes, self.pods, *few, "--repack", "3").stdout)
        self.assertNotIn("MOVES", simulate(self.nodes, self.pods, *few).stdout)
        for bad in (("--repack", "3"), ("--churn", "90", "--repack", "101"), ("--churn", "90", "--repack", "x")):
            got = simulate(self.nodes, self.pods, *bad)
            self.assertEqual((got.returncode, got.stdout), (2, ""))
            self.assertIn("--repack", got.stderr)

    def test_bad_traces(self):
        for text, said in ((HEAD + "p,1,1,-1,0\n", ':2: column 4 (num_gpu): "-1"'), (HEAD + "p,1,1,2,500\n", "column 5"),
                           (HEAD + "p,1,1\n", "is missing"), (HEAD, "no pods"), ("", "empty"), ("a,b\n1,2\n", 'no column "cpu_milli"'),
                           (HEAD + "p,1,99999999999999999999,1,1\n", "allowed is a whole number")):
            self.pods.write_text(text)
            got = simulate(self.nodes, self.pods)
            self.assertEqual((got.returncode, got.stdout), (1, ""))
            self.assertIn(said, got.stderr)
        self.assertIn("did you mean fgd", simulate(self.nodes, self.pods, "--policy", "fdg").stderr)

    def test_bad_sizes(self):
        for text, said in ((HEAD + "p,32001,1,1,1000\n", ':2: column 2 (cpu_milli): "32001"; allowed is up to 32000'),
                           (HEAD + "p,1,1,1,500\np,1,1,5,1000\n", ':3: column 4 (num_gpu): "5"; allowed is up to 4'),
                           ("num_gpu,gpu_milli,memory_mib,cpu_milli\n1,500,65537,1\n", ':2: column 3 (memory_mib): "65537"; allowed is up to 65536'),
                           ("cpu_milli,memory_mib,num_gpu,num_gpu,gpu_milli\n", "columns 3 and 4 are both num_gpu")):
            self.pods.write_text(text)
            got = simulate(self.nodes, self.pods)
            self.assertEqual((got.returncode, got.stdout), (1, ""))
            self.assertIn(said, got.stderr)
        self.pods.write_text(PODS)
        for text, said in (("", "empty"), ("sn,cpu_milli,memory_mib,gpu,model\n", "no nodes"), ("cpu_milli,memory_mib,gpu,model\n1,1,0,T4\n", "no node has GPUs"),
                           ("cpu_milli,memory_mib,gpu,model\n1,-1,0,T4\n", ':2: column 2 (memory_mib): "-1"'),
                           ("cpu_milli,memory_mib,gpu\n1,1,1\n", 'no column "model"')):
            self.nodes.write_text(text)
            self.pods.write_text(HEAD + "p,0,0,0,0\n" if "T4" in text else PODS)
            got = simulate(self.nodes, self.pods)
            self.assertEqual((got.returncode, got.stdout), (1, ""))
            self.assertIn(said, got.stderr)

    def test_what_if(self):
        rows = json.loads(simulate(self.nodes, self.pods, "--policy", "fastgpu", "--seeds", "1-3", "--add-nodes", "0,2,50", "--slices", "0,1", "--json").stdout)
        at = {(row["add_nodes"], row.get("slices", 0)): row for row in rows}
        self.assertEqual(len(at), 6)
        self.assertGreaterEqual(at[0, 0]["refused"], at[2, 0]["refused"])
        self.assertGreater(at[0, 1]["refused_pods"], at[0, 0]["refused_pods"])  # whole GPUs only: 60 want one each of 40
        self.assertAlmostEqual(at[0, 1]["refused_pods"], 100 / 3)
        self.assertEqual(at[50, 1]["refused"], 0)
        self.assertIn("standard_deviation", rows[0])

    def test_jobs(self):
        args = ("--jobs", self.jobs, "--gpus", "16", "--policy", "fifo,fifo-skip,mean,gittins,sjf,srtf", "--json")
        one, two = run(*args), run(*args)
        self.assertEqual((one.returncode, one.stdout), (0, two.stdout), one.stderr)
        at = {row["policy"]: row for row in json.loads(one.stdout)}
        self.assertLess(at["sjf"]["mean_jct_s"], at["fifo"]["mean_jct_s"])
        self.assertLess(at["gittins"]["mean_jct_s"], at["fifo-skip"]["mean_jct_s"])
        self.assertEqual({row["jobs"] for row in at.values()}, {120})
        self.assertNotIn("u", at["mean"])  # not known, so not there
        busy = self.folder / "busy.csv"
        busy.write_text(JOBS.replace("name\n", "name,busy_permille\n", 1).replace("long\n", "long,250\n").replace("short\n", "short,250\n"))
        known, = json.loads(run("--jobs", busy, "--gpus", "16", "--policy", "mean", "--json").stdout)
        self.assertAlmostEqual(known["u"], 25)
        self.assertAlmostEqual(known["p"], at["mean"]["p"] / 4)
        drawn, = json.loads(run("--jobs", self.jobs, "--gpus", "16", "--policy", "mean", "--seeds", "1-3", "--json").stdout)
        self.assertGreater(drawn["standard_deviation"]["mean_jct_s"], 0)
        same, more = json.loads(run("--jobs", self.jobs, "--nodes", self.nodes, "--policy", "mean", "--add-nodes", "0,30", "--json").stdout)
        self.assertGreater(same["mean_queue_s"], more["mean_queue_s"])
        self.assertEqual(more["mean_queue_s"], 0)
        few, = json.loads(run("--jobs", self.jobs, "--gpus", "16", "--policy", "mean", "--days", "0-1", "--least-jobs", "40", "--json").stdout)
        self.assertEqual(few["jobs"], 120)
        self.assertIn("no jobs are left", run("--jobs", self.jobs, "--gpus", "16", "--least-jobs", "41").stderr)

    def test_bad_options(self):
        jobs, pods = ("--jobs", self.jobs), ("--nodes", self.nodes, "--trace", self.pods)
        for args, said in (((), "needs --nodes FILE and --trace FILE"), (jobs, "needs --gpus"), ((*jobs, *pods), "only one can be replayed"),
                           ((*jobs, "--gpus", "8", "--policy", "fgd"), '"fgd" is for pods; for jobs there are fifo, '),
                           ((*jobs, "--gpus", "8", "--policy", "gitins"), "did you mean gittins"), ((*pods, "--policy", "srtf"), "is for jobs"),
                           ((*jobs, "--gpus", "8", "--churn", "90"), "are for pods"), ((*pods, "--gpus", "8"), "are for jobs"),
                           ((*pods, "--add-nodes", "1,-2"), "--add-nodes"), ((*pods, "--slices", "101"), "--slices"),
                           ((*jobs, "--gpus", "8", "--days", "5"), "FIRST-LAST"), ((*jobs, "--gpus", "8", "--days", "5-5"), "--days"),
                           ((*pods, "--policy", "fgd," * 9 + "fgd", "--add-nodes", "0,1,2,3,4,5,6"), "allowed are 64"), ((*pods, "--save-jobs", "x"), "--from-history")):
            got = run(*args)
            self.assertEqual((got.returncode, got.stdout), (2, ""), args)
            self.assertIn(said, got.stderr)
        self.assertIn("no whole number of nodes", run(*jobs, "--gpus", "12").stderr)
        self.assertIn("job 3 wants 3 GPUs", run(*jobs, "--gpus", "2", "--node-gpus", "1").stderr)

    def test_report(self):
        for name, args, charts in (("pods", ("--nodes", self.nodes, "--trace", self.pods, "--policy", "fastgpu,fgd,random", "--seeds", "1-2"),
                                    ["allocated", "allocated_near_full", "fragmented", "p"]),
                                   ("churn", ("--nodes", self.nodes, "--trace", self.pods, "--policy", "fastgpu,fgd,random", "--seeds", "1-2", "--churn", "60,90"),
                                    ["refused", "in_use"]),
                                   ("jobs", ("--jobs", self.jobs, "--gpus", "16", "--policy", "fifo-skip,mean,gittins"), ["jct", "wait", "used", "p"])):
            files = [(self.folder / f"{name}{i}.html", self.folder / f"{name}{i}.csv") for i in "12"]
            for page, table in files:
                got = run(*args, "--report", page, "--csv", table, "--json")
                self.assertEqual(got.returncode, 0, got.stderr)
            self.assertEqual(*(page.read_bytes() for page, _ in files))
            self.assertEqual(*(table.read_bytes() for _, table in files))
            page = Page(files[0][0].read_text())
            self.assertEqual(list(page.figures), charts)
            self.assertEqual(set(page.figures.values()), {3})
            self.assertLessEqual({"script", "link", "img", "a"} & page.seen, set())
            self.assertFalse({"src", "href", "style", "onload"} & page.attributes)
            rows = json.loads(got.stdout)
            lines = list(csv.DictReader(files[0][1].read_text().splitlines()))
            self.assertEqual({line["policy"] for line in lines}, {row["policy"] for row in rows})
            key = "refused_at_60" if name == "churn" else "allocated_at_100" if name == "pods" else "mean_jct_s"
            for row in rows:
                told = row["churn"][0]["refused"] if name == "churn" else row[key]
                found = [float(line["value"]) for line in lines if (line["policy"], line["measure"]) == (row["policy"], key)]
                self.assertAlmostEqual(sum(found) / len(found), told, places=4)
                self.assertTrue(any(abs(value - told) < 1e-4 for value in page.data), (name, row))

    def test_oracles_do_not_win(self):
        page = self.folder / "page.html"
        rows = json.loads(run("--jobs", self.jobs, "--gpus", "16", "--policy", "fifo,sjf,gittins", "--report", page, "--json").stdout)
        self.assertLess(min(row["mean_queue_s"] for row in rows[:2]), rows[0]["mean_queue_s"])
        text = page.read_text()
        oracle, = [line for line in text.splitlines() if "sjf (oracle)" in line and line.startswith("<tr>")]
        self.assertNotIn("best", oracle)
        self.assertIn("<td class=\"best\">", text)

    def test_hostile_names(self):
        bad = self.folder / '<b>&".csv'
        bad.write_text(JOBS)
        self.assertEqual(run("--jobs", bad, "--gpus", "16", "--policy", "mean", "--report", self.folder / "page.html").returncode, 0)
        text = (self.folder / "page.html").read_text()
        Page(text)
        self.assertIn("&lt;b&gt;&amp;&quot;.csv", text)
        self.assertNotIn("<b>&", text)

    def test_nothing_half(self):
        page = self.folder / "page.html"
        page.write_text("as it was")
        self.pods.write_text(PODS + "p,1,1,1,-1\n")
        self.assertEqual(simulate(self.nodes, self.pods, "--report", page).returncode, 1)
        self.assertEqual(page.read_text(), "as it was")
        for bad in (self.folder, self.folder / "none" / "page.html", "/dev/full"):
            got = run("--jobs", self.jobs, "--gpus", "16", "--policy", "mean", "--report", bad)
            self.assertEqual((got.returncode, got.stdout), (1, ""))
            self.assertIn("cannot write", got.stderr)
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["jobs.csv", "nodes.csv", "page.html", "pods.csv"])

    def test_progress(self):
        main, side = pty.openpty()
        with os.fdopen(main, "rb", 0) as screen, os.fdopen(side, "wb", 0) as terminal:
            got = subprocess.run([CLI, "simulate", "--jobs", self.jobs, "--gpus", "16", "--policy", "mean,sjf"], stdout=subprocess.PIPE, stderr=terminal, timeout=60)
            said = screen.read(65536).decode()
        self.assertEqual(got.returncode, 0)
        self.assertIn("[############------------]  50 %  sjf", said)
        self.assertTrue(said.endswith("\r\033[K"))

    @unittest.skipUnless((TRACES.parent / "philly").is_dir(), f"no traces in {TRACES.parent}")
    def test_philly(self):
        rows = json.loads(run("--jobs", TRACES.parent / "philly/philly_jobs.csv", "--gpus", "512", "--days", "0-61", "--least-jobs", "10", "--policy",
                              "sjf,mean", "--json").stdout)
        self.assertEqual([row["jobs"] for row in rows], [68503, 68503])
        self.assertAlmostEqual(rows[0]["mean_jct_s"], 17044, delta=170)  # the other oracles: stress/philly rows
        self.assertLess(rows[1]["mean_jct_s"], 21000)

    def openb(self, *args, trace=TRACES / "openb_pod_list_default.csv"):
        got = simulate(TRACES / "openb_node_list_gpu_node.csv", trace, *args, "--json")
        self.assertEqual(got.returncode, 0, got.stderr)
        return json.loads(got.stdout)

    def check_above_fgd(self, trace, name, seeds):
        ours, theirs = self.openb("--policy", "fastgpu,fgd", "--seeds", seeds, trace=trace)
        for at in ("allocated_at_100", "allocated_at_130"):
            self.assertGreater(ours[at], theirs[at], name)
        return ours

    @unittest.skipUnless(TRACES.is_dir(), NO_TRACES)
    def test_published(self):
        at = {row["policy"]: (row["allocated_at_100"], row["allocated_at_130"])
              for row in self.openb("--policy", "fastgpu,fgd,best-fit,packing,clustering,dot-product,random")}
        for policy, published in (("fgd", (95.23, 95.39)), ("best-fit", (92.86, 93.08)), ("packing", (91.78, 92.00)),
                                  ("clustering", (91.65, 91.88)), ("dot-product", (90.62, 90.85)), ("random", (86.30, 87.47))):
            for ours, theirs in zip(at[policy], published):
                self.assertAlmostEqual(ours, theirs, delta=0.3)
        self.assertGreaterEqual(at["fastgpu"][0], 96.1)
        self.assertGreaterEqual(at["fastgpu"][1], 96.2)

    @unittest.skipUnless(TRACES.is_dir(), NO_TRACES)
    def test_above_fgd(self):
        """On each trace at hand; and which of equal places is taken hardly matters."""
        for trace in TRACES.glob("openb_pod_list_*.csv"):
            ours = self.check_above_fgd(trace, trace.name, "42-43")
            drawn, = self.openb("--policy", "fastgpu", "--seeds", "42-43", "--ties", "random", trace=trace)
            for at in ("allocated_at_100", "allocated_at_130"):
                self.assertGreaterEqual(drawn[at], ours[at] - 0.1, trace.name)

    @unittest.skipUnless(TRACES.is_dir(), NO_TRACES)
    def test_above_fgd_where_nobody_tuned(self):
        with (TRACES / "openb_pod_list_default.csv").open() as f:
            rows = list(csv.DictReader(f))
        for name, (often, change) in MIXES.items():
            draw = random.Random(name)
            with self.pods.open("w") as f:
                out = csv.DictWriter(f, rows[0].keys())
                out.writeheader()
                out.writerows(change(draw, row) for row in draw.choices(rows, [often(row) for row in rows], k=len(rows)))
            self.check_above_fgd(self.pods, name, "42")

    @unittest.skipUnless(TRACES.is_dir(), NO_TRACES)
    def test_openb_churn(self):
        """The goals 0.35, 1.9, 5.8 are of means; one of the table's four seeds (alone up to 2.01 and 5.97) is allowed 0.1 more."""
        ours, theirs = ({at["load"]: at["refused"] for at in row["churn"]} for row in
                        self.openb("--policy", "fastgpu,fgd", "--seeds", "101", "--churn", "90,95,100"))
        for load, most in ((90, 0.45), (95, 2.0), (100, 5.9)):
            self.assertLessEqual(ours[load], most)
            self.assertLess(ours[load], theirs[load])


if __name__ == "__main__":
    if not TRACES.is_dir():
        print(f"what the published traces show is left out: {NO_TRACES}", file=sys.stderr)
    unittest.main(verbosity=1)
