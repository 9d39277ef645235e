"""Initial weights that depend on a seed alone, whatever else happens in the process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# Calls of which torch chooses the floating point type by its default, unless told.
_aten = torch.ops.aten
_FLOATING = {_aten.empty, _aten.zeros, _aten.ones, _aten.rand, _aten.randn, _aten.eye}


class _OneGenerator(TorchDispatchMode):
    """Random calls of this thread draw from one generator, and new tensors are in float32.

    Torch's layers draw their weights from the global generator and accept no other. Seeding the
    global generator would not be enough, because other threads draw from it, too.
    """

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        packet = func.overloadpacket
        if packet in _FLOATING and kwargs.get("dtype") is None:
            kwargs["dtype"] = torch.float32
        if "generator" in packet.overloads() and func._overloadname == "default":
            func = packet.generator  # torch.rand and the like
        if any(argument.name == "generator" for argument in func._schema.arguments):
            kwargs["generator"] = self.generator
        return func(*args, **kwargs)


@contextmanager
def seeded_initialization(seed: int) -> Iterator[None]:
    """Inside the context, layers get weights on the CPU, in float32, that depend on the seed alone.

    The context neither uses nor changes torch's global generator. The settings of the caller and of
    other threads have no influence: default device, default dtype, autocast, ``no_grad``, inference
    mode.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    with ExitStack() as inside:
        for context in (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast("cpu", enabled=False),
            torch.device("cpu"),
            _OneGenerator(generator),
        ):
            inside.enter_context(context)
        yield
