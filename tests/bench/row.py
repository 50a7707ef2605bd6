# SPDX-License-Identifier: Apache-2.0
"""A row of the table: what is measured, its goal and the best known figure of others."""


class Row:
    def __init__(self, what, goal, peer, function):
        self.what, self.goal, self.peer, self.function = what, goal, peer, function

    def measure(self, context):
        """A row gives one line or several (when one set-up answers several questions)."""
        lines = self.function(self, context)
        return lines if isinstance(lines, list) else [lines]

    def result(self, measured, ok, baseline="", what=None, goal=None, data=None):
        return {"what": what or self.what, "goal": goal or self.goal, "measured": measured, "baseline": baseline,
                "peer": self.peer, "ok": ok, "data": data}
