#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The examples' pages: what they link to is there and small, and the commands they give are commands that the programs know."""
import os
import re
import subprocess
import sys
import unittest

from example import EXAMPLES

FIELDS = ("data", "finance", "learning", "render", "science", "vision")
LARGEST = 60000


def page(field):
    with open(os.path.join(EXAMPLES, field, "README.md"), encoding="utf-8") as text:
        return text.read()


class Pages(unittest.TestCase):
    def test_what_they_link_to_is_there(self):
        for field in ("", *FIELDS):
            links = re.findall(r"\]\(([^)#]+)\)", page(field))
            self.assertGreater(len(links), 1)
            for link in links:
                file = os.path.join(EXAMPLES, field, link)
                self.assertTrue(os.path.exists(file), f"{field}/README.md: {link}")
                if "pictures" in link:
                    self.assertLessEqual(os.path.getsize(file), LARGEST, link)

    def test_each_field_has_a_page_with_a_command_and_a_picture(self):
        for field in FIELDS:
            self.assertIn(f"({field}/README.md)", page(""))
            self.assertIn("pictures/examples/", page(field))
            self.assertIn("**Half the share**", page(field))
            self.assertRegex(page(field), rf"(?m)^    .*examples/{field}/\w+\.py ")

    def test_programs_know_the_options_that_pages_name(self):
        for field in FIELDS:
            help_of = {}
            for program, options in re.findall(rf"examples/({field}/\w+\.py)([^\n`]*)", page(field)):
                if program not in help_of:
                    done = subprocess.run([sys.executable, os.path.join(EXAMPLES, program), "--help"], capture_output=True, text=True, check=True)
                    help_of[program] = done.stdout
                for option in re.findall(r"--[a-z-]+", options):
                    self.assertIn(option, help_of[program], program)
            self.assertGreater(len(help_of), 0, field)


if __name__ == "__main__":
    unittest.main(verbosity=2)
