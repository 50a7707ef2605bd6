# SPDX-License-Identifier: Apache-2.0
"""What a scrape of /metrics costs, next to the same scrape of a daemon that has nothing to tell."""
import time

from load import median
from node import Node, UnixConnection
from row import Row
from rows_daemon import MANY_DEVICES, cpu_seconds, create_many

VGPUS = 1000
EVERY_S = 15


def scrape_ms(node):
    start = time.perf_counter()
    connection = UnixConnection(node.socket_path())
    connection.request("GET", "/metrics", headers={"Accept": "application/openmetrics-text"})
    size = len(connection.getresponse().read())
    connection.close()
    return 1000 * (time.perf_counter() - start), size


def cpu_ms(node, times):
    """Of the daemon, for each scrape."""
    pid = node.daemon_pid()
    before = cpu_seconds(pid)
    for _ in range(times):
        scrape_ms(node)
    return 1000 * (cpu_seconds(pid) - before) / times


def metrics(row, context):
    vgpus, times = (200, 20) if context.quick else (VGPUS, 200)
    with Node(FASTGPU_IDLE_EXIT="600", POCL_DEVICES=" ".join(["pthread"] * MANY_DEVICES)) as node, Node(FASTGPU_IDLE_EXIT="600") as nothing:
        for each in (node, nothing):
            each.fastgpu("devices")
        create_many(node, vgpus)
        took, bare = [], []
        for _ in range(times):
            took.append(scrape_ms(node)[0])
            bare.append(scrape_ms(nothing)[0])
        size = scrape_ms(node)[1]
        cpu, cpu_bare = cpu_ms(node, times), cpu_ms(nothing, times)
    percent = cpu / EVERY_S / 10
    return row.result(f"{median(took):.1f} ms for {vgpus} vGPUs, {size / 1e6:.1f} MB; {percent:.3f} % CPU", median(took) <= 20 and percent <= 0.5,
                      f"nothing to tell: {median(bare):.1f} ms, {cpu_bare / EVERY_S / 10:.3f} %",
                      data={"took": took, "bare": bare, "size": size, "cpu_ms": cpu, "cpu_bare_ms": cpu_bare})


ROWS = {"metrics": Row("scrape of /metrics, 1000 vGPUs; each 15 s", "≤ 20 ms, ≤ 0.5 % CPU", "dcgm-exporter copies device values", metrics)}
