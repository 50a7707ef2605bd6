#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fastgpu-sites over providers' commands that behave in every way they can: what is started is a node or is gone, and somebody is told why."""
import atexit
import functools
import json
import os
import pathlib
import py_compile
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
SITES = os.environ["FASTGPU_SITES_PROGRAM"]

FILE = """
[home]
provider = private
nodes = n[1-2]
memory = 80G
gpus = 2
model = NVIDIA H100
[dear]
provider = azure
nodes = z[1-2]
price = 3.50
currency = EUR
memory = 80G
model = NVIDIA A100
resource-group = rg
image = Ubuntu2204
type = Standard_NC24ads_A100_v4
timeout = 30
[cheap]
provider = aws
nodes = g[1-9]
price = 0.98
currency = EUR
memory = 24G
model = NVIDIA L4
region = eu-central-1
image = ami-1
type = g6.xlarge
timeout = 30
"""


@functools.lru_cache(maxsize=None)
def compiled():
    """The folder of the stand-ins' modules, as Python has compiled them."""
    folder = tempfile.mkdtemp(prefix="fastgpu-sites-")
    atexit.register(shutil.rmtree, folder)
    for name in ("cloud", "pools"):
        py_compile.compile(str(HERE / f"{name}.py"), cfile=f"{folder}/{name}.pyc", doraise=True)
    return folder


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="fastgpu-sites-")
        self.addCleanup(shutil.rmtree, self.dir)
        os.makedirs(f"{self.dir}/bin")
        for name in ("aws", "az", "scontrol"):
            self.stand_in(name, "cloud")
        self.write(FILE)

    def stand_in(self, name, module):
        """Started hundreds of times: compiled once, and without what Python reads at each start."""
        path = f"{self.dir}/bin/{name}"
        with open(path, "w") as f:
            f.write(f"#!{sys.executable} -S\nimport sys\nsys.path.insert(0, {compiled()!r})\nimport {module}\n{module}.main()\n")
        os.chmod(path, 0o755)

    def write(self, text):
        with open(f"{self.dir}/sites", "w") as f:
            f.write(text)

    def env(self):
        return {"PATH": f"{self.dir}/bin:{os.environ['PATH']}", "TEST_CLOUD": self.dir, "FASTGPU_SITES": f"{self.dir}/sites",
                "FASTGPU_SITES_STATE": f"{self.dir}/state", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}

    def sites(self, *words, code=0):
        done = subprocess.run([SITES, *words], env=self.env(), capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout if code == 0 else done.stderr

    def manner(self, text):
        with open(f"{self.dir}/manner", "w") as f:
            f.write(text)

    def machines(self):
        try:
            with open(f"{self.dir}/machines.json") as f:
                return json.load(f)
        except FileNotFoundError:
            return {}

    def calls(self, program):
        with open(f"{self.dir}/calls") as f:
            return [call[1:] for call in map(json.loads, f) if call[0] == program]

    def kept(self):
        return json.loads(self.sites("list", "--json"))


class Choosing(Case):
    def chosen(self, *words):
        return json.loads(self.sites("choose", "--json", *words))["site"]

    def test_private_first_then_cheapest(self):
        self.assertEqual(self.chosen("--memory", "8G"), "home")
        self.assertEqual(self.sites("choose", "--memory", "8G", "--features").strip(), "home|cheap|dear")
        self.assertEqual(self.sites("choose", "--memory", "40G", "--features").strip(), "home|dear")
        self.assertIn("0.98 EUR an hour, the cheapest that fits; not home (its GPU is NVIDIA H100)", self.sites("choose", "--model", "l4"))
        self.assertEqual(self.chosen("--gpus", "2", "--memory", "60G"), "home")
        self.assertEqual(self.sites("choose", "--compute", "30", "--gpus", "3", "--features").strip(), "home|cheap|dear")
        self.assertEqual(self.sites("choose", "--compute", "30", "--gpus", "4", "--features").strip(), "home")

    def test_budget(self):
        self.assertEqual(self.sites("choose", "--features", "--hours", "10", "--budget", "9.80").strip(), "home|cheap")
        self.assertEqual(self.sites("choose", "--features", "--hours", "10", "--budget", "9.79").strip(), "home")
        said = self.sites("choose", "--model", "A100", "--hours", "2", "--budget", "6.99", code=5)
        self.assertIn("dear (it would cost 7.00 EUR, and 6.99 are left of the budget)", said)

    def test_none_fits(self):
        said = self.sites("choose", "--memory", "100G", code=5)
        for site in ("home (its GPU has 80 GiB, and 100 GiB is wanted)", "cheap (its GPU has 24 GiB", "dear"):
            self.assertIn(site, said)
        self.assertIn("1Q", self.sites("choose", "--memory", "1Q", code=2))

    def test_lines_for_slurm(self):
        """By weight Slurm itself takes the private ones first, then the cheapest."""
        lines = self.sites("nodes").splitlines()
        self.assertEqual([(line.split()[0], line.split()[-1]) for line in lines],
                         [("NodeName=n[1-2]", "Weight=10"), ("NodeName=g[1-9]", "Weight=20"), ("NodeName=z[1-2]", "Weight=30")])
        self.assertNotIn("CLOUD", lines[0])
        self.assertIn("State=CLOUD", lines[1])

    def test_prices(self):
        self.assertEqual(self.sites("prices", "cheap"), "currency,price\nEUR,0.98\n")
        self.assertIn("no price", self.sites("prices", "home", code=2))
        self.assertIn("There is no", self.sites("prices", "nowhere", code=2))


class Files(Case):
    def refused(self, before, after):
        self.assertIn(before, FILE)
        self.write(FILE.replace(before, after, 1))
        return self.sites("check", code=2)

    def test_what_is_wrong(self):
        self.assertIn('no provider "gcp"', self.refused("provider = aws", "provider = gcp"))
        self.assertIn("image is missing", self.refused("image = ami-1\n", ""))
        self.assertIn("price is missing", self.refused("price = 0.98\n", ""))
        self.assertIn('price "cheap"', self.refused("0.98", "cheap"))
        self.assertIn("which is cheaper cannot be said", self.refused("currency = EUR", "currency = USD"))
        self.assertIn("two sites home", self.refused("[cheap]", "[home]"))
        self.assertIn("image begins with '-'", self.refused("ami-1", "--profile=x"))
        self.assertIn('line 4: there is no "node"', self.refused("nodes = n", "node = n"))
        self.assertIn("neither [SITE]", self.refused("[home]", "home"))
        self.assertIn("is not a name", self.refused("[home]", "[../x]"))
        self.write("")
        self.assertIn("has no site", self.sites("check", code=2))

    def test_credentials(self):
        """Neither in the file nor in any call's words: the name of a file that nobody else reads."""
        secret = f"{self.dir}/secret"
        with open(secret, "w") as f:
            f.write("[default]\n")
        self.write(FILE + f"credentials = {secret}\n")
        for mode in (0o644, 0o640, 0o604):
            os.chmod(secret, mode)
            self.assertIn(f"can be read by others (mode {mode:o}): chmod 600", self.sites("resume", "g1", code=2))
        self.assertEqual(self.calls("aws"), [])
        down = self.calls("scontrol")[-1]
        self.assertEqual(down[:3], ["update", "NodeName=g1", "State=DOWN"])
        self.assertIn("can be read by others (mode 604): chmod 600", down[3], "Slurm's users look there")
        os.chmod(secret, 0o600)
        self.sites("resume", "g1")
        self.assertEqual([call[-1] for call in self.calls("aws")], [secret])
        self.assertNotIn(secret, self.calls("aws")[0][:-1])

    def test_credentials_of_azure(self):
        """az has a folder, which `az login` fills."""
        folder = f"{self.dir}/azure"
        os.mkdir(folder, 0o755)
        self.write(FILE.replace("resource-group = rg", f"resource-group = rg\ncredentials = {folder}"))
        self.assertIn("can be read by others (mode 755): chmod 700", self.sites("resume", "z1", code=2))
        os.chmod(folder, 0o700)
        self.write(FILE + f"credentials = {folder}\n")
        self.assertIn("credentials of aws are a file, which", self.sites("check", code=2))
        self.write(FILE.replace("resource-group = rg", f"resource-group = rg\ncredentials = {folder}"))
        self.sites("resume", "z1")
        self.assertEqual([call[-1] for call in self.calls("az")], [folder])


class Nodes(Case):
    def test_come_and_go(self):
        for node, program in (("g1", "aws"), ("z1", "az")):
            self.sites("resume", node)
            self.assertEqual(len(self.machines()), 1)
            self.assertEqual([(k["node"], k["state"]) for k in self.kept()], [(node, "up")])
            self.sites("resume", node)
            self.assertEqual(len(self.machines()), 1, "asked again, it is there")
            self.sites("suspend", node)
            self.assertEqual(self.machines(), {})
            self.assertEqual(self.kept(), [])
            self.assertEqual(len(self.calls(program)), 2)
        self.assertIn(["update", "NodeName=g1", "NodeAddr=172.31.0.9", ""], self.calls("scontrol"))
        with open(f"{self.dir}/state/log") as f:
            self.assertEqual([(line["node"], line["site"], line["currency"]) for line in map(json.loads, f)], [("g1", "cheap", "EUR"), ("z1", "dear", "EUR")])
        self.sites("suspend", "g1")  # nothing to do

    def test_many(self):
        self.sites("resume", "g[1-9]")
        self.assertEqual(len(self.machines()), 9)
        self.sites("suspend", "g[1-9]")
        self.assertEqual(self.machines(), {})

    def failing(self, manner, text, node="g1"):
        """It fails, says so to Slurm, and nothing is left or billed."""
        self.manner(manner)
        self.write(FILE.replace("timeout = 30", "timeout = 1") if "hang" in manner or "mute" in manner else FILE)
        said = self.sites("resume", node, code=1)
        self.assertIn(text, said, manner)
        down = [call for call in self.calls("scontrol") if "State=DOWN" in call]
        self.assertEqual(down[-1][:2], ["update", f"NodeName={node}"])
        self.assertIn("Reason=fastgpu: site ", down[-1][3])
        self.assertIn(text, down[-1][3])
        return said

    def test_failures_are_taken_back(self):
        for node in ("g1", "z1"):
            for manner, text in (("start refuse", "InsufficientInstanceCapacity"), ("start garbage", "no JSON"), ("start other", "answered without"),
                                 ("start die-after", "Connection was closed"), ("start hang", "was not over after 1 s"),
                                 ("start hang-after", "was not over after 1 s"), ("start flood", "too long"), ("start die-long", "the reason comes last"), ("start mute", "was not over after 1 s")):
                self.failing(manner, text, node)
                self.assertEqual(self.machines(), {}, manner)
                # That a list has nothing is no proof for ten minutes.
                self.assertLessEqual({k["state"] for k in self.kept()}, {"left"}, manner)
                self.let_pass(601)
                self.sites("sweep")
                self.assertEqual(self.kept(), [], manner)

    def test_what_programs_say_steers_no_terminal(self):
        for manner, text in (("start escape", '"?]0;??m no answ' + 22 * "é" + '"'), ("start escape-last", "?[2J? no room in Zürich")):
            self.assertTrue(self.failing(manner, text).rstrip("\n").isprintable(), manner)

    def test_empty_list_is_believed_later(self):
        self.failing("start refuse", "InsufficientInstanceCapacity")
        self.let_pass(400)
        self.sites("sweep")
        self.assertEqual([(k["node"], k["state"]) for k in self.kept()], [("g1", "left")])
        self.let_pass(201)
        self.sites("sweep")
        self.assertEqual(self.kept(), [])

    def let_pass(self, seconds):
        for path in pathlib.Path(f"{self.dir}/state").glob("*.json"):
            kept = json.loads(path.read_text())
            path.write_text(json.dumps({**kept, "since": kept["since"] - seconds}))

    def test_appears_late(self):
        """Started, the answer is lost, and the list does not have it yet: asked again it has, while the node's name is free."""
        for node in ("g1", "z1"):
            self.failing("start appears-late", "Connection was closed", node)
            self.sites("sweep")
            self.assertEqual(len(self.machines()), 1)
            self.assertEqual([k["state"] for k in self.kept()], ["left"])
            self.manner("")
            self.sites("sweep")
            self.assertEqual(self.machines(), {})
            self.assertEqual(self.kept(), [])
        self.failing("start appears-late", "Connection was closed")
        self.manner("")
        self.sites("resume", "g1")
        self.assertEqual(len(self.machines()), 1)
        self.assertEqual([(k["node"], k["state"]) for k in self.kept()], [("g1", "up")])

    def test_slurm_gave_up(self):
        """Nodes started one after the other: those that Slurm no longer waits for are not started."""
        self.manner("scontrol gave-up")
        self.assertIn("g2: not started, for Slurm no longer waits for it", self.sites("resume", "g[1-2]", code=1))
        self.assertEqual([k["node"] for k in self.kept()], ["g1"])

    def test_address_cannot_be_told(self):
        self.manner("scontrol no-address")
        self.assertIn("telling Slurm of g1", self.sites("resume", "g1", code=1))
        self.assertEqual(self.machines(), {})
        self.assertEqual(self.kept(), [])

    def test_what_cannot_be_taken_back_is_tried_again(self):
        self.sites("resume", "g2")
        for manner in ("stop refuse", "stop hang"):
            self.manner(manner)
            self.write(FILE.replace("timeout = 30", "timeout = 1") if "hang" in manner else FILE)
            self.sites("suspend", "g2", code=1)
            self.assertEqual(len(self.machines()), 1)
            self.assertEqual(self.kept()[0]["state"], "left")
        self.manner("")
        self.write(FILE)
        self.sites("resume", "g3")  # any call tries again
        self.assertEqual([k["node"] for k in self.kept()], ["g3"])
        self.assertEqual(len(self.machines()), 1)

    def test_answer_lost_and_nothing_can_be_asked(self):
        """Started, the answer is lost, and the list cannot be had either: the token is kept, and finds it later."""
        self.manner("start die-after")
        os.makedirs(f"{self.dir}/real")
        os.rename(f"{self.dir}/bin/aws", f"{self.dir}/real/aws")
        with open(f"{self.dir}/bin/aws", "w") as f:
            f.write(f'#!/bin/sh\n[ "$2" = describe-instances ] && [ -e {self.dir}/deaf ] && exit 1\nexec {self.dir}/real/aws "$@"\n')
        os.chmod(f"{self.dir}/bin/aws", 0o755)
        open(f"{self.dir}/deaf", "w").close()
        said = self.sites("resume", "g1", code=1)
        self.assertIn("may be there still", said)
        self.assertEqual(len(self.machines()), 1)
        os.unlink(f"{self.dir}/deaf")
        self.sites("sweep")
        self.assertEqual(self.machines(), {})
        self.assertEqual(self.kept(), [])

    def test_killed_half_way(self):
        """The program itself is killed while its provider starts something."""
        self.manner("start hang-after")
        process = subprocess.Popen([SITES, "resume", "g1"], env=self.env(), stderr=subprocess.DEVNULL, start_new_session=True)
        end = time.monotonic() + 20
        while not self.machines() and time.monotonic() < end:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertEqual([k["state"] for k in self.kept()], ["starting"])
        self.manner("")
        self.sites("sweep")
        self.assertEqual(self.machines(), {})
        self.sites("resume", "g1")
        self.assertEqual(len(self.machines()), 1)

    def test_nodes_that_are_nobodys(self):
        self.assertIn("no site in", self.sites("resume", "q1", code=1))
        self.assertIn("nothing starts or stops them", self.sites("resume", "n1", code=1))
        self.assertIn("no list of nodes", self.sites("resume", "--", "-x", code=1))
        self.assertIn("which nodes?", self.sites("resume", code=2))

    def test_site_that_is_gone(self):
        """What was started there is neither forgotten nor ended at another."""
        self.sites("resume", "g1")
        self.write(FILE.replace("[cheap]", "[other]"))
        self.assertIn("no longer in the sites file: put it back, or end i-", self.sites("suspend", "g1", code=1))
        self.write(FILE)
        self.sites("suspend", "g1")
        self.assertEqual(self.machines(), {})


if __name__ == "__main__":
    unittest.main()
