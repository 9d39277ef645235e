"""How fast training is on this machine: ``sgdm bench``.

Tables: milliseconds of one training step by mode and batch size, the whole engine beside the loop
everybody writes, and on demand several runs side by side and a whole run's predicted time. Every
number says how often it was taken and on what; a ratio is only ever between two things measured in
the same run.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sgdm_lib import data
from sgdm_lib.checks import integer
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.speed.loops import plain_loop
from sgdm_lib.engine.speed.runs import norm_table, projection, together_table
from sgdm_lib.engine.speed.steps import step_table
from sgdm_lib.engine.speed.tables import machine, write

__all__ = [
    "machine",
    "norm_table",
    "plain_loop",
    "projection",
    "run",
    "step_table",
    "together_table",
    "write",
]


def run(
    out: str | os.PathLike[str],
    *,
    experiment: Experiment | None = None,
    device: str = "auto",
    batch_sizes: tuple[int, ...] = (8, 32, 128, 512),
    seconds: float = 5.0,
    data_root: str | os.PathLike[str] | None = None,
    precision: str | None = None,
    every: int | None = None,
    at_once: int = 1,
) -> list[Path]:
    """Make the tables and write each as Markdown and as Parquet.

    Args:
        out: folder for the files.
        experiment: says which data, network, optimizer, augmentation and precision; default the
            papers' ResNet-18 on CIFAR-100, NSHB, augmented.
        device: as for :func:`sgdm_lib.engine.training.fit`.
        batch_sizes: to measure at.
        seconds: to spend on each number, at most (a step and its warm-up are always whole).
        data_root: folder of the data sets.
        precision: instead of the experiment's.
        every: also time full gradient norms, and predict the experiment's whole time with norms
            every so many epochs; None: do not.
        at_once: also time 1 to so many runs side by side, if more than 1.

    Returns:
        The files.

    Raises:
        ValueError: if the device is not there, or a batch size is not 1 .. number of samples.
        sgdm_lib.data.DataError: if the data set is not there.
    """
    if experiment is None:
        experiment = Experiment(
            dataset="cifar100",
            model="resnet18",
            optimizer="nshb",
            epochs=1,
            batch_size=128,
            lr=0.1,
            augment=True,
        )
    if precision is not None:
        experiment = experiment.replace(precision=precision)
    if every is not None:
        experiment = experiment.replace(gradient_norm_every=every)
    counts = range(1, integer("at_once", at_once, at_least=1) + 1)
    n_train = data.size(experiment.dataset).n_train
    for b in batch_sizes:  # before minutes of timing
        integer("batch size", b, at_least=1, at_most=n_train, fix="choose others")
    about: dict[str, Any] = {"device": device, "data_root": data_root}
    steps = step_table(experiment, batch_sizes, seconds=seconds, **about)
    files = write(steps, "Training step", Path(out) / "bench_steps")
    loops = plain_loop(experiment, batch_sizes, seconds=seconds, **about)
    files += write(loops, "The engine beside a plain PyTorch loop", Path(out) / "bench_loops")
    if at_once > 1:
        runs = together_table(experiment, batch_sizes, at_once=counts, seconds=seconds, **about)
        files += write(runs, "Runs side by side", Path(out) / "bench_together")
    if every is not None:
        norms = norm_table(experiment, batch_sizes, **about)
        files += write(norms, "Full gradient norms", Path(out) / "bench_norms")
        quickest = steps.sort_values("median_ms").drop_duplicates("batch_size")
        whole = projection(experiment, quickest, norms)
        files += write(whole, "Predicted time of the whole run", Path(out) / "bench_whole")
    return files
