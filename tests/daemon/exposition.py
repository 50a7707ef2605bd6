# SPDX-License-Identifier: Apache-2.0
"""The Prometheus text format, read strictly: whatever does not belong there is an error."""
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"^({NAME})(?:\{{(.*)\}})? (\S+)$")
LABEL = re.compile(rf'({NAME})="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
UNESCAPE = {'\\"': '"', "\\\\": "\\", "\\n": "\n"}


class Bad(Exception):
    pass


def labels_of(text):
    found, at = {}, 0
    while at < len(text):
        m = LABEL.match(text, at)
        if not m or m[1] in found:
            raise Bad(f"labels {text!r} at {at}")
        found[m[1]] = re.sub(r'\\["\\n]', lambda e: UNESCAPE[e[0]], m[2])
        at = m.end()
    return found


class Scrape:
    """samples: {(name, frozenset of labels): value}; types: {family: type}."""

    def __init__(self, text):
        self.samples, self.types, self.helps = {}, {}, {}
        family = None
        for line in text.split("\n")[:-1]:
            words = line.split(" ", 3)
            if line.startswith("# HELP "):
                family = words[2]
                if family in self.helps:
                    raise Bad(f"{family} comes twice")
                self.helps[family] = words[3]
            elif line.startswith("# TYPE "):
                self.types[words[2]] = words[3]
            elif line:
                self.take(line, family)
        if not text.endswith("\n"):
            raise Bad("the last line does not end")

    def take(self, line, family):
        m = SAMPLE.match(line)
        if not m or not family or not m[1].startswith(family) or (m[1] != family and self.types[family] != "histogram"):
            raise Bad(f"{line!r} below {family}")
        key = (m[1], frozenset(labels_of(m[2] or "").items()))
        if key in self.samples:
            raise Bad(f"{line!r} is there twice")
        self.samples[key] = float(m[3])

    def all(self, name, **labels):
        """[(labels, value)] of the series that have these labels."""
        return [(dict(k[1]), v) for k, v in self.samples.items() if k[0] == name and labels.items() <= dict(k[1]).items()]

    def one(self, name, **labels):
        found = self.all(name, **labels)
        if len(found) != 1:
            raise AssertionError(f"{name} {labels}: {found}")
        return found[0][1]

    def names(self):
        return {k[0] for k in self.samples}


def scrape(daemon, query="", connection=None, **headers):
    """What Prometheus gets, of a daemon or a person's view of it."""
    c = connection or daemon.connect()
    try:
        c.request("GET", "/metrics" + query, headers={"Accept": "text/plain", **headers})
        reply = c.getresponse()
        text = reply.read().decode()
    finally:
        c.close()
    if reply.status != 200 or reply.getheader("Content-Type") != "text/plain; version=0.0.4; charset=utf-8":
        raise AssertionError(f"{reply.status} {reply.headers} {text[:500]}")
    return Scrape(text)
