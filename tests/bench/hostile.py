#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What api-load does not do to a daemon. hostile.py SOCKET slow|sets|jobs SECONDS, the caller's token in API_LOAD_TOKEN: 200 requests that never
end, a byte each ten times a second; eight callers that make and delete sets without a pause; or an array of jobs that end as soon as they have
begun, 32 at once. Prints what became of it as JSON."""
import json
import os
import socket
import sys
import threading
import time

HEAD = "{} {} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n"
SLOW, SETS, JOBS = 200, 8, 32


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


def ask(s, token, method, target, body=""):
    """Status and body of the answer."""
    s.sendall((HEAD.format(method, target, token) + f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
    with s.makefile("rb") as answer:
        head = answer.readline()
        length = 0
        while line := answer.readline().strip().lower():
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return head.split()[1].decode(), answer.read(length)


def sets(path, token, end):
    found = {}

    def count(status, _):
        found[status] = found.get(status, 0) + 1

    def caller(i):
        with connect(path) as s:
            while time.monotonic() < end:
                count(*ask(s, token, "POST", "/v1/vgpus", json.dumps({"name": f"flood{i}", "memory": "64K", "compute": "0.1"})))
                count(*ask(s, token, "DELETE", f"/v1/vgpus/flood{i}"))

    threads = [threading.Thread(target=caller, args=(i,)) for i in range(SETS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def jobs(path, token, end):
    """Gone when it ends, so that whoever measures next is alone."""
    with connect(path) as s:
        body = {"command": ["true"], "array": f"1-1000000%{JOBS}", "memory": "64K", "compute": "0.1"}
        status, answer = ask(s, token, "POST", "/v1/jobs", json.dumps(body))
        if status != "201":
            raise SystemExit(f"jobs: {status} {answer}")
        target = f"/v1/jobs/{json.loads(answer)['id']}"
        time.sleep(max(0, end - time.monotonic()))
    with connect(path) as s:
        while ask(s, token, "DELETE", target)[0] == "429":
            time.sleep(0.05)
        while True:
            status, answer = ask(s, token, "GET", target)
            job = json.loads(answer)
            if status == "200" and job["state"] in ("done", "failed", "cancelled"):
                return job["counts"]
            time.sleep(0.05)


if __name__ == "__main__":
    found = {"slow": slow, "sets": sets, "jobs": jobs}[sys.argv[2]](sys.argv[1], os.environ["API_LOAD_TOKEN"], time.monotonic() + float(sys.argv[3]))
    print(json.dumps(found))
