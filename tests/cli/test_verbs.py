#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The verbs against a fake daemon: what is typed, what is asked, what is said, how it ends."""
import json
import os
import re
import subprocess
import unittest

from bench import Case, ROOT
from fake_daemon import Server

VERBS = ["devices", "create", "list", "inspect", "resize", "suspend", "resume", "delete", "run", "container", "discover", "submit", "jobs", "logs", "cancel",
         "why", "top", "dashboard", "login", "logout", "whoami", "user", "project", "token",
         "price", "usage", "invoice", "export", "budget", "report", "events", "audit", "perf", "bench", "simulate", "nodes", "docker", "doctor", "version", "help"]


class Help(Case):
    def test_verbs_are_those_of_the_table(self):
        self.assertEqual([v["name"] for v in self.json("help")["verbs"]], VERBS)

    def test_every_verb_explains_itself(self):
        for verb in VERBS:
            by_option = self.fastgpu(verb, "--help").stdout
            self.assertIn(f"fastgpu {verb}", by_option)
            self.assertIn("--json", by_option)
            self.assertEqual(by_option, self.fastgpu("help", verb).stdout)

    def test_list_of_verbs(self):
        text = self.fastgpu("help").stdout
        self.assertEqual(text, self.fastgpu("--help").stdout)
        for verb in VERBS:
            self.assertRegex(text, rf"(?m)^  {verb} ")

    def test_no_daemon_is_started(self):
        self.fastgpu("help")
        self.fastgpu("version")
        self.fastgpu("--version")
        self.fastgpu("create", "--help")
        self.fastgpu("create", "--memory", "0", code=2)
        self.assertEqual(self.started(), [])

    def test_manual_pages(self):
        """Every verb has a page, and the page explains every option that --help lists."""
        for verb in VERBS:
            with open(f"{ROOT}/docs/man/fastgpu-{verb}.1.scd") as f:
                page = f.read()
            for option in set(re.findall(r"--([a-z][a-z-]+)", self.fastgpu(verb, "--help").stdout)) - {"usage"}:
                self.assertIn(f"--{option}", page, f"fastgpu-{verb}(1)")
        with open(f"{ROOT}/docs/man/fastgpu.1.scd") as f:
            page = f.read()
        for verb in VERBS:
            self.assertIn(f"*fastgpu-{verb}*(1)", page)


class Typing(Case):
    """What is refused before any daemon is asked."""

    def test_verbs(self):
        self.assertIn("did you mean `fastgpu create`?", self.refused("craete"))
        self.assertIn("did you mean `fastgpu list`?", self.refused("lsit"))
        self.assertIn("fastgpu help", self.refused("frobnicate"))
        self.assertIn("fastgpu help", self.refused())
        self.assertIn("did you mean", self.refused("help", "inspekt"))

    def test_options(self):
        self.assertIn("did you mean --memory?", self.refused("create", "--memroy", "1G"))
        self.assertIn("did you mean --force?", self.refused("delete", "--farce", "a"))
        self.assertIn("no option --x", self.refused("list", "--x"))
        self.assertIn("no option -z", self.refused("list", "-z"))
        self.assertIn("needs a value", self.refused("create", "--memory"))
        self.assertIn("needs a value", self.refused("create", "-m"))
        self.assertIn("takes no value", self.refused("list", "--json=1"))
        self.assertIn("more than one", self.refused("create", "--m", "1"))

    def test_values(self):
        for args, words in (
                (["--memory", "0"], ['--memory: size "0"']), (["--memory", "-5M"], ["--memory", "negative"]),
                (["--memory", "12Q"], ['"12Q" is not a size']), (["--memory", "101%"], ["--memory", "100%"]),
                (["--memory", "9999999T"], ["--memory", "too large"]), (["--memory", ""], ["--memory"]),
                (["--memory", "1G,,1G"], ["--memory"]),
                (["--compute", "0"], ["--compute", "0"]), (["--compute", "101"], ["--compute", "101"]),
                (["--compute", "70,abc"], ["--compute", '"abc"']), (["--compute=-1"], ["--compute", "-1"]),
                (["--gpus", "0"], ["--gpus", "1 to"]), (["--gpus", "-1"], ["--gpus"]), (["--gpus", "1.5"], ["--gpus"]),
                (["--gpus", "99999999999999999999"], ["--gpus"]),
                (["--gpus", "3", "--compute", "70,30"], ["2 values for 3 vGPUs"]),
                (["--memory", "1G,1G,1G", "--compute", "70,30"], ["--memory has 3 values and --compute 2"]),
                (["--name", "a/b"], ["--name", '"a/b"']), (["--name", "x" * 64], ["--name", "63"]), (["--name", ""], ["--name"]),
                (["--mode", "capp"], ["did you mean cap?"]), (["--mode", "zzz"], ["share, cap"]),
                (["--priority", "hihg"], ["did you mean high?"]), (["foo"], ["did you mean --name foo?"])):
            line = self.refused("create", *args)
            for word in words:
                self.assertIn(word, line)

    def test_targets(self):
        for verb in ("inspect", "resize", "delete"):
            self.assertIn(f"{verb} what?", self.refused(verb))
        self.assertIn('"b" was given after "a"', self.refused("inspect", "a", "b"))
        self.assertIn("nothing to change in a", self.refused("resize", "a"))
        self.assertIn("a/x", self.refused("inspect", "a/x"))
        self.assertIn("fastgpu delete a", self.refused("delete", "a/0"))
        self.assertIn("did you mean `fastgpu inspect a`?", self.refused("list", "a"))

    def test_top(self):
        for args in (["--interval", "0"], ["--interval", "nan"], ["--interval", "1x"], ["--batch", "0"], ["--batch", "x"], ["y"]):
            self.refused("top", *args)

    def test_control_characters_stay_out_of_the_terminal(self):
        self.assertNotIn("\x1b", self.refused("crea\x1b[31m"))
        self.assertNotIn("\x1b", self.refused("inspect", "a\x1b]0;x\x07"))

    def test_nobody_was_asked(self):
        self.refused("create", "--memory", "0")
        self.assertEqual(self.started(), [])


class Asking(Case):
    """Against a daemon in this process, so that what was asked can be looked at."""

    def setUp(self):
        super().setUp()
        self.server = Server(f"{self.state}/run")
        self.addCleanup(self.server.close)

    def asked(self):
        return self.server.fake.requests

    def test_create(self):
        out = self.fastgpu("create", "--gpus", "2", "--name", "a", "--memory", "25%", "--compute", "70,30", "--mode", "cap",
                           "--priority", "high", "--device", "0").stdout
        self.assertEqual(self.asked(), [("POST", "/v1/vgpus", {
            "gpus": 2, "name": "a", "memory": "25%", "compute": ["70", "30"], "mode": "cap", "priority": "high", "device": "0"})])
        self.assertEqual(out.splitlines()[0], "a")
        self.assertIn("a/0  256 MiB, compute 70% (cap), priority high, device 0: Fake GPU", out)
        self.assertNotIn("note:", out)

    def test_create_by_default(self):
        self.assertIn("note: memory: an equal part", self.fastgpu("create").stdout)
        self.assertEqual(self.asked(), [("POST", "/v1/vgpus", {})])

    def test_a_list_says_how_many(self):
        self.assertEqual(len(self.json("create", "--compute", "70,20,10")["vgpus"]), 3)
        self.assertEqual(self.asked()[0][2], {"gpus": 3, "compute": ["70", "20", "10"]})

    def test_create_json(self):
        made = self.json("create", "--name", "a")
        self.assertEqual(made["name"], "a")
        self.assertIn("note", made)

    def test_refusals(self):
        self.fastgpu("create", "--name", "a")
        self.assertIn('"a" exists already', self.refused("create", "--name", "a", code=4))
        self.assertIn("3 GiB are free", self.refused("create", "--memory", "900T", code=5))
        self.assertIn('no vGPU "zzz"', self.refused("inspect", "zzz", code=3))

    def test_names_are_guessed(self):
        self.fastgpu("create", "--name", "my-vgpu")
        for args in (["inspect", "my-vgup"], ["resize", "my-vgup", "--compute", "5"], ["delete", "my-vgup"],
                     ["run", "my-vgup", "--", "true"], ["inspect", "my-vgup/0"]):
            self.assertIn("did you mean my-vgpu?", self.refused(*args, code=3))

    def test_list(self):
        self.assertIn("no vGPUs yet", self.fastgpu("list").stderr)
        self.fastgpu("create", "--name", "a", "--compute", "70,30")
        lines = self.fastgpu("list").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["NAME", "DEVICE", "MEMORY", "USED", "SHARE", "MODE", "PRIORITY", "PROCESSES",
                                            "GPU-SECONDS", "STATE"])
        self.assertEqual(len(lines), 3)
        self.assertEqual(lines[1].split()[:2] + lines[1].split()[-1:], ["a/0", "0", "ready"])
        self.assertEqual(len({line.index(" ready") for line in lines[1:]}), 1)
        self.assertEqual(len(self.json("list")["sets"][0]["vgpus"]), 2)

    def test_inspect(self):
        self.fastgpu("create", "--name", "a", "--compute", "70,30")
        both, one = self.fastgpu("inspect", "a").stdout, self.fastgpu("inspect", "a/1").stdout
        self.assertEqual(both.count("tier"), 2)
        self.assertEqual(one.count("tier"), 1)
        self.assertIn("soft", one)
        self.assertIn("uuid-a-1", one)
        self.assertEqual(self.json("inspect", "a/1")["index"], 1)
        self.assertEqual(self.json("inspect", "a")["name"], "a")
        self.assertIn("0 to 1", self.refused("inspect", "a/2", code=3))

    def test_resize(self):
        self.fastgpu("create", "--name", "a", "--compute", "70,30")
        out = self.fastgpu("resize", "a/1", "--compute", "40").stdout
        self.assertEqual(self.asked()[-1], ("PATCH", "/v1/vgpus/a/1", {"compute": "40"}))
        self.assertIn("compute 40%", out)
        self.assertIn("vgpus", self.json("resize", "a", "--priority", "low"))

    def test_delete(self):
        for name in ("a", "b", "busy"):
            self.fastgpu("create", "--name", name)
        done = self.fastgpu("delete", "a", "busy", "nix", "b", "--json", code=4)
        answer = json.loads(done.stdout)
        self.assertEqual(answer["deleted"], ["a", "b"])
        self.assertEqual([(f["name"], f["problem"]["type"]) for f in answer["failed"]],
                         [("busy", "in-use"), ("nix", "not-found")])
        self.assertIn("--force", done.stderr)
        self.assertEqual(self.fastgpu("delete", "--force", "busy").stdout, "")
        self.assertEqual(self.asked()[-1][:2], ("DELETE", "/v1/vgpus/busy?force=1"))

    def test_suspend_and_resume(self):
        for name in ("a", "b", "full"):
            self.fastgpu("create", "--name", name)
        done = self.fastgpu("suspend", "a", "nix", "b", "--json", code=3)
        answer = json.loads(done.stdout)
        self.assertEqual(answer["suspended"], ["a", "b"])
        self.assertEqual([(f["name"], f["problem"]["type"]) for f in answer["failed"]], [("nix", "not-found")])
        self.assertEqual(self.asked()[-1], ("POST", "/v1/vgpus/b/suspend", None))
        self.assertRegex(self.fastgpu("list").stdout, r"a/0 .*suspended")
        self.assertEqual(self.json("resume", "a"), {"resumed": ["a"], "failed": []})
        self.assertEqual(self.asked()[-1], ("POST", "/v1/vgpus/a/resume", None))
        self.assertIn("cannot go on yet", self.refused("resume", "full", code=5))
        for verb in ("suspend", "resume"):
            self.assertIn(f"fastgpu {verb} a", self.refused(verb, "a/0"))
            self.assertIn(f"{verb} what?", self.refused(verb))

    def test_inspect_says_when_a_lease_ends(self):
        self.fastgpu("create", "--name", "leased")
        self.assertRegex(self.fastgpu("inspect", "leased").stdout, r"idle lease +deleted at 2026-01-01T02:00:00Z unless it is used \(lease of 7200 s\)")

    def test_devices(self):
        done = self.fastgpu("devices")
        self.assertEqual(done.stdout.splitlines()[0].split(), ["ID", "MODEL", "MEMORY", "IN-USE", "FREE", "SHARE-FREE", "UNITS",
                                                               "DRIVER", "VGPUS", "STATE"])
        self.assertIn("960 MiB", done.stdout)
        self.assertIn("12.5%", done.stdout)
        self.assertNotIn("\x1b", done.stdout)
        self.assertIn("one driver is broken", done.stderr)
        self.assertEqual(self.json("devices", "--rescan")["devices"][0]["id"], 0)
        self.assertEqual(self.asked()[-1][1], "/v1/devices?rescan=1")

    def test_figures_that_cannot_be_relied_on_are_said(self):
        fresh = {"stale": False, "age_ms": 100, "memory_used": 1, "processes": 1}
        for watch, words in (
                (fresh, None),
                ({**fresh, "stale": True, "age_ms": 12345}, "device 0: the driver's own figures are stale, 12.3 s old\n"),
                ({**fresh, "error": "GPU is lost"}, "figures are the last there were, 0.1 s old: NVML says \"GPU is lost\"\n"),
                ({"stale": True, "error": "Unknown Error"}, "figures are not there: NVML says \"Unknown Error\"\n")):
            with self.subTest(watch=watch):
                self.server.fake.more = {"api": "cuda", "watch": watch}
                said = self.fastgpu("devices").stderr
                if words:
                    self.assertIn(words, said)
                else:
                    self.assertNotIn("figures", said)

    def test_version(self):
        answer = self.json("version")
        self.assertRegex(answer["version"], r"^\d+\.\d+")
        self.assertEqual(answer["daemon"]["version"], "9.9.9")
        self.server.close()
        os.unlink(f"{self.state}/run/api.sock")
        self.assertIsNone(self.json("version")["daemon"])

    def test_top(self):
        self.fastgpu("create", "--name", "a", "--compute", "70,30")
        lines = self.fastgpu("top", "--batch", "2", "--interval", "0.1").stdout.splitlines()
        self.assertEqual(sum(line.startswith("device 0") for line in lines), 2)
        self.assertIn("busy 100.0%", lines[0])
        row = lines[2]
        self.assertTrue(row.startswith("a/0"), row)
        got, _, *rest = row.split()[-6:]
        self.assertEqual((got, rest), ("50.0%", ["10.0", "0", "0", "ready"]))

    def test_top_json(self):
        self.fastgpu("create", "--name", "a", "--compute", "70,30")
        out = self.fastgpu("top", "--batch", "2", "--interval", "0.1", "--json").stdout
        views = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(len(views), 2)
        one = views[1]["devices"][0]["vgpus"][0]
        self.assertEqual((one["name"], one["share"], one["got"], one["waits_per_s"]), ("a/0", 700, 500, 10))

    def test_top_once(self):
        self.assertEqual(self.fastgpu("top", "--once", "--interval", "0.1").stdout.count("device 0"), 1)

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([self.prefix.program, "devices"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
                                  env=self.environment())
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot write the output", done.stderr)


class Doctor(Case):
    def findings(self, code, **more):
        return {f["check"]: f for f in self.json("doctor", code=code, **more)["findings"]}

    def test_without_daemon(self):
        done = self.fastgpu("doctor", code=self.fastgpu_code())
        self.assertEqual(self.started(), [])
        self.assertRegex(done.stdout, r"(?m)^ok +kernel")
        self.assertRegex(done.stdout, r"(?m)^ok +daemon +none runs")

    def fastgpu_code(self):
        """0, or 1 where this machine lacks something."""
        done = subprocess.run([self.prefix.program, "doctor", "--json"], capture_output=True, env=self.environment(), timeout=60)
        answer = json.loads(done.stdout)
        self.assertEqual(answer["ok"], done.returncode == 0)
        self.assertEqual(answer["ok"], all(f["verdict"] != "fail" for f in answer["findings"]))
        return done.returncode

    def test_with_daemon(self):
        server = Server(f"{self.state}/run")
        self.addCleanup(server.close)
        found = self.findings(self.fastgpu_code())
        self.assertEqual(found["daemon"]["verdict"], "ok")
        self.assertEqual(found["version"]["verdict"], "warn")
        self.assertIn("9.9.9", found["version"]["text"])

    def test_missing_layer(self):
        os.rename(self.prefix.layer, self.prefix.layer + ".away")
        self.addCleanup(os.rename, self.prefix.layer + ".away", self.prefix.layer)
        found = self.findings(1)
        self.assertEqual(found["layer"]["verdict"], "fail")
        self.assertIn("install FastGPU again", found["layer"]["mend"])

    def test_no_drivers(self):
        found = self.findings(1, env={"OCL_ICD_VENDORS": self.state})
        self.assertEqual(found["drivers"]["verdict"], "warn")
        self.assertEqual(found["opencl"]["verdict"], "fail")
        self.assertEqual(found["pocl"]["verdict"], "warn")

    def test_state_that_cannot_be_made(self):
        """Not for root either."""
        file = f"{self.state}/file"
        open(file, "w").close()
        found = self.findings(1, env={"FASTGPU_STATE_DIR": f"{file}/below"})
        for check in ("state", "run"):
            self.assertEqual(found[check]["verdict"], "fail")
            self.assertIn(file, found[check]["text"])

    @unittest.skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_state_not_writable(self):
        os.chmod(self.state, 0o500)
        self.assertEqual(self.findings(1)["state"]["verdict"], "fail")


class Jobs(Case):
    """Jobs are the real daemon's; here is what is typed and sent."""

    def setUp(self):
        super().setUp()
        self.server = Server(f"{self.state}/run")
        self.addCleanup(self.server.close)

    def asked(self, method):
        return [(target, body) for how, target, body in self.server.fake.requests if how == method]

    def test_submit(self):
        done = self.fastgpu("submit", "-y", "-d", "--memory", "1G", "--compute", "30", "--gpus", "2", "--priority", "low", "--name", "n", "--array", "1-9%2",
                            "--time-limit", "2h", "--retries", "3", "--not-before", "10m", "--env", "A=b=c", "--device", "0", "--project", "red",
                            "--budget", "12.5", "--currency", "EUR", "--", "prog", "--memory", "x")
        self.assertEqual(done.stdout, "7\n")
        ((target, body),) = self.asked("POST")
        env = body.pop("env")
        self.assertEqual(env.pop("A"), "b=c")
        self.assertLessEqual(set(env), {"PATH", "HOME", "LANG", "TERM"})
        self.assertEqual((target, body), ("/v1/jobs", {
            "command": ["prog", "--memory", "x"], "memory": "1G", "compute": "30", "gpus": 2, "priority": "low", "name": "n", "array": "1-9%2",
            "time_limit": "2h", "retries": 3, "not_before": "10m", "device": "0", "project": "red", "cwd": os.getcwd(),
            "budget": {"amount": "12.5", "currency": "EUR"}}))
        self.fastgpu("submit", "-y", "-d", "--budget", "5", "--", "true")
        self.assertEqual(self.asked("POST")[-1][1]["budget"], {"amount": "5"})

    def test_submit_shows_and_ends_as_the_job(self):
        done = self.fastgpu("submit", "-y", "--", "true", code=3)
        self.assertEqual(done.stdout, "hello\n")
        self.assertIn("exit code 3", done.stderr)

    def test_submit_asks(self):
        """Where there is nobody to ask, nothing is submitted."""
        self.assertIn("fastgpu submit -y", self.fastgpu("submit", "--", "true", code=2).stderr)
        self.assertEqual(self.asked("POST"), [])

    def test_submit_refused(self):
        self.assertIn("submit what?", self.refused("submit"))
        self.assertIn("submit what?", self.refused("submit", "--"))
        self.assertIn("behind", self.refused("submit", "true"))
        self.assertIn("--env", self.refused("submit", "-y", "--env", "NOT_THERE", "--", "true"))
        self.assertIn("Add --budget", self.refused("submit", "-y", "--currency", "EUR", "--", "true"))
        self.assertIn("--cwd", self.refused("submit", "-y", "--cwd", "here", "--", "true"))
        self.assertIn("did you mean", self.refused("submit", "-y", "--priority", "hihg", "--", "true"))
        self.assertIn("--retries", self.refused("submit", "-y", "--retries", "-1", "--", "true"))

    def test_jobs(self):
        lines = self.fastgpu("jobs").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["ID", "NAME", "PROJECT", "USER", "STATE", "GPUS", "TIME", "REASON"])
        self.assertEqual(lines[1].split()[:6], ["8", "[1-3]", "a", "red", "bob", "queued"])
        self.assertIn("no-share", lines[1])
        self.assertEqual(len(lines), 3)
        self.assertTrue(self.asked("GET")[0][0].endswith("state=unfinished"))
        self.assertEqual([j["id"] for j in self.json("jobs", "--all", "--mine", "--limit", "5", "--project", "red")], [8, 7])
        self.assertEqual(self.asked("GET")[-1][0], "/v1/jobs?limit=5&project=red&mine=1")
        self.assertIn("17/3", self.refused("jobs", "x"))

    def test_logs_cancel_why(self):
        self.assertEqual(self.fastgpu("logs", "7").stdout, "hello\n")
        self.assertEqual(self.fastgpu("logs", "-f", "8/2").stdout, "hello\n")
        self.assertEqual(self.asked("GET")[-1][0], "/v1/jobs/8/log?index=2&from=0&wait=30")
        self.fastgpu("cancel", "7", "8/2")
        self.assertEqual([t for t, _ in self.asked("DELETE")], ["/v1/jobs/7", "/v1/jobs/8?index=2"])
        self.fastgpu("suspend", "8/2")
        self.fastgpu("resume", "8")
        self.assertEqual([t for t, _ in self.asked("POST")], ["/v1/jobs/8/suspend?index=2", "/v1/jobs/8/resume"])
        self.assertIn("8 is queued: no room.\nWhat helps: wait.\n", self.fastgpu("why", "8").stdout)
        self.assertIn("there is no job", self.fastgpu("cancel", "9", code=3).stderr)
        for verb in ("logs", "cancel", "why"):
            self.assertIn("what?", self.refused(verb))
        self.assertIn("not a job", self.refused("cancel", "x"))


if __name__ == "__main__":
    unittest.main(verbosity=1)
