# SPDX-License-Identifier: Apache-2.0
"""A node that is worth looking at: simulated GPUs, two projects, people, vGPUs at work, jobs that run and wait, prices and a budget."""
import json
import math
import os
import shutil
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "daemon"))
from harness import Daemon, Tenant  # noqa: E402

GIB = 1 << 30
FASTGPU = os.environ.get("TEST_FASTGPU")
GPUS = "2xH100,2xL4"
ROOM = ",4xL4"  # for a crowd


PERIOD = 0.1


class Worker:
    """A tenant that has something to do: a part of each tenth of a second, more and less as time goes."""

    def __init__(self, path, part, memory, swing=0.25, period=25):
        self.tenant = Tenant(path)
        self.part, self.swing, self.period = part, swing, period
        self.tenant("reserve", 0, memory)

    def work(self):
        """A device does one thing after another: so do those who report what it did."""
        begin = time.monotonic()
        part = self.part * (1 + self.swing * math.sin(2 * math.pi * begin / self.period + self.tenant.pid))
        if part <= 0:
            return
        time.sleep(part * PERIOD)
        self.tenant("launches", 0, 3)
        self.tenant("busy", 0, int((time.monotonic() - begin) * 1e9))


class World(Daemon):
    def __init__(self, sim=GPUS, **options):
        super().__init__(sim=sim, **options)
        os.makedirs(os.path.join(self.root, "lib/fastgpu/sim"))
        shutil.copy(os.environ["TEST_SIM_NVML"], os.path.join(self.root, "lib/fastgpu/sim/libnvidia-ml.so.1"))
        self.env["FASTGPU_SIM_STATE"] = self.root
        self.devices(0)
        self.workers, self.relays = {}, []  # of each device
        self.over = threading.Event()
        self.threads = []

    def work(self, workers):
        while not self.over.is_set():
            begin = time.monotonic()
            for worker in list(workers):
                try:
                    worker.work()
                except (OSError, ValueError):
                    workers.remove(worker)
            self.over.wait(max(0.001, PERIOD - (time.monotonic() - begin)))

    def put_to_work(self, name, device, part, memory, **how):
        worker = Worker(self.open(name)["attach"], part, memory, **how)
        if device not in self.workers:
            self.workers[device] = []
            self.threads.append(threading.Thread(target=self.work, args=[self.workers[device]], daemon=True))
            self.threads[-1].start()
        self.workers[device].append(worker)

    def __exit__(self, *exc):
        self.over.set()
        for thread in self.threads:
            thread.join(5)
        for relay in self.relays:
            relay.kill()
            relay.wait()
            relay.stdout.close()
        for worker in sum(self.workers.values(), []):
            worker.tenant.kill()
        super().__exit__(*exc)

    def dashboard(self, *words):
        """`fastgpu dashboard`, and the link that it prints."""
        relay = subprocess.Popen([FASTGPU, "dashboard", "--json", *words], env={**self.env, "PATH": os.environ["PATH"]}, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, text=True)
        self.relays.append(relay)
        return json.loads(relay.stdout.readline())["url"]

    def month(self):
        """A money log of November 2026, with invoices; before the daemon starts."""
        money = os.path.join(self.state, "money")
        os.makedirs(money)
        subprocess.run([os.environ["TEST_BILL_MAKE"], money, "11"], check=True, capture_output=True)

    def people(self, more=()):
        self.ok("PUT", "/v1/prices", {"csv": "model,class,currency,price\n,,EUR,2.40\nNVIDIA H100,share,EUR,3.10\n"})
        for name in ("alice", "bob", "carol"):
            self.ok("POST", "/v1/users", {"name": name})
        for project, members in (("imaging", {"alice": "manager", "bob": "member"}), ("speech", {"carol": "member"})):
            self.ok("POST", "/v1/projects", {"name": project})
            for user, role in members.items():
                self.ok("PUT", f"/v1/projects/{project}/members/{user}", {"role": role})
        for project in more:
            self.ok("POST", "/v1/projects", {"name": project})
        self.ok("PUT", "/v1/budgets/imaging", {"amount": "1200", "currency": "EUR", "on_limit": "notify"})
        self.ok("PUT", "/v1/budgets/speech", {"amount": "0.05", "currency": "EUR", "on_limit": "notify"})

    def populate(self):
        rows = [("train-resnet", "imaging", 0, "24G", "30", 0.36, 19), ("notebook-alice", "imaging", 0, "8G", "10", 0.0, 3), ("infer-api", "imaging", 0, "16G", "25", 0.19, 12),
                ("whisper-ft", "speech", 1, "40G", "50", 0.5, 33), ("tts-batch", "speech", 1, "20G", "25", 0.22, 9), ("eval", "imaging", 2, "6G", "40", 0.33, 5),
                ("align", "speech", 2, "4G", "20", 0.09, 1), ("rag-index", "imaging", 3, "12G", "60", 0.52, 10)]
        for name, project, device, memory, compute, part, used in rows:
            self.create(name, project=project, device=str(device), memory=memory, compute=compute)
            self.put_to_work(f"{project}:{name}", device, part, used * GIB)
        self.create("spare", project="speech", device="3", memory="2G", compute="10")
        self.ok("POST", "/v1/vgpus/speech:spare/suspend")
        self.create("sweep", project="imaging", gpus=3, memory="1G", compute="5", device="1")

    def calibrate(self):
        for device in self.ok("GET", "/v1/devices")["devices"]:
            self.request("PUT", f"/v1/devices/{device['id']}/calibration", {"native_ppm": 930000 + 15000 * device["id"]})

    def jobs(self):
        submit = lambda name, command, **f: self.ok("POST", "/v1/jobs", {"command": ["sh", "-c", command], "name": name, "project": "imaging", "memory": "2G", "compute": "5", **f}, 201)["id"]
        submit("prepare", "echo reading 12 shards; sleep 0.2; echo done")
        submit("broken", "echo 'Traceback: no such file: data.bin' >&2; exit 3")
        submit("train-large", "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo \"step $i loss 0.$((900-i))\"; sleep 0.3; done", time_limit="2h")
        submit("needs-much", "true", memory="70G", compute="90", time_limit="30m")
        submit("tonight", "true", not_before="4h")
        submit("grid", "echo $FASTGPU_JOB_INDEX; sleep 2", array="1-12%2", memory="1G", compute="1", project="speech")

    def crowd(self, count):
        """So many vGPUs that do nothing."""
        for at in range(0, count, 10):
            self.create(f"crowd-{at // 10:03d}", gpus=10, memory="16M", compute="0.1", project="default", device=str(4 + at // 10 % 4))
