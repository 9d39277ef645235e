"""Milliseconds an optimizer step on the CPU: SHB, NSHB and QHM beside ``torch.optim.SGD``.

    python benchmarks/optimizer_step.py [--out FILE.md | --write]

The parameters are those of the papers' ResNet-18 for CIFAR-100 (62 tensors, 11.2 million numbers),
with one fixed gradient each. Every optimizer has tensors of its own and they take turns, one step
each, in an order that rotates from round to round, so that whatever else the machine does meets all
of them alike. A ratio is the median over the rounds of our time through torch's in the same round.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from sgdm_lib import models
from sgdm_lib.optim import NSHB, QHM, SHB

RESULTS = Path(__file__).parent / "results"
LR = 1e-4  # positions stay of order one however many steps are taken
Maker = Callable[[list[Tensor]], Optimizer]
THEIRS: dict[str, Maker] = {
    "SGD loop": lambda p: SGD(p, LR, momentum=0.9, foreach=False),
    "SGD foreach": lambda p: SGD(p, LR, momentum=0.9, foreach=True),
    "SGD fused": lambda p: SGD(p, LR, momentum=0.9, fused=True),
    "Nesterov foreach": lambda p: SGD(p, LR, momentum=0.9, nesterov=True, foreach=True),
    "Nesterov fused": lambda p: SGD(p, LR, momentum=0.9, nesterov=True, fused=True),
}
OURS: dict[str, Maker] = {
    "SHB": lambda p: SHB(p, LR),
    "NSHB": lambda p: NSHB(p, LR),
    "NSHB, lr and momentum as tensors": lambda p: NSHB(p, torch.tensor(LR), torch.tensor(0.9)),
    "QHM": lambda p: QHM(p, LR),
}


def prepare(make: Maker) -> Optimizer:
    """An optimizer with its own ResNet-18 parameters and gradients, past its first step."""
    torch.manual_seed(0)
    params = list(models.build("resnet18", (3, 32, 32), 100, seed=0).parameters())
    for p in params:
        p.grad = torch.randn_like(p)
    optimizer = make(params)  # type: ignore[arg-type]
    for _ in range(3):
        optimizer.step()
    return optimizer


def measure(rounds: int) -> dict[str, list[float]]:
    """Milliseconds of every optimizer's step in every round."""
    optimizers = {name: prepare(make) for name, make in {**THEIRS, **OURS}.items()}
    names, times = list(optimizers), {name: [] for name in optimizers}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            start = time.perf_counter()
            optimizers[name].step()
            times[name].append(1e3 * (time.perf_counter() - start))
    return times


def table(times: dict[str, list[float]]) -> list[str]:
    """The Markdown rows: each of ours with its ratio to each of torch's."""
    columns = list(THEIRS)
    rows = [
        "| optimizer | ms: median (minimum) | " + " | ".join(f"/ {c}" for c in columns) + " |",
        "|---" * (len(columns) + 2) + "|",
    ]
    for name, ms in times.items():
        ratios = [
            f"{median(a / b for a, b in zip(ms, times[c], strict=True)):.2f}"
            if name in OURS
            else ""
            for c in columns
        ]
        shown = f"{median(ms):.2f} ({min(ms):.2f})"
        rows.append(f"| {name} | {shown} | " + " | ".join(ratios) + " |")
    return rows


def main() -> None:
    """Measure, print the tables and, if asked, write them into a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, os.cpu_count() or 1])
    parser.add_argument("--out", type=Path, help="Markdown file for the tables")
    parser.add_argument("--write", action="store_true", help="write them into results/")
    options = parser.parse_args()
    today = datetime.date.today().isoformat()
    lines = [
        f"# Optimizer step, {today}",
        "",
        "ResNet-18 for CIFAR-100: 62 tensors, 11,220,132 float32 numbers. Milliseconds a step, and "
        f"the median ratio of ours to torch's over {options.rounds} rounds, taking turns. QHM's "
        "direction has two terms, as Nesterov's has.",
        "",
        f"Machine: {os.cpu_count()} CPU cores ({platform.machine()}), Python "
        f"{platform.python_version()}, torch {torch.__version__}.",
    ]
    for threads in dict.fromkeys(options.threads):
        torch.set_num_threads(threads)
        begin = os.getloadavg()[0]
        rows = table(measure(options.rounds))
        load = f"load {begin:.1f} at the start, {os.getloadavg()[0]:.1f} at the end"
        lines += ["", f"## {threads} thread{'s' * (threads > 1)} ({load})", "", *rows]
    print("\n".join(lines))
    out = RESULTS / f"optimizer_step_{today}.md" if options.write else options.out
    if out:
        out.parent.mkdir(exist_ok=True)
        made = f"Made by `python benchmarks/optimizer_step.py --rounds {options.rounds}`."
        out.write_text("\n".join([*lines, "", made, ""]))
        print(f"written to {out}")


if __name__ == "__main__":
    main()
