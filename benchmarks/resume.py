"""Resume is exact: runs killed by SIGKILL at 50 moments end with the bits of undisturbed ones.

    python benchmarks/resume.py [--write] [--trials 50] [--seed 0]

Each trial starts a run on the CPU in a process of its own and kills it from outside: a quarter of
them at a random time, the others in a kind of moment taken in turn - within an epoch, while an
epoch's end is being measured, at a change of the batch size, while a checkpoint is being written,
while the record is being written. A second process then goes on with what lies in the folder.
Weights, momentum, BatchNorm's statistics and the history (all columns but the wall time) must equal
those of a run that nobody disturbed, bit for bit.
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
import os
import platform
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from pandas.testing import assert_frame_equal

from sgdm_lib import engine
from sgdm_lib.engine import Experiment, checkpoint, records, run_state
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.schedules import Cosine, StageGrowth

RESULTS = Path(__file__).parent / "results"
COMMON: dict[str, Any] = {
    "dataset": "digits",
    "epochs": 6,
    "batch_size": StageGrowth(8, 2, every=2),
    "augment": True,
    "estimators": ("exact", "authors"),
}
EXPERIMENTS = {
    "ResNet-18, NSHB": Experiment(
        model="resnet18", optimizer="nshb", lr=Cosine(0.1), n_train=100, **COMMON
    ),
    "CNN, SHB": Experiment(model="cnn", optimizer="shb", lr=0.01, n_train=1000, **COMMON),
    "CNN, Adam": Experiment(model="cnn", optimizer="adam", lr=0.001, n_train=1000, **COMMON),
}
PHASES = ("starting", "training", "measuring", "writing a checkpoint", "writing the record")
TARGETS = ("within an epoch", "at an epoch's end", "at a batch-size change", *PHASES[3:])
N_TRAIN = 1437  # of digits
CHECKPOINT_SECONDS = 0.05  # many checkpoints, so that a kill meets one being written


def run(experiment: Experiment, folder: str, place: Any) -> None:
    """Run, or go on, saying in shared memory where it stands: the phase, and steps so far."""
    torch.set_num_threads(1)
    run_state.CHECKPOINT_SECONDS = run_state.RECORD_SECONDS = CHECKPOINT_SECONDS

    def announced(owner: Any, name: str, phase: int) -> None:
        original = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            before, place[0] = place[0], phase
            try:
                return original(*args, **kwargs)
            finally:
                place[0] = before

        setattr(owner, name, wrapped)

    announced(run_state, "measure", 2)
    announced(checkpoint, "save", 3)
    announced(records, "save", 4)
    step_done, finish = run_state.Progress.step_done, run_state.RunState.finish

    def counted(bar: Any, images: int) -> None:
        place[0], place[1] = 1, place[1] + 1
        step_done(bar, images)

    def keep(self: run_state.RunState) -> None:
        torch.save(self.state(), Path(folder) / "last.pt")
        finish(self)

    run_state.Progress.step_done, run_state.RunState.finish = counted, keep  # type: ignore[method-assign]
    engine.fit(experiment, out=folder, device="cpu", progress=False)


def start(context: Any, experiment: Experiment, folder: Path) -> tuple[Any, Any]:
    """A process that runs the experiment, and where it says it stands."""
    place = context.Array("i", 2, lock=False)
    process = context.Process(target=run, args=(experiment, str(folder), place))
    process.start()
    return process, place


def moment(target: str, plan: TrainingPlan, rng: random.Random) -> tuple[int, int]:
    """The phase (0 for any) and the number of steps from which on to kill."""
    if target == "at a batch-size change":
        return 0, rng.choice(changes(plan))
    phase = {"within an epoch": 1, "at an epoch's end": 2}.get(target) or PHASES.index(target)
    return phase, rng.randrange(1, plan.total_steps)


def changes(plan: TrainingPlan) -> list[int]:
    """Numbers of the first steps with another batch size."""
    return [plan.first_step(stage.first_epoch) for stage in plan.stages[1:]]


def kill_once(
    context: Any, experiment: Experiment, folder: Path, target: str | None, rng: random.Random
) -> str | None:
    """Start a run, kill it, and tell where it was; None if it was over before."""
    plan = experiment.plan(N_TRAIN)
    phase, step = (
        (0, rng.randrange(plan.total_steps)) if target is None else moment(target, plan, rng)
    )
    process, place = start(context, experiment, folder)
    while process.is_alive() and not (place[1] >= step and place[0] in (phase or place[0], phase)):
        pass
    time.sleep(rng.expovariate(100 if target is None else 1000))  # a moment of its own within it
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    if process.exitcode != -signal.SIGKILL:
        return None
    return PHASES[place[0]] + (", at a batch-size change" if place[1] in changes(plan) else "")


def same(one: Any, other: Any) -> bool:
    """Whether two nested states hold the same bits."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    return bool(one == other)


def equal(one: Path, other: Path) -> bool:
    """Whether two folders hold the same run: weights, buffers, momentum, history."""
    states = [torch.load(folder / "last.pt") for folder in (one, other)]
    histories = [records.load(folder).history.drop(columns="seconds") for folder in (one, other)]
    try:
        assert_frame_equal(*histories, rtol=0, atol=0)
    except AssertionError:
        return False
    return all(same(states[0][part], states[1][part]) for part in ("model", "optimizer", "step"))


def undisturbed(context: Any, folder: Path) -> dict[str, Path]:
    """The folders of every experiment run in peace; twice each, since that must agree first."""
    folders = {}
    for index, (name, experiment) in enumerate(EXPERIMENTS.items()):
        both = [folder / f"undisturbed-{index}-{turn}" for turn in range(2)]
        for each in both:
            process, _ = start(context, experiment, each)
            process.join()
            assert process.exitcode == 0
        assert equal(*both), f"{name} is not determined by its experiment"
        folders[name] = both[0]
    return folders


def trials(count: int, rng: random.Random) -> list[tuple[str, str, str, bool]]:
    """For each trial: experiment, kind of moment asked for, moment met, whether the bits agree."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["sgdm_lib.engine.training", "torch._dynamo", "sklearn.datasets"]
    )
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        references = undisturbed(context, folder)
        while len(rows) < count:
            index = len(rows)
            net = list(EXPERIMENTS)[index % len(EXPERIMENTS)]
            target = None if index % 4 == 0 else TARGETS[index % len(TARGETS)]
            own = folder / f"trial-{index}"
            met = kill_once(context, EXPERIMENTS[net], own, target, rng)
            if met is not None:
                process, _ = start(context, EXPERIMENTS[net], own)
                process.join()
                agrees = process.exitcode == 0 and equal(own, references[net])
                rows.append((net, target or "at a random time", met, agrees))
                print(f"{len(rows):3d}  {' | '.join(map(str, rows[-1]))}", flush=True)
            shutil.rmtree(own)
    return rows


def write(rows: list[tuple[str, str, str, bool]], good: int, arguments: str) -> None:
    """The dated table: how often each kind of moment was met, and how often the bits agreed."""
    today = datetime.date.today().isoformat()
    met = Counter((where, agrees) for *_, where, agrees in rows)
    nets = Counter(net for net, *_ in rows)
    lines = [
        f"# Killed and resumed, {today}",
        "",
        f"**{good} of {len(rows)}** runs killed by SIGKILL and resumed are bit-identical to the "
        "undisturbed ones:",
        "weights, momentum, BatchNorm's statistics and history.",
        "",
        f"Runs: {', '.join(f'{net} ({n} trials)' for net, n in nets.items())}; digits, augmented, "
        "batch sizes 8, 16, 32,",
        f"both full gradient norms, a checkpoint every {CHECKPOINT_SECONDS} s.",
        "",
        f"Machine: {os.cpu_count()} CPU cores ({platform.machine()}), one thread a run, Python "
        f"{platform.python_version()}, torch {torch.__version__}.",
        "",
        "| killed while | bit-identical | not |",
        "|---|---|---|",
    ]
    for where in sorted({where for where, _ in met}):
        lines.append(f"| {where} | {met[where, True]} | {met[where, False]} |")
    lines += ["", f"Made by `python benchmarks/resume.py {arguments} --write`.", ""]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"resume_{today}.md").write_text("\n".join(lines))


def main() -> None:
    """Run the trials, print how many agree and, if asked, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="write the table into results/")
    options = parser.parse_args()
    rows = trials(options.trials, random.Random(options.seed))
    good = sum(agrees for *_, agrees in rows)
    print(f"{good} of {len(rows)} bit-identical")
    if options.write:
        write(rows, good, f"--trials {options.trials} --seed {options.seed}")
    raise SystemExit(good < len(rows))


if __name__ == "__main__":
    main()
