#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Slurm's own daemons and commands with the plugin: what is typed, what a job's programs see, what is left, what is accounted, what
happens when the plugin or a node is missing."""
import collections
import contextlib
import re
import sys
import time
import unittest

import cluster
from cluster import Cluster, NODES, PLUGIN
from node import tool, wait_until

VECTORS = tool("lib", "fastgpu", "examples", "cuda_vectors")
SIM = "2xH100"


def entries(comment):
    """{"n1": gpu_us} of an AdminComment."""
    return {node: int(us) for node, us in re.findall(r"([\w.]+):vgpus=\d+,gpu_us=(\d+)", comment)}


class Ledger:
    """Device time of each vGPU that a node's daemon knows, the gone ones included: what is settled, and the open minute."""

    def __init__(self, daemon):
        self.us = collections.Counter()
        for line in daemon.json("usage")["usage"]:
            self.us[line["name"].split("/")[0]] += round(float(line["busy_gpu_seconds"]) * 1e6)
        for device in daemon.get("/v1/usage/now")["devices"]:
            for line in device["vgpus"]:
                self.us[line["name"].split("/")[0]] += line["busy_us"]


class Slurm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(sim=SIM)
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.close)
        cls.slurm = cls.cluster.slurm

    def refused(self, *argv, code=None):
        done = self.slurm(*argv, check=False)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        if code is not None:
            self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr

    def gone(self):
        """Nothing of a job is left in the daemons once its epilog has run."""
        for name in NODES:
            wait_until(lambda: not self.cluster.sets(name), 20, f"no vGPU is left on {name}")

    def test_help(self):
        for command in ("srun", "sbatch", "salloc"):
            text = self.slurm(command, "--help").stdout
            self.assertIn("--fastgpu=GPUS[:MEMORY[:PERCENT]]", text)
            self.assertIn("--fastgpu-mode=share|cap", text)

    def test_typing(self):
        for command, rest in (("srun", ("true",)), ("sbatch", ("--wrap=true",)), ("salloc", ("true",))):
            self.assertIn('--fastgpu="1:64Q": the second part is each vGPU\'s memory', self.refused(command, "--fastgpu=1:64Q", *rest))
            self.assertIn('"0": the first part is the number of vGPUs', self.refused(command, "--fastgpu=0", *rest))
            self.assertIn("there are share", self.refused(command, "--fastgpu=1", "--fastgpu-mode=cab", *rest))
            self.assertIn("of which vGPUs?", self.refused(command, "--fastgpu-mode=cap", *rest))

    def test_both_ways_to_ask(self):
        for other in ("shard:3", "gpu:1", "gpu"):
            what = other.split(":")[0]
            self.assertIn(f"the job asks for --gres={what} and for --fastgpu=1:1G:20", self.refused("srun", f"--gres={other}", "--fastgpu=1:1G:20", "true"))
        self.assertIn("the job asks for --gres=gpu and for --fastgpu=1", self.refused("sbatch", "--gpus=1", "--fastgpu=1", "--wrap=true"))
        self.assertIn("shard and for --fastgpu", self.refused("sbatch", "--gres=shard:3", "--fastgpu=1", "--wrap=true"))
        self.assertIn("more than one GPU of a node has", self.refused("sbatch", "--fastgpu=2:1G:60", "--wrap=true"))

    def test_shards(self):
        """What Slurm counts is the larger part of a device: of its memory (80 GiB) or of its time."""
        for wish, shards in (("1:8G:5", 10), ("2:8G:25", 50), ("1::12.5", 13), ("1:25%", 25), ("1", 100), ("4:1G:25", 100), ("1:8192MiB", 10)):
            job = self.slurm("sbatch", "--parsable", "--hold", f"--fastgpu={wish}", "--wrap=true").stdout.strip()
            self.assertEqual(self.cluster.job(job)["TresPerNode"], f"gres:shard:{shards}", wish)
            self.slurm("scancel", job)

    def test_program_sees_its_own(self):
        said = self.slurm("srun", "--fastgpu=2:8G:25", "sh", "-c", "nvidia-smi -L 2>/dev/null; env").stdout
        self.assertNotIn("CUDA_VISIBLE_DEVICES", said)
        self.assertIn("FASTGPU_ATTACH=", said)
        said = self.slurm("srun", "--fastgpu=1:8G:25", VECTORS).stdout
        self.assertIn("0 wrong", said)
        plain = self.slurm("srun", "env").stdout
        self.assertNotIn("FASTGPU_ATTACH", plain)
        self.gone()

    def test_device_is_the_one_that_slurm_chose(self):
        """Two jobs of 60 % do not fit one GPU: whichever Slurm gives each, its vGPU is there."""
        script = 'echo "$SLURM_STEP_GPUS"; sleep 30'
        jobs = [self.cluster.popen("srun", "-w", "n1", "--fastgpu=1:1G:60", "sh", "-c", script) for _ in range(2)]
        try:
            said = {p: p.stdout.readline().strip() for p in jobs}
            self.assertEqual(sorted(said.values()), ["0", "1"])
            found = sorted(str(s["vgpus"][0]["device"]) for s in self.cluster.sets("n1").values())
            self.assertEqual(found, ["0", "1"])
        finally:
            self.slurm("scancel", "--user=root")
            for p in jobs:
                p.communicate()
        self.gone()

    def test_too_much(self):
        """Slurm counts by what it was told; the daemon knows better, and says so where the user looks."""
        said = self.refused("srun", "--fastgpu=1:79.95G:10", "true", code=5)
        self.assertIn("fastgpu: the program was not started: vGPU 0 of 1 does not fit: it wants 79.9", said)
        out = self.cluster.path("batch.out")
        self.refused("sbatch", "-W", "-o", out, "--fastgpu=1:79.95G:10", "--wrap=echo began", code=5)
        with open(out) as f:
            said = f.read()
        self.assertIn("does not fit", said)
        self.assertNotIn("began", said)
        self.gone()

    def test_steps_of_a_job_share(self):
        """A batch job's vGPUs are one set, for its own programs and for those of all its steps, at once or in turn."""
        out = self.cluster.path("steps.out")
        script = f'echo "$FASTGPU_ATTACH"; srun -n1 --overlap sh -c \'echo "$FASTGPU_ATTACH"\'; for i in 1 2 3; do srun -n1 --overlap {VECTORS} & done; wait; {VECTORS}'
        job = self.slurm("sbatch", "--parsable", "-W", "-o", out, "-n2", "-N1", "--fastgpu=1:8G:25", "--wrap", script).stdout.strip()
        with open(out) as f:
            lines = f.read().splitlines()
        attach = [line for line in lines if line.endswith(".sock")]
        self.assertEqual(len(attach), 2)
        self.assertEqual(len(set(attach)), 1)
        self.assertEqual(sum("0 wrong" in line for line in lines), 4, lines)
        self.check_account(job)

    def test_nodes_of_a_job(self):
        job = self.slurm("sbatch", "--parsable", "-W", "-o", "/dev/null", "-N2", "--fastgpu=2:8G:25", "--wrap", f"srun {VECTORS}").stdout.strip()
        self.assertEqual(set(self.check_account(job)), set(NODES))

    def check_account(self, job):
        """AdminComment says what the ledgers of the job's nodes have."""
        self.gone()
        said = entries(self.cluster.job(job)["AdminComment"])
        for name, us in said.items():
            self.assertEqual(us, Ledger(self.cluster.daemons[name]).us[f"slurm-{job}"], (name, said))
        self.assertGreater(sum(said.values()), 0)
        return said

    def test_other_words_in_the_comment_stay(self):
        out = self.cluster.path("comment.out")
        job = self.slurm("sbatch", "--parsable", "--hold", "-o", out, "--fastgpu=1:1G:10", "--wrap", "true").stdout.strip()
        self.slurm("scontrol", "update", f"JobId={job}", "AdminComment=ticket-7")
        self.slurm("scontrol", "release", job)
        wait_until(lambda: self.cluster.job(job)["JobState"] == "COMPLETED", 20, "the job is over")
        self.assertRegex(self.slurm("scontrol", "show", "job", job).stdout, r"AdminComment=ticket-7 fastgpu=n\d:vgpus=1,gpu_us=0")

    def test_why_one_waits(self):
        """fastgpu why has the reason that squeue has."""
        held = self.slurm("sbatch", "--parsable", "--hold", "--fastgpu=1:1G:60", "--wrap=true").stdout.strip()
        full = [self.slurm("sbatch", "--parsable", "-w", "n1", "-o", "/dev/null", "--fastgpu=1:1G:60", "--wrap=sleep 100").stdout.strip() for _ in range(3)]
        daemon = self.cluster.daemons["n1"]
        daemon.env["SLURM_CONF"] = self.cluster.env["SLURM_CONF"]
        wait_until(lambda: f"slurm-{full[1]}" in self.cluster.sets("n1"), 20, "two run")
        for job, reason, says in ((held, "JobHeldUser", "it is held"), (full[2], "Resources", "no node has what it needs free, among others 60 shards")):
            wait_until(lambda: self.slurm("squeue", "-h", "-j", job, "-o", "%r").stdout.strip() == reason, 20, f"Slurm says {reason}")
            why = daemon.json("why", f"slurm-{job}")
            self.assertEqual((why["state"], why["reason"]), ("pending", reason))
            self.assertIn(says, daemon.fastgpu("why", f"slurm-{job}").stdout)
        self.assertNotEqual(daemon.json("why", f"slurm-{full[0]}")["state"], "pending")
        self.assertEqual(daemon.fastgpu("why", "slurm-99999", check=False).returncode, 3)
        self.slurm("scancel", "--user=root")
        self.gone()

    def test_why_of_all_kinds(self):
        """Whatever keeps a job, both say the same; what a job asks for is told where that is the reason."""
        def submit(*words):
            return self.slurm("sbatch", "--parsable", "-o", "/dev/null", "--fastgpu=1:1G:60", *words, "--wrap=sleep 100").stdout.strip()
        daemon = self.cluster.daemons["n1"]
        daemon.env["SLURM_CONF"] = self.cluster.env["SLURM_CONF"]
        self.addCleanup(self.slurm, "scancel", "--user=root")
        self.addCleanup(self.slurm, "scontrol", "update", "NodeName=n2", "State=RESUME", check=False)
        self.addCleanup(self.slurm, "scontrol", "update", "PartitionName=all", "State=UP")
        self.slurm("scontrol", "update", "NodeName=n2", "State=DRAIN", "Reason=test")
        first = submit("-w", "n1")
        jobs = {submit("--begin=now+1hour"): ("BeginTime", "its time to begin has not come"),
                submit(f"--dependency=afterok:{first}"): ("Dependency", "a job that it depends on has not ended"),
                submit("-w", "n2"): ("ReqNodeNotAvail", "a node that it needs is down or drained")}
        held = submit("--hold")
        self.slurm("scontrol", "hold", held)
        jobs[held] = ("JobHeldAdmin", "an administrator holds it")
        jobs[submit("--hold", "--array=1-2") + "_2"] = ("JobHeldUser", "it is held")
        self.check_reasons(daemon, jobs)
        # More than the node has: the first of those that wait lacks room, the others wait behind it.
        submit("-w", "n1")
        behind = [submit() for _ in range(2)]
        self.check_reasons(daemon, {behind[0]: ("Resources", "no node has what it needs free, among others 60 shards of a GPU on each of its nodes"),
                                    behind[1]: ("Priority", "jobs of a higher priority are before it")})
        self.slurm("scontrol", "update", "PartitionName=all", "State=DOWN")
        self.check_reasons(daemon, {submit("-w", "n1"): ("PartitionDown", "its partition is down")})

    def check_reasons(self, daemon, jobs):
        def reason(job):
            return self.slurm("squeue", "-h", "-j", job, "-o", "%r").stdout.strip()
        for job, (expected, says) in jobs.items():
            wait_until(lambda: reason(job).startswith(expected), 30, f"Slurm says {expected} of job {job}")
            why = daemon.json("why", f"slurm-{job}")
            self.assertEqual((why["state"], why["reason"]), ("pending", reason(job)))
            self.assertEqual(why["text"], f"{says} (Slurm: {reason(job)})")

    def test_whole_gpus_beside(self):
        """A job with --gres=gpu:1 has its GPU alone: a vGPU is on the other one, and two GPUs leave no room for any."""
        whole = self.cluster.popen("srun", "-w", "n1", "--gres=gpu:1", "sh", "-c", 'echo "$SLURM_STEP_GPUS ${FASTGPU_ATTACH:-none}"; sleep 60')
        self.addCleanup(whole.communicate)
        self.addCleanup(self.slurm, "scancel", "--user=root")
        device, attach = whole.stdout.readline().split()
        self.assertEqual(attach, "none")
        shared = [self.cluster.popen("srun", "-w", "n1", "--fastgpu=1:1G:40", "sh", "-c", 'echo "$SLURM_STEP_GPUS"; sleep 60') for _ in range(2)]
        for process in shared:
            self.addCleanup(process.communicate)
            self.assertEqual({device, process.stdout.readline().strip()}, {"0", "1"})
        placed = {str(s["vgpus"][0]["device"]) for s in self.cluster.sets("n1").values()}
        self.assertEqual(placed, {"0", "1"} - {device})
        third = self.slurm("sbatch", "--parsable", "-w", "n1", "-o", "/dev/null", "--fastgpu=1:1G:40", "--wrap=true").stdout.strip()
        wait_until(lambda: self.slurm("squeue", "-h", "-j", third, "-o", "%r").stdout.strip() == "Resources", 20, "no room is left")

    def test_cancelled(self):
        job = self.slurm("sbatch", "--parsable", "-o", "/dev/null", "--fastgpu=1:1G:10", "--wrap", "sleep 100").stdout.strip()
        def where():
            return [n for n in NODES if f"slurm-{job}" in self.cluster.sets(n)]
        wait_until(where, 20, "its vGPU is there")
        name, = where()
        self.slurm("scancel", job)
        self.gone()
        self.cluster.wait_for_log(name, f"job {job}: its use ({name}:vgpus=1,gpu_us=0) is in FastGPU's ledger alone, Slurm did not take it: the job is over, and the cluster has no slurmdbd")
        wait_until(lambda: not self.cluster.untold(name), 20, "nothing is kept for a database that is not there")

    def test_daemon_gone(self):
        """No daemon, no program: the limits could not be kept."""
        self.cluster.daemons["n1"].stop_daemon(15)
        try:
            said = self.refused("srun", "-w", "n1", "--fastgpu=1:1G:10", "echo", "began", code=6)
            self.assertIn("fastgpud on this node does not answer at", said)
            self.assertEqual(self.slurm("srun", "-w", "n1", "echo", "plain").stdout, "plain\n")
        finally:
            self.cluster.daemons["n1"].fastgpu("devices")


class Missing(unittest.TestCase):
    """A node without the plugin."""

    def test_optional(self):
        with Cluster(sim=SIM, plugstack="optional /nowhere/spank_fastgpu.so\n", lua=False) as c:
            self.assertEqual(c.slurm("srun", "echo", "runs").stdout, "runs\n")

    def test_as_shipped(self):
        """The line that is shipped, without the plugin: slurmd starts and runs jobs. Were it `required`, it would not start at all."""
        with open(tool("share", "fastgpu", "slurm", "plugstack.conf")) as f:
            shipped = f.read().replace(PLUGIN, "/nowhere/spank_fastgpu.so")
        self.assertIn("\noptional /nowhere/spank_fastgpu.so", shipped)
        with Cluster(sim=SIM, plugstack=shipped, lua=False) as c:
            self.assertEqual(c.slurm("srun", "-w", "n2", "echo", "runs").stdout, "runs\n")
            slurmd = c.processes["slurmd-n2"]
            slurmd.terminate()
            slurmd.wait(20)
            c.write("plugstack.conf", shipped.replace("\noptional", "\nrequired"))
            c.start_slurmd("n2")
            self.assertNotEqual(c.processes["slurmd-n2"].wait(30), 0)
            c.write("plugstack.conf", shipped)
            c.start_slurmd("n2")
            wait_until(lambda: c.slurm("srun", "-w", "n2", "echo", "runs", check=False).stdout == "runs\n", 30, "n2 is back")

    def test_prolog(self):
        """Clients and n1 have it, n2 does not: a job that asks for vGPUs does not run there without them, but on n1."""
        with Cluster(sim=SIM, lua=False, nodes_without=("n2",)) as c:
            job = c.slurm("sbatch", "--parsable", "-o", c.path("out"), "-w", "n2", "--fastgpu=1:1G:10", "--wrap", "echo began").stdout.strip()
            wait_until(lambda: "drain" in c.states()["n2"], 20, "n2 is out of service")
            self.assertEqual(c.job(job)["JobState"], "PENDING")
            with open(c.path("out")) as f:
                self.assertNotIn("began", f.read())
            c.slurm("scancel", job)
            self.assertEqual(c.slurm("srun", "--fastgpu=1:1G:10", "printenv", "SLURMD_NODENAME").stdout, "n1\n")

    def test_loader(self):
        """A node whose OpenCL loader does not take the layer is no better."""
        with Cluster(sim=SIM, lua=False, nodes_deaf=("n2",)) as c:
            done = c.slurm("sbatch", "--parsable", "-o", c.path("out"), "-w", "n2", "--fastgpu=1:1G:10", "--wrap", "echo began")
            wait_until(lambda: "drain" in c.states()["n2"], 20, "n2 is out of service")
            with open(c.path("slurmd-n2.log")) as f:
                self.assertIn("there is no OpenCL loader", f.read())
            self.assertEqual(c.job(done.stdout.strip())["JobState"], "PENDING")
            self.assertEqual(c.slurm("srun", "-w", "n1", "--fastgpu=1:1G:10", "echo", "began").stdout, "began\n")


def said(c, task):
    with open(c.path(f"job-{task}.out"), errors="replace") as f:
        return f.read()[-500:]


class Burst(unittest.TestCase):
    JOBS = 200

    def test_two_hundred_jobs_and_a_node_that_dies(self):
        with Cluster(sim=SIM, cpus=8, accounting=True) as c:
            script = c.path("job.sh")
            c.write("job.sh", f"#!/bin/sh\n{VECTORS} 65536 1 || exit 9\nsleep 0.3\necho $SLURM_ARRAY_TASK_ID >>{c.path('done')}\n", 0o755)
            first = int(c.slurm("sbatch", "--parsable", "--requeue", "-o", c.path("job-%a.out"), f"--array=1-{self.JOBS}", "--fastgpu=1:4G:20", script).stdout)
            wait_until(lambda: self.done(c) >= self.JOBS // 5, 60, "a fifth of the jobs is over")
            before = c.kill_node("n2", lambda: self.ledger_at_rest(c.daemons["n2"]))
            wait_until(lambda: "down" in c.states()["n2"], 60, "n2 is missed")
            self.no_wait(c)
            # All its jobs end on the other node before it is back: slurmctld takes nothing of them any more.
            wait_until(lambda: not c.slurm("squeue", "-h").stdout, 180, "all jobs are over")
            c.start_fastgpud("n2")
            c.start_slurmd("n2")
            self.check(c, first, before)

    @staticmethod
    def no_wait(c):
        """Slurm lets jobs of a node that failed wait for two minutes."""
        for job in c.slurm("squeue", "-h", "-r", "-t", "PENDING", "-o", "%A %r").stdout.splitlines():
            if job.endswith("BeginTime"):
                c.slurm("scontrol", "update", f"JobId={job.split()[0]}", "StartTime=now")

    @staticmethod
    def ledger_at_rest(daemon):
        """What the node's daemon has of each vGPU, once nothing is added to it any more: the programs are stopped."""
        seen = [None]

        def same():
            seen.append(Ledger(daemon).us)
            time.sleep(0.2)
            return seen[-1] == seen[-2]
        wait_until(same, 20, "nothing is used any more")
        return seen[-1]

    @staticmethod
    def done(c):
        try:
            with open(c.path("done")) as f:
                return len(f.read().split())
        except FileNotFoundError:
            return 0

    def check(self, c, first, before):
        for name in NODES:
            wait_until(lambda: not c.sets(name), 20, f"no vGPU is left on {name}")
        text = c.slurm("scontrol", "-o", "show", "job").stdout
        jobs = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in text.splitlines()]
        jobs = [j for j in jobs if int(j.get("ArrayJobId", 0)) == first]
        self.assertEqual(len(jobs), self.JOBS)
        failed = {j["JobId"]: (j["ExitCode"], j["NodeList"], j["Restarts"], said(c, j["ArrayTaskId"])) for j in jobs if j["JobState"] != "COMPLETED"}
        self.assertEqual(failed, {})
        with open(c.path("done")) as f:
            runs = collections.Counter(int(word) for word in f.read().split())
        self.assertEqual(set(runs), set(range(1, self.JOBS + 1)))
        again = {int(j["ArrayTaskId"]) for j in jobs if int(j["Restarts"])}
        self.assertTrue(again, "the node died while it had jobs")
        self.assertLessEqual({task for task, count in runs.items() if count > 1}, again)
        # Nothing is used that no job has said, nothing said that was not used, to the µs, of the node that died too: Slurm's accounting has
        # what its daemon had counted until then, of which that itself has lost the minute in which it was killed.
        used = {("n1", vgpu): us for vgpu, us in Ledger(c.daemons["n1"]).us.items() if us}
        used.update({("n2", vgpu): us for vgpu, us in (Ledger(c.daemons["n2"]).us | before).items() if us})
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self.told(c, first) == used, 60, "Slurm's accounting is the ledgers'")
        self.assertEqual(self.differ(self.told(c, first), used), {}, "(told, used)")
        self.assertGreaterEqual(len(used), self.JOBS)
        self.assertTrue(any(self.left_behind(c, vgpu) for name, vgpu in used if name == "n2"), "the node died while a job used it")
        # What is told again, as by a slurmd that was ended before it could note that it had told, changes nothing, nor does what is older.
        wait_until(lambda: not c.untold("n2"), 30, "all is told")
        for less in (0, 1):
            for name, vgpu in used:
                if name == "n2" and self.left_behind(c, vgpu):
                    c.write(f"untold-n2/{vgpu.removeprefix('slurm-')}:0:n2:vgpus=1,gpu_us={used[name, vgpu] - less}", "")
            c.restart_slurmd("n2")
            wait_until(lambda: c.states()["n2"] == "idle", 30, "n2 is back again")
            wait_until(lambda: not c.untold("n2"), 30, "nothing is left to tell")
            self.assertEqual(self.told(c, first), used)

    @staticmethod
    def told(c, first):
        """{(node, vGPU): µs} that sacct has of the jobs."""
        told = collections.Counter()
        for line in c.slurm("sacct", "-X", "-n", "-P", "-j", str(first), "--format=JobIDRaw,AdminComment").stdout.splitlines():
            job, _, comment = line.partition("|")
            for where, us in entries(comment).items():
                name, _, restarts = where.partition(".")
                told[name, f"slurm-{job}" + (f".{restarts}" if restarts else "")] += us
        return {k: v for k, v in told.items() if v}

    @staticmethod
    def differ(told, used):
        return {k: (told.get(k), used.get(k)) for k in {*told, *used} if told.get(k) != used.get(k)}

    @staticmethod
    def left_behind(c, vgpu):
        """The job of that vGPU ran again."""
        return "." not in vgpu and int(c.job(vgpu.removeprefix("slurm-"))["Restarts"]) > 0


if __name__ == "__main__":
    chosen = [word for word in sys.argv[1:] if not word.startswith("-")]
    cluster.require(*(cluster.ACCOUNTING if not chosen or any(word.startswith("Burst") for word in chosen) else ()))
    unittest.main(verbosity=2)
