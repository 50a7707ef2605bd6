# SPDX-License-Identifier: Apache-2.0
"""Our gRPC against gRPC's own: its client with our server, its server with our client, over unix sockets."""
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from concurrent import futures

import grpc

PEER = os.environ["TEST_GRPC_PEER"]


class Base(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="fastgpu-grpc-")
        self.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, "s")


class OurServer(Base):
    def setUp(self):
        super().setUp()
        self.process = subprocess.Popen([PEER, "serve", self.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end)
        self.assertEqual(self.process.stdout.readline(), "ready\n")
        self.channel = grpc.insecure_channel("unix:" + self.path)
        self.addCleanup(self.channel.close)

    def end(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()

    def unary(self, method, request, timeout=20, **kwargs):
        return self.channel.unary_unary("/t.T/" + method)(request, timeout=timeout, **kwargs)

    def test_sizes(self):
        for size in (0, 1, 16383, 16384, 65536, 1 << 20):
            self.assertEqual(self.unary("Echo", b"x" * size), b"x" * size)
        with self.assertRaises(grpc.RpcError) as e:
            self.unary("Echo", b"x" * ((1 << 20) + 1))
        self.assertEqual(e.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)

    def test_refusals(self):
        with self.assertRaises(grpc.RpcError) as e:
            self.unary("Refuse", b"")
        self.assertEqual((e.exception.code(), e.exception.details()), (grpc.StatusCode.FAILED_PRECONDITION, '100 % of "it"\nis gone: ä'))
        with self.assertRaises(grpc.RpcError) as e:
            self.unary("Nothing", b"")
        self.assertEqual(e.exception.code(), grpc.StatusCode.UNIMPLEMENTED)
        with self.assertRaises(grpc.RpcError) as e:
            self.unary("Echo", b"x" * 1000, compression=grpc.Compression.Gzip)
        self.assertEqual(e.exception.code(), grpc.StatusCode.UNIMPLEMENTED)

    def test_stream(self):
        answers = list(self.channel.unary_stream("/t.T/Many")(b"x" * 3000, timeout=60))
        self.assertEqual([len(a) for a in answers], list(range(3000)))

    def test_ends(self):
        """A deadline, a cancellation and a caller that goes: the server hears of each."""
        with self.assertRaises(grpc.RpcError) as e:
            list(self.channel.unary_stream("/t.T/Hold")(b"x", timeout=0.3))
        self.assertEqual(e.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        self.assertEqual(self.process.stdout.readline(), "gone\n")
        call = self.channel.unary_stream("/t.T/Hold")(b"x")
        self.assertEqual(next(call), b"x")
        call.cancel()
        self.assertEqual(self.process.stdout.readline(), "gone\n")
        call = self.channel.unary_stream("/t.T/Hold")(b"y")
        self.assertEqual(next(call), b"y")
        self.channel.close()
        self.assertEqual(self.process.stdout.readline(), "gone\n")

    def test_many_at_once(self):
        """More calls than a connection may have at once wait for each other."""
        wrong = []

        def work(i):
            for k in range(20):
                text = f"{i} {k}".encode() * 50
                if self.unary("Echo", text, timeout=60) != text:
                    wrong.append(text)
        threads = [threading.Thread(target=work, args=(i,)) for i in range(20)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        calls = [self.channel.unary_stream("/t.T/Hold")(b"x") for _ in range(150)]
        for call in calls[:100]:
            self.assertEqual(next(call), b"x")
        for call in calls:
            call.cancel()
        self.assertEqual((self.unary("Echo", b"z"), wrong), (b"z", []))


class OurClient(Base):
    def setUp(self):
        super().setUp()
        handlers = grpc.method_handlers_generic_handler("t.T", {
            "Echo": grpc.unary_unary_rpc_method_handler(lambda request, context: request),
            "Many": grpc.unary_stream_rpc_method_handler(lambda request, context: (request[:i] for i in range(len(request)))),
            "Refuse": grpc.unary_unary_rpc_method_handler(lambda request, context: context.abort(grpc.StatusCode.NOT_FOUND, "100 % ä\nno")),
            "Sleep": grpc.unary_unary_rpc_method_handler(self.sleep),
        })
        self.left = None
        self.server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[handlers])
        self.server.add_insecure_port("unix:" + self.path)
        self.server.start()
        self.addCleanup(lambda: self.server.stop(0).wait())

    def sleep(self, request, context):
        self.left = context.time_remaining()
        time.sleep(1)
        return request

    def call(self, method, text, ms=20000):
        return subprocess.run([PEER, "call", self.path, "/t.T/" + method, text, str(ms)], capture_output=True, text=True, timeout=60, check=True).stdout

    def test_all(self):
        self.assertEqual(self.call("Echo", ""), "0 \nstatus 0 \n")
        self.assertEqual(self.call("Echo", "hello"), "5 hello\nstatus 0 \n")
        self.assertTrue(self.call("Echo", "x" * 100000).startswith("100000 xxx"))
        self.assertEqual(self.call("Many", "abc"), "0 \n1 a\n2 ab\nstatus 0 \n")
        self.assertEqual(self.call("Refuse", "a"), "status 5 100 % ä no\n")
        self.assertTrue(self.call("Nothing", "a").startswith("status 12 "))

    def test_deadline(self):
        said = self.call("Sleep", "a", 200)
        self.assertTrue(said.startswith(("status 4 ", "error -110 ")), said)
        self.assertTrue(self.left is not None and self.left <= 0.2)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
