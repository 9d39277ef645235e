"""``fit``: the one training loop. ``fit_many``, ``fit_seeds``: several runs.

The order within an epoch is that of the papers' code: batch size fixed at the start, a fresh
shuffle, every batch one step (the short last one too), then the full gradient norm, then the test
pass. The data live on the device; losses add up there and are read a few times an epoch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from sgdm_lib.checks import integer
from sgdm_lib.experiment import Experiment
from sgdm_lib.records import Run
from sgdm_lib.steps import choose_mode
from sgdm_lib.training.company import stacked
from sgdm_lib.training.device import choose_device
from sgdm_lib.training.lanes import each_alone, finished, run_lanes
from sgdm_lib.training.noise import final_noise
from sgdm_lib.training.source import Source, load_data

__all__ = ["choose_device", "final_noise", "fit", "fit_many", "fit_seeds", "load_data"]


def fit(
    experiment: Experiment,
    *,
    out: str | os.PathLike[str] | None = None,
    device: str = "auto",
    resume: bool = True,
    progress: bool = True,
    data_root: str | os.PathLike[str] | None = None,
    mode: str = "auto",
) -> Run:
    """Run an experiment, or go on with it, or return it if it has been run.

    A run on the CPU is determined by its experiment, the number of threads and torch's version:
    interrupted and resumed it ends with the same bits. Ctrl-C and SIGTERM finish the step, save and
    leave (KeyboardInterrupt, SystemExit 143).

    Args:
        experiment: what to run.
        out: the run's folder for its record and checkpoints; None keeps the run in memory only.
        device: "auto" (CUDA if there is one), "cpu", "cuda", "cuda:1"...
        resume: go on from what is in ``out``; False starts anew and overwrites it.
        progress: show a bar on a terminal, or about ten lines elsewhere.
        data_root: folder of the data sets; default as for :func:`sgdm_lib.data.load`.
        mode: how a step is run: "eager", "compile", "graph" (CUDA only), or "auto": graph on a
            GPU, else eager. Recorded; it changes the speed, and the last digits.

    Returns:
        The run: history, one row an epoch, and provenance. A run whose loss is no longer finite
        ends with status "diverged", its rows kept.

    Raises:
        ValueError: if the schedules do not fit the data, the device or mode is unknown, or ``out``
            holds another experiment (named field by field).
        sgdm_lib.records.RecordError: if ``out`` is damaged, or in use by another process.
        sgdm_lib.data.DataError: if the data set is not there.
    """
    folder = None if out is None else Path(out)
    if folder and resume and (done := finished(folder, experiment)):
        return done
    where = choose_device(device)
    source = Source(load_data(experiment, data_root), experiment, where)
    how = choose_mode(mode, where)
    return run_lanes([source], [folder], mode=how, resume=resume, progress=progress)[0]


def fit_many(
    experiments: Sequence[Experiment],
    *,
    out: str | os.PathLike[str] | None = None,
    device: str = "auto",
    resume: bool = True,
    progress: bool = True,
    data_root: str | os.PathLike[str] | None = None,
    mode: str = "auto",
    at_once: int | None = None,
    together: bool = False,
) -> list[Run]:
    """Run several experiments, for instance the seeds of one; each ends as it would alone.

    On a GPU several of them are under way at a time, a stream each, so that small batches fill the
    chip; they take turns, a step each. Runs on the same data share it.

    Args:
        experiments: what to run.
        out: a folder; each run has its own in it, named by its content hash.
        device: as for :func:`fit`.
        resume: as for :func:`fit`.
        progress: as for :func:`fit`.
        data_root: as for :func:`fit`.
        mode: as for :func:`fit`.
        at_once: how many runs are under way at a time; None: 4 on a GPU, 1 elsewhere, or all of
            them with ``together``.
        together: on a CPU, train runs of one net with the same batch sizes (seeds, learning
            rates, optimizers) as one stack of networks while their batches are small, if the net
            has no BatchNorm: much faster, but rounded differently in the last digits, so that
            such a run is not the same bits as alone. Its seconds are its share of the stack's.

    Returns:
        The runs, in the order of the experiments.

    Raises:
        ValueError: as :func:`fit`.
        sgdm_lib.records.RecordError: as :func:`fit`.
        sgdm_lib.data.DataError: as :func:`fit`.
    """
    where = choose_device(device)
    how, done = choose_mode(mode, where), dict[Experiment, Run]()
    if at_once is None:
        at_once = 4 if where.type == "cuda" else max(len(experiments), 1) if together else 1
    at_once = integer("at_once", at_once, at_least=1)
    folders = {e: None if out is None else Path(out) / e.hash for e in experiments}
    for experiment, folder in folders.items():
        if folder and resume and (run := finished(folder, experiment)):
            done[experiment] = run
    left = sorted((e for e in folders if e not in done), key=_data_key)
    for _, alike in groupby(left, key=_data_key):
        group = list(alike)
        first = Source(load_data(group[0], data_root), group[0], where)
        for start in range(0, len(group), at_once):
            part = group[start : start + at_once]
            runs = run_lanes(
                [first.sharing(e) for e in part],
                [folders[e] for e in part],
                mode=how,
                resume=resume,
                progress=progress,
                team=stacked if together else each_alone,
            )
            done.update(zip(part, runs, strict=True))
    return [done[e] for e in experiments]


def fit_seeds(
    experiments: Mapping[Any, Experiment],
    seeds: Sequence[int],
    *,
    out: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: bool = False,
    data_root: str | os.PathLike[str] | None = None,
    together: bool = True,
) -> dict[Any, list[Run]]:
    """Run every experiment with every seed, on a CPU stacked where possible: runs to compare.

    Args:
        experiments: what to run, by what it is called; their own seeds do not matter.
        seeds: the seeds of each.
        out: as for :func:`fit_many`.
        device: as for :func:`fit`.
        progress: as for :func:`fit`.
        data_root: as for :func:`fit`.
        together: as for :func:`fit_many`.

    Returns:
        For each label the runs, one a seed, in the order of ``seeds``.

    Raises:
        ValueError: as :func:`fit`; also if there is no seed.
        sgdm_lib.records.RecordError: as :func:`fit`.
        sgdm_lib.data.DataError: as :func:`fit`.
    """
    if not seeds:
        raise ValueError("seeds must name at least one seed, got none: for instance (0, 1, 2)")
    runs = fit_many(
        [each.replace(seed=seed) for each in experiments.values() for seed in seeds],
        out=out,
        device=device,
        progress=progress,
        data_root=data_root,
        together=together,
    )
    count = len(seeds)
    return {label: runs[k * count : (k + 1) * count] for k, label in enumerate(experiments)}


def _data_key(experiment: Experiment) -> tuple[str, int, float, str]:
    """Experiments with the same one can share data and torch's settings."""
    e = experiment
    return e.dataset, e.n_train or 0, e.label_noise, e.precision
