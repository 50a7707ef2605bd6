# SPDX-License-Identifier: Apache-2.0
"""Step times of the article's model: bare, bare once more (what that differs by is the method's own error), and with VirtualGPU; one step of each in
turns, in all orders, in one process. keras_step.py TRIPLES: prints JSON, in ms."""
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
    begin = time.perf_counter()
    made.train_on_batch(x, y)
    return 1000 * (time.perf_counter() - begin)


def main(triples):
    rng = np.random.default_rng(0)
    x, y = rng.random((32, 10), dtype="float32"), rng.integers(0, 2, (32, 1)).astype("float32")
    models = {"bare": model(), "again": model(), "layer": model(keras.layers.VirtualGPU(2))}
    took = {name: [] for name in models}
    for _ in range(50):
        for made in models.values():
            step_ms(made, x, y)
    for _, order in zip(range(triples), itertools.cycle(itertools.permutations(models))):
        for name in order:
            took[name].append(step_ms(models[name], x, y))
    print(json.dumps(took))


main(*map(int, sys.argv[1:]))
