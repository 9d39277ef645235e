"""Which device a run is on, and torch's settings while it runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


def choose_device(device: str) -> torch.device:
    """The device of that name; "auto" is CUDA where there is one, else the CPU.

    Raises:
        ValueError: if the name is unknown or the device is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = str(device)
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,3})?", name):
        raise ValueError(f"device must be auto, cpu or cuda, got {name!r}: cuda:1 is a second GPU")
    chosen = torch.device(name)
    if chosen.type == "cuda" and (chosen.index or 0) >= (count := torch.cuda.device_count()):
        there = f"cuda:0 to cuda:{count - 1}" if count else "no GPU: use auto or cpu"
        raise ValueError(f"device must be auto, cpu or cuda, got {name!r}: torch finds {there}")
    return chosen


@contextmanager
def numerics(precision: str) -> Iterator[None]:
    """Torch's settings for a precision inside, as before after.

    What the caller has set plays no part inside: default device and dtype, autocast, ``no_grad``
    and inference mode. (The default dtype is one for all threads of a process.) TF32 in matrix
    products and convolutions unless the precision is fp32 (bf16 runs measure in TF32); cuDNN times
    its algorithms for each shape unless torch is told to be deterministic.
    """
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    cuda.allow_tf32 = cudnn.allow_tf32 = precision != "fp32"
    cudnn.benchmark = not torch.are_deterministic_algorithms_enabled()
    dtype = torch.get_default_dtype()
    with ExitStack() as inside:
        inside.enter_context(torch.inference_mode(False))
        inside.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                inside.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":  # a default device slows every call down
            inside.enter_context(torch.device("cpu"))
        if dtype != torch.float32:
            torch.set_default_dtype(torch.float32)
            inside.callback(torch.set_default_dtype, dtype)
        try:
            yield
        finally:
            cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = before
