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

from sgdm_lib import data
from sgdm_lib.checks import integer
from sgdm_lib.engine.batches import EpochBatches, load_data
from sgdm_lib.engine.device import choose_device, numerics
from sgdm_lib.engine.ensemble import stacked
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.interleave import finished, one_task_each, run_interleaved
from sgdm_lib.engine.noise import final_noise
from sgdm_lib.engine.records import Run
from sgdm_lib.engine.steps import choose_mode
from sgdm_lib.engine.weights import load_model

__all__ = [
    "choose_device",
    "final_noise",
    "fit",
    "fit_many",
    "fit_seeds",
    "load_data",
    "load_model",
]


def fit(
    experiment: Experiment,
    *,
    out: str | os.PathLike[str] | None = None,
    device: str = "auto",
    resume: bool = True,
    progress: bool = True,
    data_root: str | os.PathLike[str] | None = None,
    mode: str = "auto",
    weights: bool = False,
) -> Run:
    """Run an experiment, or go on with it, or return it if it has been run.

    A run on the CPU is determined by its experiment, the number of threads and torch's version:
    interrupted and resumed it ends with the same bits. Ctrl-C and SIGTERM finish the step, save and
    leave (KeyboardInterrupt, SystemExit 143). While a disk is full the run goes on in memory, with
    a warning, and is saved when there is room again.

    Args:
        experiment: what to run. Of a schedule whose function cannot be imported (a lambda) the
            record keeps the values.
        out: the run's folder for its record and checkpoints; None keeps the run in memory only.
        device: "auto" (CUDA if there is one), "cpu", "cuda", "cuda:1"...
        resume: go on from what is in ``out``; False starts anew and overwrites it.
        progress: show a bar on a terminal, or about ten lines elsewhere.
        data_root: folder of the data sets; default as for :func:`sgdm_lib.data.load`.
        mode: how a step is run: "eager", "compile", "graph" (CUDA only), or "auto": graph on a
            GPU, else eager. Recorded; it changes the speed, and the last digits.
        weights: keep the trained weights in ``out`` (``weights.safetensors``);
            :func:`load_model` reads them, and the run has its model also when it is found there.

    Returns:
        The run: history, one row an epoch, and provenance. A run whose loss is no longer finite
        ends with status "diverged", its rows kept.

    Raises:
        ValueError: if the schedules do not fit the data, the device or mode is unknown, or ``out``
            holds another experiment (named field by field), other data, or a file that is not
            this library's; all before anything is trained.
        sgdm_lib.engine.records.RecordError: if ``out`` is damaged.
        sgdm_lib.engine.records.Busy: if another process is writing into ``out``.
        OSError: if ``out`` cannot be written, named before anything is trained.
        sgdm_lib.engine.records.NotSaved: if the last record cannot be written; the error holds the
        run. sgdm_lib.data.DataError: if the data set is not there.
    """
    (run,) = _run_all(
        [_checked(experiment)],
        [None if out is None else Path(out)],
        device=device,
        resume=resume,
        progress=progress,
        data_root=data_root,
        mode=mode,
        at_once=1,
        vectorize=False,
        weights=weights,
    )
    return run


def fit_many(
    experiments: Sequence[Experiment],
    *,
    out: str | os.PathLike[str] | Mapping[Experiment, Path] | None = None,
    device: str = "auto",
    resume: bool = True,
    progress: bool = True,
    data_root: str | os.PathLike[str] | None = None,
    mode: str = "auto",
    at_once: int | None = None,
    vectorize: bool = False,
    weights: bool = False,
) -> list[Run]:
    """Run several experiments, for instance the seeds of one; each ends as it would alone.

    On a GPU several of them are under way at a time, a stream each, so that small batches fill the
    chip. Runs on the same data share it. One that fails leaves those beside it untouched: they end,
    and their records are written, before its error is raised.

    Args:
        experiments: what to run.
        out: a folder; each run has its own in it, named by its content hash. Or a folder for each.
        device: as for :func:`fit`.
        resume: as for :func:`fit`.
        progress: as for :func:`fit`.
        data_root: as for :func:`fit`.
        mode: as for :func:`fit`.
        at_once: how many runs are under way at a time; None: 4 on a GPU, 1 elsewhere, or all of
            them with ``vectorize``.
        vectorize: on a CPU, train runs of one net with the same batch sizes (seeds, learning
            rates, optimizers) as one stack of networks while their batches are small, if the net
            has no BatchNorm: much faster, but rounded differently in the last digits, so that
            such a run is not the same bits as alone, also not after a kill. Its record says so
            (``stacked``), and :func:`fit` does not take it for its own. Its seconds are its share
            of the stack's.
        weights: as for :func:`fit`.

    Returns:
        The runs, in the order of the experiments.

    Raises:
        ValueError: as :func:`fit`; a plan that does not fit is named before anything is trained.
        sgdm_lib.engine.records.RecordError: as :func:`fit`.
        sgdm_lib.data.DataError: as :func:`fit`.
        ExceptionGroup: if runs failed for several causes, each told once. One that fails ends no
            other; the error has the finished ones as ``runs``, with None for those that failed.
    """
    if isinstance(experiments, Experiment):
        raise ValueError("experiments must be a list, got one experiment: use fit, or [experiment]")
    wanted = [_checked(each) for each in experiments]
    where = choose_device(device)
    if at_once is None:
        at_once = 4 if where.type == "cuda" else max(len(wanted), 1) if vectorize else 1
    folders: list[Path | None] = [None] * len(wanted)
    if isinstance(out, Mapping):
        folders = [Path(out[each]) for each in experiments]
    elif out is not None:
        folders = [Path(out) / each.hash for each in wanted]
    return _run_all(
        wanted,
        folders,
        device=device,
        resume=resume,
        progress=progress,
        data_root=data_root,
        mode=mode,
        at_once=integer("at_once", at_once, at_least=1),
        vectorize=vectorize,
        weights=weights,
    )


def fit_seeds(
    experiments: Mapping[Any, Experiment],
    seeds: Sequence[int],
    *,
    out: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: bool = False,
    data_root: str | os.PathLike[str] | None = None,
    vectorize: bool = True,
    weights: bool = False,
) -> dict[Any, list[Run]]:
    """Run every experiment with every seed, on a CPU stacked where possible: runs to compare.

    Args:
        experiments: what to run, by what it is called; their own seeds do not matter.
        seeds: the seeds of each.
        out: as for :func:`fit_many`.
        device: as for :func:`fit`.
        progress: as for :func:`fit`.
        data_root: as for :func:`fit`.
        vectorize: as for :func:`fit_many`.
        weights: as for :func:`fit`.

    Returns:
        For each label the runs, one a seed, in the order of ``seeds``.

    Raises:
        ValueError: as :func:`fit`; also if there is no seed.
        sgdm_lib.engine.records.RecordError: as :func:`fit`.
        sgdm_lib.data.DataError: as :func:`fit`.
    """
    if not isinstance(experiments, Mapping):
        raise ValueError(
            f"experiments must be a mapping of labels to experiments, got {experiments!r:.80}: "
            "write {'label': experiment}, or use fit_many"
        )
    if not seeds:
        raise ValueError("seeds must name at least one seed, got none: for instance (0, 1, 2)")
    runs = fit_many(
        [_checked(each).replace(seed=seed) for each in experiments.values() for seed in seeds],
        out=out,
        device=device,
        progress=progress,
        data_root=data_root,
        vectorize=vectorize,
        weights=weights,
    )
    count = len(seeds)
    return {label: runs[k * count : (k + 1) * count] for k, label in enumerate(experiments)}


def _checked(experiment: Experiment) -> Experiment:
    """The experiment as a record can hold it, its plan checked (ValueError)."""
    if not isinstance(experiment, Experiment):
        fix = ": use Experiment.from_dict" if isinstance(experiment, dict) else ""
        raise ValueError(f"experiment must be an Experiment, got {experiment!r:.80}{fix}")
    n_train = data.size(experiment.dataset).n_train
    experiment.plan(n_train)
    return experiment.with_values(n_train)


def _run_all(
    experiments: list[Experiment],
    folders: list[Path | None],
    *,
    device: str,
    resume: bool,
    progress: bool,
    data_root: str | os.PathLike[str] | None,
    mode: str,
    at_once: int,
    vectorize: bool,
    weights: bool,
) -> list[Run]:
    """Run all that is not done yet, runs on the same data one after the other."""
    done: dict[Experiment, Run | Exception] = {}
    places = dict(zip(experiments, folders, strict=True))
    if resume:
        for each, folder in places.items():
            try:
                if folder and (run := finished(folder, each, stackable=vectorize, weights=weights)):
                    done[each] = run
            except (ValueError, OSError) as error:
                done[each] = error
    where = choose_device(device)
    how = choose_mode(mode, where)
    left = sorted((e for e in places if e not in done), key=_data_key)
    for _, alike in groupby(left, key=_data_key):
        group = list(alike)
        try:
            with numerics(group[0].precision):
                first = EpochBatches(load_data(group[0], data_root), group[0], where)
        except data.DataError as error:
            done.update(dict.fromkeys(group, error))
            continue
        for start in range(0, len(group), at_once):
            part = group[start : start + at_once]
            runs = run_interleaved(
                [first.sharing(e) for e in part],
                [places[e] for e in part],
                mode=how,
                resume=resume,
                progress=progress,
                grouping=stacked if vectorize else one_task_each,
                weights=weights,
            )
            done.update(zip(part, runs, strict=True))
    return _runs([done[e] for e in experiments])


def _runs(found: list[Run | Exception]) -> list[Run]:
    """The runs; if some failed, an error that tells each cause once and has the others."""
    causes = {str(each): each for each in found if isinstance(each, Exception)}
    runs = [None if isinstance(each, Exception) else each for each in found]
    if not causes:
        return [run for run in runs if run is not None]
    failed = runs.count(None)
    error: Any = next(iter(causes.values()))
    if len(causes) > 1:
        error = ExceptionGroup(f"{failed} of {len(found)} runs failed", list(causes.values()))
    if len(found) > 1:
        error.runs = runs
        error.add_note(f"{failed} of {len(found)} runs failed; the error has the others as .runs")
    raise error


def _data_key(experiment: Experiment) -> tuple[str, int, float, str]:
    """Experiments with the same one can share data and torch's settings."""
    e = experiment
    return e.dataset, e.n_train or 0, e.label_noise, e.precision
