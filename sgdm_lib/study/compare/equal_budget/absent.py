"""Runs that a comparison wants and nobody has recorded yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from sgdm_lib.checks import choice
from sgdm_lib.engine import speed
from sgdm_lib.engine.device import choose_device
from sgdm_lib.engine.records import Run
from sgdm_lib.study import papers


@dataclass(frozen=True)
class Missing:
    """Runs that nobody has recorded, with the command that makes them; a box in a notebook."""

    names: tuple[str, ...]
    """Names in the catalogue."""
    seconds: float
    """Estimated wall time of one seed of each on the device asked about, in turn."""
    device: str
    """Which device that is."""

    def __str__(self) -> str:
        if not self.names:
            return "All of these runs are recorded."
        return (
            f"Not yet run ({len(self.names)}): sgdm run {' '.join(self.names)} "
            f"--out chapters/records. About {speed.duration(self.seconds)} for one seed of "
            f"each on this machine's {self.device}."
        )

    def _repr_html_(self) -> str:
        if not self.names:
            return f"<p>{escape(str(self))}</p>"
        lines = " \\\n    ".join(["sgdm run", *map(escape, self.names), "--out chapters/records"])
        time = speed.duration(self.seconds)
        return (
            f"<p>Not yet run: {len(self.names)}. The command that records them, about {time} for "
            f"one seed of each on this machine's {escape(self.device)}:</p><pre>{lines}</pre>"
        )


def missing(
    names: Sequence[str], recorded: Sequence[Sequence[Run]], device: str = "auto"
) -> Missing:
    """Which of these runs have no record, and what it takes to make them.

    Args:
        names: names of :func:`sgdm_lib.study.papers.catalogue`.
        recorded: for each name its recorded runs.
        device: where they would run, as for :func:`sgdm_lib.engine.training.fit`.

    Raises:
        ValueError: if a name is unknown.
    """
    absent = tuple(name for name, runs in zip(names, recorded, strict=True) if not runs)
    known = papers.catalogue()
    total = sum(speed.seconds(known[choice("run", name, known)], device) for name in absent)
    return Missing(absent, total, choose_device(device).type)
