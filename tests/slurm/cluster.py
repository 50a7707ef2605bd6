# SPDX-License-Identifier: Apache-2.0
"""A Slurm cluster of Debian's packages as plain processes: munged, slurmctld and two slurmd with ports of their own on one
machine, each beside a daemon of FastGPU that is its own. Everything lives in one temporary folder and ends with it."""
import contextlib
import os
import pathlib
import pwd
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import node  # noqa: E402

PLUGIN = node.tool("lib", "fastgpu", "slurm", "spank_fastgpu.so")
NEEDED = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scontrol", "squeue", "ip")
ACCOUNTING = ("mariadbd", "mariadb-install-db", "mariadb", "slurmdbd", "sacctmgr", "sacct")
NODES = ("n1", "n2")
# Any character devices do as GPUs' nodes: nothing opens them.
GPUS = ("/dev/null", "/dev/zero")


def require(*more):
    """Ends the test with 77 and a sentence when something that it needs is not here."""
    # Daemons that are killed leave no core in whatever folder they were started in.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    node.require_tree()
    if os.geteuid() != 0:
        skip("slurmd and munged want root")
    missing = [name for name in (*NEEDED, *more) if not find(name)]
    if missing:
        skip(f"no {', '.join(missing)}: run tools/install-deps --slurm")
    if not os.path.exists(PLUGIN):
        skip(f"no {PLUGIN}: it is built where libslurm-dev is (tools/install-deps --slurm), then run make again")


def skip(why):
    print(f"skipped: {why}", file=sys.stderr)
    sys.exit(77)


def own_world(prepare, *spaces):
    """Runs this program again in namespaces of its own ("--mount", "--net"), in which `prepare` is a command."""
    if os.environ.pop("TEST_OWN_WORLD", None):
        subprocess.run(f"mount --make-rprivate / && {prepare}", shell=True, check=True)
        return
    if subprocess.run(["unshare", *spaces, "true"], capture_output=True, check=False).returncode:
        skip("no namespaces of its own here")
    os.environ["TEST_OWN_WORLD"] = "1"
    os.execvp("unshare", ["unshare", *spaces, sys.executable, *sys.argv])


def find(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def free_ports(count):
    """None of those that the kernel gives to whoever connects: a daemon that is started later, or again, finds its own free."""
    found = []
    for port in random.sample(range(10000, 32000), 1000):
        with contextlib.suppress(OSError):
            socket.create_server(("127.0.0.1", port)).close()
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError(f"no {count} ports are free")


class Cluster:
    """with Cluster() as c: c.slurm("srun", "--fastgpu=1:64M:20", "true")"""

    def __init__(self, plugstack="", lua=True, sim="", cpus=16, nodes_without=(), nodes_deaf=(), address="127.0.0.1", more_nodes="", more_gres="", lua_edits=None, slurm_user="root", accounting=False, **conf):
        self.dir = tempfile.mkdtemp(prefix="fastgpu-slurm-")
        os.chmod(self.dir, 0o755)
        self.processes, self.daemons = {}, {}
        self.plugstack, self.lua, self.cpus, self.conf = plugstack, lua, cpus, conf
        self.sim, self.nodes_without, self.address, self.more_nodes, self.more_gres = sim, nodes_without, address, more_nodes, more_gres
        self.lua_edits, self.nodes_deaf, self.slurm_user, self.accounting = lua_edits or {}, nodes_deaf, slurm_user, accounting
        # Clients find the configuration by this; the daemons of FastGPU have folders of their own.
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("FASTGPU_", "SLURM_", "OPENCL_LAYERS"))}
        self.env["SLURM_CONF"] = self.path("slurm.conf")
        self.env["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    # --- what it is made of ---

    def write(self, name, text, mode=0o644):
        with open(self.path(name), "w") as f:
            f.write(text)
        os.chmod(self.path(name), mode)

    def configure(self):
        ctl, *ports = free_ports(1 + len(NODES))
        host = socket.gethostname().split(".")[0]
        for name in NODES:
            for folder in (f"spool-{name}", f"state/{name}"):
                os.makedirs(self.path(folder), exist_ok=True)
        os.makedirs(self.path("ctl"), exist_ok=True)
        # What slurmctld writes is Slurm's user's.
        for name in ("slurmctld.log", "slurmctld.pid"):
            self.write(name, "")
        for name in ("ctl", "slurmctld.log", "slurmctld.pid"):
            shutil.chown(self.path(name), self.slurm_user)
        options = {
            "ClusterName": "test", "SlurmctldHost": f"{host}({self.address})", "SlurmctldPort": ctl, "SlurmUser": self.slurm_user,
            "AuthType": "auth/munge", "CredType": "cred/munge", "AuthInfo": f"socket={self.path('munge.sock')}",
            "StateSaveLocation": self.path("ctl"), "SlurmdSpoolDir": self.path("spool-%n"),
            "SlurmctldPidFile": self.path("slurmctld.pid"), "SlurmdPidFile": self.path("slurmd-%n.pid"),
            "SlurmctldLogFile": self.path("slurmctld.log"), "SlurmdLogFile": self.path("slurmd-%n.log"),
            "ProctrackType": "proctrack/linuxproc", "TaskPlugin": "task/none", "SwitchType": "switch/none", "MpiDefault": "none",
            "JobAcctGatherType": "jobacct_gather/none", "SelectType": "select/cons_tres", "SelectTypeParameters": "CR_CPU",
            "SchedulerParameters": "sched_interval=1,batch_sched_delay=0,sched_min_interval=20000,bf_interval=1,default_queue_depth=1000",
            "ReturnToService": 2, "SlurmdTimeout": 5, "InactiveLimit": 0, "KillWait": 1, "MinJobAge": 300, "UnkillableStepTimeout": 60,
            "PlugStackConfig": self.path("plugstack.conf"), "GresTypes": "gpu,shard", "JobRequeue": 1,
            "SlurmdParameters": "config_overrides", "JobCompType": "jobcomp/none", "MailProg": "/bin/true",
        }
        if self.lua:
            options["JobSubmitPlugins"] = "lua"
            text = pathlib.Path(node.tool("share", "fastgpu", "slurm", "job_submit.lua")).read_text()
            for before, after in self.lua_edits.items():
                assert before in text
                text = text.replace(before, after)
            self.write("job_submit.lua", text)
        self.write("prolog", "#!/bin/sh\n" + "".join(f'[ "$SLURMD_NODENAME" = {n} ] && FASTGPU_SLURM_PLUGIN=/nowhere\n' for n in self.nodes_without) +
                   "".join(f'[ "$SLURMD_NODENAME" = {n} ] && export LD_LIBRARY_PATH={self.path("deaf")}\n' for n in self.nodes_deaf) +
                   f"export FASTGPU_SLURM_PLUGIN FASTGPU_SLURM_SOCKET={self.path('state', '$SLURMD_NODENAME', 'run', 'api.sock')}\n"
                   f"exec {node.tool('share', 'fastgpu', 'slurm', 'fastgpu-slurm-prolog')}\n", 0o755)
        if self.nodes_deaf:
            os.makedirs(self.path("deaf"))
            self.write("deaf/libOpenCL.so.1", "no loader")
        if self.nodes_without or self.nodes_deaf:
            options["Prolog"] = self.path("prolog")
        if self.accounting:
            options.update(self.configure_accounting(host))
        options.update(self.conf)
        lines = [f"{k}={v}" for k, v in options.items()]
        for name, port in zip(NODES, ports):
            lines.append(f"NodeName={name} NodeAddr={self.address} NodeHostname={host} Port={port} CPUs={self.cpus} RealMemory=4000 Gres=gpu:{len(GPUS)},shard:{100 * len(GPUS)} Feature=home")
        if self.more_nodes:
            lines.append(self.more_nodes)
        lines.append(f"PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO")
        self.write("slurm.conf", "\n".join(lines) + "\n")
        self.write("gres.conf", "".join(f"NodeName={n} Name=gpu File={g}\n" for n in NODES for g in GPUS) +
                   "".join(f"NodeName={n} Name=shard Count={100 * len(GPUS)}\n" for n in NODES) + self.more_gres)
        self.write("plugstack.conf", self.plugstack or f"optional {PLUGIN} {self.words()}\n")
        for name in self.nodes_without:
            self.write("without.conf", "optional /nowhere/spank_fastgpu.so\n")
            self.write(f"slurm-{name}.conf", "\n".join(lines).replace(self.path("plugstack.conf"), self.path("without.conf")) + "\n")

    def configure_accounting(self, host):
        """slurmdbd over a MariaDB of this test; what slurm.conf has of it."""
        self.database_port, port = free_ports(2)
        lines = {"AuthType": "auth/munge", "AuthInfo": f"socket={self.path('munge.sock')}", "DbdHost": host, "DbdAddr": self.address, "DbdPort": port, "SlurmUser": self.slurm_user,
                 "StorageType": "accounting_storage/mysql", "StorageHost": "127.0.0.1", "StoragePort": self.database_port, "StorageUser": "slurm", "StoragePass": "test",
                 "StorageLoc": "slurm", "LogFile": self.path("slurmdbd.log"), "PidFile": self.path("slurmdbd.pid")}
        self.write("slurmdbd.conf", "".join(f"{k}={v}\n" for k, v in lines.items()), 0o600)
        return {"AccountingStorageType": "accounting_storage/slurmdbd", "AccountingStorageHost": self.address, "AccountingStoragePort": port, "AccountingStoragePass": self.path("munge.sock"),
                "AccountingStoreFlags": "job_comment", "AccountingStorageTRES": "gres/gpu,gres/shard"}

    def start_accounting(self):
        folder, socket_ = self.path("mysql"), self.path("mysql.sock")
        subprocess.run([find("mariadb-install-db"), "--no-defaults", "--user=root", f"--datadir={folder}", "--auth-root-authentication-method=normal", "--skip-test-db"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        self.start("mariadbd", find("mariadbd"), "--no-defaults", "--user=root", f"--datadir={folder}", f"--socket={socket_}", "--bind-address=127.0.0.1",
                   f"--port={self.database_port}", "--innodb-lock-wait-timeout=900")
        sql = ("CREATE DATABASE slurm; CREATE USER slurm@localhost IDENTIFIED BY 'test'; CREATE USER slurm@'127.0.0.1' IDENTIFIED BY 'test'; "
               "GRANT ALL ON slurm.* TO slurm@localhost; GRANT ALL ON slurm.* TO slurm@'127.0.0.1';")
        node.wait_until(lambda: subprocess.run([find("mariadb"), "--no-defaults", f"--socket={socket_}", "-e", sql], stderr=subprocess.DEVNULL, check=False).returncode == 0, 60,
                        "MariaDB answers")
        self.start_slurmdbd()
        node.wait_until(lambda: self.slurm("sacctmgr", "-i", "add", "cluster", "test", check=False).returncode == 0 or
                        "test" in self.slurm("sacctmgr", "-n", "list", "cluster", check=False).stdout, 60, "slurmdbd answers")

    def words(self):
        return f"socket={self.path('state', '%n', 'run', 'api.sock')} untold={self.path('untold-%n')} devices=slurm"

    def __enter__(self):
        try:
            self.configure()
            self.start_munge()
            for name in NODES:
                self.start_fastgpud(name)
            if self.accounting:
                self.start_accounting()
            self.start_slurmctld()
            for name in NODES:
                self.start_slurmd(name)
            node.wait_until(lambda: {n: self.states().get(n) for n in NODES} == {n: "idle" for n in NODES}, 30, "both nodes idle")
        except BaseException:
            self.show_logs()
            self.close()
            raise
        return self

    def __exit__(self, kind, *rest):
        if kind is not None:
            self.show_logs()
        self.close()

    def start(self, name, *argv, env=None, user="root"):
        out = open(self.path(f"{name}.out"), "ab")
        self.processes[name] = subprocess.Popen(argv, env=env or self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                                                user=user, group=pwd.getpwnam(user).pw_gid, extra_groups=[])
        out.close()
        return self.processes[name]

    def start_munge(self):
        key = self.path("munge.key")
        with open(key, "wb") as f:
            f.write(os.urandom(128))
        os.chmod(key, 0o600)
        self.start("munged", find("munged"), "--foreground", "--force", f"--key-file={key}", f"--socket={self.path('munge.sock')}",
                   f"--pid-file={self.path('munge.pid')}", f"--seed-file={self.path('munge.seed')}", f"--log-file={self.path('munge.log')}")
        node.wait_until(lambda: os.path.exists(self.path("munge.sock")), 10, "munged listens")

    def start_fastgpud(self, name):
        env = {**self.env, "FASTGPU_STATE_DIR": self.path("state", name), **({"FASTGPU_SIM": self.sim} if self.sim else {})}
        self.daemons[name] = daemon = node.Node.__new__(node.Node)
        daemon.dir, daemon.env, daemon.started, daemon.connection = self.path("state", name), env, [], None
        daemon.fastgpu("devices")

    def start_slurmctld(self):
        self.start("slurmctld", find("slurmctld"), "-D", "-f", self.path("slurm.conf"), user=self.slurm_user)
        node.wait_until(lambda: self.slurm("scontrol", "ping", check=False).stdout.find("is UP") > 0, 20, "slurmctld answers")

    def start_slurmdbd(self):
        self.start("slurmdbd", find("slurmdbd"), "-D", env={**self.env, "SLURM_CONF": self.path("slurm.conf")})

    def start_slurmd(self, name):
        conf = self.path(f"slurm-{name}.conf" if name in self.nodes_without else "slurm.conf")
        self.start(f"slurmd-{name}", find("slurmd"), "-D", "-N", name, "-f", conf, env={**self.env, "SLURM_CONF": conf, "TEST_SLURMD": self.path(name)})

    def restart_slurmd(self, name):
        self.stop(f"slurmd-{name}")
        self.start_slurmd(name)

    def stop(self, name):
        self.processes[name].terminate()
        self.processes[name].wait(20)

    def untold(self, name):
        """What that node has yet to tell Slurm."""
        return os.listdir(self.path(f"untold-{name}")) if os.path.exists(self.path(f"untold-{name}")) else []

    def wait_for_log(self, name, text, seconds=20):
        def there():
            with open(self.path(f"slurmd-{name}.log"), errors="replace") as f:
                return text in f.read()
        node.wait_until(there, seconds, f"slurmd of {name} has logged: {text}")

    def kill_node(self, name, look=None):
        """All of a node at once, as when its plug is pulled: slurmd, its steps and their programs, its daemon of FastGPU. First all are
        stopped, so that none hears of another's end. What `look` finds just before."""
        slurmd = self.processes[f"slurmd-{name}"]
        slurmd.send_signal(signal.SIGSTOP)
        stopped = set()
        while found := set(self.processes_of(name)) - stopped:
            self.signal(found, signal.SIGSTOP)
            stopped |= found
        seen = look() if look else None
        self.signal(stopped, signal.SIGKILL)
        slurmd.kill()
        slurmd.wait()
        self.daemons[name].stop_daemon(signal.SIGKILL)
        return seen

    @staticmethod
    def signal(pids, number):
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def processes_of(self, name):
        """What slurmd of that node has started: slurmstepd, whose environment is slurmd's, and then the tasks, which know their node."""
        steps, tasks = [], []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    env = f.read()
            except OSError:
                continue
            if f"TEST_SLURMD={self.path(name)}\0".encode() in env:
                steps.append(int(pid))
            elif self.dir.encode() in env and f"SLURMD_NODENAME={name}\0".encode() in env:
                tasks.append(int(pid))
        return steps + tasks

    def close(self):
        for name in reversed(list(self.processes)):
            process = self.processes[name]
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        for name in NODES:
            self.signal(self.processes_of(name), signal.SIGKILL)
        for daemon in self.daemons.values():
            daemon.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def show_logs(self):
        for log in sorted(pathlib.Path(self.dir).glob("*.log")) + sorted(pathlib.Path(self.dir).glob("*.out")):
            tail = log.read_text(errors="replace").splitlines()[-25:]
            if tail:
                print(f"--- {log.name}", *tail, sep="\n", file=sys.stderr)

    # --- what is asked of it ---

    def slurm(self, *argv, check=True, timeout=60, user=None, **env):
        """Runs one of Slurm's commands to its end. check: anything but exit code 0 is a failure, with what it said."""
        account = pwd.getpwnam(user) if user else None
        done = subprocess.run(argv, env={**self.env, **env}, capture_output=True, text=True, timeout=timeout, cwd="/",
                              user=account and account.pw_uid, group=account and account.pw_gid)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def popen(self, *argv):
        return subprocess.Popen(argv, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/")

    def states(self):
        lines = self.slurm("sinfo", "-h", "-N", "-o", "%N %t", check=False).stdout.split("\n")
        return dict(line.split() for line in lines if line)

    def job(self, number):
        """The fields of `scontrol show job`."""
        text = self.slurm("scontrol", "-o", "show", "job", str(number)).stdout
        return dict(word.split("=", 1) for word in text.split() if "=" in word)

    def sets(self, name):
        return {s["name"]: s for s in self.daemons[name].get("/v1/vgpus")["sets"]}
