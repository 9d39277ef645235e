"""On a network the norm and the largest curvature are measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from sgdm_lib.checks import choice, number
from sgdm_lib.engine.curvature import curvature_path
from sgdm_lib.engine.records import Run
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.study import evidence
from sgdm_lib.study.certified.certificate import Certified


def on_network(
    runs: Sequence[Run],
    plan: TrainingPlan,
    curvature: pd.DataFrame,
    quantity: str = "full_gradient_norm",
) -> Certified:
    """Put runs of one schedule, which differ in the seed, next to its certificate.

    Args:
        runs: the runs.
        plan: their plan.
        curvature: epochs and curvatures, as ``training.curvature.curvature_path``
            measures them.
        quantity: the column of the history to show.

    Raises:
        ValueError: if there are no runs, or their optimizer is neither "nshb" nor "shb".
    """
    number("number of runs", len(runs), at_least=1)
    optimizer = choice("optimizer", runs[0].experiment.optimizer, ("nshb", "shb"))
    values = np.stack([run.history[quantity].to_numpy(dtype=float) for run in runs])
    seen = ~np.isnan(values).any(axis=0)
    epoch = runs[0].history["epoch"].to_numpy(dtype=float)[seen]
    values = values[:, seen]
    met = dict(zip(curvature["epoch"].tolist(), curvature["curvature"].tolist(), strict=True))
    return Certified(plan, optimizer, epoch, values.mean(0), values.min(0), values.max(0), met)


def on_digits(
    runs: Mapping[str, str],
    trained: evidence.Trained | None = None,
    *,
    epochs: Iterable[int] = (1, 5, 10, 20, 30, 40),
    device: str = "auto",
) -> dict[str, Certified]:
    """Put the quick runs on digits of some schedules next to their certificates.

    The network is small enough to measure the largest curvature of its loss along the way, on a run
    of its own with seed 0.

    Args:
        runs: short names of runs by label, such as ``{"(ii) cosine": "nshb/growing_cosine"}``.
        trained: these runs, if they have been trained; other runs, or none, are trained once.
        epochs: after which epochs to measure the curvature.
        device: as for :func:`sgdm_lib.engine.training.fit`.

    Raises:
        ValueError: if there is no such quick run.
    """
    if trained is None or trained.protocol != "quick":
        trained = evidence.train(
            runs.values(), seeds=[0], paper="kondo2025", estimators=("exact",), device=device
        )
    found = {}
    for label, run in runs.items():
        group = trained.runs[choice("run", run, trained.runs)]
        first = group[0].experiment.replace(estimators=("exact",))
        path = curvature_path(first, epochs, device=device)
        found[label] = on_network(group, first.plan(), path)
    return found
