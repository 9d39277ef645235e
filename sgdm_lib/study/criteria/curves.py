"""What a criterion looks at: a quantity over the epochs, from the paper or from our records.

The same criterion judges the paper's published curves and our recorded runs. Both are brought into
one form, a :class:`Curve`, by a :class:`Evidence`; a run is called by its short name, such as
``nshb/x2``. The quantities of the papers:

* ``gradient_norm``: the authors' estimator of the full gradient norm; of the papers' figures the
  running minimum, which is all that they show
* ``empirical_loss``: the mean over the epoch's steps of the batch losses, in nats
* ``test_accuracy``: in percent

and, where a record has it, ``exact_gradient_norm``: the exact full gradient norm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, inf
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from sgdm_lib.checks import choice
from sgdm_lib.engine.experiment import Experiment

QUANTITIES = {
    "gradient_norm": "full gradient norm (authors' estimator)",
    "empirical_loss": "training loss (nats)",
    "test_accuracy": "test accuracy (%)",
    "exact_gradient_norm": "exact full gradient norm",
}
"""Quantities and their axis labels."""
MEASUREMENTS = 8
"""A level rests on that many measurements at least, where the run has twice as many."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """A quantity after some of the epochs, for runs that differ in the seed."""

    epoch: np.ndarray
    """Epochs it was measured after, from 1, ascending, shape (k,)."""
    step: np.ndarray
    """Optimizer steps by then, shape (k,)."""
    sfo: np.ndarray
    """Per-sample gradients by then, steps x nominal batch size as the papers count, (k,)."""
    values: np.ndarray
    """One row a seed, shape (seeds, k); NaN where a run had ended before."""
    seconds: np.ndarray
    """Wall time by then, mean over the seeds, NaN if unknown, shape (k,)."""
    epochs: int
    """Length of the runs."""
    seed_ids: tuple[int, ...] | None = None
    """Which seeds; None if the runs are anonymous, so that no two curves can be paired."""
    diverged: tuple[bool, ...] = ()
    """Which of the runs ended early because their loss was no longer finite; empty: none."""
    stuck: np.ndarray | None = field(default=None, repr=False)
    """Where a run was no better than guessing, shape (seeds, k); None: nowhere."""
    rising: bool = False
    """Whether larger is better, as for an accuracy."""
    running_min: bool = False
    """Whether the values are running minima, as the papers' figures show the gradient norm."""
    alone: bool = False
    """Whether nothing else ran on the machine, so that seconds can be compared."""
    experiment: Experiment | None = field(default=None, repr=False)
    """What was run; None if unknown."""

    @property
    def seeds(self) -> int:
        """Number of runs."""
        return len(self.values)

    @cached_property
    def mean(self) -> Array:
        """Mean over the runs, NaN where one of them had ended, shape (k,)."""
        return np.asarray(self.values.mean(axis=0))

    @cached_property
    def low(self) -> Array:
        """Smallest over the runs, shape (k,)."""
        return np.asarray(self.values.min(axis=0))

    @cached_property
    def high(self) -> Array:
        """Largest over the runs, shape (k,)."""
        return np.asarray(self.values.max(axis=0))

    @property
    def worst(self) -> float:
        """What counts as the level of a run that diverged or is stuck: inf, or -inf if rising."""
        return -inf if self.rising else inf

    @cached_property
    def usable(self) -> Array:
        """The values without those of a run that was no better than guessing: NaN there."""
        values = np.asarray(self.values, dtype=float)
        return values if self.stuck is None else np.where(self.stuck, np.nan, values)

    @cached_property
    def levels(self) -> Array:
        """Where each run ends: :func:`level` of its values, :attr:`worst` if it failed, (seeds,).

        A run has failed if it diverged, or if it was stuck at chance in half of its last
        measurements. Of a running minimum it is the last value.
        """
        return np.array([self._level(i) for i in range(self.seeds)])

    def _level(self, i: int) -> float:
        if self.has_diverged(i):
            return self.worst
        values, usable = self.values[i], self.usable[i]
        measured = ~np.isnan(values)
        last = slice(-1, None) if self.running_min else slice(-measurements(measured.sum()), None)
        late = usable[measured][last]
        if 2 * np.isnan(late).sum() >= late.size:
            return self.worst
        return float(np.nanmedian(late))

    def has_diverged(self, i: int) -> bool:
        """Whether the i-th run diverged."""
        return bool(self.diverged) and self.diverged[i]

    @property
    def level_words(self) -> str:
        """What :attr:`levels` are, in words."""
        if self.running_min:
            return "smallest value of the whole run"
        return f"median of the last {measurements(self.values.shape[1])} measurements"

    def last(self) -> tuple[float, float, float]:
        """Mean, smallest and largest of the runs' :attr:`levels`."""
        return float(self.levels.mean()), float(self.levels.min()), float(self.levels.max())

    @cached_property
    def best(self) -> Array:
        """The best value of each run, while it was better than guessing, shape (seeds,)."""
        toward = np.where(np.isnan(self.usable), self.worst, self.usable)
        return np.asarray(toward.max(axis=1) if self.rising else toward.min(axis=1))

    @property
    def growth(self) -> float:
        """Mean of the runs' :attr:`levels` at the end / mean of their first measurements."""
        return float(self.levels.mean() / self.mean[0])

    @property
    def first_improvement(self) -> int | None:
        """The first epoch after which the mean is better than at first; None if there is none."""
        better = self.mean > self.mean[0] if self.rising else self.mean < self.mean[0]
        return int(self.epoch[better.argmax()]) if better.any() else None

    def reached(self, level: npt.ArrayLike, unit: str = "epoch") -> Array:
        """What each run has spent when it first is at a level or past it, shape (seeds,).

        Args:
            level: what to reach, one for all or one a run, (seeds,).
            unit: "epoch", "step", "sfo" or "seconds".

        Returns:
            One number a run; inf where a run never gets there.
        """
        goal = np.broadcast_to(np.asarray(level, dtype=float), (self.seeds,))[:, None]
        past = self.usable >= goal if self.rising else self.usable <= goal
        spent = np.asarray(getattr(self, unit), dtype=float)
        return np.where(past.any(axis=1), spent[past.argmax(axis=1)], inf)


def measurements(count: int) -> int:
    """How many of the last measurements a level rests on.

    A quarter of them, but not fewer than 8, as long as that is at most half.

    >>> [measurements(k) for k in (1, 4, 10, 16, 200)]
    [1, 2, 5, 8, 50]
    """
    return max(1, ceil(count / 4), min(MEASUREMENTS, count // 2))


def level(values: npt.ArrayLike) -> float:
    """Where a run ends: the median of its last measurements.

    Not the last value, which fluctuates, and not the smallest, which favours noisy runs.

    Args:
        values: the measurements in order, NaN where nothing was measured.

    Returns:
        The median of the last :func:`measurements`; NaN if there is none.

    >>> level([9.0, 4.0, 3.0, 2.0])
    2.5
    """
    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    return float(np.median(known[-measurements(known.size) :])) if known.size else float("nan")


class Evidence(Protocol):
    """Where curves come from."""

    @property
    def title(self) -> str:
        """In words, such as "the paper's curves"."""

    @property
    def full_scale(self) -> bool:
        """Whether the runs are of the paper's own protocol, so that absolute values mean much."""

    def curve(self, run: str, quantity: str) -> Curve | None:
        """The curve of a run such as ``nshb/x2``; None if there is none."""


@runtime_checkable
class PrintedNumbers(Protocol):
    """Evidence that also knows what a paper's tables print."""

    def printed(self, run: str, quantity: str, threshold: float, unit: str) -> float | None:
        """What it took until a run reached a threshold; None if no table has it."""


@dataclass(frozen=True)
class InMemory:
    """Curves given by hand, for tests and for runs trained in a chapter.

    Args:
        curves: by run and quantity.
        title: in words.
        full_scale: whether they are of the paper's own protocol.
    """

    curves: Mapping[tuple[str, str], Curve]
    title: str = "these runs"
    full_scale: bool = True

    def curve(self, run: str, quantity: str) -> Curve | None:
        """The curve, or None."""
        return self.curves.get((run, choice("quantity", quantity, QUANTITIES)))
