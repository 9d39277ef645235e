"""Schedules that fall smoothly: cosine, polynomial, diminishing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sgdm_lib.schedules.base import (
    NOT_NEGATIVE,
    POSITIVE,
    Schedule,
    Unit,
    check_fields,
    shown_horizon,
)


def _falling(start: float, end: float, shape: str) -> str:
    """Write the formula end + (start - end) * shape, for a shape that falls from 1 to 0."""
    if end == 0:
        return f"{start:.6g}*{shape}"
    return f"{end:.6g} + ({start:.6g}-{end:.6g})*{shape}"


@dataclass(frozen=True)
class Cosine(Schedule):
    """A schedule that follows half a cosine from start to end.

        value(t) = end + (start - end) * (1 + cos(pi * t / horizon)) / 2

    Source: authors' ``lr_method: cosine`` (per epoch, ``lr_min`` = end, default 0).

    Args:
        start: the first value, > 0.
        end: the value it tends to, >= 0.
        horizon: length of the run in units, > 0; None: the plan's.
        unit: "epoch" or "step".

    Raises:
        ValueError: if a field is out of range.

    >>> lr = Cosine(0.1, horizon=300)
    >>> lr(0), round(lr(150), 6), round(lr(299), 9)
    (0.1, 0.05, 2.742e-06)
    """

    start: float
    end: float = 0.0
    horizon: float | None = None
    unit: Unit = "epoch"

    def __post_init__(self) -> None:
        check_fields(self, start=POSITIVE, end=NOT_NEGATIVE, horizon=POSITIVE)

    @property
    def formula(self) -> str:
        """end + (start - end) * (1 + cos(pi t/T)) / 2."""
        length = shown_horizon(self.horizon)
        return _falling(self.start, self.end, f"(1+cos(pi*t/{length}))/2")

    def _at(self, t: np.ndarray) -> np.ndarray:
        assert self.horizon is not None
        return self.end + (self.start - self.end) * (1 + np.cos(np.pi * t / self.horizon)) / 2


@dataclass(frozen=True)
class Polynomial(Schedule):
    """A schedule that falls with a power of the remaining time.

        value(t) = end + (start - end) * (1 - t / horizon) ** power

    Source: authors' ``lr_method: poly`` (per step, end 0) and ``linear`` (power 1).

    Args:
        start: the first value, > 0.
        end: the value it tends to, >= 0.
        power: the exponent, > 0; 1 is a straight line.
        horizon: length of the run in units, > 0; None: the plan's.
        unit: "step" (as in the papers) or "epoch".

    Raises:
        ValueError: if a field is out of range.

    >>> Polynomial(0.1, power=2, horizon=1000)(500)
    0.025
    """

    start: float
    end: float = 0.0
    power: float = 1.0
    horizon: float | None = None
    unit: Unit = "step"

    def __post_init__(self) -> None:
        check_fields(self, start=POSITIVE, end=NOT_NEGATIVE, power=POSITIVE, horizon=POSITIVE)

    @property
    def formula(self) -> str:
        """end + (start - end) * (1 - t/T)^power."""
        power = "" if self.power == 1 else f"^{self.power:g}"
        return _falling(self.start, self.end, f"(1-t/{shown_horizon(self.horizon)}){power}")

    def _at(self, t: np.ndarray) -> np.ndarray:
        assert self.horizon is not None
        remaining = np.maximum(1 - t / self.horizon, 0.0)
        return self.end + (self.start - self.end) * remaining**self.power


def linear(
    start: float, end: float = 0.0, horizon: float | None = None, unit: Unit = "step"
) -> Polynomial:
    """Return a straight line from start to end, which is :class:`Polynomial` with power 1.

    >>> linear(0.1, horizon=100)(50)
    0.05
    """
    return Polynomial(start, end, 1.0, horizon, unit)


@dataclass(frozen=True)
class Diminishing(Schedule):
    """The classical learning rate that diminishes with the square root of time.

        value(t) = start / sqrt(t + 1)

    Source: authors' ``lr_method: diminishing`` (per step).

    Args:
        start: the first value, > 0.
        unit: "step" (as in the papers) or "epoch".

    Raises:
        ValueError: if a field is out of range.

    >>> lr = Diminishing(0.1)
    >>> lr(0), lr(3), lr(99)
    (0.1, 0.05, 0.01)
    """

    start: float
    unit: Unit = "step"

    def __post_init__(self) -> None:
        check_fields(self, start=POSITIVE)

    @property
    def formula(self) -> str:
        """start / sqrt(t+1)."""
        return f"{self.start:.6g}/sqrt(t+1)"

    def _at(self, t: np.ndarray) -> np.ndarray:
        return self.start / np.sqrt(t + 1)
