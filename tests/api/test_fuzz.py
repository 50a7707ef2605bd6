# SPDX-License-Identifier: Apache-2.0
"""schemathesis against the daemon over TLS, by what the daemon says of itself: valid and invalid requests with all checks, as an
admin, as a member, and as somebody who tries the names of others. FUZZ_ROLE says as whom, FUZZ_SEED and FUZZ_EXAMPLES how."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "daemon"))

import cache  # noqa: E402
import harness  # noqa: E402
import people  # noqa: E402
import tls  # noqa: E402

ROLE = os.environ.get("FUZZ_ROLE", "hostile")
SECRET = "zcanary"
NOWHERE = "zcanary-of-nobody"
# What is said for a project's name; victim's things have the same names as one's own.
PROJECTS = {"admin": "project0 project1 project2 project3", "member": "project1 project1 project1 project0", "hostile": "project0 victim project1 victim"}
EXAMPLES = "5"


class Fuzz(people.Case):
    options = {"devices": 2, "listen": "127.0.0.1:0", "rate_limit": 0}

    def own(self, name, role, project):
        self.operator.ok("POST", "/v1/users", {"name": name})
        self.operator.ok("PUT", f"/v1/projects/{project}/members/{name}", {"role": role})

    def furnish(self):
        """What hooks.py names (user0, project0, set0 …), and victim: a project whose things nobody but admins may learn of."""
        for n in range(4):
            self.operator.ok("POST", "/v1/users", {"name": f"user{n}"})
            self.operator.ok("POST", "/v1/projects", {"name": f"project{n}"})
        self.operator.ok("POST", "/v1/projects", {"name": "victim", "description": SECRET})
        self.own(SECRET + "-user", "manager", "victim")
        for n in range(4):
            self.operator.create(f"set{n}", project="project1" if n % 2 else "victim")
        self.operator.create(SECRET + "-set", project="victim")

    def caller(self):
        """Who fuzzes: an admin, a member of project1, or a manager of project0 who knows the names of what is in victim."""
        if ROLE == "admin":
            self.operator.ok("POST", "/v1/users", {"name": "fuzzer", "admin": True})
        else:
            self.own("fuzzer", "member" if ROLE == "member" else "manager", "project1" if ROLE == "member" else "project0")
        return self.operator.ok("POST", "/v1/tokens", {"user": "fuzzer"})["secret"]

    def of_victim(self):
        return [self.operator.ok("GET", "/v1/vgpus?project=victim")["sets"], self.operator.ok("GET", "/v1/quotas?project=victim"),
                self.operator.ok("GET", "/v1/projects/victim"), self.operator.ok("GET", f"/v1/users/{SECRET}-user")]

    def fuzz(self, token):
        env = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": HERE, "FUZZ_TOKEN": token, "PYTHONDONTWRITEBYTECODE": "1",
               "FUZZ_SECRET": NOWHERE if ROLE == "admin" else SECRET, "FUZZ_PROJECTS": PROJECTS[ROLE]}
        command = [cache.program("schemathesis"), "--config-file", os.path.join(HERE, "schemathesis.toml"), "run", f"https://127.0.0.1:{tls.port_of(self.d)}/v1/openapi.json", "--tls-verify",
                   os.path.join(self.d.state, "tls-cert.pem"), "-H", "Authorization: Bearer " + token, "--checks", "all", "--mode", "all",
                   "--phases", "examples,coverage,fuzzing,stateful", "--seed", os.environ.get("FUZZ_SEED", "4"), "--max-examples",
                   os.environ.get("FUZZ_EXAMPLES", EXAMPLES), "--generation-database", "none", "--suppress-health-check", "too_slow", "--no-color", "--request-timeout", "60"]
        return subprocess.run(command, cwd=self.d.root, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)

    def test_no_finding(self):
        self.furnish()
        token = self.caller()
        before = None if ROLE == "admin" else self.of_victim()
        done = self.fuzz(token)
        shown = done.stdout.replace(token, "TOKEN")
        print(shown[-2000:], flush=True)
        self.assertEqual(done.returncode, 0, "\n".join(line[:500] for line in shown.splitlines()))
        self.assertIsNone(self.d.process.poll(), self.d.logged())
        self.assertNotIn("skipped: all", shown)
        if before:
            for was, now in zip(before, self.of_victim()):
                self.assertEqual(was, now)
            self.assertEqual(self.operator.ok("GET", "/v1/audit?project=victim&actor=fuzzer&status=200")["audit"], [])


people.require_root()
harness.main()
