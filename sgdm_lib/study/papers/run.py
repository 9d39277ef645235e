"""What the catalogue knows of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sgdm_lib.engine.experiment import Experiment


@dataclass(frozen=True)
class CatalogueRun:
    """A run of the catalogue and where it comes from.

    Args:
        experiment: the run.
        source: paper, figure or table or file, in one line.
        config: the authors' JSON keys that describe it; None where their format cannot.
    """

    experiment: Experiment
    source: str
    config: Mapping[str, Any] | None = None
