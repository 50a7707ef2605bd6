#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stands in for `aws`, `az` and `scontrol` on PATH. It takes the words that their documentation has, and no others, answers in their form,
and keeps what is started in CLOUD/machines.json. CLOUD/manner says how it behaves from now on."""
import fcntl
import json
import os
import sys
import time

CLOUD = os.environ["TEST_CLOUD"]

# What each call may be told: an option that is not here does not exist.
AWS = {
    "run-instances": {"--region", "--output", "--image-id", "--instance-type", "--count", "--client-token", "--subnet-id", "--security-group-ids",
                      "--key-name", "--tag-specifications"},
    "describe-instances": {"--region", "--output", "--filters", "--query"},
    "terminate-instances": {"--region", "--output", "--instance-ids"},
}
AZ = {
    "create": {"--output", "--resource-group", "--location", "--name", "--image", "--size", "--subnet", "--nsg", "--admin-username", "--ssh-key-values",
               "--os-disk-delete-option", "--nic-delete-option", "--public-ip-address", "--tags"},
    "list": {"--output", "--resource-group", "--query"},
    "delete": {"--output", "--ids", "--yes"},
}


def read(name, default):
    try:
        with open(os.path.join(CLOUD, name)) as f:
            return f.read()
    except FileNotFoundError:
        return default


def options(words, known):
    found, name = {}, None
    for word in words:
        if word.startswith("--"):
            if word not in known:
                fail(f"unrecognized arguments: {word}", 252)
            name = word
            found.setdefault(name, [])
        else:
            found[name].append(word)
    return found


def fail(text, code=255):
    print(f"\n{text}", file=sys.stderr)
    sys.exit(code)


def behave(action):
    """The first word of the manner is the action that it is about."""
    about, _, manner = read("manner", "").strip().partition(" ")
    return manner if about == action else ""


def listed(machines, token):
    """Lists are eventually consistent: what was just started may be lacking."""
    return [] if behave("start") == "appears-late" else [name for name, of in machines.items() if of == token]


class Machines:
    def __enter__(self):
        self.lock = open(os.path.join(CLOUD, "lock"), "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.all = json.loads(read("machines.json", "{}"))
        return self.all

    def __exit__(self, *rest):
        with open(os.path.join(CLOUD, "machines.json"), "w") as f:
            json.dump(self.all, f)
        self.lock.close()


def answer(action, machine, text):
    """The manner: before the machine is there, or when it is and the answer gets lost."""
    manner = behave(action)
    if manner == "refuse":
        fail("An error occurred (InsufficientInstanceCapacity) when calling the operation")
    if manner == "hang":
        time.sleep(1000)
    machine()
    if manner == "appears-late":
        fail("Connection was closed before we received a valid response")
    if manner == "hang-after":
        time.sleep(1000)
    if manner == "mute":
        os.close(1)
        os.close(2)
        time.sleep(1000)
    if manner == "die-long":
        fail("x" * 3000 + "\nthe reason comes last")
    if manner == "garbage":
        text = "<html>502 Bad Gateway</html>"
    if manner == "escape":
        text = "\33]0;\a\x9bm no answ" + 40 * "é"
    if manner == "escape-last":
        fail("\33[2J\x7f no room in Zürich")
    if manner == "other":
        text = '{"surprise": []}'
    if manner == "die-after":
        fail("Connection was closed before we received a valid response")
    if manner == "flood":
        text = "x" * (2 << 20)
    print(text)


def aws(words):
    if words[0] != "ec2" or words[1] not in AWS:
        fail("Invalid choice", 252)
    action, o = words[1], options(words[2:], AWS[words[1]])
    with_machines = Machines()
    if action == "run-instances":
        tags = o["--tag-specifications"][0]
        token = o["--client-token"][0]
        assert f"{{Key=fastgpu,Value={token}}}" in tags and o["--count"] == ["1"] and o["--output"] == ["json"]
        name = f"i-{abs(hash(token)) % 16**8:08x}"

        def make():
            with with_machines as all_:
                all_[name] = token
        answer("start", make, json.dumps({"ReservationId": "r-1", "Instances": [{"InstanceId": name, "PrivateIpAddress": "172.31.0.9", "State": {"Name": "pending"}}]}))
    elif action == "describe-instances":
        token = o["--filters"][0].removeprefix("Name=tag:fastgpu,Values=")
        assert o["--query"] == ["Reservations[].Instances[].InstanceId"]
        with with_machines as all_:
            found = listed(all_, token)
        answer("find", lambda: None, json.dumps(found))
    else:
        def end():
            with with_machines as all_:
                for name in o["--instance-ids"]:
                    all_.pop(name, None)
        answer("stop", end, json.dumps({"TerminatingInstances": [{"InstanceId": i, "CurrentState": {"Name": "shutting-down"}} for i in o["--instance-ids"]]}))


def az(words):
    if words[0] != "vm" or words[1] not in AZ:
        fail("is misspelled or not recognized by the system", 2)
    action, o = words[1], options(words[2:], AZ[words[1]])
    with_machines = Machines()
    if action == "create":
        token = o["--tags"][0].removeprefix("fastgpu=")
        name = f"/subscriptions/s/resourceGroups/{o['--resource-group'][0]}/providers/Microsoft.Compute/virtualMachines/{o['--name'][0]}"
        assert o["--os-disk-delete-option"] == o["--nic-delete-option"] == ["Delete"] and o["--public-ip-address"] == [""]

        def make():
            with with_machines as all_:
                all_[name] = token
        answer("start", make, json.dumps({"id": name, "powerState": "VM running", "privateIpAddress": "10.0.0.4", "publicIpAddress": ""}))
    elif action == "list":
        token = o["--query"][0].removeprefix("[?tags.fastgpu=='").removesuffix("'].id")
        with with_machines as all_:
            found = listed(all_, token)
        answer("find", lambda: None, json.dumps(found))
    else:
        def end():
            with with_machines as all_:
                for name in o["--ids"]:
                    all_.pop(name, None)
        answer("stop", end, "")


def scontrol(words):
    manner = behave("scontrol")
    if words[:3] == ["--oneliner", "show", "node"] and manner == "gave-up":
        print(f"NodeName={words[3]} Arch=x86_64 State=DOWN+CLOUD+POWERED_DOWN ThreadsPerCore=1")
    if words[:1] == ["update"] and manner == "no-address" and words[2].startswith("NodeAddr="):
        fail("slurm_update error: Unable to contact slurm controller", 1)
    if words[:2] == ["show", "hostnames"]:
        name, _, rest = words[2].partition("[")
        first, _, last = rest.rstrip("]").partition("-")
        print(*[f"{name}{i}" for i in range(int(first), int(last or first) + 1)], sep="\n")


def main():
    me = os.path.basename(sys.argv[0])
    with open(os.path.join(CLOUD, "calls"), "a") as f:
        f.write(json.dumps([me, *sys.argv[1:], os.environ.get("AZURE_CONFIG_DIR" if me == "az" else "AWS_SHARED_CREDENTIALS_FILE", "")]) + "\n")
    {"aws": aws, "az": az, "scontrol": scontrol}[me](sys.argv[1:])


if __name__ == "__main__":
    main()
