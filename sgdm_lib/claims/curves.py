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

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sgdm_lib.checks import choice

QUANTITIES = {
    "gradient_norm": "full gradient norm (running minimum)",
    "empirical_loss": "training loss (nats)",
    "test_accuracy": "test accuracy (%)",
    "exact_gradient_norm": "exact full gradient norm",
}
"""Quantities and their axis labels."""


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
