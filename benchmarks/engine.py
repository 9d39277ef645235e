"""What the engine adds to a training step, and what it saves: overhead, seeds, grid.

    python benchmarks/engine.py [--write] [--only overhead seeds grid] [--data DIR]

* overhead: of the time of real training steps (ResNet-18, CIFAR-100, augmented, batch size 128,
  NSHB, in ``fit``'s own loop), how much is not forward and backward: input, optimizer, sums,
  hyperparameters, progress; and what a checkpoint costs.
* seeds: five seeds of one experiment with ``fit_many``, one after the other and as one stack of
  networks, taking turns.
* grid: five learning rates with three seeds each, all batch sizes of a growing schedule; one run
  after the other, a stack for each learning rate, and one stack for all.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from sgdm_lib.engine import Experiment, Progress, StopRequest, fit_many, fit_seeds, load_data
from sgdm_lib.engine.batches import EpochBatches
from sgdm_lib.engine.run_state import CHECKPOINT_SECONDS, RunState
from sgdm_lib.engine.steps import EagerStep
from sgdm_lib.schedules import StageGrowth

RESULTS = Path(__file__).parent / "results"
CPU = torch.device("cpu")


class Clock:
    """Seconds spent inside wrapped functions, by name, one entry a call."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def around(self, owner: Any, name: str, label: str) -> Callable[[], None]:
        """Time every call of ``owner.name`` until the returned function is called."""
        original = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                self.seconds[label].append(time.perf_counter() - begin)

        setattr(owner, name, timed)
        return lambda: setattr(owner, name, original)


def overhead(root: str | None, steps: int = 12, size: int = 128) -> list[str]:
    """Shares of a real training step that are not forward and backward."""
    experiment = Experiment(
        dataset="cifar100",
        model="resnet18",
        optimizer="nshb",
        epochs=1,
        batch_size=size,
        lr=0.1,
        augment=True,
    )
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        source = EpochBatches(load_data(experiment, root), experiment, CPU)
        training = RunState(experiment, source, Path(folder), "eager")
        put_back = [
            clock.around(EagerStep, "loss", "forward"),
            clock.around(torch.Tensor, "backward", "backward"),
            clock.around(training.train_step.optimizer, "step", "optimizer"),
        ]
        going = training.advance(StopRequest(), Progress(training.plan, False, ""))
        next(going)  # the first step allocates, and augments a block of images
        clock.seconds.clear()
        whole = []
        for _ in range(steps):
            begin = time.perf_counter()
            next(going)
            whole.append(time.perf_counter() - begin)
        for undo in put_back:
            undo()
        begin = time.perf_counter()
        training.save()
        saving = time.perf_counter() - begin
    parts = clock.seconds
    compute = [f + b for f, b in zip(parts["forward"], parts["backward"], strict=True)]
    added = (sum(whole) - sum(compute)) / sum(compute)
    optimizer = sum(parts["optimizer"]) / sum(compute)
    return [
        f"ResNet-18, CIFAR-100, augmented, b = {size}, NSHB, {steps} steps of `fit`'s loop: "
        f"{size * steps / sum(whole):.1f} images/s.",
        "",
        "| | ms a step | of forward and backward |",
        "|---|---|---|",
        f"| forward and backward | {1e3 * sum(compute) / steps:.1f} | |",
        f"| optimizer | {1e3 * sum(parts['optimizer']) / steps:.1f} | {optimizer:.2%} |",
        f"| input, sums, hyperparameters, progress | "
        f"{1e3 * (sum(whole) - sum(compute) - sum(parts['optimizer'])) / steps:.1f} "
        f"| {added - optimizer:.2%} |",
        f"| **optimizer and bookkeeping together** | | **{added:.2%}** |",
        f"| a checkpoint, every {CHECKPOINT_SECONDS:.0f} s | {1e3 * saving:.0f} "
        f"| {saving / CHECKPOINT_SECONDS:.2%} of the time |",
    ]


def seeds(rounds: int = 3) -> list[str]:
    """Five seeds one after the other and stacked, by network and batch size."""
    rows = [
        "Digits, NSHB, epochs with the exact gradient norm and the test pass after each; seconds "
        f"for five seeds, median of {rounds} rounds.",
        "",
        "| network | batch size | epochs | in turn | stacked | ratio | price in single runs |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, size, epochs in (
        ("mlp", 8, 5),
        ("mlp", 32, 10),
        ("mlp", 128, 20),
        ("cnn", 8, 3),
        ("cnn", 32, 3),
    ):
        one = Experiment(
            dataset="digits", model=name, optimizer="nshb", epochs=epochs, batch_size=size, lr=0.05
        )
        five = [one.replace(seed=seed) for seed in range(5)]
        times: dict[bool, list[float]] = {False: [], True: []}
        for turn in range(rounds + 1):
            for vectorize in (False, True) if turn % 2 else (True, False):
                begin = time.perf_counter()
                fit_many(five, device="cpu", progress=False, vectorize=vectorize)
                if turn:  # the first round traces
                    times[vectorize].append(time.perf_counter() - begin)
        ratio = median(b / a for a, b in zip(times[False], times[True], strict=True))
        rows.append(
            f"| {name} | {size} | {epochs} | {median(times[False]):.2f} | "
            f"{median(times[True]):.2f} | {ratio:.2f} | {5 * ratio:.1f} |"
        )
    return rows


def grid(rounds: int = 3) -> list[str]:
    """Five learning rates with three seeds each: in turn, by learning rate, all in one stack."""
    first = Experiment(
        dataset="digits",
        model="mlp",
        optimizer="nshb",
        epochs=8,
        batch_size=StageGrowth(8, 2, every=1),
        lr=0.1,
        gradient_norm_every=4,
    )
    cells = {lr: first.replace(lr=lr) for lr in (0.025, 0.05, 0.1, 0.2, 0.4)}
    options: dict[str, Any] = {"device": "cpu"}
    ways: dict[str, Callable[[], object]] = {
        "one after the other": lambda: fit_seeds(cells, range(3), vectorize=False, **options),
        "a stack for each learning rate": lambda: [
            fit_seeds({lr: cell}, range(3), **options) for lr, cell in cells.items()
        ],
        "one stack": lambda: fit_seeds(cells, range(3), **options),
    }
    times: dict[str, list[float]] = defaultdict(list)
    for turn in range(rounds + 1):
        for way in list(ways)[:: 1 if turn % 2 else -1]:
            begin = time.perf_counter()
            ways[way]()
            if turn:  # the first round traces
                times[way].append(time.perf_counter() - begin)
    alone = times["one after the other"]
    return [
        "Digits, MLP, NSHB, 8 epochs with batch sizes 8, 16, ... 1024, five learning rates with "
        f"three seeds each; seconds for all fifteen runs, median of {rounds} rounds.",
        "",
        "| | seconds | ratio |",
        "|---|---|---|",
        *(
            f"| {way} | {median(spent):.2f} "
            f"| {median(b / a for a, b in zip(alone, spent, strict=True)):.2f} |"
            for way, spent in times.items()
        ),
    ]


def main() -> None:
    """Measure, print and, if asked, write into results/."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=["overhead", "seeds", "grid"])
    parser.add_argument("--data", help="folder of the data sets")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write the tables into results/")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    today = datetime.date.today().isoformat()
    lines = [
        f"# Engine, {today}",
        "",
        f"Machine: {os.cpu_count()} CPU cores ({platform.machine()}), {options.threads} thread(s), "
        f"Python {platform.python_version()}, torch {torch.__version__}, load "
        f"{os.getloadavg()[0]:.1f} at the start.",
    ]
    parts = {
        "overhead": ("A training step", lambda: overhead(options.data)),
        "seeds": ("Five seeds at once", seeds),
        "grid": ("A grid of learning rates at once", grid),
    }
    for name in options.only or parts:
        (title, measure), start = parts[name], len(lines)
        lines += ["", f"## {title}", "", *measure()]
        print("\n".join(lines[start:]), flush=True)
    if options.write:
        made = f"Made by `python benchmarks/engine.py --threads {options.threads} --write`."
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"engine_{today}.md").write_text("\n".join([*lines, "", made, ""]))


if __name__ == "__main__":
    main()
