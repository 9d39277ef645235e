"""What a chapter calls: its settings checked, its style set, its numbers put into its prose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sgdm_lib import records as on_disk
from sgdm_lib.book.notebooks import PARAMETERS, SCALES, assignments, find_root
from sgdm_lib.checks import choice, integer
from sgdm_lib.records import Run

__all__ = ["Settings", "begin", "note", "recorded"]

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
    _refuse_unknown()
    choice("scale", scale, SCALES)
    seeds = integer("seeds", seeds, at_least=1, fix="the number of seeds, such as 3")
    import torch

    from sgdm_lib.figures import use_style
    from sgdm_lib.training import choose_device

    choose_device(device)
    if scale == "quick":  # nets this small gain nothing from threads, which wait for each other
        torch.set_num_threads(1)
    use_style()
    return Settings(scale, range(seeds), device, None if records is None else Path(records))


def _refuse_unknown() -> None:
    """Papermill only warns of a parameter that the chapter does not have."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return
    shell: Any = get_ipython()
    for source in shell.user_ns.get("In", []) if shell else []:
        if source.startswith("# Parameters\n"):
            for name in assignments(source):
                choice("parameter", name, PARAMETERS)


def note(name: str, value: float | int | str) -> None:
    """Keep a number for the prose: ``{glue:text}`name:.2f` `` shows it on the page.

    Numbers in the text are never typed by hand.
    """
    from myst_nb import glue

    plain = value if isinstance(value, (str, int)) else float(value)
    glue(name, plain, display=False)


def recorded(name: str, folder: Path | None = None) -> list[Run]:
    """The recorded runs of an experiment, one a seed; none if it has not been run.

    Args:
        name: a name of :func:`sgdm_lib.papers.catalogue`.
        folder: where ``sgdm run --out`` put them; None: the checkout's ``chapters/records``.

    Returns:
        The finished runs (a diverged one is finished), by seed.

    Raises:
        sgdm_lib.records.RecordError: if a record is there but cannot be read.
    """
    folder = folder or find_root() / "chapters" / "records"
    runs = [on_disk.load(path.parent) for path in (folder / name).glob("seed*/run.json")]
    ended = [run for run in runs if run.status in ("finished", "diverged")]
    return sorted(ended, key=lambda run: run.experiment.seed)
