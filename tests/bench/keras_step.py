# SPDX-License-Identifier: Apache-2.0
"""Step times of the article's model: bare, bare once more (what that differs by is the method's own error), and with VirtualGPU; one step of each in
turns, in all orders, in one process. keras_step.py TRIPLES SECONDS: ends with the first of both; prints JSON, in ms: by the clock, and of the
processor, which others' load on the machine hardly changes."""
import itertools
import json
import sys
import time

import keras
import numpy as np


def model(*first):
    keras.utils.set_random_seed(1)
    made = keras.Sequential([keras.Input((10,)), *first, keras.layers.Dense(128, activation="relu"), keras.layers.Dense(1, activation="sigmoid")])
    made.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return made


def step_ms(made, x, y):
    """(by the clock, of the processor)"""
    begin, worked = time.perf_counter(), time.process_time()
    made.train_on_batch(x, y)
    return 1000 * (time.perf_counter() - begin), 1000 * (time.process_time() - worked)


def main(triples, seconds):
    rng = np.random.default_rng(0)
    x, y = rng.random((32, 10), dtype="float32"), rng.integers(0, 2, (32, 1)).astype("float32")
    models = {"bare": model(), "again": model(), "layer": model(keras.layers.VirtualGPU(2))}
    took = {kind: {name: [] for name in models} for kind in ("clock", "processor")}
    for _ in range(50):
        for made in models.values():
            step_ms(made, x, y)
    end = time.monotonic() + seconds
    for _, order in zip(range(triples), itertools.cycle(itertools.permutations(models))):
        for name in order:
            for kind, ms in zip(took, step_ms(models[name], x, y)):
                took[kind][name].append(ms)
        if time.monotonic() > end:
            break
    print(json.dumps(took))


main(*map(int, sys.argv[1:]))
