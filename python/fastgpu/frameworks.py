# SPDX-License-Identifier: Apache-2.0
"""The three frameworks, one class each: whether it has looked for devices yet, and its devices. None is imported before it is asked for."""
from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import Any, List

from .inside import Here


class TensorFlow:
    name = "tensorflow"

    @staticmethod
    def started() -> bool:
        module = sys.modules.get("tensorflow.python.eager.context")
        context = getattr(module, "_context", None)
        return bool(getattr(context, "_initialized", False))

    @staticmethod
    def devices(n: int) -> List[str]:
        """Without GPUs, so many parts of the processor: programs can be tried on it."""
        import tensorflow as tf
        gpus = tf.config.list_physical_devices("GPU")
        if gpus:
            return [f"GPU:{i}" for i in range(len(gpus))][:n]
        logical = tf.config.get_logical_device_configuration
        cpu = tf.config.list_physical_devices("CPU")[0]
        if len(logical(cpu) or [None]) < n:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * n)
        return [f"CPU:{i}" for i in range(n)]

    @staticmethod
    def through_host(devices: List[str], have: List[Here]) -> bool:
        """NCCL takes a card once only, and a processor not at all."""
        cards = {v.device_key for v in have[:len(devices)]}
        return len(devices) > 1 and (devices[0].startswith("CPU") or (bool(have) and len(cards) < len(devices)))

    @classmethod
    def strategy(cls, devices: List[str], have: List[Here]) -> Any:
        import tensorflow as tf
        if cls.through_host(devices, have):
            return tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.HierarchicalCopyAllReduce())
        return tf.distribute.MirroredStrategy(devices)


class Jax:
    name = "jax"

    @staticmethod
    def started() -> bool:
        module = sys.modules.get("jax._src.xla_bridge")
        initialized = getattr(module, "backends_are_initialized", None)
        return bool(initialized and initialized())

    @classmethod
    def devices(cls, n: int) -> List[Any]:
        import jax
        if not cls.started():
            try:
                jax.config.update("jax_num_cpu_devices", n)  # counts only where there is nothing else
            except AttributeError:  # an older JAX
                import os
                os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={n}".strip()
        return list(jax.devices()[:n])

    @staticmethod
    def strategy(devices: List[Any], have: List[Here]) -> Any:
        import keras
        return keras.distribution.DataParallel(devices=keras.distribution.list_devices()[:len(devices)])


class Torch:
    name = "torch"

    @staticmethod
    def started() -> bool:
        torch = sys.modules.get("torch")
        return bool(torch and torch.cuda.is_initialized())

    @staticmethod
    def devices(n: int) -> List[Any]:
        import torch
        if torch.cuda.is_available():
            return [torch.device("cuda", i) for i in range(min(n, torch.cuda.device_count()))]
        return [torch.device("cpu")] * n

    @staticmethod
    def strategy(devices: List[Any], have: List[Here]) -> Any:
        return Devices(devices)


class Devices(List[Any]):
    """A list that can stand where a strategy can."""

    def scope(self) -> Any:
        return nullcontext(self)


ALL = {f.name: f for f in (TensorFlow, Jax, Torch)}
