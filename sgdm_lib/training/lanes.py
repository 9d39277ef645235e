"""Several runs at once on one device: they take turns, a step each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path

import torch

from sgdm_lib import checkpoint, records
from sgdm_lib.experiment import Experiment
from sgdm_lib.interrupt import StopRequest
from sgdm_lib.progress import Progress
from sgdm_lib.records import Run
from sgdm_lib.training.device import numerics
from sgdm_lib.training.ongoing import Ongoing
from sgdm_lib.training.source import Source

Lane = tuple[torch.cuda.Stream | None, Iterator[None]]
Team = Callable[[list[tuple[Ongoing, Progress]], StopRequest], list[Lane]]


def finished(folder: Path, experiment: Experiment) -> Run | None:
    """The run in that folder, if it is this experiment and over.

    Raises:
        ValueError: if the folder holds another experiment (named field by field).
        sgdm_lib.records.RecordError: if its record is damaged.
    """
    if not (folder / "run.json").exists():
        return None
    run = records.load(folder)
    if differences := run.experiment.differences(experiment):
        shown = "; ".join(f"{k}: {a!r} there, {b!r} now" for k, (a, b) in differences.items())
        raise ValueError(
            f"{folder} holds another experiment ({shown}): choose another folder, or start anew "
            "with resume=False (sgdm run: --fresh)"
        )
    if run.status not in ("finished", "diverged"):
        return None
    checkpoint.delete(folder)  # a kill may have come between the last record and this
    return run


def each_alone(runs: list[tuple[Ongoing, Progress]], stop: StopRequest) -> list[Lane]:
    """Every run on a lane of its own."""
    return [(run.stream, run.advance(stop, bar)) for run, bar in runs]


def run_lanes(
    sources: Sequence[Source],
    folders: Sequence[Path | None],
    *,
    mode: str,
    resume: bool,
    progress: bool,
    team: Team = each_alone,
) -> list[Run]:
    """Run experiments of one precision to the end, taking turns; a signal saves all and leaves.

    Args:
        sources: one an experiment.
        folders: where each has its record; None for nowhere.
        mode: of the steps.
        resume: go on from what is there.
        progress: show it.
        team: puts the runs on lanes.
    """
    with ExitStack() as held:
        runs = []
        for source, folder in zip(sources, folders, strict=True):
            if folder is not None:
                held.enter_context(records.exclusive(folder))
                if not resume:
                    records.delete(folder)
                    checkpoint.delete(folder)
            runs.append(Ongoing(source.experiment, source, folder, mode))
        if any(run.stream for run in runs):
            torch.cuda.synchronize()  # weights and data come from the default stream
        held.enter_context(numerics(sources[0].experiment.precision))
        stop = held.enter_context(StopRequest())
        bars = [Progress(r.plan, progress, label(r.experiment), r.images_done) for r in runs]
        for bar in bars:
            held.enter_context(bar)
        _take_turns(team(list(zip(runs, bars, strict=True)), stop))
    if stop.signal is not None:
        stop.leave()
    return [run.run() for run in runs]


def _take_turns(lanes: list[Lane]) -> None:
    waiting = deque(lanes)
    while waiting:
        stream, steps = waiting.popleft()
        with on(stream):
            if next(steps, waiting) is None:
                waiting.append((stream, steps))


def on(stream: torch.cuda.Stream | None) -> AbstractContextManager[object]:
    """Work goes to that stream inside; None leaves everything as it is."""
    return nullcontext() if stream is None else torch.cuda.stream(stream)


def label(experiment: Experiment) -> str:
    """What a run is called on the screen."""
    return f"{experiment.optimizer} {experiment.model} {experiment.dataset} seed {experiment.seed}"
