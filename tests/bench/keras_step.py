# SPDX-License-Identifier: Apache-2.0
"""Step times of the article's model with VirtualGPU and without, in turns in one process. keras_step.py ROUNDS STEPS: prints JSON, in ms."""
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


def step_ms(made, x, y, steps):
    begin = time.perf_counter()
    for _ in range(steps):
        made.train_on_batch(x, y)
    return 1000 * (time.perf_counter() - begin) / steps


def main(rounds, steps):
    rng = np.random.default_rng(0)
    x, y = rng.random((32, 10), dtype="float32"), rng.integers(0, 2, (32, 1)).astype("float32")
    models = [model(), model(keras.layers.VirtualGPU(2))]
    for made in models:
        step_ms(made, x, y, 20)
    took = [[], []]
    for i in range(rounds):
        for which in ((0, 1), (1, 0))[i % 2]:
            took[which].append(step_ms(models[which], x, y, steps))
    print(json.dumps({"bare": took[0], "layer": took[1]}))


main(*map(int, sys.argv[1:]))
