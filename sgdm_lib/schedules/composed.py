"""Schedules made of schedules, and any function of your own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Self

import numpy as np

from sgdm_lib.checks import integer
from sgdm_lib.schedules.base import Schedule, Unit, check_fields, check_schedule, import_path


@dataclass(frozen=True)
class WarmUp(Schedule):
    """One schedule first, then another that starts its own clock.

        value(t) = rise(t) for t < length, then(t - length) afterwards

    An open horizon of ``rise`` becomes ``length``, one of ``then`` what is left of the run. The
    papers' warm-up, lr 0.1 raised every 3 epochs to 0.5 in 30 epochs, then a cosine:
    ``WarmUp(GrowthTo(0.1, 0.5, every=3), 30, Cosine(0.5))``. Source: authors' ``lr_method:
    warmup_const | warmup_cosine``.

    Args:
        rise: the schedule of the warm-up.
        length: how long the warm-up lasts, in whole units, >= 1.
        then: the schedule afterwards, in the same unit.

    Raises:
        ValueError: if a part is no schedule, the length is not positive or the units differ.

    >>> from sgdm_lib.schedules import Cosine, GrowthTo
    >>> lr = WarmUp(GrowthTo(0.1, 0.5, every=3), 30, Cosine(0.5)).over(epochs=300, steps=0)
    >>> [round(lr(epoch), 4) for epoch in (0, 3, 29, 30, 165)]
    [0.1, 0.1196, 0.5, 0.5, 0.25]
    """

    rise: Schedule
    length: int
    then: Schedule

    def __post_init__(self) -> None:
        check_schedule("WarmUp.rise", self.rise)
        check_schedule("WarmUp.then", self.then)
        fix = "give the number of epochs or steps that the warm-up lasts"
        length = integer("WarmUp.length", self.length, at_least=1, fix=fix)
        if self.rise.unit != self.then.unit:
            raise ValueError(
                f"WarmUp.then must count in {self.rise.unit}s like WarmUp.rise, got "
                f"{self.then.unit}s: give both the same unit"
            )
        rise = self.rise.over(epochs=length, steps=length)
        object.__setattr__(self, "length", length)
        object.__setattr__(self, "rise", rise)

    @property
    def unit(self) -> Unit:
        """The unit of both parts."""
        return self.rise.unit

    @property
    def formula(self) -> str:
        """Both parts with the times at which they hold."""
        length = f"{self.length:g}"
        return f"{self.rise.formula} for t<{length}, then {self.then.formula} with t-{length}"

    @property
    def open_horizon(self) -> bool:
        """Whether the second part still waits for the run's length."""
        return self.then.open_horizon

    def over(self, *, epochs: int, steps: int) -> Self:
        """The same schedule for a run of this length; see :meth:`Schedule.over`."""
        length = epochs if self.unit == "epoch" else steps
        if length <= self.length:
            raise ValueError(
                f"WarmUp.length must be < {length}, the plan's {self.unit}s, got {self.length:g}: "
                "shorten the warm-up or lengthen the plan"
            )
        rest = length - self.length
        return replace(self, then=self.then.over(epochs=rest, steps=rest))

    def _at(self, t: np.ndarray) -> np.ndarray:
        warm = t < self.length
        before = self.rise(np.where(warm, t, 0.0))
        after = self.then(np.where(warm, 0.0, t - self.length))
        return np.where(warm, before, after)


@dataclass(frozen=True)
class Cyclical(Schedule):
    """A schedule that begins anew every ``period``.

        value(t) = cycle(t mod period)

    Cyclical batch sizes (arXiv 1812.01216) from 8 to 64 in cycles of 8 epochs:
    ``Cyclical(StageGrowth(8, 2, every=2), 8)``; a plan asks for ``allow_shrinking=True`` then.

    Args:
        cycle: the schedule within one cycle; an open horizon becomes the period.
        period: length of a cycle in whole units, >= 1.

    Raises:
        ValueError: if the cycle is no schedule or the period is not positive.

    >>> from sgdm_lib.schedules import StageGrowth
    >>> batch_size = Cyclical(StageGrowth(8, 2, every=2), 8)
    >>> [batch_size(epoch) for epoch in (0, 2, 7, 8)]
    [8.0, 16.0, 64.0, 8.0]
    """

    cycle: Schedule
    period: int

    def __post_init__(self) -> None:
        check_schedule("Cyclical.cycle", self.cycle)
        fix = "give the number of epochs or steps in a cycle"
        period = integer("Cyclical.period", self.period, at_least=1, fix=fix)
        cycle = self.cycle.over(epochs=period, steps=period)
        object.__setattr__(self, "period", period)
        object.__setattr__(self, "cycle", cycle)

    @property
    def unit(self) -> Unit:
        """The unit of the cycle."""
        return self.cycle.unit

    @property
    def formula(self) -> str:
        """The cycle's formula with t mod period."""
        return f"{self.cycle.formula} with t mod {self.period:g}"

    def _at(self, t: np.ndarray) -> np.ndarray:
        return self.cycle(np.mod(t, self.period))


@dataclass(frozen=True)
class UserSchedule(Schedule):
    """Any function of your own: value(t) = function(t).

    Args:
        function: takes one time (a float, from 0), returns the value, finite and >= 0. Only a
            function that can be imported (defined at the top of a module) can be written as JSON.
        unit: "epoch" or "step".

    Raises:
        ValueError: if it is not callable, or, when called, if it returns no number.

    >>> UserSchedule(lambda epoch: 8 + epoch)(3)
    11.0
    """

    function: Callable[[float], float]
    unit: Unit = "epoch"

    def __post_init__(self) -> None:
        check_fields(self)
        if not callable(self.function):
            raise ValueError(
                f"UserSchedule.function must be callable, got {self.function!r}: give a function "
                "of the epoch (or step)"
            )

    @property
    def formula(self) -> str:
        """The function's name."""
        return f"{getattr(self.function, '__qualname__', repr(self.function))}(t)"

    def _at(self, t: np.ndarray) -> np.ndarray:
        return np.reshape([self._value(float(each)) for each in t.ravel()], t.shape)

    def _value(self, t: float) -> float:
        value = self.function(t)
        if isinstance(value, Real) or getattr(value, "shape", None) == ():  # a scalar, a tensor
            return float(value)  # NaN, too: the plan names the epoch in which it occurs
        raise ValueError(
            f"UserSchedule.function must return a number, got {value!r} from {self.formula} at "
            f"t = {t:g}: return a float"
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, the function as ``module:name``; ValueError if it cannot be imported."""
        module = getattr(self.function, "__module__", "") or ""
        path = f"{module}:{getattr(self.function, '__qualname__', '')}"
        if module == "__main__" or import_path(path) is not self.function:
            raise ValueError(
                f"UserSchedule.function must be importable to be written as JSON, got {path}: "
                "define it at the top level of a module"
            )
        return {"kind": "UserSchedule", "function": path, "unit": self.unit}
