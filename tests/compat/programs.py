# SPDX-License-Identifier: Apache-2.0
"""What is tried of a library, inside two vGPUs. programs.py LIBRARY: exits 0 when all of it held, and prints a line that says what that was."""
import os
import sys


def layer():
    """Training with VirtualGPU and without is the same to the bit, and a saved model keeps it."""
    import keras
    import numpy as np
    x = np.random.default_rng(0).random((64, 10)).astype("float32")
    y = (x.sum(axis=1, keepdims=True) > 5).astype("float32")
    curves = []
    for more in ([], [keras.layers.VirtualGPU(2)]):
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((10,)), *more, keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1, activation="sigmoid")])
        model.compile(optimizer="adam", loss="binary_crossentropy")
        curves.append(model.fit(x, y, epochs=3, batch_size=16, verbose=0).history["loss"])
    assert curves[0] == curves[1], curves
    model.save("m.keras")
    back = keras.models.load_model("m.keras")
    assert np.array_equal(model.predict(x, verbose=0), back.predict(x, verbose=0))
    import fastgpu.keras
    assert any(isinstance(la, fastgpu.keras.VirtualGPU) for la in back.layers)
    return f"Keras {keras.__version__} on {keras.backend.backend()}: VirtualGPU by itself, same curves, saved and loaded"


def scope(replicas):
    import fastgpu.keras
    with fastgpu.keras.scope(2) as strategy:
        pass
    assert replicas(strategy) == 2, strategy
    return f"scope(2): {type(strategy).__name__}"


def tensorflow():
    import tensorflow as tf
    first = scope(lambda s: s.num_replicas_in_sync)
    assert tf.keras.layers.VirtualGPU(2)
    return f"{layer()}; {first}"


def jax():
    import fastgpu.jax
    first = scope(lambda s: s.device_mesh.shape[0])
    import jax
    import jax.numpy as np
    assert float(jax.jit(lambda v: v @ v)(np.ones((3, 3))).sum()) == 27
    assert len(fastgpu.jax.devices(2)) == 2 and fastgpu.jax.memory(0).total == 32 << 20
    return f"{layer()}; {first}; devices and memory"


def torch():
    import fastgpu.torch
    import torch
    assert float((torch.ones(3, 3) @ torch.ones(3, 3)).sum()) == 27
    assert len(fastgpu.torch.devices()) == 2 and fastgpu.torch.memory(0).total == 32 << 20
    return f"{layer()}; {scope(len)}; devices and memory"


def scikit_learn():
    from sklearn import cluster, datasets, linear_model
    x, y = datasets.load_digits(return_X_y=True)
    assert linear_model.LogisticRegression(max_iter=300).fit(x[:600], y[:600]).score(x[600:900], y[600:900]) > 0.9
    assert len(set(cluster.KMeans(10, n_init=1, random_state=0).fit(x[:500]).labels_)) == 10
    return "digits: regression and k-means"


def numpy():
    import numpy as np
    a = np.random.default_rng(0).random((64, 64))
    assert np.allclose(a @ np.linalg.inv(a), np.eye(64))
    return "linear algebra"


def cupy():
    import cupy
    if os.environ.get("FASTGPU_COMPAT_CUDA") == "1":
        assert float((cupy.ones((3, 3)) @ cupy.ones((3, 3))).sum()) == 27
        return "linear algebra on the GPU"
    try:
        cupy.zeros(1)
    except cupy.cuda.runtime.CUDARuntimeError:
        return "imports, and says that there is no GPU"
    raise AssertionError("an array without a GPU")


if __name__ == "__main__":
    names = {"tensorflow-cpu": tensorflow, "scikit-learn": scikit_learn, "cupy-cuda12x": cupy}
    print(names.get(sys.argv[1]) and names[sys.argv[1]]() or globals()[sys.argv[1]]())
