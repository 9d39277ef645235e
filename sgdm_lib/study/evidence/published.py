"""The curves and tables that Kamo & Iiduka published, as a source of curves."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from sgdm_lib import data
from sgdm_lib.checks import choice
from sgdm_lib.study import papers
from sgdm_lib.study.criteria.curves import QUANTITIES, Curve
from sgdm_lib.study.criteria.gates import at_chance

NAMES_IN_FIGURES = {
    "nshb": "NSHB",
    "shb": "SHB",
    "sgd": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
}
"""Optimizers as the papers' legends name them."""
SFO_RUNS = {"sfo/b128": "nshb/constant"}
"""The run of the SFO tables that the figures show, and what it is called there."""
PRINTED = {"sfo": "sfo_tables.csv", "seconds": "wall_clock.csv"}
"""The files with the numbers of the paper's tables, by unit."""


@dataclass(frozen=True)
class Published:
    """Curves read from the vector figures of Kamo & Iiduka 2025: mean, min, max of 3 runs.

    Args:
        folder: the checkout's ``chapters/paper_curves``.
        dataset: "cifar100" or "tiny_imagenet".

    Raises:
        ValueError: if the data set is another.
    """

    folder: Path
    dataset: str = "cifar100"
    title: str = field(default="the paper's curves", init=False)
    full_scale: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        choice("dataset", self.dataset, ("cifar100", "tiny_imagenet"))

    def curve(self, run: str, quantity: str) -> Curve | None:
        """The published curve; None for what the figures do not show."""
        choice("quantity", quantity, QUANTITIES)
        optimizer, _, schedule = SFO_RUNS.get(run, run).partition("/")
        rows = _published(self.folder / "kamo2025", self.dataset)
        name = NAMES_IN_FIGURES.get(optimizer, "")
        if (schedule, quantity, name) not in rows.index:
            return None
        part = rows.loc[(schedule, quantity, name)]
        loss = rows.loc[(schedule, "empirical_loss", name)]["mean"].to_numpy()
        experiment = papers.catalogue()[f"kamo2025/{self.dataset}/{optimizer}/{schedule}"]
        size = data.size(self.dataset)
        plan, at = experiment.plan(size.n_train).table(), part["epoch"].to_numpy() - 1
        return Curve(
            part["epoch"].to_numpy(),
            plan["cumulative_steps"].to_numpy()[at],
            plan["cumulative_sfo_nominal"].to_numpy()[at],
            _three_runs(part),
            seconds=np.full(len(at), np.nan),
            epochs=len(plan),
            stuck=np.broadcast_to(at_chance(loss, size.n_classes), (3, len(at))),
            rising=quantity == "test_accuracy",
            running_min=quantity == "gradient_norm",
            experiment=experiment,
        )

    def printed(self, run: str, quantity: str, threshold: float, unit: str) -> float | None:
        """What the paper's tables print: SFO or seconds until a threshold is reached.

        Args:
            run: short name of one of the tables' runs, such as ``sfo/b8_x2_every20``.
            quantity: ``gradient_norm`` or ``test_accuracy``.
            threshold: the level, in the quantity's unit.
            unit: "sfo" or "seconds".

        Returns:
            The number; None if no table has it.
        """
        size, _, growth = run.removeprefix("sfo/b").partition("_x2_every")
        file = PRINTED.get(unit)
        if file is None or not size.isdigit() or self.dataset != "cifar100":
            return None
        rows = pd.read_csv(self.folder / "kamo2025" / file)
        found = rows[
            (rows["criterion"] == quantity)
            & (rows["threshold"] == threshold)
            & (rows["init_batch_size"] == int(size))
            & (rows["doubling_interval_epochs"].fillna(0) == int(growth or 0))
        ]
        return float(found[unit].iloc[0]) if len(found) else None


@lru_cache(maxsize=4)
def _published(folder: Path, dataset: str) -> pd.DataFrame:
    rows = pd.read_csv(folder / f"{dataset}_resnet18.csv")
    keys = ["schedule", "metric", "optimizer"]
    return rows.sort_values([*keys, "epoch"], kind="stable").set_index(keys).sort_index()


def _three_runs(part: pd.DataFrame) -> np.ndarray:
    """Lowest, middle and highest of three anonymous runs, shape (3, epochs).

    The figures show mean and band; the middle run is what is missing in the sum. Where the mean had
    to be interpolated it may leave the band by a hair, and is put back on its edge.
    """
    mean, low, high = (part[name].to_numpy(dtype=float) for name in ("mean", "low", "high"))
    return np.stack([low, np.clip(3 * mean - low - high, low, high), high])
