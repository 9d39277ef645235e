"""The papers' CIFAR ResNet-18 and WideResNet-28-10, and small nets for the CPU.

The names of networks need no torch: it is imported when the first network is built.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sgdm_lib import checks

if TYPE_CHECKING:
    from torch import nn

    from sgdm_lib.models.resnet import ResNet18 as ResNet18
    from sgdm_lib.models.resnet import WideResNet as WideResNet
    from sgdm_lib.models.small import CNN as CNN
    from sgdm_lib.models.small import MLP as MLP

__all__ = ["CNN", "MLP", "NAMES", "ResNet18", "WideResNet", "build"]

_HOMES = {"CNN": "small", "MLP": "small", "ResNet18": "resnet", "WideResNet": "resnet"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])


# lambdas, so that the classes are looked up, and torch is imported, when a network is built
_MAKERS: dict[str, Callable[[tuple[int, int, int], int], nn.Module]] = {
    "mlp": lambda shape, classes: __getattr__("MLP")(shape, classes),
    "cnn": lambda shape, classes: __getattr__("CNN")(shape, classes),
    "cnn_bn": lambda shape, classes: __getattr__("CNN")(shape, classes, batch_norm=True),
    "resnet18": lambda shape, classes: __getattr__("ResNet18")(shape[0], classes),
    "wideresnet28_10": lambda shape, classes: __getattr__("WideResNet")(shape[0], classes),
}
NAMES = tuple(_MAKERS)


def build(name: str, shape: tuple[int, int, int], classes: int, *, seed: int) -> nn.Module:
    """Return a freshly initialised network on the CPU, in train mode, in float32.

    The weights depend on (name, shape, classes, seed) alone, also in threads: the global random
    state is neither used nor changed; a default device or dtype, autocast, ``no_grad`` or inference
    mode around the call play no part.

    Args:
        name: ``mlp``, ``cnn``, ``cnn_bn``, ``resnet18`` or ``wideresnet28_10``.
        shape: shape (C, H, W) of one image.
        classes: number of classes, at least 2.
        seed: seed of the initialisation, 0 .. 2**32 - 1.

    Returns:
        A module that maps float images (n, C, H, W) to logits (n, classes).

    Raises:
        ValueError: if the name is unknown or a number lies outside its range.

    >>> net = build("resnet18", (3, 32, 32), 100, seed=0)
    >>> sum(p.numel() for p in net.parameters()), len(list(net.parameters()))
    (11220132, 62)
    """
    checks.choice("model", name, NAMES)
    if len(tuple(shape)) != 3:
        raise ValueError(f"shape must be (channels, height, width), got {shape!r}")
    channels, height, width = (
        checks.integer(f"{what} in shape", size, at_least=1)
        for what, size in zip(("channels", "height", "width"), shape, strict=True)
    )
    classes = checks.integer("classes", classes, at_least=2)
    seed = checks.integer("seed", seed, at_least=0, at_most=2**32 - 1)
    from sgdm_lib.models.initialization import seeded_initialization

    with seeded_initialization(seed):
        return _MAKERS[name]((channels, height, width), classes)
