"""Gradient accumulation computes the gradient of a large batch from pieces that fit in memory.

The gradient of a mean loss over a batch B is the weighted sum over its pieces P,

    mean gradient over B  =  sum_P (|P| / |B|) (mean gradient over P),

so if each piece's mean loss is multiplied by its *loss weight* |P| / |B| before ``backward()``, the
gradients add up in ``.grad`` to that of the whole batch, up to the rounding of the sums. The loss
weights matter where the last piece is ragged: dividing every loss by the number of pieces would
count its samples too much.

This holds where the loss is the mean over *samples*. Some losses are a mean over something else,
such as the tokens that are no padding (``ignore_index``) or samples with class weights. For those,
give ``weight_of``: a function that returns the number, or the total weight, of the terms in the
mean of a piece.

**This does not hold with BatchNorm.** In train mode, BatchNorm normalises each sample by the mean
and variance of the samples around it, so its loss depends on the piece it is in: pieces of 256
compute another function than a batch of 4096 (that of "ghost" batches), and the running statistics
move once for each piece instead of once for each batch. No loss weights repair that. Models without
batch statistics (LayerNorm, GroupNorm, BatchNorm in eval mode) have no such problem; dropout draws
other masks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor

from sgdm_lib.checks import integer, number
from sgdm_lib.loaders.sampler import PlanBatchSampler

WeightOf = Callable[[Any], float | Tensor]


def micro_batches(
    batch: Any, size: int, *, weight_of: WeightOf | None = None
) -> Iterator[tuple[Any, float]]:
    """Cut a loaded batch into pieces of at most ``size`` samples, and give each its loss weight.

    The loss weight of a piece is |piece| / |batch|. Multiply the mean loss of each piece by it and
    call ``backward()``. The gradients then add up to that of the whole batch, to rounding, for
    models without BatchNorm. (BatchNorm normalises each piece by the statistics of that piece,
    which is another algorithm; see the module's text.)

    Args:
        batch: a tensor, or tuples, lists and dicts of tensors, samples along the first dimension.
        size: the most samples in a piece, >= 1.
        weight_of: for a loss that is not the mean over samples: a function that takes a piece and
            returns the number, >= 0, of terms in the mean. For ``cross_entropy`` it is, with
            ``ignore_index``, ``lambda piece: (piece[1] != ignore_index).sum()``, and, with class
            weights ``w``, ``lambda piece: w[piece[1]].sum()``.

    Yields:
        (piece, loss weight): the piece is built like the batch, and its tensors are views of the
        batch's. The function leaves out a piece of weight 0, whose mean loss is NaN.

    Raises:
        ValueError: if ``size`` is not positive, the tensors' first dimensions differ, the batch is
            empty, or holds something else than tensors, or if ``weight_of`` returns no number >= 0
            or only zeros.

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
    pieces = (_cut(batch, i, i + size) for i in range(0, total, size))
    if weight_of is not None:
        return _weighted(list(pieces), weight_of)
    return ((piece, next(_lengths(piece)) / total) for piece in pieces)


def accumulate(
    loader: Iterable[Any], sampler: PlanBatchSampler, *, weight_of: WeightOf | None = None
) -> Iterator[Iterator[tuple[Any, float]]]:
    """Group an epoch of a loader by optimizer steps, and give each piece its loss weight.

    Use it for batches that must never be loaded whole: the sampler has a ``micro_batch_size``, the
    loader yields pieces, and this function groups the pieces of each step, lazily, with one piece
    in memory at a time::

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
    BatchNorm (the module's text says why not with it). With several replicas the loss weights also
    make the average of ``DistributedDataParallel`` the mean over the global batch. All replicas
    have the same number of pieces in a step, ``len(sampler.loss_weights(step))``, so all pieces but
    the last may run under ``model.no_sync()``. Without a ``micro_batch_size`` every step has one
    piece.

    Args:
        loader: a ``DataLoader`` that draws from ``sampler``; iterated once, so for one epoch.
        sampler: its batch sampler.
        weight_of: as for :func:`micro_batches`. The pieces of a step are all loaded before the
            first is yielded then, because the loss weights need their sum. For one replica only.

    Yields:
        For every step an iterator of (batch as loaded, loss weight). Pieces that the caller does
        not take are skipped.

    Raises:
        ValueError: if the loader has another batch sampler, or another number of samples or of
            batches than the plan; if the plan is at its end, or the sampler would start between
            two pieces of a step; if ``weight_of`` comes with several replicas.

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
    samples = _length(getattr(loader, "dataset", None))
    if samples is not None and samples != sampler.plan.n_train:
        raise ValueError(
            f"loader must have {sampler.plan.n_train} samples, the plan's n_train, got {samples}: "
            "build the plan with TrainingPlan(len(dataset), ...)"
        )
    if sampler.next_piece:
        raise ValueError(
            f"sampler must start with the first piece of a step, got piece {sampler.next_piece} of "
            f"step {sampler.next_step}: the gradients of the pieces before are lost; call "
            f"sampler.resume_at({sampler.next_step})"
        )
    if weight_of is not None and sampler.num_replicas > 1:
        raise ValueError(
            f"weight_of is for one replica, got {sampler.num_replicas}: the weights need the sum "
            "over all replicas; use a loss with reduction='sum', add up its denominator with "
            "torch.distributed.all_reduce, and multiply the loss by num_replicas / denominator"
        )
    return _steps(loader, sampler, weight_of)


def _steps(
    loader: Iterable[Any], sampler: PlanBatchSampler, weight_of: WeightOf | None
) -> Iterator[Iterator[tuple[Any, float]]]:
    steps = sampler.coming_steps()  # before iter(): with workers, that already draws batches
    batches = iter(loader)
    for step in steps:
        pieces = _pieces(batches, sampler.loss_weights(step), step)
        if weight_of is not None:
            pieces = _weighted([piece for piece, _ in pieces], weight_of)
        yield pieces
        for _ in pieces:
            pass
    if next(batches, _NONE) is not _NONE:
        raise ValueError(
            f"loader must yield the sampler's batches, got more of them after step {steps[-1]}, "
            "the last one: build it with DataLoader(dataset, batch_sampler=sampler)"
        )


_NONE = object()


def _pieces(batches: Iterator[Any], weights: list[float], step: int) -> Iterator[tuple[Any, float]]:
    for found, weight in enumerate(weights):
        piece = next(batches, _NONE)
        if piece is _NONE:
            raise ValueError(
                f"loader must yield {len(weights)} batches in step {step}, got {found}: build it "
                "with DataLoader(dataset, batch_sampler=sampler)"
            )
        yield piece, weight


def _weighted(pieces: list[Any], weight_of: WeightOf) -> Iterator[tuple[Any, float]]:
    """Yield the pieces that have a weight, each with its part of the sum of weights."""
    weights = [_number(weight_of(piece)) for piece in pieces]
    total = sum(weights)
    if total == 0:
        raise ValueError(
            f"weight_of must be > 0 for some piece of a batch, got 0 for all {len(pieces)}: the "
            "mean loss of such a batch is NaN; leave it out"
        )
    both = zip(pieces, weights, strict=True)
    return ((piece, weight / total) for piece, weight in both if weight > 0)


def _number(value: Any) -> float:
    fix = "return the number of terms in the mean of the piece's loss"
    plain = value.item() if getattr(value, "shape", None) == () else value
    return number("weight_of(piece)", plain, at_least=0, fix=fix)


def _length(data: Any) -> int | None:
    """Return the number of samples of a data set, or None if it does not tell its length."""
    try:
        return len(data)
    except (TypeError, NotImplementedError):
        return None


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
