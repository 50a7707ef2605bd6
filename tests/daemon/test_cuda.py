# SPDX-License-Identifier: Apache-2.0
"""NVIDIA GPUs as the daemon sees them, on simulated ones: inventory, the watchdog's child, bad drivers."""
import os
import shutil
import signal
import tempfile

import harness
from harness import Daemon, wait_until
from simulated import NVML, Simulated

GIB = 1 << 30


class Cuda(harness.Case):
    def spec(self, text):
        """A file of it, that is gone after the test."""
        folder = tempfile.mkdtemp(prefix="fastgpud-test-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        path = os.path.join(folder, "spec.sim")
        with open(path, "w") as f:
            f.write(text)
        return path

    def test_simulated_gpus_are_devices(self):
        with Simulated("2xH100") as d:
            devices = d.ok("GET", "/v1/devices")["devices"]
            self.assertEqual([v["api"] for v in devices], ["cuda", "cuda", "opencl"])
            self.assertEqual(len({v["uuid"] for v in devices}), 3)
            for v in devices[:2]:
                self.assertEqual((v["memory"], v["compute_units"], v["type"], v["mig"]), (80 * GIB, 132, "gpu", "disabled"))
                self.assertEqual(v["key"], "cuda/GPU-" + v["uuid"])
            d.create("a", gpus=2, memory="1G", compute="10")
            opened = d.open("a")
            self.assertEqual((opened["cuda"], opened["sim"]), (True, "2xH100"))

    def test_none_without_being_asked(self):
        with Daemon() as d:
            self.assertEqual([v["api"] for v in d.ok("GET", "/v1/devices")["devices"]], ["opencl"])
            d.create("a")
            opened = d.open("a")
            self.assertFalse(opened["cuda"])
            self.assertNotIn("sim", opened)

    def test_nonsense_spec(self):
        with Simulated("2xNoSuchThing:zz") as d:
            reply = d.ok("GET", "/v1/devices")
            self.assertEqual([v["api"] for v in reply["devices"]], ["opencl"])
            self.assertIn("NoSuchThing", " ".join(reply["problems"]))
        spec = self.spec("[gpu]\nmodel = H100\nmemmory = 8G\n")
        for sim, words in ((spec, f"{spec}:3: unknown key 'memmory'"), (spec + "-not", f"{spec}-not: No such file")):
            with Simulated(sim) as d:
                problem, = d.ok("GET", "/v1/devices")["problems"]
                self.assertIn(words, problem)

    def with_fake_nvml(self):
        d = Daemon()
        self.addCleanup(d.__exit__)
        folder = os.path.join(d.root, "driver")
        os.makedirs(folder)
        shutil.copy(os.environ["TEST_FAKE_NVML"], os.path.join(folder, "libnvidia-ml.so.1"))
        d.env["FASTGPU_DRIVER_PATH"] = folder
        return d

    def test_a_gpu_with_two_drivers_is_one_device(self):
        """CUDA and OpenCL on the same GPU: it is not promised twice."""
        d = self.with_fake_nvml()
        d.devices(3, 16 * GIB, "uuid")  # the third has the UUID of the T4
        d.start()
        devices = d.ok("GET", "/v1/devices")["devices"]
        self.assertEqual([(v["key"], v.get("opencl")) for v in devices[2:]],
                         [("cuda/GPU-00000000-1111-2222-3333-000000000002", True), ("opencl/Fake/0", None), ("opencl/Fake/1", None)])
        self.assertEqual([v["opencl"] for v in devices[:2]], [False, False])
        d.devices(2, 16 * GIB, "uuid")
        after = d.ok("GET", "/v1/devices?rescan=1")["devices"]
        self.assertEqual([(v["key"], v["state"], v.get("opencl")) for v in after[2:]],
                         [(v["key"], "ok", False if v["api"] == "cuda" else None) for v in devices[2:]])

    def test_mig_devices_and_an_mps_daemon(self):
        """A GPU that is cut into MIG devices is those; all found in the folder that driver-path names."""
        d = self.with_fake_nvml()
        pipes = os.path.join(d.root, "mps")
        os.makedirs(pipes)
        d.env["CUDA_MPS_PIPE_DIRECTORY"] = pipes
        d.start()
        reply = d.ok("GET", "/v1/devices")
        found = [(v["model"], v["key"], v["memory"] // GIB, v["mig"], v["mps"]) for v in reply["devices"] if v["api"] == "cuda"]
        self.assertEqual(found, [
            ("Fake A100 MIG 1g.5gb", "cuda/MIG-00000000-1111-2222-3333-000000000003", 5, "slice", False),
            ("Fake A100 MIG 2g.10gb", "cuda/MIG-00000000-1111-2222-3333-000000000004", 10, "slice", False),
            ("Fake T4", "cuda/GPU-00000000-1111-2222-3333-000000000002", 16, "unsupported", False)])
        self.assertIn("has no MIG device", " ".join(reply["problems"]))
        self.refused(d, "POST", "/v1/vgpus", {"memory": "6G", "device": "0"}, 409, "no-capacity")
        d.create("a", memory="4G", compute="50", device="0")
        wait_until(lambda: d.ok("GET", "/v1/devices")["devices"][0].get("watch", {}).get("stale") is False, "the slice is watched")
        with open(os.path.join(pipes, "control"), "w"):
            pass
        d.ok("GET", "/v1/devices?rescan=1")
        self.assertTrue(all(v["mps"] for v in d.ok("GET", "/v1/devices")["devices"] if v["api"] == "cuda"))

    def test_library_that_is_none(self):
        d = Simulated("1xH100")
        self.addCleanup(d.__exit__)
        with open(os.path.join(d.root, "lib/fastgpu/sim/libnvidia-ml.so.1"), "w") as f:
            f.write("not a library")
        d.start()
        reply = d.ok("GET", "/v1/devices")
        self.assertEqual([v["api"] for v in reply["devices"]], ["opencl"])
        self.assertIn("NVML cannot be used", reply["problems"][0])

    def test_a_gpu_that_disappears(self):
        with Simulated("1xH100") as d:
            d.create("a", memory="1G", compute="10")
            os.unlink(os.path.join(d.root, "lib/fastgpu/sim/libnvidia-ml.so.1"))
            d.ok("GET", "/v1/devices?rescan=1")
            self.assertEqual(d.device()["state"], "lost")
            self.assertEqual(d.ok("GET", "/v1/vgpus/a")["vgpus"][0]["state"], "lost")
            shutil.copy(NVML, os.path.join(d.root, "lib/fastgpu/sim/libnvidia-ml.so.1"))
            d.ok("GET", "/v1/devices?rescan=1")
            self.assertEqual(d.device()["state"], "ok")

    def test_watchdog_runs_while_there_is_something_to_watch(self):
        with Simulated("1xH100", watchdog_interval=50) as d:
            self.assertNotIn("watch", d.device())
            self.assertEqual(d.watchers(), [])
            d.create("a", memory="1G", compute="10")
            wait_until(lambda: d.device().get("watch", {}).get("stale") is False, "figures")
            self.assertEqual((d.device()["watch"]["memory_used"], d.device()["watch"]["processes"]), (0, 0))
            d.ok("DELETE", "/v1/vgpus/a", status=204)
            wait_until(lambda: d.watchers() == [], "the helper is gone with the last vGPU")
            self.assertNotIn("watch", d.device())

    def test_sensors_are_read_with_or_without_vgpus(self):
        with Simulated("2xH100", telemetry_interval=1) as d:
            wait_until(lambda: "telemetry" in d.device(1), "figures")
            for i in range(2):
                told = d.device(i)["telemetry"]
                self.assertEqual((told["index"], told["stale"], told["xid"], told["remap_failed"]), (i, False, 0, 0))
                self.assertTrue(20 <= told["temperature_c"] <= 110 and 0 < told["power_mw"] <= told["power_limit_mw"], told)
                self.assertEqual(told["memory_used"] + told["memory_free"] + told["memory_reserved"], 80 * GIB)
                self.assertTrue({"sm_clock_mhz", "memory_clock_mhz", "energy_mj", "utilization", "pcie_replays"} <= set(told), told)
            self.assertNotIn("telemetry", d.device(2))  # of OpenCL nothing is known

    def test_sensors_of_a_driver_that_has_few(self):
        d = self.with_fake_nvml()
        d.start()
        wait_until(lambda: "telemetry" in d.ok("GET", "/v1/devices")["devices"][0], "figures")
        told = d.ok("GET", "/v1/devices")["devices"][0]["telemetry"]
        self.assertEqual(set(told), {"stale", "age_ms", "index", "memory_used", "memory_free"})

    def test_sensors_that_are_silent_turn_stale(self):
        with Simulated("1xH100", telemetry_interval=1) as d:
            wait_until(lambda: "telemetry" in d.device(), "figures")
            helper, = d.watchers(b"--sample")
            os.kill(helper, signal.SIGSTOP)
            wait_until(lambda: d.device()["telemetry"]["stale"], "a helper that hangs: stale")
            os.kill(helper, signal.SIGKILL)
            wait_until(lambda: not d.device()["telemetry"]["stale"], "figures again")
        with Simulated("1xH100", telemetry_interval=0) as d:
            self.assertEqual(d.watchers(b"--sample"), [])

    def test_watchdog_off(self):
        with Simulated("1xH100", watchdog="off") as d:
            d.create("a", memory="1G", compute="10")
            self.assertEqual(d.watchers(), [])

    def test_nvml_that_fails(self):
        """What fails in a look: the last figures stay, labelled; without any, none are made up."""
        fault = "[gpu]\nmodel = H100\n[fault]\nat = nvmlDeviceGetComputeRunningProcesses*\nresult = 999\nafter = "
        for after, known in (("4", True), ("0", False)):
            with Simulated(self.spec(fault + after), watchdog_interval=50) as d:
                d.create("a", memory="1G", compute="10")
                wait_until(lambda: d.device().get("watch", {}).get("error") and d.device()["watch"]["stale"], "an error, and stale")
                watch = d.device()["watch"]
                self.assertEqual(watch["error"], "Unknown Error")
                for figure in ("age_ms", "memory_used", "processes"):
                    self.assertEqual(figure in watch, known, watch)
                self.assertEqual(len(d.watchers()), 1)

    def test_helper_that_dies_or_hangs(self):
        """Figures turn stale and come back; the daemon neither dies nor spins."""
        with Simulated("1xH100", watchdog_interval=50) as d:
            d.create("a", memory="1G", compute="10")
            wait_until(lambda: d.device().get("watch", {}).get("stale") is False, "figures")
            first = d.watchers()[0]
            os.kill(first, signal.SIGSTOP)
            wait_until(lambda: d.device()["watch"]["stale"], "a helper that hangs: stale")
            wait_until(lambda: d.watchers() and d.watchers()[0] != first, "it is replaced", 40)
            wait_until(lambda: not d.device()["watch"]["stale"], "figures again")
            for _ in range(3):
                os.kill(d.watchers()[0], signal.SIGKILL)
                wait_until(lambda: not d.watchers(), "it is gone")
                wait_until(lambda: d.watchers(), "another one", 40)
            wait_until(lambda: not d.device()["watch"]["stale"], "figures again")
            self.assertIn("watchdog's fastgpu-probe-nvml", d.logged())


harness.main()
