"""What every chapter calls: it checks settings, sets the style, and puts numbers into the prose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, TypeVar

from sgdm_lib.book.notebooks import (
    MISSING,
    PARAMETERS,
    assignments,
    check_parameters,
    find_root,
)
from sgdm_lib.checks import choice
from sgdm_lib.engine.records import Run
from sgdm_lib.study import criteria, pages
from sgdm_lib.study.evidence import Published, Recorded, Trained, find
from sgdm_lib.study.evidence import train as train_runs

__all__ = [
    "Settings",
    "begin",
    "claim",
    "evidence",
    "note",
    "note_all",
    "note_range",
    "recorded",
    "scorecard",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """A chapter's parameters, checked."""

    scale: str
    """Either "quick": embedded data, CPU, well under a minute; "paper": the full protocol."""
    seeds: range
    """The seeds to run."""
    device: str
    """Where to run: "auto", "cpu", "cuda"."""
    records: Path | None
    """Folder in which runs are kept and found again; None keeps nothing."""

    def pick(self, *, quick: T, paper: T) -> T:
        """The value for the present scale."""
        return quick if self.scale == "quick" else paper

    def train(
        self,
        runs: Iterable[str],
        paper: str = "kamo2025",
        *,
        protocol: str | None = None,
        estimators: Sequence[str] = ("authors",),
        one_by_one: bool = False,
    ) -> Trained:
        """Train runs on the spot: small ones on digits, or with scale "paper" the paper's own.

        Args:
            runs: short names, as for :func:`sgdm_lib.study.evidence.train`.
            paper: whose short names: "kamo2025" or "kondo2025".
            protocol: as for :func:`sgdm_lib.study.evidence.train`, and nothing is kept; None: the
                one of the present scale.
            estimators: of the full gradient norm: "exact", "authors".
            one_by_one: as for :func:`sgdm_lib.study.evidence.train`.

        Raises:
            ValueError: if there is no such run.
        """
        return train_runs(
            runs,
            seeds=self.seeds,
            paper=paper,
            protocol=protocol or self.pick(quick="quick", paper="full"),
            estimators=estimators,
            out=self.records if protocol is None else None,
            device=self.device,
            one_by_one=one_by_one,
        )


class ParameterError(ValueError):
    """A parameter of a chapter is unknown or out of range."""

    def _render_traceback_(self) -> list[str]:
        """Show the sentence alone: a traceback through the library would not help the reader."""
        return [f"ValueError: {self}"]


def begin(scale: str, seeds: int, device: str, records: str | None) -> Settings:
    """Start a chapter: check the parameters, also those papermill passed on, and set the style.

    Args:
        scale: "quick" or "paper".
        seeds: number of seeds, >= 1.
        device: "auto", "cpu", "cuda".
        records: folder of recorded runs, or None.

    Returns:
        The settings.

    Raises:
        ValueError: if a parameter is unknown or out of range.
    """
    try:
        _refuse_unknown()
        check_parameters({"scale": scale, "seeds": seeds, "device": device, "records": records})
    except ValueError as error:
        raise ParameterError(str(error)) from None
    import torch

    from sgdm_lib.plots import use_style

    if scale == "quick":  # nets this small gain nothing from threads, which wait for each other
        torch.set_num_threads(1)
    use_style()
    return Settings(scale, range(int(seeds)), device, None if records is None else Path(records))


def _shell() -> Any:
    """IPython's shell in a notebook, else None."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return None
    return get_ipython()


def _refuse_unknown() -> None:
    """Refuse a parameter that the chapter does not have; papermill only warns of it."""
    shell = _shell()
    for source in shell.user_ns.get("In", []) if shell else []:
        if source.startswith("# Parameters\n"):
            for name in assignments(source):
                choice("parameter", name, PARAMETERS)


def note(name: str, value: float | int | str | None) -> None:
    """Keep a number for the prose: the role ``glue:text`` shows it on the page.

    Numbers in the text are never typed by hand. Where the book's packages are not installed (Colab)
    there is no page to put them on, and nothing happens.

    Args:
        name: the number's name; the name of another number of the same page would replace it.
        value: the number; None or NaN if the data it needs are missing: the page shows "…".
    """
    try:
        from myst_nb import glue
    except ImportError:
        return

    plain: float | int | str
    if value is None or value != value:
        plain = MISSING
    elif isinstance(value, Integral):  # NumPy's, too: a count is printed without decimals
        plain = int(value)
    else:
        plain = value if isinstance(value, str) else float(value)
    glue(name, plain, display=False)


def note_all(prefix: str, numbers: Mapping[str, float | int | str | None]) -> None:
    """Keep several numbers for the prose: each is noted as ``prefix_key``.

    Args:
        prefix: the beginning of every name.
        numbers: the numbers by the end of their names; see :func:`note`.
    """
    for key, value in numbers.items():
        note(f"{prefix}_{key}", value)


def note_range(prefix: str, values: Iterable[float]) -> None:
    """Keep the smallest of some numbers as ``prefix_low`` and the largest as ``prefix_high``.

    Args:
        prefix: the beginning of both names.
        values: the numbers; without any, the page shows "…" for both.
    """
    known = list(values)
    note_all(prefix, {"low": min(known, default=None), "high": max(known, default=None)})


def claim(name: str) -> pages.Report:
    """Judge a claim of the papers on all evidence; the page shows the verdicts in a box.

    Args:
        name: the claim's id, such as "K3"; :func:`sgdm_lib.study.pages.all_claims` has them all.

    Raises:
        ValueError: if there is no such claim.
    """
    known = pages.all_claims()
    return pages.Report(known[choice("claim", name, known)], find_root() / "chapters")


def scorecard(begin: str = "") -> pages.Scorecard:
    """Make the table of the claims whose ids begin with "K" (first paper) or "L" (second paper)."""
    ids = [name for name in pages.everything() if name.startswith(begin)]
    return pages.scorecard(find_root() / "chapters", ids)


def evidence(paper: str, protocol: str, dataset: str = "cifar100") -> criteria.Evidence:
    """Find the curves to draw: published ones, or those recorded under a protocol.

    Args:
        paper: "kamo2025" or "kondo2025".
        protocol: "published" (kamo2025 only), or one of ``sgdm_lib.study.evidence.PROTOCOLS``.
        dataset: "cifar100" or "tiny_imagenet".

    Raises:
        ValueError: if one of them is unknown.
    """
    chapters = find_root() / "chapters"
    if protocol == "published":
        choice("paper", paper, ("kamo2025",))
        return Published(chapters / "paper_curves", dataset)
    return Recorded(chapters / "records", paper, protocol, dataset)


def recorded(name: str, folder: Path | None = None) -> list[Run]:
    """Find the recorded runs of an experiment, one for each seed; none if it has not been run.

    Args:
        name: a name of :func:`sgdm_lib.study.papers.catalogue`.
        folder: where ``sgdm run --out`` put them; None: the checkout's ``chapters/records``.

    Returns:
        The finished runs (a diverged one is finished), by seed; also those recorded under another
        name of the same experiment.

    Raises:
        ValueError: if there is no such name.
        sgdm_lib.engine.records.RecordError: if a record is there but cannot be read.
    """
    return find(folder or find_root() / "chapters" / "records", name)
