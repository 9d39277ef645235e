"""What a machine is asked in a minute: one case a line of the probe. See ``gpu_evidence.py``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import cache
from typing import Any

import pandas as pd
import torch
from torch import nn

from sgdm_lib import data, engine
from sgdm_lib.engine import Experiment, choose_device, fit_many, speed, training
from sgdm_lib.engine.batches import EpochBatches, layout
from sgdm_lib.engine.device import numerics
from sgdm_lib.engine.speed import loops, runs, steps
from sgdm_lib.gradients.full import norm_on_device
from sgdm_lib.study import papers

load_data = engine.load_data
SMALL, LARGE = "quick/digits/nshb/x2", "kamo2025/cifar100/nshb/x2"

Case = tuple[str, Callable[[], Iterable[dict[str, Any]]]]


def cases(options: argparse.Namespace) -> list[Case]:
    """What to measure, most wanted first: steps, side by side, norms, the precision of norms."""
    gpu, spent = options.device != "cpu", 0.05 if options.tiny else 1.5
    sizes = (8, 64) if options.tiny else (8, 128, 2048)
    base = papers.catalogue()[SMALL if options.tiny else LARGE]
    if options.tiny:
        base = base.replace(
            model="cnn_bn", augment=True, n_train=300, estimators=("exact", "authors")
        )
    short, bf16 = base.replace(precision="tf32"), base.replace(precision="bf16")
    about = {"device": options.device, "seconds": spent}

    def stepping(run: Experiment, mode: str, sizes: tuple[int, ...]) -> Callable[[], list[dict]]:
        return lambda: rows(speed.step_table(run, sizes, modes=(mode,), **about))

    def together(run: Experiment, size: int) -> Callable[[], list[dict]]:
        counts = (1, 2) if options.tiny else (1, 2, 3)
        return lambda: rows(speed.together_table(run, (size,), at_once=counts, **about))

    def norms(run: Experiment) -> Callable[[], list[dict]]:
        large = (8, 64) if options.tiny else (8, 128, 2048)
        return lambda: rows(speed.norm_table(run, large, device=options.device))

    found: list[Case] = [("speed of memory and matrices", lambda: [raw(options.device)])]
    graph = "graph" if gpu else "eager"
    for run in (bf16, short):
        found.append((f"step {run.precision} {graph}", stepping(run, graph, sizes)))
    for run in (bf16, short):
        found.append((f"side by side {run.precision}", together(run, sizes[0])))
    found.append(("norms tf32", norms(short)))
    found.append(("norms at the same weights", lambda: [trained_a_little(base, options.device)]))
    if gpu:
        found.append(("step bf16 eager", stepping(bf16, "eager", sizes[:2])))
        found.append(("side by side, large", together(bf16, sizes[1])))
        found.append(("plain loop", lambda: rows(speed.plain_loop(bf16, (128,), **about))))
        found.append(("step bf16 graph+compile", stepping(bf16, "graph+compile", (128,))))
    return found


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The table's rows, in which what is not there is left out."""
    return [{k: v for k, v in row.items() if v == v} for row in table.to_dict("records")]


def raw(device: str) -> dict[str, float]:
    """Bytes a second of a copy, and FLOP a second of a matrix product in bf16."""
    where, size = choose_device(device), 2**26 if device != "cpu" else 2**22
    a, b = torch.zeros(2, size, device=where)
    side = 8192 if device != "cpu" else 256
    m = torch.zeros(side, side, device=where, dtype=torch.bfloat16)
    found = {}
    for name, work, amount in (
        ("bytes_per_second", lambda: a.copy_(b), 8 * size),
        ("flop_per_second", lambda: m @ m, 2 * side**3),
    ):
        for _ in range(3):
            work()
        wait(where)
        begin = time.perf_counter()
        for _ in range(10):
            work()
        wait(where)
        found[name] = 10 * amount / (time.perf_counter() - begin)
    return found


def wait(device: torch.device) -> None:
    """Wait until the device has done its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def trained_a_little(base: Experiment, device: str) -> dict[str, float]:
    """The norms of a network after two epochs, in three precisions."""
    short = base.replace(epochs=2, batch_size=128, precision="bf16", estimators=())
    model = fit_many([short], device=device, progress=False)[0].model
    assert model is not None
    return precisions(model, base, device)


def precisions(model: nn.Module, base: Experiment, device: str) -> dict[str, float]:
    """Both full gradient norms of one network, computed in three precisions."""
    where, size, found = choose_device(device), 128, {}
    source = EpochBatches(load_or_stand_in(base), base, where)
    model.to(where).to(memory_format=layout(base))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    order = torch.arange(source.dataset.n_train, device="cpu")
    for precision in ("fp32", "tf32", "bf16"):
        model.load_state_dict(before)  # the authors' norm moves BatchNorm's statistics
        short = precision == "bf16"
        inside = torch.autocast(where.type, torch.bfloat16) if short else nullcontext()
        with numerics(precision), inside:
            exact = norm_on_device(model, source.pieces("train"))
            blocks = source.blocks(order, size, 0, 0, "measure_augment")
            authors = norm_on_device(model, blocks, estimator="authors", batch_size=size)
            found |= {f"exact_{precision}": float(exact), f"authors_{precision}": float(authors)}
    return found


def load_or_stand_in(experiment: Experiment, root: Any = None) -> data.Dataset:
    """The data set; if it is not there, one of its size with random images and labels."""
    try:
        return load_data(experiment, root)
    except data.DataError:
        return _random(experiment.dataset)


@cache
def _random(name: str) -> data.Dataset:
    size, generator = data.size(name), torch.Generator().manual_seed(0)
    x_train, x_test = (
        torch.randint(0, 256, (n, *size.shape), dtype=torch.uint8, generator=generator)
        for n in (size.n_train, size.n_test)
    )
    y_train, y_test = (torch.arange(n) % size.n_classes for n in (size.n_train, size.n_test))
    classes, half = tuple(map(str, range(size.n_classes))), (0.5,) * size.shape[0]
    return data.Dataset(name, x_train, y_train, x_test, y_test, half, half, classes)


def use_stand_in() -> None:
    """Let all that is timed here work without its data set: times do not depend on the images."""
    for module in (steps, runs, loops, training):
        module.load_data = load_or_stand_in  # type: ignore[attr-defined]
