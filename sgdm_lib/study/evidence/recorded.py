"""Our recorded runs, of the papers' protocols and of reduced ones, as a source of curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sgdm_lib.checks import choice
from sgdm_lib.engine import inputs, records
from sgdm_lib.engine.records import Run
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.study import papers
from sgdm_lib.study.criteria.curves import Curve
from sgdm_lib.study.criteria.runs import of_runs

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

    def plans(self, runs: Mapping[str, str]) -> dict[str, TrainingPlan]:
        """The plans of runs, by label; ``runs`` holds their short names."""
        known = papers.catalogue()
        return {label: known[self.name(run)].plan() for label, run in runs.items()}

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
