"""How fast training is on this machine: ``sgdm bench``.

Two tables: milliseconds of one training step by mode and batch size, and the whole engine beside
the loop everybody writes. Every number says how often it was taken and on what; a ratio is only
ever between two things measured in the same run.
"""

from __future__ import annotations

import os
from pathlib import Path

from sgdm_lib import data
from sgdm_lib.checks import integer
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.speed.loops import plain_loop
from sgdm_lib.engine.speed.steps import step_table
from sgdm_lib.engine.speed.tables import machine, write

__all__ = ["machine", "plain_loop", "run", "step_table", "write"]


def run(
    out: str | os.PathLike[str],
    *,
    experiment: Experiment | None = None,
    device: str = "auto",
    batch_sizes: tuple[int, ...] = (8, 32, 128, 512),
    seconds: float = 5.0,
    data_root: str | os.PathLike[str] | None = None,
) -> list[Path]:
    """Make both tables and write each as Markdown and as Parquet.

    Args:
        out: folder for the files.
        experiment: says which data, network, optimizer, augmentation and precision; default the
            papers' ResNet-18 on CIFAR-100, NSHB, augmented.
        device: as for :func:`sgdm_lib.engine.training.fit`.
        batch_sizes: to measure at.
        seconds: to spend on each number, at most (a step and its warm-up are always whole).
        data_root: folder of the data sets.

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
    n_train = data.size(experiment.dataset).n_train
    for b in batch_sizes:  # before minutes of timing
        integer("batch size", b, at_least=1, at_most=n_train, fix="choose others")
    steps = step_table(experiment, batch_sizes, device=device, seconds=seconds, data_root=data_root)
    loops = plain_loop(experiment, batch_sizes, device=device, seconds=seconds, data_root=data_root)
    return [
        *write(steps, "Training step", Path(out) / "bench_steps"),
        *write(loops, "The engine beside a plain PyTorch loop", Path(out) / "bench_loops"),
    ]
