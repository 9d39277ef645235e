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
    and inference mode. (The default dtype is one for all threads of a process.) With "tf32" and
    "bf16" convolutions of float32 run in TF32 on a GPU that has it, and matrix products in float32:
    PyTorch's own default, hence that of the papers' runs. With "fp32" nothing is rounded to TF32.
    cuDNN searches for its fastest algorithms only where it is told to
    (:func:`sgdm_lib.engine.steps.autotune.autotuned`).
    """
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = False, precision != "fp32", False
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


def arithmetic(precision: str, device: torch.device) -> dict[str, str]:
    """What a run of that precision computes in on that device, for its record.

    Returns:
        ``computed_in``: training steps, and ``measured_in``: full gradient norms and tests; each
        "fp32", "tf32" or "bf16". A device without TF32 computes in fp32 instead.

    >>> arithmetic("tf32", torch.device("cpu"))
    {'computed_in': 'fp32', 'measured_in': 'fp32'}
    >>> arithmetic("bf16", torch.device("cpu"))
    {'computed_in': 'bf16', 'measured_in': 'fp32'}
    """
    has_tf32 = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    measured = "tf32" if precision != "fp32" and has_tf32 else "fp32"
    return {"computed_in": "bf16" if precision == "bf16" else measured, "measured_in": measured}
