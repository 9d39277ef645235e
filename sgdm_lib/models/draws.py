"""Initial weights from a generator of their own, whatever else happens in the process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# Calls of which torch chooses the floating point type by its default, unless told.
_aten = torch.ops.aten
_FLOATING = {_aten.empty, _aten.zeros, _aten.ones, _aten.rand, _aten.randn, _aten.eye}


class _Draws(TorchDispatchMode):
    """Every random call of this thread draws from one generator; new tensors are in float32.

    Torch's layers draw their weights from the global generator and cannot be told otherwise. To
    seed that one would not do: other threads draw from it, too.
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
def own_draws(seed: int) -> Iterator[None]:
    """Make tensors on the CPU, in float32, with draws that depend on the seed alone.

    Torch's global generator is neither used nor changed. Nothing that the caller or another thread
    has set plays a part: default device, default dtype, autocast, ``no_grad``, inference mode.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    with ExitStack() as inside:
        for context in (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast("cpu", enabled=False),
            torch.device("cpu"),
            _Draws(generator),
        ):
            inside.enter_context(context)
        yield
