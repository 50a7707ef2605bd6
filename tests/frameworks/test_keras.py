#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fastgpu.keras on each of Keras' backends: the layer changes nothing, models keep it, and what is wrong is said as Keras says it."""
import os
import signal

import common
from common import FASTGPU, wait_until

BACKENDS = {"tensorflow": "MirroredStrategy", "jax": "DataParallel", "torch": "Devices"}  # and what scope() gives

# To load a framework costs seconds: it is loaded once, and each program runs in a fork that has it.
FORKS = r"""
import os, runpy, sys
import keras
for name in sys.argv[1:]:
    pid = os.fork()
    if pid == 0:
        runpy.run_path(name, run_name="__main__")
        sys.exit()
    if os.waitpid(pid, 0)[1]:
        sys.exit(name + " failed")
"""

# All that can be asked of one process, in one.
LAYER = r"""
import json, os, sys, warnings
import numpy as np
caught = []
warnings.showwarning = lambda message, *rest: caught.append(str(message)) if "FastGPU" in str(message) else None
import keras
assert keras.layers.VirtualGPU.__module__ == "fastgpu.keras", keras.layers.VirtualGPU
from keras.layers import VirtualGPU
backend = keras.backend.backend()
if backend == "tensorflow":
    import tensorflow as tf
    assert tf.keras.layers.VirtualGPU is VirtualGPU
else:
    assert sys.modules["keras._tf_keras.keras.layers"].VirtualGPU is VirtualGPU  # of a TensorFlow that may come
out = {"backend": backend, "curves": [], "weights": []}

def forked():
    # Once Keras is there and the process in its vGPUs, but the framework has not started.
    VirtualGPU(2)
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            from fastgpu import inside
            VirtualGPU(2)
            said = [len(inside.vgpus())]
            try: VirtualGPU(3)
            except ValueError as e: said.append("ValueError")
        except BaseException as e: said = [repr(e)]
        os.write(w, json.dumps(said).encode()); os._exit(0)
    os.waitpid(pid, 0)
    return json.loads(os.read(r, 9999))
out["forked"] = forked()
x = np.random.default_rng(0).random((96, 10)).astype("float32")
y = (x.sum(axis=1, keepdims=True) > 5).astype("float32")

def models():
    layers = keras.layers
    def sequential(*more): return keras.Sequential([*more, layers.Dense(16, activation="relu"), layers.Dropout(0.2), layers.Dense(1, activation="sigmoid")])
    def functional(*more):
        a = keras.Input((10,)); b = a
        for layer in more: b = layer(b)
        return keras.Model(a, layers.Dense(1, activation="sigmoid")(layers.BatchNormalization()(layers.Dense(8)(b))))
    return sequential, functional

for make in models():
    curves = []
    for more in ([], [VirtualGPU(2)]):
        keras.utils.set_random_seed(7)
        model = make(*more)
        model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
        history = model.fit(x, y, epochs=4, batch_size=32, verbose=0).history
        curves.append([[v.hex() for v in map(float, history[k])] for k in sorted(history)] + [[w.tobytes().hex() for w in model.get_weights()]])
    out["curves"].append(curves[0] == curves[1])

def compiled(*more):
    # What is left of a model once the framework has compiled it.
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((10,)), *more, keras.layers.Dense(8), keras.layers.Dense(1)])
    if backend == "tensorflow":
        graph = tf.function(lambda v: model(v, training=True)).get_concrete_function(tf.TensorSpec((4, 10))).graph
        return sorted(o.type for o in graph.get_operations())
    if backend == "jax":
        import jax
        return str(jax.make_jaxpr(lambda v: model(v))(np.ones((4, 10), "float32")))
out["compiled"] = compiled() == compiled(VirtualGPU(2))

layer = VirtualGPU(2, memory="16M", compute=10, mode="share", name="two")
out["weights"] = [len(layer.weights), layer.count_params() if layer.built else 0]
same = []
for value in (np.zeros((2, 3)), np.zeros((2, 3, 4, 5), "float16"), np.zeros((4,), "int32"), np.array([[True]])):
    got = layer(keras.ops.convert_to_tensor(value))
    same.append(keras.ops.is_tensor(got) and tuple(got.shape) == value.shape and keras.backend.standardize_dtype(got.dtype) == keras.backend.standardize_dtype(keras.ops.convert_to_tensor(value).dtype))
both = layer({"a": keras.ops.ones((2, 1)), "b": [keras.ops.ones((3,), dtype="int32")]})
same.append(sorted(both) == ["a", "b"] and tuple(both["b"][0].shape) == (3,))
keras.mixed_precision.set_dtype_policy("mixed_float16")
same.append(keras.backend.standardize_dtype(VirtualGPU(2)(keras.ops.ones((2, 2), dtype="float32")).dtype) == "float32")
keras.mixed_precision.set_dtype_policy("float32")
if backend == "tensorflow":
    same.append(layer(tf.constant([["text"]])).dtype == tf.string)
    same.append(tf.function(layer)(tf.ones((2, 2))).shape == (2, 2))
masked = keras.Sequential([keras.layers.Embedding(9, 4, mask_zero=True), VirtualGPU(2), keras.layers.LSTM(3)])
masked(np.array([[1, 2, 0]]))
same.append(masked.layers[1].supports_masking)
out["same"] = same

a = keras.Input((10,)); kept = keras.Model(a, keras.layers.Dense(3)(layer(a)))
out["summary"] = []
kept.summary(print_fn=lambda line: out["summary"].append(line))
out["summary"] = "VirtualGPU" in "".join(out["summary"])
kept.save("m.keras")
back = keras.models.load_model("m.keras")
out["config"] = {k: back.get_layer("two").get_config()[k] for k in ("n", "memory", "compute", "mode")}
out["loaded"] = bool(np.array_equal(kept.predict(x, verbose=0), back.predict(x, verbose=0)))
out["registered"] = keras.saving.get_registered_name(VirtualGPU)
out["cloned"] = type(keras.models.clone_model(kept).layers[1]).__name__

bad = []
for args in ((0,), (-1,), ("2",), (2.0,), (True,), (None,), (2, "lots"), (2, 0), (2, None, 101), (2, None, "x"), (2, None, None, "half")):
    try: VirtualGPU(*args); bad.append([args, "accepted"])
    except ValueError as e:
        if "Received:" not in str(e): bad.append([args, str(e)])
out["bad"] = bad
out["short"] = []
for args in ((3,), (2, "1G"), (2, None, 99), (2, None, None, "cap")):
    try: VirtualGPU(*args); out["short"].append("accepted")
    except ValueError as e: out["short"].append(str(e))
# Saved where there are nine.
keras.Sequential([keras.Input((2,)), VirtualGPU.from_config({**layer.get_config(), "n": 9})]).save("nine.keras")
out["lenient"] = keras.models.load_model("nine.keras").layers[0].n
out["warned"] = caught
import fastgpu.keras
if backend != "torch":  # which on a processor never starts
    try: fastgpu.keras.scope(2); out["late"] = "accepted"
    except RuntimeError as e: out["late"] = str(e)
print(json.dumps(out))
"""

# Where the package is not, until it is on the path.
ALONE = r"""
import json, sys, warnings
caught = []
warnings.showwarning = lambda message, *rest: caught.append([str(message), rest[1].rpartition("/")[2]]) if "FastGPU" in str(message) else None
import keras
try: keras.models.load_model("m.keras"); unknown = "loaded"
except TypeError as e: unknown = str(e)
sys.path.append(sys.argv[1])
import fastgpu.keras, fastgpu.keras as again
model = keras.Sequential([keras.layers.VirtualGPU(2), keras.layers.VirtualGPU(7)])
out = {"unknown": unknown, "total": float(keras.ops.sum(model(keras.ops.ones((2, 2))))), "loaded": keras.models.load_model("m.keras").get_layer("two").n, "caught": caught}
if keras.backend.backend() != "torch":  # which on a processor never starts
    try: fastgpu.keras.scope(2); out["late"] = "accepted"
    except RuntimeError as e: out["late"] = str(e)
print(json.dumps(out))
"""

GONE = r"""
import json, warnings
caught = []
warnings.showwarning = lambda message, *rest: caught.append(str(message)) if "FastGPU" in str(message) else None
import keras, fastgpu.keras
print(json.dumps([float(keras.ops.sum(keras.layers.VirtualGPU(2)(keras.ops.ones((2, 2))))), caught]))
"""

SCOPE = r"""
import json, sys, keras
import fastgpu.keras
import numpy as np
with fastgpu.keras.scope(2) as strategy:
    model = keras.Sequential([keras.Input((4,)), keras.layers.VirtualGPU(2), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
model.fit(np.ones((16, 4), "float32"), np.ones((16, 1), "float32"), epochs=1, verbose=0)
again = fastgpu.keras.scope(2)
errors = []
for n in (1, 0, "2", 3):
    try: fastgpu.keras.scope(n); errors.append("accepted")
    except (RuntimeError, ValueError) as e: errors.append(type(e).__name__ + ": " + str(e))
from fastgpu import here, inside, scope
other = "jax" if keras.backend.backend() == "tensorflow" else "tensorflow"
try: scope.scope(here.Wish.of(2), other); errors.append("accepted")
except RuntimeError as e: errors.append(str(e))
print(json.dumps({"strategy": type(strategy).__name__, "devices": len(again.devices), "replicas": getattr(strategy, "num_replicas_in_sync", None),
                  "errors": errors, "vgpus": [v.name for v in inside.vgpus()]}), flush=True)
if "wait" in sys.argv: sys.stdin.read()
"""

LEGACY = r"""
import json
import numpy as np
import tensorflow as tf
import tf_keras
assert tf.keras.layers.Dense is tf_keras.layers.Dense and tf_keras.__version__.startswith("2.")
assert tf.keras.layers.VirtualGPU is tf_keras.layers.VirtualGPU
x = np.random.default_rng(0).random((96, 10)).astype("float32")
y = (x.sum(axis=1, keepdims=True) > 5).astype("float32")
curves = []
for more in ([], [tf.keras.layers.VirtualGPU(2)]):
    tf.keras.utils.set_random_seed(7)
    model = tf.keras.Sequential([*more, tf.keras.layers.Dense(16, activation="relu"), tf.keras.layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer="adam", loss="binary_crossentropy")
    curves.append([v.hex() for v in map(float, model.fit(x, y, epochs=3, verbose=0).history["loss"])])
model.save("m.keras")
back = tf.keras.models.load_model("m.keras")
try: tf.keras.layers.VirtualGPU(3); more = "accepted"
except ValueError as e: more = str(e)
print(json.dumps({"same": curves[0] == curves[1], "loaded": bool(np.array_equal(model.predict(x, verbose=0), back.predict(x, verbose=0))),
                  "n": back.layers[0].n, "more": more}))
"""

# fastgpu.keras is the first import, and what loads tf_keras.
LEGACY_SCOPE = r"""
import json, warnings
caught = []
warnings.showwarning = lambda message, *rest: caught.append(str(message)) if "FastGPU" in str(message) else None
import fastgpu.keras
import numpy as np
import tensorflow as tf
x, y = np.ones((32, 4), "float32"), np.ones((32, 1), "float32")
with fastgpu.keras.scope(2) as strategy:
    model = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.VirtualGPU(2), tf.keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
losses = model.fit(x, y, epochs=3, verbose=0).history["loss"]
model.save("m.keras")
back = tf.keras.models.load_model("m.keras")
print(json.dumps({"keras": model.__class__.__module__.partition(".")[0], "strategy": type(strategy).__name__, "replicas": strategy.num_replicas_in_sync,
                  "spread": len(model.layers[-1].kernel.values), "learnt": losses[-1] < losses[0], "n": back.layers[0].n,
                  "same": bool(np.allclose(model.predict(x, verbose=0), back.predict(x, verbose=0))), "caught": caught}))
"""


class Keras(common.Case):
    def test_layer(self):
        """In vGPUs, scope() as well, and then, with the model that this has saved, in none and without the package."""
        for backend in BACKENDS:
            with self.subTest(backend=backend):
                layer, scope = self.in_forks({"layer_.py": LAYER, "scope_.py": SCOPE}, backend)
                self.check_layer(backend, layer)
                self.check_scope(backend, scope, "scope_.py")
                self.assertEqual(len(scope["vgpus"]), 2)
                wait_until(lambda: not self.sets(), 5, "no vGPU is left")
                self.without(backend)

    def in_forks(self, programs, backend):
        for name, code in programs.items():
            with open(os.path.join(self.node.dir, name), "w", encoding="utf-8") as f:
                f.write(code)
        done = self.program(FORKS, *programs, backend=backend)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return [common.json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def check_layer(self, backend, out):
        self.assertEqual((out["backend"], out["curves"], out["weights"]), (backend, [True, True], [0, 0]))
        self.assertEqual((set(out["same"]), out["loaded"], out["summary"]), ({True}, True, True))
        self.assertTrue(out["compiled"])
        self.assertEqual(out["forked"], [2, "ValueError"])
        self.assertEqual(out["config"], {"n": 2, "memory": "16M", "compute": 10, "mode": "share"})
        self.assertEqual((out["registered"], out["cloned"]), ("fastgpu>VirtualGPU", "VirtualGPU"))
        self.assertEqual(out["bad"], [])
        for said, word in zip(out["short"], ("3 vGPUs wanted", "bytes of memory", "99 %", "mode cap"), strict=True):
            self.assertIn(word, said)
        self.assertEqual((out["lenient"], len(out["warned"])), (9, 1))
        if backend != "torch":
            self.assertIn(f"{backend} has started already", out["late"])
            self.assertIn("Move this line up", out["late"])

    def check_scope(self, backend, out, name="p.py"):
        self.assertEqual((out["strategy"], out["devices"]), (BACKENDS[backend], 2))
        self.assertIn(out["replicas"], (2, None))
        one, zero, text, three, other = out["errors"]
        self.assertIn(f"RuntimeError: {name}:12", one)
        self.assertIn(f"since {name}:5: `with fastgpu.keras.scope(2) as strategy:`", one)
        for said in (zero, text):
            self.assertIn("ValueError: Argument `n`", said)
        self.assertIn("Restart the program or the kernel", three)
        self.assertIn(f"are {backend}'s since {name}:5", other)

    def without(self, backend):
        """Keras' own error names the class. With the package: one warning, at the program's own line, and an identity; a scope that comes too
        late acquires nothing."""
        where = os.path.join(common.ROOT, "python")
        path = f"{os.path.dirname(FASTGPU)}:{os.environ['PATH']}"
        out = self.said(self.program(ALONE, where, backend=backend, run=None, PATH=path))
        for said in ("Could not locate class 'VirtualGPU'", "'registered_name': 'fastgpu>VirtualGPU'"):
            self.assertIn(said, out["unknown"])
        self.assertEqual((len(out["caught"]), out["total"], out["loaded"]), (1, 4.0, 2))
        self.assertIn("this program is in no vGPU", out["caught"][0][0])
        self.assertEqual(out["caught"][0][1], "p.py")
        if backend != "torch":
            self.assertIn(f"{backend} has started already", out["late"])
            self.assertIn("Move this line up", out["late"])
            self.assertIn("p.py:13: `try: fastgpu.keras.scope(2)", out["late"])
        self.assertEqual(self.sets(), [])

    def test_a_daemon_that_is_gone(self):
        """One warning and an identity, and none is started."""
        total, caught = self.said(self.program(GONE, backend="jax", run=None, PYTHONPATH=os.path.join(common.ROOT, "python"), FASTGPU_ATTACH=self.node.dir + "/gone.sock"))
        self.assertEqual((len(caught), total), (1, 4.0))
        self.assertIn("cannot attach to fastgpud", caught[0])
        self.assertFalse(os.path.exists(self.node.socket_path()))

    def test_keras_2_beside_a_newer_tensorflow(self):
        out = self.said(self.program(LEGACY, TF_USE_LEGACY_KERAS="1"))
        self.assertEqual((out["same"], out["loaded"], out["n"]), (True, True, 2))
        self.assertIn("3 vGPUs wanted", out["more"])

    def test_scope_of_keras_2(self):
        out = self.said(self.program(LEGACY_SCOPE, TF_USE_LEGACY_KERAS="1"))
        self.assertEqual((out["keras"], out["strategy"], out["replicas"], out["spread"]), ("tf_keras", "MirroredStrategy", 2, 2))
        self.assertEqual((out["learnt"], out["n"], out["same"], out["caught"]), (True, 2, True, []))

    def test_scope_makes_its_own(self):
        """Without `fastgpu run`: held until the process ends, also when it is killed."""
        self.node.fastgpu("list")
        path = f"{os.path.dirname(FASTGPU)}:{os.environ['PATH']}"
        where = os.path.join(common.ROOT, "python")
        for backend, ends in (("torch", signal.SIGKILL), ("jax", None)):
            with open(os.path.join(self.node.dir, "p.py"), "w", encoding="utf-8") as f:
                f.write(SCOPE)
            process = self.node.popen([self.python, "p.py", "wait"], cwd=self.node.dir, stdin=common.subprocess.PIPE, stdout=common.subprocess.PIPE,
                                      env={**self.node.env, "KERAS_BACKEND": backend, "PATH": path, "PYTHONPATH": where})
            self.check_scope(backend, common.json.loads(process.stdout.readline()))
            (made,) = self.sets()
            self.assertTrue(made["ephemeral"])
            self.assertEqual([v["usage"]["pids"] for v in made["vgpus"]], [[process.pid]] * 2)
            if ends:
                process.send_signal(ends)
            else:
                process.stdin.close()
            process.wait(30)
            wait_until(lambda: not self.sets(), 5, "no vGPU is left")


if __name__ == "__main__":
    common.main()
