#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What fastgpu-sites says to aws and az, judged by the real ones: aws talks to a server of this test, az's own parser reads the words.

test_clis.py --prepare    installs both, once (1.2 GB), into ${XDG_CACHE_HOME:-~/.cache}/fastgpu-tests/clouds
"""
import collections
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import unittest
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
CLOUDS = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "fastgpu-tests" / "clouds"
PACKAGES = ("awscli==1.46.3", "azure-cli==2.91.0")

# Reads lists of words as az does, and says how it understood each. In az's own Python.
AZ_READS = """
import json, sys
from azure.cli.core import get_default_cli
from knack.events import EVENT_INVOKER_POST_PARSE_ARGS

class Understood(BaseException):
    pass

def stop(cli, command, args):
    raise Understood(args)

cli = get_default_cli()
cli.register_event(EVENT_INVOKER_POST_PARSE_ARGS, stop)
for words in json.load(sys.stdin):
    cli.invocation = cli.invocation_cls(cli_ctx=cli, parser_cls=cli.parser_cls, commands_loader_cls=cli.commands_loader_cls, help_cls=cli.help_cls)
    try:
        cli.invocation.execute(words)
    except Understood as e:
        found = {k: v for k, v in vars(e.args[0]).items() if isinstance(v, (str, list, bool, int))}
    except SystemExit:
        found = {}
    print(json.dumps(found, default=str))
"""


def prepare():
    subprocess.run([sys.executable, "-m", "venv", CLOUDS], check=True)
    subprocess.run([CLOUDS / "bin" / "pip", "install", "--quiet", *PACKAGES], check=True)


class Amazon(http.server.BaseHTTPRequestHandler):
    """Answers in the forms of EC2's query protocol (XML), Auto Scaling's, and EKS's (JSON)."""

    EC2 = 'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"'
    SCALING = 'xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"'

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.server.heard.append((self.command, self.path, body))
        form = {k: v[0] for k, v in urllib.parse.parse_qs(body).items()}
        action = form.get("Action", self.path)
        text = self.answer(action, form)
        self.send_response(200)
        self.send_header("Content-Type", "text/xml" if text.startswith("<") else "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST

    def answer(self, action, form):
        machines = self.server.machines
        if action == "RunInstances":
            machines["i-0a"] = form["TagSpecification.1.Tag.2.Value"]
            return (f'<RunInstancesResponse {self.EC2}><reservationId>r-1</reservationId><instancesSet><item><instanceId>i-0a</instanceId>'
                    '<privateIpAddress>172.31.0.9</privateIpAddress></item></instancesSet></RunInstancesResponse>')
        if action == "DescribeInstances":
            found = [m for m, token in machines.items() if token == form["Filter.1.Value.1"]]
            items = "".join(f"<item><instanceId>{m}</instanceId></item>" for m in found)
            return f'<DescribeInstancesResponse {self.EC2}><reservationSet><item><instancesSet>{items}</instancesSet></item></reservationSet></DescribeInstancesResponse>'
        if action == "TerminateInstances":
            machines.pop(form["InstanceId.1"], None)
            return f'<TerminateInstancesResponse {self.EC2}><instancesSet><item><instanceId>{form["InstanceId.1"]}</instanceId></item></instancesSet></TerminateInstancesResponse>'
        if action == "DescribeAutoScalingGroups":
            states = (("i-1", "InService"), ("i-2", "Terminating:Wait"), ("i-3", "Pending"))
            items = "".join(f"<member><InstanceId>{m}</InstanceId><LifecycleState>{s}</LifecycleState></member>" for m, s in states if m in machines)
            return (f'<DescribeAutoScalingGroupsResponse {self.SCALING}><DescribeAutoScalingGroupsResult><AutoScalingGroups><member><DesiredCapacity>{self.server.size}'
                    f'</DesiredCapacity><Instances>{items}</Instances></member></AutoScalingGroups></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>')
        if action == "TerminateInstanceInAutoScalingGroup":
            machines.pop(form["InstanceId"], None)
            self.server.size -= form["ShouldDecrementDesiredCapacity"] == "true"
            return (f'<TerminateInstanceInAutoScalingGroupResponse {self.SCALING}><TerminateInstanceInAutoScalingGroupResult><Activity><StatusCode>InProgress</StatusCode></Activity>'
                    '</TerminateInstanceInAutoScalingGroupResult></TerminateInstanceInAutoScalingGroupResponse>')
        if action.endswith("/update-config"):
            self.server.size = json.loads(self.server.heard[-1][2])["scalingConfig"]["desiredSize"]
            return '{"update": {"id": "u-1", "status": "InProgress"}}'
        return '{"nodegroup": {"nodegroupName": "small", "resources": {"autoScalingGroups": [{"name": "eks-small-1"}]}, "scalingConfig": {"desiredSize": 0}}}'

    def log_message(self, *words):
        pass


def clis():
    import test_pools
    import test_sites
    return test_pools, test_sites


class Aws(unittest.TestCase):
    def setUp(self):
        self.pools, self.sites = clis()
        self.case = self.pools.Case("setUp")
        self.case.setUp()
        self.addCleanup(self.case.doCleanups)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Amazon)
        self.server.heard, self.server.machines, self.server.size = [], collections.OrderedDict(), 0
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        # The real aws; it takes its keys and the server's address from where an operator would put them.
        folder = self.case.dir
        os.unlink(f"{folder}/bin/aws")
        os.symlink(CLOUDS / "bin" / "aws", f"{folder}/bin/aws")
        for name, text in (("keys", "[default]\naws_access_key_id = a\naws_secret_access_key = b\n"),
                           ("aws-config", f"[default]\nendpoint_url = http://127.0.0.1:{self.server.server_address[1]}\n")):
            pathlib.Path(f"{folder}/{name}").write_text(text)
            os.chmod(f"{folder}/{name}", 0o600)
        env = self.case.env
        self.case.env = lambda: {**env(), "AWS_CONFIG_FILE": f"{folder}/aws-config", "AWS_EC2_METADATA_DISABLED": "true"}
        self.keys = f"credentials = {folder}/keys"

    def heard(self, action):
        return [urllib.parse.parse_qs(body) for _, _, body in self.server.heard if f"Action={action}&" in body]

    def test_instances(self):
        self.case.write(self.sites.FILE + self.keys)
        self.case.sites("resume", "g1")
        [form] = self.heard("RunInstances")
        token = form["ClientToken"][0]
        self.assertEqual({k: form[k] for k in ("ImageId", "InstanceType", "MinCount", "MaxCount", "TagSpecification.1.ResourceType", "TagSpecification.1.Tag.1.Value")},
                         {"ImageId": ["ami-1"], "InstanceType": ["g6.xlarge"], "MinCount": ["1"], "MaxCount": ["1"], "TagSpecification.1.ResourceType": ["instance"],
                          "TagSpecification.1.Tag.1.Value": ["g1"]})
        self.assertEqual((form["TagSpecification.1.Tag.2.Key"], form["TagSpecification.1.Tag.2.Value"]), (["fastgpu"], [token]))
        self.assertLessEqual(len(token), 64, "EC2 takes no longer one")
        self.assertEqual([(k["id"], k["state"]) for k in self.case.kept()], [("i-0a", "up")])
        self.case.sites("suspend", "g1")
        self.assertEqual(self.server.machines, {})
        self.assertEqual(self.case.kept(), [])

    def test_found_by_its_token(self):
        """Started, and the record says no more than the token: as when this program was killed meanwhile."""
        self.case.write(self.sites.FILE + self.keys)
        self.case.sites("resume", "g1")
        path = pathlib.Path(f"{self.case.dir}/state/g1.json")
        kept = json.loads(path.read_text())
        del kept["id"]
        path.write_text(json.dumps({**kept, "state": "starting"}))
        self.case.sites("sweep")
        [form] = self.heard("DescribeInstances")
        self.assertEqual((form["Filter.1.Name"], form["Filter.2.Name"]), (["tag:fastgpu"], ["instance-state-name"]))
        self.assertEqual(self.server.machines, {})

    def test_pool(self):
        self.case.write(self.pools.FILE.replace("pool = small", f"pool = small\n{self.keys}"))
        self.case.pods(self.pools.pod("a", {"8g-25": 1}))
        self.case.sites("scale")
        self.assertEqual(self.server.size, 1)
        self.assertIn(("POST", "/clusters/team/node-groups/small/update-config"), [(m, p) for m, p, _ in self.server.heard])
        # Of the three that the group has, one is ending already.
        self.server.machines.update({"i-1": "", "i-2": "", "i-3": ""})
        self.server.size = 2
        self.case.pods(*self.case.join("i-1", "i-3", used=("i-3",)))
        self.case.sites("scale")
        self.assertEqual(sorted(k["id"] for k in self.case.kept()), ["i-1", "i-3"])
        self.case.let_pass(601)
        self.case.sites("scale")
        [form] = self.heard("TerminateInstanceInAutoScalingGroup")
        self.assertEqual((form["InstanceId"], form["ShouldDecrementDesiredCapacity"]), (["i-1"], ["true"]))
        self.assertEqual(self.server.size, 1)


class Azure(unittest.TestCase):
    """az would ask Azure's servers; its parser alone says whether the words are what it takes, and as what."""

    def test_words(self):
        pools, sites = clis()
        calls = []
        case = sites.Case("setUp")
        case.setUp()
        self.addCleanup(case.doCleanups)
        case.sites("resume", "z1")
        case.sites("suspend", "z1")
        case.manner("start die-after")
        case.sites("resume", "z1", code=1)
        calls += case.calls("az")
        for call in calls:
            call.pop()  # the variable that the stand-in notes
        fleet = pools.Case("setUp")
        fleet.setUp()
        self.addCleanup(fleet.doCleanups)
        fleet.pods(pools.pod("a", {"60g-100": 1}))
        fleet.sites("scale")
        fleet.pods(*fleet.join("aks-big-1"))
        fleet.sites("scale")
        fleet.let_pass(601)
        fleet.sites("scale")
        calls += fleet.calls("az")
        env = {**os.environ, "AZURE_CONFIG_DIR": f"{case.dir}/az", "AZURE_CORE_COLLECT_TELEMETRY": "no"}
        done = subprocess.run([CLOUDS / "bin" / "python", "-c", AZ_READS], input=json.dumps(calls), env=env, capture_output=True, text=True, timeout=600, check=False)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        read = {}
        for words, line in zip(calls, done.stdout.splitlines(), strict=True):
            found = json.loads(line)
            self.assertTrue(found, f"az does not take {words}: {done.stderr[-500:]}")
            read[found["command"]] = found
        self.assertEqual(set(read), {"vm create", "vm list", "vm delete", "aks nodepool show", "aks nodepool scale", "aks nodepool delete-machines", "aks machine list"})
        create = read["vm create"]
        self.assertEqual((create["vm_name"], create["nic_delete_option"], create["os_disk_delete_option"], create["public_ip_address"], create["nsg"]),
                         ("z1", ["Delete"], "Delete", "", ""))
        self.assertTrue(read["vm delete"]["yes"])
        # The group and the name come out of the id.
        self.assertIn(["z1"], read["vm delete"].values())
        self.assertIn(["rg"], read["vm delete"].values())
        self.assertEqual((read["aks nodepool scale"]["node_count"], read["aks nodepool scale"]["no_wait"]), (1, True))
        self.assertEqual(read["aks nodepool delete-machines"]["machine_names"], ["aks-big-1"])


if __name__ == "__main__":
    if sys.argv[1:] == ["--prepare"]:
        prepare()
        sys.exit(0)
    missing = [name for name in ("aws", "az") if not (CLOUDS / "bin" / name).exists()]
    if missing:
        print(f"skipped: no {' and '.join(missing)} in {CLOUDS}: run tests/sites/test_clis.py --prepare", file=sys.stderr)
        sys.exit(77)
    unittest.main()
