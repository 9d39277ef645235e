"""Estimates of the gradient norm with several estimators, from networks kept along a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sgdm_lib.checks import integer
from sgdm_lib.engine.batches import EpochBatches, load_data
from sgdm_lib.engine.device import choose_device
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.measure import evaluate
from sgdm_lib.engine.records import RecordError, Run
from sgdm_lib.engine.snapshots import fit_with_snapshots, measuring_pass
from sgdm_lib.study.estimators.estimator import NormEstimator, kept_buffers, read_both

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = ("epoch", "batch_size", "estimator", "weights", "augmented", "shuffle", "norm")
"""Columns of a table of estimates, one row an estimate: the epoch (from 1) after which it was taken
and the batch size trained with there; the estimator's batch size (0: eval mode) and weights;
whether the images were augmented; which shuffle; the norm."""
OLD_NAMES = {"ruler": "estimator"}  # committed tables keep the name they were written with
PIXELS = 2**16  # in one pass: small batches of small images gain much from sharing it


class Estimates(NamedTuple):
    """A run, what was read at the end of its stages, and the networks it was read from."""

    run: Run
    """The run."""
    table: DataFrame
    """The estimates, with the columns :data:`COLUMNS`."""
    models: dict[int, nn.Module]
    """The network at the end of each stage, by epoch, as training left it."""


def estimates(
    model: nn.Module, passes: Sequence[tuple[Tensor, Tensor]], batch_sizes: Iterable[int]
) -> list[tuple[int, str, int, float]]:
    """The gradient norm at fixed weights, by batch size and weights of the batches.

    Args:
        model: stays as it is.
        passes: the data in different shuffles, as
            :func:`sgdm_lib.engine.snapshots.measuring_pass` gives them.
        batch_sizes: sizes to read with; 0 reads in eval mode, for which the first pass will do.

    Returns:
        Estimator's batch size, weights, number of the pass, and norm, of every estimate.

    Raises:
        ValueError: if a batch size is negative.
    """
    found = []
    for b in batch_sizes:
        integer("batch_size", b, at_least=0)
        for shuffle, (x, y) in enumerate(passes if b else passes[:1]):
            chunk = max(PIXELS // math.prod(x.shape[2:]), 1)
            if b:
                both = read_both(model, (x, y), b, chunk=chunk)
                found += [(b, how, shuffle, norm) for how, norm in both.items()]
            else:
                found.append(
                    (0, "samples", shuffle, NormEstimator().read(model, (x, y), chunk=chunk))
                )
    return found


def stage_estimates(
    experiment: Experiment,
    *,
    every_size: bool = False,
    augmented: Sequence[bool] | None = None,
    shuffles: int = 1,
    device: str = "auto",
) -> Estimates:
    """Train, and estimate the norm after every stage with the estimators of several batch sizes.

    Args:
        experiment: with a batch size that grows at least once.
        every_size: read with the batch sizes of all stages and in eval mode, not only with the
            stage's own and its neighbours', which :func:`sgdm_lib.study.estimators.split` needs.
        augmented: whether to augment the images read, or both; None: as in training.
        shuffles: passes over the data to read.
        device: as for :func:`sgdm_lib.engine.training.fit`.

    Returns:
        The run, the estimates and the networks they were taken from; fewer if it diverged.

    Raises:
        ValueError: if the batch size does not change.
    """
    import pandas

    stages = experiment.plan().stages
    if len(stages) < 2:
        raise ValueError(
            f"batch_size must change during the run, got {experiment.batch_size}: give a schedule "
            "that grows within the epochs"
        )
    ends = {stage.first_epoch + stage.epochs: stage.batch_size for stage in stages}
    sizes = [stage.batch_size for stage in stages]
    run, models = fit_with_snapshots(experiment, ends, device=device)
    rows: list[tuple[object, ...]] = []
    for images in [experiment.augment] if augmented is None else augmented:
        source = experiment.replace(augment=images)
        passes = [measuring_pass(source, epoch=e, device=device) for e in range(shuffles)]
        for epoch, model in models.items():
            at = sizes.index(ends[epoch])
            estimators = [0, *sizes] if every_size else sizes[max(at - 1, 0) : at + 2]
            rows += [
                (epoch, ends[epoch], estimator, how, images, shuffle, norm)
                for estimator, how, shuffle, norm in estimates(model, passes, estimators)
            ]
    return Estimates(run, pandas.DataFrame(rows, columns=list(COLUMNS)), models)


def load_estimates(name: str, folder: Path) -> dict[int, DataFrame]:
    """Recorded tables of estimates of a run, by seed; none if it has not been read.

    Args:
        name: a name of :func:`sgdm_lib.study.papers.catalogue`.
        folder: where ``benchmarks/rulers.py`` put them, ``<folder>/<name>/seed<K>.csv``.

    Raises:
        sgdm_lib.engine.records.RecordError: if a file is damaged.
    """
    import pandas

    found = {}
    for path in (folder / name).glob("seed*.csv"):
        table = pandas.read_csv(path).rename(columns=OLD_NAMES)
        if tuple(table.columns) != COLUMNS or table.empty or not (table.norm > 0).all():
            raise RecordError(f"{path} is no table of estimates with the columns {COLUMNS}")
        found[int(path.stem.removeprefix("seed"))] = table
    return dict(sorted(found.items()))


def compared(table: DataFrame) -> dict[str, float]:
    """How much the estimators of one run differ, at the end of its last stage.

    Args:
        table: as :func:`stage_estimates` makes it with ``every_size``, in one kind of images.

    Returns:
        Of the means over the shuffles: ``bn``, the largest norm in train mode with weights 1/n /
        the smallest - 1; ``eval``, the norm in eval mode / that of the largest batch size;
        ``weights``, the largest of authors' weights / weights 1/n - 1; and ``fall``, the norm by
        the largest batch size after the first stage / after the last.
    """
    first, last = (
        table[table.epoch == epoch].groupby(["estimator", "weights"]).norm.mean()
        for epoch in (table.epoch.min(), table.epoch.max())
    )
    sizes = sorted(int(b) for b in table.estimator.unique() if b)
    norms = [last[b, "samples"] for b in sizes]
    return {
        "bn": max(norms) / min(norms) - 1,
        "eval": last[0, "samples"] / norms[-1],
        "fall": first[sizes[-1], "samples"] / norms[-1],
        "weights": max(last[b, "authors"] / last[b, "samples"] - 1 for b in sizes),
    }


def with_and_without_augmentation(table: DataFrame) -> DataFrame:
    """The same networks read on augmented and on plain images, weights 1/n, in two modes.

    Args:
        table: as :func:`stage_estimates` makes it with ``every_size`` and both kinds of images.

    Returns:
        For each stage end and mode (train mode with the largest batch size, eval mode) the norm on
        augmented and on plain images and their ratio, geometric means over shuffles.

    Raises:
        ValueError: if one kind of images or one mode has not been read.
    """
    largest = table.estimator.max()
    chosen = table[(table.weights == "samples") & table.estimator.isin([0, largest])]
    logs = np.log(chosen.norm).groupby([chosen.epoch, chosen.estimator, chosen.augmented]).mean()
    norms = np.exp(logs).unstack()
    if set(norms.columns) != {True, False} or set(chosen.estimator) != {0, largest}:
        raise ValueError(
            "the table must hold estimates on augmented and on plain images, in train and in eval "
            "mode: read them with every_size=True and augmented=(True, False)"
        )
    rows = norms.reset_index()
    modes = {0: "eval mode", largest: f"train mode, b = {largest}"}
    rows = rows.assign(estimator=rows.estimator.map(modes), ratio=rows[True] / rows[False])
    names = {
        "epoch": "after epoch",
        True: "augmented",
        False: "plain",
        "ratio": "augmented / plain",
    }
    return rows.rename(columns=names).rename_axis(columns=None)[
        ["after epoch", "estimator", "augmented", "plain", "augmented / plain"]
    ]


def moved_statistics(
    model: nn.Module, experiment: Experiment, batch_sizes: Iterable[int], *, device: str = "auto"
) -> dict[int, float]:
    """Test accuracy after a measuring pass at each batch size has moved BatchNorm's statistics.

    Args:
        model: a trained network; stays as it is.
        experiment: the run it comes from.
        batch_sizes: batch sizes of the pass; 0 for none, with the statistics that training left.
        device: as for :func:`sgdm_lib.engine.training.fit`.

    Returns:
        The accuracies by batch size, as fractions.
    """
    source = EpochBatches(load_data(experiment), experiment, choose_device(device))
    images, _ = measuring_pass(experiment, device=device)
    found = {}
    for b in batch_sizes:
        with kept_buffers(model):
            if b:
                _forward(model, images, b)
            found[b] = evaluate(model, source)["test_accuracy"]
    return found


@torch.no_grad()
def _forward(model: nn.Module, images: Tensor, batch_size: int) -> None:
    model.train()
    for batch in images.split(batch_size):
        model(batch)
