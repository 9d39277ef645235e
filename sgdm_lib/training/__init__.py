"""``fit``: the one training loop. ``fit_many``: several runs.

The order within an epoch is that of the papers' code: batch size fixed at the start, a fresh
shuffle, every batch one step (the short last one too), then the full gradient norm, then the test
pass. The data live on the device; losses add up there and are read once an epoch.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import torch

from sgdm_lib import checkpoint, records
from sgdm_lib.experiment import Experiment
from sgdm_lib.interrupt import StopRequest
from sgdm_lib.progress import Progress
from sgdm_lib.records import Run
from sgdm_lib.training.noise import final_noise
from sgdm_lib.training.ongoing import Ongoing
from sgdm_lib.training.source import Source, load_data

__all__ = ["choose_device", "final_noise", "fit", "fit_many", "load_data"]


def fit(
    experiment: Experiment,
    *,
    out: str | os.PathLike[str] | None = None,
    device: str = "auto",
    resume: bool = True,
    progress: bool = True,
    data_root: str | os.PathLike[str] | None = None,
) -> Run:
    """Run an experiment, or go on with it, or return it if it has been run.

    A run on the CPU is determined by its experiment: interrupted and resumed it ends with the same
    bits. Ctrl-C and SIGTERM finish the step, save and leave (KeyboardInterrupt, SystemExit 143).

    Args:
        experiment: what to run.
        out: the run's folder for its record and checkpoints; None keeps the run in memory only.
        device: "auto" (CUDA if there is one), "cpu", "cuda", "cuda:1"...
        resume: go on from what is in ``out``; False starts anew and overwrites it.
        progress: show a bar on a terminal, or about ten lines elsewhere.
        data_root: folder of the data sets; default as for :func:`sgdm_lib.data.load`.

    Returns:
        The run: history, one row an epoch, and provenance. A run whose loss is no longer finite
        ends with status "diverged", its rows kept.

    Raises:
        ValueError: if the schedules do not fit the data, the device is unknown, or ``out`` holds
            another experiment (named field by field).
        sgdm_lib.data.DataError: if the data set is not there.
    """
    folder = None if out is None else Path(out)
    if folder and resume and (done := _finished(folder, experiment)):
        checkpoint.delete(folder)  # a kill may have come between the last record and this
        return done
    where = choose_device(device)
    source = Source(load_data(experiment, data_root), experiment, where)
    with nullcontext() if folder is None else records.exclusive(folder):
        if folder and not resume:
            records.delete(folder)
            checkpoint.delete(folder)
        training = Ongoing(experiment, source, folder, where)
        bar = Progress(training.plan, progress, _label(experiment), training.images_done)
        with StopRequest() as stop, bar:
            for _ in training.advance(stop, bar):
                pass
    if stop.signal is not None:
        stop.leave()
    return training.run()


def fit_many(
    experiments: Sequence[Experiment],
    *,
    out: str | os.PathLike[str] | None = None,
    device: str = "auto",
    resume: bool = True,
    progress: bool = True,
    data_root: str | os.PathLike[str] | None = None,
) -> list[Run]:
    """Run several experiments, for instance the seeds of one; each ends as it would alone.

    Args:
        experiments: what to run.
        out: a folder; each run has its own in it, named by its content hash.
        device: as for :func:`fit`.
        resume: as for :func:`fit`.
        progress: as for :func:`fit`.
        data_root: as for :func:`fit`.

    Returns:
        The runs, in the order of the experiments.

    Raises:
        ValueError: as :func:`fit`.
    """
    return [
        fit(
            each,
            out=None if out is None else Path(out) / each.hash,
            device=device,
            resume=resume,
            progress=progress,
            data_root=data_root,
        )
        for each in experiments
    ]


def choose_device(device: str) -> torch.device:
    """The device of that name; "auto" is CUDA where there is one, else the CPU.

    Raises:
        ValueError: if the name is unknown or the device is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device must be auto, cpu or cuda, got {device!r}: {reason}") from None
    return chosen


def _finished(folder: Path, experiment: Experiment) -> Run | None:
    if not (folder / "run.json").exists():
        return None
    run = records.load(folder)
    if differences := run.experiment.differences(experiment):
        shown = "; ".join(f"{k}: {a!r} there, {b!r} now" for k, (a, b) in differences.items())
        raise ValueError(
            f"{folder} holds another experiment ({shown}): choose another folder, or start anew "
            "with resume=False"
        )
    return run if run.status in ("finished", "diverged") else None


def _label(experiment: Experiment) -> str:
    return f"{experiment.optimizer} {experiment.model} {experiment.dataset} seed {experiment.seed}"
