# SPDX-License-Identifier: Apache-2.0
"""Every Python that starts in a vGPU runs this first (PYTHONPATH). It makes `import fastgpu` possible and waits for Keras: when a program has
imported that, tf.keras.layers.VirtualGPU is there. Nothing is imported before, nothing is printed, and what fails is not the program's concern."""
import sys

KERAS = ("keras", "tf_keras")  # the second is Keras 2 beside a newer TensorFlow
LAYERS = ("._tf_keras.keras.layers", "keras.api._v2.keras.layers")


def is_tensorflows(name):
    """Of two Keras packages tf.keras is one, by TensorFlow's own rule. The other is the program's, and nothing more is imported for it."""
    if "fastgpu.keras" in sys.modules:
        return True
    import os
    legacy = os.environ.get("TF_USE_LEGACY_KERAS") in ("true", "True", "1")
    if legacy and name == "keras":
        from importlib.util import find_spec
        legacy = find_spec("tf_keras") is not None
    return name == ("tf_keras" if legacy else "keras")


def tell(module):
    """Keras is loaded; or TensorFlow's view of it, which some versions load before they are done with themselves."""
    whole = module.__name__ in KERAS
    ours = sys.modules.get("fastgpu.keras")
    if ours is None and not whole:
        return
    if ours is not None and not hasattr(ours, "put"):  # it is what loads Keras, and adds the layer itself once it can
        return
    if whole and not hasattr(module, "layers"):  # something of the program's own
        return
    try:
        if whole and not is_tensorflows(module.__name__):
            return
        from fastgpu import keras
        if whole and module is not keras.keras:  # the program has two, and the layer is for the one that is tf.keras
            return
        keras.put(module if module.__name__.endswith(LAYERS) else module.layers)
    except Exception as e:
        import warnings
        warnings.warn("FastGPU: keras.layers.VirtualGPU is not there: %s" % e)


class Finder(object):
    """Stands before those that find modules, and only looks on."""

    def find_spec(self, name, path=None, target=None):
        if name not in KERAS and not name.endswith(LAYERS):
            return None
        for finder in sys.meta_path:
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec = find and find(name, path, target)
            if spec:
                self.watch(spec.loader)
                return spec
        return None

    def watch(self, loader):
        load = getattr(loader, "exec_module", None)
        if load is None:
            return

        def exec_module(module):
            load(module)
            try:
                del loader.exec_module
            except AttributeError:
                pass
            tell(module)

        try:
            loader.exec_module = exec_module
        except AttributeError:
            pass


def start(here):
    """`here` ends in lib/fastgpu/python/enter: the package is beside it, behind what the program has itself."""
    beside = here.rpartition("/")[0]
    if beside not in sys.path:
        sys.path.append(beside)
    sys.meta_path.insert(0, Finder())


def go_on(here):
    """With the sitecustomize of the machine or the user, which this one was found before."""
    me = sys.modules.pop(__name__)
    sys.path[:] = [entry for entry in sys.path if entry != here]
    try:
        import sitecustomize  # noqa: F401
    except ImportError as e:  # there is none; what one of them lacks is its own trouble, which Python tells
        if getattr(e, "name", __name__) != __name__:
            raise
    finally:
        sys.modules.setdefault(__name__, me)


if __name__ == "sitecustomize":
    _here = __file__.rpartition("/")[0]
    if sys.version_info >= (3, 8):  # the package promises 3.9; this part of it needs less
        start(_here)
    go_on(_here)
