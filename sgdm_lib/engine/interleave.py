"""Several runs at once on one device: each goes on as soon as the device has finished its work."""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from sgdm_lib.engine import checkpoint, records
from sgdm_lib.engine.batches import EpochBatches
from sgdm_lib.engine.device import numerics
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.interrupt import StopRequest
from sgdm_lib.engine.progress import Progress
from sgdm_lib.engine.records import Run
from sgdm_lib.engine.run_state import RunState, in_a_stack
from sgdm_lib.engine.steps.look import Look
from sgdm_lib.engine.weights import load_model

Task = tuple[torch.cuda.Stream | None, Iterator[Look | None]]
PAUSE = 50e-6  # seconds between two looks at a device that is busy with all tasks: a step's tenth
Grouping = Callable[[list[tuple[RunState, Progress]], StopRequest], list[Task]]


def finished(
    folder: Path, experiment: Experiment, *, stackable: bool = False, weights: bool = False
) -> Run | None:
    """The run in that folder, if it is this experiment and over.

    Args:
        folder: where to look.
        experiment: the one that is asked for.
        stackable: whether a run that was trained in a stack will do.
        weights: whether its trained weights are asked for.

    Raises:
        ValueError: if the folder holds another experiment (named field by field), or not the run
            that is asked for.
        sgdm_lib.engine.records.RecordError: if its record is damaged and there is nothing to go on
        from.
    """
    if not (folder / "run.json").exists():
        return None
    try:
        run = records.load(folder)
    except records.Damaged as error:
        if not checkpoint.holds(folder, experiment):
            raise
        warnings.warn(f"{error}; its checkpoint is whole and goes on from there", stacklevel=3)
        return None
    if differences := run.experiment.differences(experiment):
        shown = "; ".join(f"{k}: {a!r} there, {b!r} now" for k, (a, b) in differences.items())
        raise ValueError(
            f"{folder} holds another experiment ({shown}): choose another folder, or start anew "
            "with resume=False (sgdm run: --fresh)"
        )
    if run.status not in ("finished", "diverged"):
        return None
    if not stackable and is_stacked(run):
        raise ValueError(in_a_stack(folder))
    if weights and "weights_sha256" not in run.provenance:
        raise ValueError(f"{folder} holds this run without its weights: choose another folder")
    checkpoint.delete(folder)  # a kill may have come between the last record and this
    model = load_model(folder) if weights else None
    return replace(run, experiment=experiment, model=model)


def is_stacked(run: Run) -> bool:
    """Whether any step of a recorded run was taken in a stack; early records say so by the mode."""
    about = run.provenance
    return bool(about.get("stacked")) or str(about.get("mode", "")).startswith("stacked")


def guarded(runs: list[RunState], steps: Iterator[Look | None]) -> Iterator[Look | None]:
    """The same steps; an error in one ends these runs, which keep it, and no others."""
    try:
        yield from steps
    except Exception as error:
        for run in runs:
            run.fail(error)


def one_task_each(runs: list[tuple[RunState, Progress]], stop: StopRequest) -> list[Task]:
    """Every run on a task of its own."""
    tasks = []
    for run, bar in runs:
        steps = guarded([run], run.advance(stop, bar))
        tasks.append((run.stream, _in_own_state(run, steps) if run.draws else steps))
    return tasks


def _in_own_state(run: RunState, steps: Iterator[Look | None]) -> Iterator[Look | None]:
    """Steps that draw from torch's global generators, which are put back after each."""
    while True:
        with run.random:
            try:
                look = next(steps)
            except StopIteration:
                return
        yield look


def run_interleaved(
    sources: Sequence[EpochBatches],
    folders: Sequence[Path | None],
    *,
    mode: str,
    resume: bool,
    progress: bool,
    grouping: Grouping = one_task_each,
    weights: bool = False,
) -> list[Run | Exception]:
    """Run experiments of one precision to the end, taking turns; a signal saves all and leaves.

    Args:
        sources: one an experiment.
        folders: where each has its record; None for nowhere.
        mode: of the steps.
        resume: go on from what is there.
        progress: show it.
        grouping: puts the runs on tasks.
        weights: keep the trained weights beside the record.

    Returns:
        For each experiment its run, or the error that it failed with; one failure ends no other.
    """
    found: list[RunState | Exception] = []
    stackable = grouping is not one_task_each
    with ExitStack() as held:
        held.enter_context(numerics(sources[0].experiment.precision))
        for source, folder in zip(sources, folders, strict=True):
            try:
                if folder is not None:
                    held.enter_context(records.exclusive(folder))
                    if not resume:
                        checkpoint.clear(folder)
                        records.delete(folder)
                run = RunState(
                    source.experiment, source, folder, mode, stackable=stackable, weights=weights
                )
                found.append(run)
            except Exception as error:
                found.append(error)
        runs = [each for each in found if isinstance(each, RunState)]
        if any(run.stream for run in runs):
            torch.cuda.synchronize()  # weights and data come from the default stream
        stop = held.enter_context(StopRequest())
        bars = [Progress(r.plan, progress, label(r.experiment), r.images_done) for r in runs]
        for bar in bars:
            held.enter_context(bar)
        for run in runs:
            run.at_once = len(runs)
        tasks = grouping(list(zip(runs, bars, strict=True)), stop)
        interleave(tasks, partial(_share_time, runs) if grouping is one_task_each else lambda: None)
    if stop.signal is not None:
        stop.leave()
    return [each if isinstance(each, Exception) else each.error or each.run() for each in found]


def interleave(
    tasks: Iterable[Task],
    changed: Callable[[], None] = lambda: None,
    rest: Callable[[float], None] = time.sleep,
) -> None:
    """Go on with every task that has nothing to wait for, in turn, until all have ended.

    A task has work of some hundred to some thousand images in flight: it hands over a look at the
    loss a block of work before, and gets its next turn when that has arrived. So neither a task
    with small batches waits for one with large ones, nor the other way round, and the host waits
    for the device only if all tasks do.

    Args:
        tasks: streams, and what goes on step by step.
        changed: called at the start and whenever a task has ended.
        rest: waits for so many seconds.
    """
    waiting: deque[tuple[Task, Look | None]] = deque((task, None) for task in tasks)
    idle = 0
    changed()
    while waiting:
        (stream, steps), look = waiting.popleft()
        if look is not None and not look.ready():
            waiting.append(((stream, steps), look))
            idle += 1
            if idle >= len(waiting):
                rest(PAUSE)
                idle = 0
            continue
        idle = 0
        try:
            with on(stream):
                waiting.append(((stream, steps), next(steps)))
        except StopIteration:
            changed()


def _share_time(runs: Sequence[RunState]) -> None:
    """Runs side by side share the time that passes."""
    under_way = [run for run in runs if run.status == "running"]
    for run in under_way:
        run.take_share(1 / len(under_way))


def on(stream: torch.cuda.Stream | None) -> AbstractContextManager[object]:
    """Work goes to that stream inside; None leaves everything as it is."""
    return nullcontext() if stream is None else torch.cuda.stream(stream)


def label(experiment: Experiment) -> str:
    """What a run is called on the screen."""
    return f"{experiment.optimizer} {experiment.model} {experiment.dataset} seed {experiment.seed}"
