"""Our recorded runs, of the papers' protocols and of reduced ones, as a source of curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from sgdm_lib import data
from sgdm_lib.checks import choice
from sgdm_lib.engine import inputs, records
from sgdm_lib.engine.records import Run
from sgdm_lib.study import papers
from sgdm_lib.study.criteria.curves import Curve
from sgdm_lib.study.criteria.gates import at_chance

COLUMNS = {
    "gradient_norm": "full_gradient_norm_authors",
    "empirical_loss": "train_loss",
    "test_accuracy": "test_accuracy",
    "exact_gradient_norm": "full_gradient_norm",
}
SFO_RUNS = {
    "sfo/b8": "nshb/constant8",
    "sfo/b8_x2_every20": "nshb/x2",
    "sfo/b128": "nshb/constant128",
    "sfo/b128_x2_every50": "nshb/x2_from128",
    "sfo/b128_x2_every25": "nshb/x2_from128",
}
"""What the runs of the SFO tables are called among the reduced ones."""
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

    @property
    def full_scale(self) -> bool:
        """Whether the protocol is the paper's own."""
        return self.protocol == "full"

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
        run = SFO_RUNS.get(run, run)
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
            for path in sorted(inputs.note(self.folder / alias).glob("seed*/run.json"))
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
        sgdm_lib.engine.records.RecordError: if a record is there but cannot be read.
    """
    seen: dict[int, Run] = {}
    for alias in _aliases()[choice("run", name, _aliases())]:
        for path in sorted(inputs.note(folder / alias).glob("seed*/run.json")):
            stamps = [file.stat().st_mtime_ns for file in sorted(path.parent.iterdir())]
            run = _load(path.parent, tuple(stamps))
            if run.status in ("finished", "diverged"):
                seen.setdefault(run.experiment.seed, run)
    return [seen[seed] for seed in sorted(seen)]


@lru_cache(maxsize=512)
def _load(folder: Path, stamps: tuple[int, ...]) -> Run:
    """A record, read once for as long as its files do not change."""
    return records.load(folder)


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

    Args:
        runs: one a seed.
        quantity: one of :data:`QUANTITIES`, "test_error" (1 - test accuracy) or a column of the
            history.

    Returns:
        The curve over the epochs in which a run measured the quantity; None if there are none.

    Raises:
        ValueError: if the quantity is unknown.
    """
    known = (*COLUMNS, *records.COLUMNS, "test_error")
    column = COLUMNS.get(choice("quantity", quantity, known), quantity)
    if not runs:
        return None
    longest = max(runs, key=lambda run: len(run.history)).history
    values = _table(runs, column, len(longest))
    seen = ~np.isnan(values).all(axis=0)
    if not seen.any():
        return None
    experiment, size = runs[0].experiment, data.size(runs[0].experiment.dataset)
    nominal = experiment.plan(size.n_train).table()["cumulative_sfo_nominal"].to_numpy()
    at = longest["epoch"].to_numpy()[seen]
    return Curve(
        at,
        longest["step"].to_numpy()[seen],
        nominal[at - 1],
        (100 if quantity == "test_accuracy" else 1) * values[:, seen],
        seconds=np.nanmean(_table(runs, "seconds", len(longest)).cumsum(axis=1), axis=0)[seen],
        epochs=experiment.epochs,
        seed_ids=tuple(run.experiment.seed for run in runs),
        diverged=tuple(run.status == "diverged" for run in runs),
        stuck=at_chance(_table(runs, "train_loss", len(longest)), size.n_classes)[:, seen],
        rising="accuracy" in quantity,
        experiment=experiment,
    )


def _table(runs: Sequence[Run], column: str, length: int) -> np.ndarray:
    """A column of the histories, one row a run; NaN after a run's end."""
    values = np.full((len(runs), length), np.nan)
    for row, run in zip(values, runs, strict=True):
        history = run.history
        known = 1 - history["test_accuracy"] if column == "test_error" else history[column]
        row[: len(history)] = known.to_numpy(dtype=float)
    return values
