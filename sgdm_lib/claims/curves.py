"""What a criterion looks at: a quantity over the epochs, from the paper or from our records.

The same criterion judges the paper's published curves and our recorded runs. Both are brought into
one form, a :class:`Curve`, by a :class:`Source`; a run is called by its short name, such as
``nshb/x2``. Three quantities, measured and drawn as in the papers:

* ``gradient_norm``: the running minimum, a run, of the authors' estimator of the full gradient norm
* ``empirical_loss``: the mean over the epoch's steps of the batch losses, in nats
* ``test_accuracy``: in percent

and, where a record has it, ``exact_gradient_norm``: the exact norm, no running minimum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from sgdm_lib import data, papers, records
from sgdm_lib.checks import choice
from sgdm_lib.records import Run

QUANTITIES = {
    "gradient_norm": "full gradient norm (running minimum)",
    "empirical_loss": "training loss (nats)",
    "test_accuracy": "test accuracy (%)",
    "exact_gradient_norm": "exact full gradient norm",
}
"""Quantities and their axis labels."""
COLUMNS = {
    "gradient_norm": "full_gradient_norm_authors",
    "empirical_loss": "train_loss",
    "test_accuracy": "test_accuracy",
    "exact_gradient_norm": "full_gradient_norm",
}
SFO_RUNS = {
    "figures": {"sfo/b128": "nshb/constant"},
    "reduced": {
        "sfo/b8": "nshb/constant8",
        "sfo/b8_x2_every20": "nshb/x2",
        "sfo/b128": "nshb/constant128",
        "sfo/b128_x2_every50": "nshb/x2_from128",
        "sfo/b128_x2_every25": "nshb/x2_from128",
    },
}
"""What the runs of the SFO tables are called in the paper's figures and in the reduced runs."""
NAMES_IN_FIGURES = {
    "nshb": "NSHB",
    "shb": "SHB",
    "sgd": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
}
"""Optimizers as the papers' legends name them."""


@dataclass(frozen=True)
class Curve:
    """A quantity after some of the epochs: mean and band over runs that differ in the seed."""

    epoch: np.ndarray
    """Epochs it was measured after, from 1, ascending, shape (k,)."""
    step: np.ndarray
    """Optimizer steps by then, shape (k,)."""
    sfo: np.ndarray
    """Per-sample gradients by then, steps x nominal batch size as the papers count, (k,)."""
    mean: np.ndarray
    """Mean over the seeds, shape (k,)."""
    low: np.ndarray
    """Smallest over the seeds, shape (k,)."""
    high: np.ndarray
    """Largest over the seeds, shape (k,)."""
    seconds: np.ndarray
    """Wall time by then, mean over the seeds, NaN if unknown, shape (k,)."""
    seeds: int
    """Number of seeds."""
    epochs: int
    """Length of the runs."""
    diverged: int = 0
    """How many of the runs ended early because their loss was no longer finite."""

    def last(self, part: float = 0.1) -> tuple[float, float, float]:
        """Mean, smallest and largest, averaged over the last part of the epochs."""
        late = self.epoch > (1 - part) * self.epochs
        late[-1] = True
        return (
            float(self.mean[late].mean()),
            float(self.low[late].mean()),
            float(self.high[late].mean()),
        )


class Source(Protocol):
    """Where curves come from."""

    @property
    def title(self) -> str:
        """In words, such as "the paper's curves"."""

    def curve(self, run: str, quantity: str) -> Curve | None:
        """The curve of a run such as ``nshb/x2``; None if there is none."""


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

    def __post_init__(self) -> None:
        choice("dataset", self.dataset, ("cifar100", "tiny_imagenet"))

    def curve(self, run: str, quantity: str) -> Curve | None:
        """The published curve; None for what the figures do not show."""
        choice("quantity", quantity, QUANTITIES)
        optimizer, _, schedule = SFO_RUNS["figures"].get(run, run).partition("/")
        rows = _published(self.folder / "kamo2025", self.dataset)
        name = NAMES_IN_FIGURES.get(optimizer, "")
        if (schedule, quantity, name) not in rows.index:
            return None
        part = rows.loc[(schedule, quantity, name)]
        plan = _table(f"kamo2025/{self.dataset}/{optimizer}/{schedule}")
        at = part["epoch"].to_numpy() - 1
        return Curve(
            part["epoch"].to_numpy(),
            plan["cumulative_steps"].to_numpy()[at],
            plan["cumulative_sfo_nominal"].to_numpy()[at],
            part["mean"].to_numpy(),
            part["low"].to_numpy(),
            part["high"].to_numpy(),
            seconds=np.full(len(at), np.nan),
            seeds=3,
            epochs=len(plan),
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
        file = {"sfo": "sfo_tables.csv", "seconds": "wall_clock.csv"}.get(unit)
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


@lru_cache(maxsize=256)
def _table(name: str) -> pd.DataFrame:
    experiment = papers.catalogue()[name]
    return experiment.plan(data.size(experiment.dataset).n_train).table()


PROTOCOLS = {
    "full": "our runs of the paper's protocol",
    "cnn10k": "our small runs (10,000 CIFAR-100 images, small CNN)",
    "quick": "our quick runs (digits, MLP)",
}
"""Protocols of recorded runs, and what they are in words."""


@dataclass(frozen=True)
class Recorded:
    """Our recorded runs under one protocol.

    Args:
        folder: the folder of records, as ``sgdm run --out`` fills it.
        paper: "kamo2025" or "kondo2025": whose short names are meant.
        protocol: one of :data:`PROTOCOLS`: "full" is the paper's own, the others are reduced.
        dataset: for "full": "cifar100" or "tiny_imagenet".

    Raises:
        ValueError: if paper or protocol are unknown.
    """

    folder: Path
    paper: str = "kamo2025"
    protocol: str = "full"
    dataset: str = "cifar100"

    def __post_init__(self) -> None:
        choice("paper", self.paper, ("kamo2025", "kondo2025"))
        choice("protocol", self.protocol, PROTOCOLS)

    @property
    def title(self) -> str:
        """The protocol in words."""
        return PROTOCOLS[self.protocol]

    def name(self, run: str) -> str:
        """The catalogue's name of a run such as ``nshb/constant``.

        >>> Recorded(Path(), protocol="cnn10k").name("nshb/constant")
        'cnn10k/cifar100/nshb/constant128'
        >>> Recorded(Path()).name("nshb/constant")
        'kamo2025/cifar100/nshb/constant'
        """
        if self.protocol == "full" and run.startswith("sfo/"):
            return f"kamo2025/{run}"
        if self.protocol == "full":
            return f"{self.paper}/{self.dataset}/{run}"
        dataset = "digits" if self.protocol == "quick" else "cifar100"
        run = SFO_RUNS["reduced"].get(run, run)
        run = run + "128" if run.endswith("/constant") else run
        return f"{self.protocol}/{dataset}/{run}"

    def runs(self, run: str) -> list[Run]:
        """The recorded runs, by seed."""
        return find(self.folder, self.name(run))

    def folders(self, name: str) -> list[str]:
        """Where the records of a name of the catalogue lie, relative to the folder."""
        return [
            path.parent.relative_to(self.folder).as_posix()
            for alias in _aliases()[name]
            for path in sorted((self.folder / alias).glob("seed*/run.json"))
        ]

    def curve(self, run: str, quantity: str) -> Curve | None:
        """The recorded curve; None if it has not been run, or measured nothing of the kind."""
        return of_runs(self.runs(run), quantity)


def find(folder: Path, name: str) -> list[Run]:
    """Finished records of an experiment, by seed, also under another name of the same experiment.

    ``cnn10k/cifar100/nshb/growing_constant`` is ``cnn10k/cifar100/nshb/x2``: one record serves
    both.

    Args:
        folder: the folder of records.
        name: a name of the catalogue.

    Raises:
        ValueError: if there is no such name.
        sgdm_lib.records.RecordError: if a record is there but cannot be read.
    """
    seen: dict[int, Run] = {}
    for alias in _aliases()[choice("run", name, _aliases())]:
        for path in sorted((folder / alias).glob("seed*/run.json")):
            run = records.load(path.parent)
            if run.status in ("finished", "diverged"):
                seen.setdefault(run.experiment.seed, run)
    return [seen[seed] for seed in sorted(seen)]


@lru_cache(maxsize=1)
def _aliases() -> Mapping[str, tuple[str, ...]]:
    """For each name of the catalogue all names of the same experiment."""
    names: dict[str, list[str]] = {}
    hashes = {name: experiment.hash for name, experiment in papers.catalogue().items()}
    for name, key in hashes.items():
        names.setdefault(key, []).append(name)
    return {name: tuple(names[key]) for name, key in hashes.items()}


def of_runs(runs: Sequence[Run], quantity: str) -> Curve | None:
    """Bring runs that differ in their seeds alone into the form of a curve.

    Rows in which not every run has a value are left out; so a seed that diverged ends the curve.

    Raises:
        ValueError: if the quantity is unknown.
    """
    column = COLUMNS[choice("quantity", quantity, QUANTITIES)]
    if not runs:
        return None
    values = np.stack([run.history[column].to_numpy(dtype=float) for run in _same_length(runs)])
    if quantity == "gradient_norm":
        values = np.fmin.accumulate(values, axis=1)
        values[:, np.isnan(runs[0].history[column].to_numpy()[: values.shape[1]])] = np.nan
    if quantity == "test_accuracy":
        values = 100 * values
    seen = ~np.isnan(values).any(axis=0)
    if not seen.any():
        return None
    values, history = values[:, seen], runs[0].history.iloc[: len(seen)].loc[seen]
    experiment = runs[0].experiment
    nominal = experiment.plan(data.size(experiment.dataset).n_train).table()
    at = history["epoch"].to_numpy() - 1
    return Curve(
        history["epoch"].to_numpy(),
        history["step"].to_numpy(),
        nominal["cumulative_sfo_nominal"].to_numpy()[at],
        values.mean(axis=0),
        values.min(axis=0),
        values.max(axis=0),
        seconds=np.mean([r.history["seconds"].cumsum() for r in _same_length(runs)], axis=0)[seen],
        seeds=len(runs),
        epochs=experiment.epochs,
        diverged=sum(run.status == "diverged" for run in runs),
    )


def _same_length(runs: Sequence[Run]) -> list[Run]:
    shortest = min(len(run.history) for run in runs)
    return [Run(r.experiment, r.history.iloc[:shortest], r.provenance) for r in runs]


@dataclass(frozen=True)
class Given:
    """Curves given by hand, for tests and for runs trained in a chapter.

    Args:
        curves: by run and quantity.
        title: in words.
    """

    curves: Mapping[tuple[str, str], Curve]
    title: str = "these runs"

    def curve(self, run: str, quantity: str) -> Curve | None:
        """The curve, or None."""
        return self.curves.get((run, choice("quantity", quantity, QUANTITIES)))
