# SPDX-License-Identifier: Apache-2.0
"""Stands in for `aws`, `az` and `kubectl` on PATH where they are about node pools and a cluster. Pools are in CLOUD/pools.json, the cluster's
pods, nodes and claims in CLOUD/pods.json and so on. As in cloud.py, only documented words are taken, and CLOUD/manner says how it behaves."""
import fcntl
import json
import os
import sys

from cloud import CLOUD, answer, behave, fail, options, read

AWS = {
    ("eks", "describe-nodegroup"): {"--region", "--output", "--cluster-name", "--nodegroup-name", "--query"},
    ("eks", "update-nodegroup-config"): {"--region", "--output", "--cluster-name", "--nodegroup-name", "--scaling-config"},
    ("autoscaling", "describe-auto-scaling-groups"): {"--region", "--output", "--auto-scaling-group-names", "--query"},
    ("autoscaling", "terminate-instance-in-auto-scaling-group"): {"--region", "--output", "--instance-id", "--should-decrement-desired-capacity"},
}
POOL = {"--output", "--resource-group", "--cluster-name"}
AZ = {
    ("nodepool", "show"): POOL | {"--name", "--query"},
    ("nodepool", "scale"): POOL | {"--name", "--node-count", "--no-wait"},
    ("nodepool", "delete-machines"): POOL | {"--name", "--machine-names", "--no-wait"},
    ("machine", "list"): POOL | {"--nodepool-name", "--query"},
}


class Pools:
    """with Pools() as all_: all_["g"]["size"]"""

    def __enter__(self):
        self.lock = open(os.path.join(CLOUD, "lock"), "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.all = json.loads(read("pools.json", "{}"))
        return self.all

    def __exit__(self, *rest):
        with open(os.path.join(CLOUD, "pools.json"), "w") as f:
            json.dump(self.all, f)
        self.lock.close()


def look(name):
    with Pools() as all_:
        return all_[name]


def resize(name, size):
    """Machines come at once; with "resize short" they do not, with "resize half" one less than asked for, and it fails."""
    if behave("resize") == "half":
        size -= 1
    with Pools() as all_:
        pool = all_[name]
        if size > pool.get("limit", 99):
            fail("An error occurred (InvalidParameterException) when calling the UpdateNodegroupConfig operation: desired capacity can't be greater than max size")
        pool["size"] = size
        while len(pool["machines"]) < size and behave("resize") != "short":
            pool["made"] = pool.get("made", 0) + 1
            pool["machines"].append(f"{pool['prefix']}{pool['made']}")
    if behave("resize") == "half":
        fail("Connection was closed before we received a valid response")


def drop(machine):
    with Pools() as all_:
        for pool in all_.values():
            if machine in pool["machines"]:
                pool["machines"].remove(machine)
                pool["size"] -= 1
                return
    fail(f"An error occurred (ValidationError): Instance Id not found - {machine}")


def aws(words):
    o = options(words[2:], AWS[tuple(words[:2])])
    action = words[1]
    if action == "describe-nodegroup":
        assert o["--query"] == ["nodegroup.resources.autoScalingGroups[0].name"]
        answer("read", lambda: None, json.dumps("eks-" + o["--nodegroup-name"][0]))
    elif action == "describe-auto-scaling-groups":
        assert o["--query"] == ["AutoScalingGroups[0].{size:DesiredCapacity,machines:Instances[?!starts_with(LifecycleState,'Terminat')].InstanceId}"]
        pool = look(o["--auto-scaling-group-names"][0].removeprefix("eks-"))
        answer("read", lambda: None, json.dumps({"size": pool["size"], "machines": pool["machines"]}))
    elif action == "update-nodegroup-config":
        size = int(o["--scaling-config"][0].removeprefix("desiredSize="))
        answer("resize", lambda: resize(o["--nodegroup-name"][0], size), json.dumps({"update": {"id": "u-1", "status": "InProgress"}}))
    else:
        assert o["--should-decrement-desired-capacity"] == []
        answer("drop", lambda: drop(o["--instance-id"][0]), json.dumps({"Activity": {"StatusCode": "InProgress"}}))


def az(words):
    assert words[0] == "aks"
    o = options(words[3:], AZ[tuple(words[1:3])])
    name = (o.get("--name") or o.get("--nodepool-name"))[0]
    if words[2] == "show":
        assert o["--query"] == ["count"]
        answer("read", lambda: None, json.dumps(look(name)["size"]))
    elif words[2] == "list":
        assert o["--query"] == ["[].name"]
        answer("read", lambda: None, json.dumps(look(name)["machines"]))
    elif words[2] == "scale":
        answer("resize", lambda: resize(name, int(o["--node-count"][0])), "")
    else:
        answer("drop", lambda: drop(o["--machine-names"][0]), "")


def machine_deployment(words):
    """Cluster API's objects."""
    if words[:2] == ["get", "machinedeployment"]:
        assert words[3:] == ["--namespace", "fleet", "--output", "json"]
        answer("read", lambda: None, json.dumps({"spec": {"replicas": look(words[2])["size"]}}))
    elif words[:2] == ["get", "machines"]:
        assert words[2:5] == ["--namespace", "fleet", "--selector"] and words[6:] == ["--output", "json"]
        pool = look(words[5].removeprefix("cluster.x-k8s.io/deployment-name="))
        answer("read", lambda: None, json.dumps({"items": [{"metadata": {"name": m}} for m in pool["machines"]]}))
    elif words[:2] == ["annotate", "machine"]:
        assert words[3:6] == ["--namespace", "fleet", "--overwrite"] and words[6] in ("cluster.x-k8s.io/delete-machine=yes", "cluster.x-k8s.io/delete-machine-")
        with Pools() as all_:
            pool = next(p for p in all_.values() if words[2] in p["machines"])
            pool.pop("marked", None)
            if words[6].endswith("=yes"):
                pool["marked"] = words[2]
    else:
        assert words[:2] == ["scale", "machinedeployment"] and words[3:5] == ["--namespace", "fleet"]
        before, size = (int(w.split("=")[1]) for w in words[5:])
        pool = look(words[2])
        if before != pool["size"]:
            fail(f"error: Expected replicas to be {before}, was {pool['size']}", 1)
        if size < pool["size"]:
            if behave("drop") == "refuse-and-read":
                with open(os.path.join(CLOUD, "manner"), "w") as f:
                    f.write("read refuse")
                fail("Unable to connect to the server", 1)
            answer("drop", lambda: drop(pool.get("marked", pool["machines"][0])), "scaled")
        else:
            answer("resize", lambda: resize(words[2], size), "scaled")


def kubectl(words):
    if "machinedeployment" in words or "machines" in words or "machine" in words:
        machine_deployment(words)
    elif words[0] == "get":
        assert words[2:] == ["--all-namespaces", "--output", "json"]
        answer("cluster", lambda: None, json.dumps({"items": json.loads(read(f"{words[1]}.json", "[]"))}))
    elif words[0] in ("cordon", "uncordon"):
        # A pod that comes while nobody looks.
        pods = read("late.json", "")
        if words[0] == "cordon" and pods:
            with open(os.path.join(CLOUD, "pods.json"), "w") as f:
                f.write(pods)
    else:
        assert words[:2] == ["annotate", "pod"] and words[3] == "--namespace" and words[5] == "--overwrite"


def main():
    me = os.path.basename(sys.argv[0])
    with open(os.path.join(CLOUD, "calls"), "a") as f:
        f.write(json.dumps([me, *sys.argv[1:]]) + "\n")
    {"aws": aws, "az": az, "kubectl": kubectl}[me](sys.argv[1:])

