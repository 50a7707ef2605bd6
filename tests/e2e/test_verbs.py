#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""create, list, inspect, resize, delete as a person types them, and what they refuse."""
import re

from e2e import CONFLICT, MIB, NO_ROOM, UNKNOWN, USAGE, NodeTest, main

UNIT = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

class Verbs(NodeTest):
    def test_life_of_a_set(self):
        made = self.create("my-vgpu", "--gpus", "2", "--memory", "256M", "--compute", "70,30")
        self.assertEqual([v["name"] for v in made["vgpus"]], ["my-vgpu/0", "my-vgpu/1"])
        self.assertEqual([v["share"] for v in made["vgpus"]], [700, 300])
        self.assertEqual([v["memory"] for v in made["vgpus"]], [256 * MIB] * 2)
        self.assertIn("my-vgpu", self.node.fastgpu("list").stdout)
        self.assertIn("my-vgpu/1", self.node.fastgpu("inspect", "my-vgpu").stdout)
        self.node.fastgpu("resize", "my-vgpu/1", "--memory", "128M", "--compute", "20")
        changed = self.node.json("inspect", "my-vgpu")["vgpus"]
        self.assertEqual([(v["memory"], v["share"]) for v in changed], [(256 * MIB, 700), (128 * MIB, 200)])
        self.node.fastgpu("delete", "my-vgpu")
        self.refused(UNKNOWN, "inspect", "my-vgpu")
        self.assertNotIn("my-vgpu", self.node.fastgpu("list").stdout)

    def test_devices_show_what_is_taken(self):
        before = self.node.json("devices")["devices"][0]
        self.create("a", "--memory", "64M", "--compute", "40")
        after = self.node.json("devices")["devices"][0]
        self.assertEqual(before["memory_free"] - after["memory_free"], 64 * MIB)
        self.assertEqual(before["share_free"] - after["share_free"], 400)

    def test_defaults_are_an_equal_part_and_said(self):
        made = self.create("half", "--gpus", "2")
        vgpus = made["vgpus"]
        self.assertEqual(vgpus[0]["share"], vgpus[1]["share"])
        self.assertEqual(vgpus[0]["memory"], vgpus[1]["memory"])
        self.assertGreaterEqual(vgpus[0]["share"], 490)
        self.assertTrue(made["note"])

    def test_a_name_is_taken_once(self):
        self.create("a", "--memory", "64M", "--compute", "10")
        self.assertIn("a", self.refused(CONFLICT, "create", "--name", "a", "--memory", "64M", "--compute", "10"))

    def test_unknown_names(self):
        for argv in (("inspect", "ghost"), ("delete", "ghost"), ("resize", "ghost", "--memory", "1M"),
                     ("run", "ghost", "--", "true")):
            self.assertIn("ghost", self.refused(UNKNOWN, *argv))

    def test_bad_values_name_what_was_typed(self):
        for option, value in (("--memory", "0"), ("--memory", "-5M"), ("--memory", "lots"), ("--compute", "0"),
                              ("--compute", "101"), ("--compute", "-1"), ("--gpus", "0"), ("--gpus", "x"),
                              ("--mode", "fast"), ("--priority", "urgent")):
            with self.subTest(option=option, value=value):
                said = self.refused(USAGE, "create", "--name", "a", f"{option}={value}")
                self.assertIn(value, said)
        self.assertEqual(self.node.json("list")["sets"], [])

    def test_what_does_not_fit_says_what_would(self):
        free = max(d["memory_free"] for d in self.node.json("devices")["devices"])
        said = self.refused(NO_ROOM, "create", "--name", "huge", "--memory", "900T", "--compute", "10")
        self.assertIn("900 TiB", said)
        named = [float(n) * UNIT[unit] for n, unit in re.findall(r"([\d.]+) ([KMGT]iB)", said)]
        self.assertTrue(any(abs(n - free) < free / 100 for n in named), f"{free} bytes are free; {said}")
        self.create("most", "--memory", "64M", "--compute", "80")
        said = self.refused(NO_ROOM, "create", "--name", "more", "--memory", "64M", "--compute", "30")
        self.assertIn("20", said)
        self.assertEqual([s["name"] for s in self.node.json("list")["sets"]], ["most"])

    def test_in_use_is_not_deleted(self):
        self.create("busy", "--memory", "64M", "--compute", "50")
        holder, said = self.start_inside("busy", "hold", 32 * MIB)
        self.assertEqual(said, "ok")
        self.refused(CONFLICT, "delete", "busy")
        used = self.refused(CONFLICT, "resize", "busy", "--memory", "16M")
        self.assertIn("32", used)
        self.assertEqual(self.node.json("inspect", "busy")["vgpus"][0]["memory"], 64 * MIB)
        self.node.fastgpu("delete", "busy", "--force")
        self.assertNotEqual(holder.wait(timeout=10), 0)
        self.refused(UNKNOWN, "inspect", "busy")

    def test_resize_acts_on_a_running_program(self):
        self.create("grow", "--memory", "64M", "--compute", "50")
        process, said = self.start_inside("grow", "after", 100 * MIB)
        self.assertEqual(said, "ready")
        self.node.fastgpu("resize", "grow", "--memory", "128M")
        out, _ = process.communicate("\n", timeout=30)
        self.assertEqual(out.strip(), '"ok"')


if __name__ == "__main__":
    main()
