"""A run whose networks are kept along the way, as they were before anything was measured."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from sgdm_lib import data
from sgdm_lib.checks import integer
from sgdm_lib.engine.batches import EpochBatches, load_data
from sgdm_lib.engine.device import choose_device, numerics
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.interleave import label, on
from sgdm_lib.engine.interrupt import StopRequest
from sgdm_lib.engine.progress import Progress
from sgdm_lib.engine.records import Run
from sgdm_lib.engine.run_state import RunState
from sgdm_lib.engine.steps import choose_mode
from sgdm_lib.engine.steps.look import Look

__all__ = ["fit_with_snapshots", "measuring_pass"]


class _WithSnapshots(RunState):
    """A run that keeps copies of its network at the end of some epochs."""

    def __init__(
        self, experiment: Experiment, source: EpochBatches, wanted: frozenset[int], mode: str
    ) -> None:
        super().__init__(experiment, source, None, mode)
        self.wanted, self.kept = wanted, dict[int, nn.Module]()

    def end_epoch(self, stop: StopRequest, bar: Progress) -> Iterator[Look]:
        epoch = len(self.rows) + 1
        if epoch in self.wanted:
            self.kept[epoch] = copy.deepcopy(self.model)  # measuring moves BatchNorm's statistics
        yield from super().end_epoch(stop, bar)


def fit_with_snapshots(
    experiment: Experiment,
    epochs: Iterable[int],
    *,
    device: str = "auto",
    data_root: str | os.PathLike[str] | None = None,
) -> tuple[Run, dict[int, nn.Module]]:
    """Run an experiment in memory and keep its network at the end of some epochs.

    A snapshot is taken after an epoch's last step and before the epoch is measured, in train mode.
    The run has the same bits as one of :func:`sgdm_lib.engine.training.fit` in eager mode.

    Args:
        experiment: what to run.
        epochs: after which epochs (from 1) to keep the network.
        device: as for :func:`sgdm_lib.engine.training.fit`.
        data_root: as for :func:`sgdm_lib.engine.training.fit`.

    Returns:
        The run, and the kept networks by epoch; fewer if the run diverged before.

    Raises:
        ValueError: if an epoch is not part of the run.
    """
    wanted = [integer("epoch", e, at_least=1, at_most=experiment.epochs) for e in epochs]
    where = choose_device(device)
    with ExitStack() as held:
        held.enter_context(numerics(experiment.precision))
        source = EpochBatches(load_data(experiment, data_root), experiment, where)
        stop = held.enter_context(StopRequest())
        run = _WithSnapshots(experiment, source, frozenset(wanted), choose_mode("eager", where))
        if run.stream:
            torch.cuda.synchronize()  # weights and data come from the default stream
        if run.draws:
            held.enter_context(run.random)
        with Progress(run.plan, False, label(experiment)) as bar, on(run.stream):
            for _ in run.advance(stop, bar):
                pass
    if stop.signal is not None:
        stop.leave()
    return run.run(), run.kept


def measuring_pass(
    experiment: Experiment,
    *,
    epoch: int = 0,
    device: str = "auto",
    data_root: str | os.PathLike[str] | None = None,
) -> tuple[Tensor, Tensor]:
    """All training images as one pass of the authors' estimator sees them, ready for the model.

    Args:
        experiment: says which data, which seed, and whether to augment.
        epoch: which shuffle and which augmentation, from 0.
        device: as for :func:`sgdm_lib.engine.training.fit`.
        data_root: as for :func:`sgdm_lib.engine.training.fit`.

    Returns:
        Images, float32 (n, C, H, W), shuffled, and labels, int64 (n,): the batches of a pass of
        size b are their consecutive stretches of b.

    Raises:
        sgdm_lib.data.DataError: if the data set is not there.
    """
    source = EpochBatches(load_data(experiment, data_root), experiment, choose_device(device))
    n = source.dataset.n_train
    rng = data.generator(experiment.seed, epoch, "measure")
    order = torch.randperm(n, generator=rng, device="cpu")
    parts = list(source.blocks(order, 1, 0, epoch, "measure_augment"))
    return torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])
