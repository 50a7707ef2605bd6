# SPDX-License-Identifier: Apache-2.0
"""What is tried of a library, inside two vGPUs. programs.py LIBRARY: exits 0 when all of it held, and prints a line that says what that was.

programs.py LIBRARY QUOTA: the same on CUDA, in vGPUs of that many bytes each, and on_cuda.py's as well (`make gpu-check`). Keras has
programs of its own there: an interpreter may have torch without it."""
import sys

import on_cuda

QUOTA = int(sys.argv[2]) if len(sys.argv) > 2 else 0


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


def keras(replicas):
    first = scope(replicas)
    return f"{layer()}; {first}"


def tensorflow():
    import tensorflow as tf
    said = keras(lambda s: s.num_replicas_in_sync)
    assert tf.keras.layers.VirtualGPU(2)
    return said


def keras_jax():
    return keras(lambda s: s.device_mesh.shape[0])


def keras_torch():
    return keras(len)


def jax():
    import fastgpu.jax
    import jax
    import jax.numpy as np
    assert float(jax.jit(lambda v: v @ v)(np.ones((3, 3))).sum()) == 27
    assert len(fastgpu.jax.devices(2)) == 2 and fastgpu.jax.memory(0).total == (QUOTA or 32 << 20)
    return "devices and memory"


def torch():
    import fastgpu.torch
    import torch
    assert float((torch.ones(3, 3) @ torch.ones(3, 3)).sum()) == 27
    assert len(fastgpu.torch.devices()) == 2 and fastgpu.torch.memory(0).total == (QUOTA or 32 << 20)
    return "devices and memory"


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
    if QUOTA:
        assert float((cupy.ones((3, 3)) @ cupy.ones((3, 3))).sum()) == 27
        return "linear algebra on the GPU"
    try:
        cupy.zeros(1)
    except cupy.cuda.runtime.CUDARuntimeError:
        return "imports, and says that there is no GPU"
    raise AssertionError("an array without a GPU")


ON_CPU = {"tensorflow-cpu": (tensorflow,), "jax": (keras_jax, jax), "torch": (keras_torch, torch), "scikit-learn": (scikit_learn,), "numpy": (numpy,),
          "cupy-cuda12x": (cupy,)}
ON_CUDA = {"tensorflow": (tensorflow, on_cuda.TensorFlow), "jax": (jax, on_cuda.Jax), "keras-jax": (keras_jax, on_cuda.Jax),
           "torch": (torch, on_cuda.Torch), "keras-torch": (keras_torch, on_cuda.Torch), "cupy": (cupy, on_cuda.CuPy)}


def main(name):
    if not QUOTA:
        return "; ".join(tried() for tried in ON_CPU[name])
    tried, kind = ON_CUDA[name]
    framework = kind()  # before the program, which is to compute the same twice
    return f"{tried()}; {on_cuda.tried(framework, QUOTA)}"


if __name__ == "__main__":
    print(main(sys.argv[1]))
