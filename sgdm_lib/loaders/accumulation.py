"""Gradient accumulation: a large batch in pieces that fit in memory.

The gradient of a mean loss over a batch B is the weighted sum over its pieces P,

    mean gradient over B  =  sum_P (|P| / |B|) (mean gradient over P),

so multiplying each piece's mean loss by |P| / |B| before ``backward()`` adds up, in ``.grad``, to
the undivided gradient, up to the rounding of the sums. The weights matter where the last piece is
ragged: dividing every loss by the number of pieces would count its samples too much.

**Not so with BatchNorm.** In train mode it normalises each sample by the mean and variance of the
samples it comes with, so the loss of a sample depends on the piece it is in: pieces of 256 compute
another function than a batch of 4096 (that of "ghost" batches), and the running statistics move
once a piece instead of once a batch. No weights repair that. Models without batch statistics
(LayerNorm, GroupNorm, BatchNorm in eval mode) have no such problem; dropout draws other masks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor

from sgdm_lib.checks import integer
from sgdm_lib.loaders.sampler import PlanBatchSampler


def micro_batches(batch: Any, size: int) -> Iterator[tuple[Any, float]]:
    """A loaded batch in pieces of at most ``size`` samples, each with its weight |piece| / |batch|.

    Multiply the mean loss of each piece by its weight and call ``backward()``; the gradients add up
    to that of the whole batch, to rounding, for models without BatchNorm. (With BatchNorm each
    piece is normalised by its own statistics: another algorithm; see the module's text.)

    Args:
        batch: a tensor, or tuples, lists and dicts of tensors, samples along the first dimension.
        size: the most samples in a piece, >= 1.

    Yields:
        (piece, weight): the piece built like the batch, its tensors views of the batch's.

    Raises:
        ValueError: if ``size`` is not positive, the tensors' first dimensions differ, the batch is
            empty, or holds something else than tensors.

    >>> import torch
    >>> x, y = torch.arange(10.0), torch.arange(10)
    >>> for (inputs, labels), weight in micro_batches((x, y), 4):
    ...     print(labels.tolist(), weight)
    [0, 1, 2, 3] 0.4
    [4, 5, 6, 7] 0.4
    [8, 9] 0.2
    >>> w = torch.zeros(1, requires_grad=True)
    >>> for inputs, weight in micro_batches(x, 4):
    ...     (weight * (w * inputs).mean()).backward()
    >>> round(w.grad.item(), 6) == x.mean().item()
    True
    """
    size = integer("size", size, at_least=1, fix="give the number of samples that fit in memory")
    lengths = sorted(set(_lengths(batch)))
    if len(lengths) != 1 or lengths[0] == 0:
        raise ValueError(
            f"batch must hold tensors with one common number of samples >= 1, got {lengths}: put "
            "the samples along the first dimension of every tensor"
        )
    total = lengths[0]
    starts = range(0, total, size)
    return ((_cut(batch, i, i + size), min(size, total - i) / total) for i in starts)


def accumulate(
    loader: Iterable[Any], sampler: PlanBatchSampler
) -> Iterator[Iterator[tuple[Any, float]]]:
    """One epoch of a loader, grouped by optimizer step, its pieces with their weights.

    For batches that must never be loaded whole: the sampler has a ``micro_batch_size``, the loader
    yields pieces, and this puts the pieces of each step together, lazily, one in memory at a time::

        sampler = PlanBatchSampler(plan, micro_batch_size=256)  # 4096 comes as 16 x 256
        loader = DataLoader(dataset, batch_sampler=sampler)
        for epoch in range(sampler.epoch, plan.epochs):
            for pieces in accumulate(loader, sampler):
                optimizer.zero_grad()
                for (x, y), weight in pieces:
                    (weight * loss(model(x), y)).backward()
                optimizer.step()
                scheduler.step()

    The accumulated gradient is the mean over the step's batch, to rounding, for models without
    BatchNorm (why not with it: see the module's text). With several replicas the weights also make
    ``DistributedDataParallel``'s average the mean over the global batch; all replicas have the same
    number of pieces in a step, ``len(sampler.weights(step))``, so all but the last may run under
    ``model.no_sync()``. Without a ``micro_batch_size`` every step has one piece.

    Args:
        loader: a ``DataLoader`` that draws from ``sampler``; iterated once, so for one epoch.
        sampler: its batch sampler.

    Yields:
        For every step an iterator of (batch as loaded, weight). Pieces not taken are skipped.

    Raises:
        ValueError: if the loader has another batch sampler, or the plan is at its end.

    >>> from torch.utils.data import DataLoader
    >>> from sgdm_lib.plan import TrainingPlan
    >>> sampler = PlanBatchSampler(
    ...     TrainingPlan(10, 1, batch_size=6, lr=0.1), shuffle=False, micro_batch_size=4
    ... )
    >>> loader = DataLoader(range(10), batch_sampler=sampler)
    >>> for pieces in accumulate(loader, sampler):
    ...     print([(piece.tolist(), round(weight, 3)) for piece, weight in pieces])
    [([0, 1, 2, 3], 0.667), ([4, 5], 0.333)]
    [([6, 7, 8, 9], 1.0)]
    """
    if getattr(loader, "batch_sampler", sampler) is not sampler:
        raise ValueError(
            f"loader must draw from the given sampler, got one with {loader.batch_sampler!r}: "  # type: ignore[attr-defined]
            "build it with DataLoader(dataset, batch_sampler=sampler)"
        )
    return _steps(loader, sampler)


def _steps(
    loader: Iterable[Any], sampler: PlanBatchSampler
) -> Iterator[Iterator[tuple[Any, float]]]:
    steps = sampler.coming_steps()  # before iter(): with workers, that already draws batches
    batches = iter(loader)
    for step in steps:
        weights = sampler.weights(step)
        # weights first: zip asks it first, and so leaves the next step's batch alone
        pieces = ((batch, weight) for weight, batch in zip(weights, batches, strict=False))
        yield pieces
        for _ in pieces:
            pass


def _lengths(batch: Any) -> Iterator[int]:
    if isinstance(batch, Tensor) and batch.ndim > 0:
        yield len(batch)
    elif isinstance(batch, Mapping):
        for value in batch.values():
            yield from _lengths(value)
    elif isinstance(batch, (tuple, list)):
        for value in batch:
            yield from _lengths(value)
    else:
        what = "a 0-dim tensor" if isinstance(batch, Tensor) else type(batch).__name__
        raise ValueError(
            f"batch must be a tensor, or tuples, lists and dicts of tensors, got {what} in it: "
            "take it out and pass it on yourself"
        )


def _cut(batch: Any, start: int, stop: int) -> Any:
    if isinstance(batch, Tensor):
        return batch[start:stop]
    if isinstance(batch, Mapping):
        return {key: _cut(value, start, stop) for key, value in batch.items()}
    parts = [_cut(value, start, stop) for value in batch]
    return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
