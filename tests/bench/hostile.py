#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What api-load does not do to a daemon. hostile.py SOCKET slow|sets SECONDS, the caller's token in API_LOAD_TOKEN: 200 requests that never
end, a byte each ten times a second, or eight callers that make and delete sets without a pause. Prints what became of it as JSON."""
import json
import os
import socket
import sys
import threading
import time

HEAD = "{} {} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n"
SLOW, SETS = 200, 8


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    return s


def slow(path, token, end):
    """The daemon may hang up as often as it likes: another one comes."""
    found, head, all_of_them = {"bytes": 0, "cut": 0}, (HEAD.format("GET", "/v1/version", token) + "X-Slow: ").encode(), []
    while time.monotonic() < end:
        while len(all_of_them) < SLOW:
            s = connect(path)
            s.sendall(head)
            s.setblocking(False)
            all_of_them.append(s)
        for s in list(all_of_them):
            try:
                found["bytes"] += s.send(b"x")
            except BlockingIOError:
                pass
            except OSError:
                found["cut"] += 1
                all_of_them.remove(s)
                s.close()
        time.sleep(0.1)
    return found


def sets(path, token, end):
    found = {}

    def ask(s, method, target, body=""):
        s.sendall((HEAD.format(method, target, token) + f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
        with s.makefile("rb") as answer:
            head = answer.readline()
            length = 0
            while line := answer.readline().strip().lower():
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            answer.read(length)
        status = head.split()[1].decode()
        found[status] = found.get(status, 0) + 1

    def caller(i):
        with connect(path) as s:
            while time.monotonic() < end:
                ask(s, "POST", "/v1/vgpus", json.dumps({"name": f"flood{i}", "memory": "64K", "compute": "0.1"}))
                ask(s, "DELETE", f"/v1/vgpus/flood{i}")

    threads = [threading.Thread(target=caller, args=(i,)) for i in range(SETS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


if __name__ == "__main__":
    found = {"slow": slow, "sets": sets}[sys.argv[2]](sys.argv[1], os.environ["API_LOAD_TOKEN"], time.monotonic() + float(sys.argv[3]))
    print(json.dumps(found))
