# SPDX-License-Identifier: Apache-2.0
"""FastGPU in Keras 3, and in Keras 2: that of an older TensorFlow, or tf_keras beside a newer one (TF_USE_LEGACY_KERAS=1). Importing this makes
`keras.layers.VirtualGPU`, and with TensorFlow `tf.keras.layers.VirtualGPU`, this one.

    model = keras.Sequential([keras.layers.VirtualGPU(2), keras.layers.Dense(1)])

says that the model is to run on two vGPUs; it computes nothing. To run on both of them:

    with fastgpu.keras.scope(2):
        model = …
"""
from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
from contextlib import contextmanager
from typing import Any, Dict, Iterator, Optional, Union

from . import here
from . import scope as scopes
from .frameworks import ALL


def _name() -> str:
    """Of the package that is tf.keras, by TensorFlow's own rule."""
    legacy = os.environ.get("TF_USE_LEGACY_KERAS") in ("true", "True", "1") and importlib.util.find_spec("tf_keras")
    return "tf_keras" if legacy else "keras"


keras: Any = importlib.import_module(_name())

Size = Union[int, str]

_loading = threading.local()


@contextmanager
def _lenient() -> Iterator[None]:
    before = getattr(_loading, "on", False)
    _loading.on = True
    try:
        yield
    finally:
        _loading.on = before


def _copy(x: Any) -> Any:
    """The same as another symbolic tensor: one that is a layer's input and its output would have no history."""
    kind = {name: getattr(x, name) for name in ("sparse", "ragged") if getattr(x, name, False)}
    return keras.KerasTensor(x.shape, dtype=x.dtype, **kind)


@keras.saving.register_keras_serializable("fastgpu")
class VirtualGPU(keras.layers.Layer):  # type: ignore[misc]
    """Declares the `n` vGPUs that a model is to run on, and how much of a device each has to have at least. Computes nothing, has no weights,
    and passes on whatever it is given, of any shape and dtype.

    In a program that has too few, it is refused. In one that is in no vGPU there is one warning. A model that is loaded from a file is not
    refused: where it runs is this program's affair, not that of the one that saved it."""

    def __init__(self, n: int = 1, memory: Optional[Size] = None, compute: Optional[float] = None, mode: Optional[str] = None, **kwargs: Any) -> None:
        wish = here.Wish.of(n, memory, compute, mode)
        super().__init__(**{"autocast": False, **kwargs})
        self.n, self.memory, self.compute, self.mode = n, memory, compute, mode
        self.supports_masking = True
        self._check(wish)

    def _check(self, wish: here.Wish) -> None:
        have = here.find()
        short = here.shortage(wish, have) if have else None
        if short and getattr(_loading, "on", False):
            here.warn_once(f"of the model's vGPUs, {short}")
        elif short:
            raise ValueError(f"VirtualGPU({wish.n}): {short}.")

    def build(self, input_shape: Any = None) -> None:
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def compute_output_spec(self, inputs: Any) -> Any:
        return keras.tree.map_structure(_copy, inputs)

    def get_config(self) -> Dict[str, Any]:
        return {**super().get_config(), "n": self.n, "memory": self.memory, "compute": self.compute, "mode": self.mode}

    @classmethod
    def from_config(cls, config: Dict[str, Any]) -> "VirtualGPU":
        with _lenient():
            return cls(**config)


def scope(n: int, memory: Optional[Size] = None, compute: Optional[float] = None, mode: Optional[str] = None) -> scopes.Scope:
    """n vGPUs for this process, and what spreads a model over them: TensorFlow's MirroredStrategy, Keras' DataParallel on JAX, a list of
    devices on torch. `with` it, or use its .scope().

    The vGPUs are those that the program was started in, else new ones, given back when it ends, however it ends. It has to come before the
    framework's runtime starts: RuntimeError otherwise, and nothing is acquired. What the framework itself refuses after that leaves them to
    this program until it ends. Without FastGPU: a warning, and the devices of the machine."""
    wish = here.Wish.of(n, memory, compute, mode)
    framework = keras.backend.backend()
    if framework not in ALL:
        raise RuntimeError(f"scope() knows TensorFlow, JAX and torch, not Keras' backend {framework!r}")
    return scopes.scope(wish, framework)


def put(module: Any) -> None:
    """Idempotent. A name of that kind which is not ours is left alone."""
    if getattr(module, "VirtualGPU", None) is None:
        module.VirtualGPU = VirtualGPU


def _put_everywhere() -> None:
    """tf.keras too: at once where TensorFlow is in use, else where Keras has loaded that view of itself for a TensorFlow to come."""
    put(keras.layers)
    tensorflow = keras.backend.backend() == "tensorflow" or "tensorflow" in sys.modules
    names = ("keras._tf_keras.keras.layers", "keras.api._tf_keras.keras.layers", "keras.api._v2.keras.layers")
    for name in ("tf_keras.api._v2.keras.layers",) if keras.__name__ == "tf_keras" else names:
        if tensorflow:
            try:
                __import__(name)
            except ImportError:
                continue
        if name in sys.modules:
            put(sys.modules[name])


_put_everywhere()
