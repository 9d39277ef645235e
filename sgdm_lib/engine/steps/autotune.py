"""cuDNN's search for the fastest algorithm: only for shapes that come again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

CANDIDATES = 4  # the first ones of cuDNN's own order; the best is among them almost always


@contextmanager
def autotuned(wanted: bool = True) -> Iterator[None]:
    """Inside, cuDNN times its algorithms for each new shape, if wanted and allowed.

    The search takes a second or two for all convolutions of a ResNet-18 at one batch size, so a
    shape that comes once (the ragged end of an epoch) is better run without it. Where torch is told
    to be deterministic there is no search.
    """
    cudnn = torch.backends.cudnn
    if not (wanted and cudnn.is_available()) or torch.are_deterministic_algorithms_enabled():
        yield
        return
    before = cudnn.benchmark, cudnn.benchmark_limit
    cudnn.benchmark, cudnn.benchmark_limit = True, CANDIDATES
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.benchmark_limit = before
