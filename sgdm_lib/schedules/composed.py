"""Schedules that are made of other schedules, and schedules that call a function of yours."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Self

import numpy as np

from sgdm_lib.checks import integer
from sgdm_lib.schedules.base import Schedule, Unit, check_fields, check_schedule
from sgdm_lib.schedules.stages import Piecewise


@dataclass(frozen=True)
class WarmUp(Schedule):
    """A warm-up follows one schedule first, then another one that counts time from 0 again.

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
        """The formulas of both parts with the times at which they hold."""
        length = f"{self.length:g}"
        return f"{self.rise.formula} for t<{length}, then {self.then.formula} with t-{length}"

    @property
    def open_horizon(self) -> bool:
        """Whether the second part still waits for the run's length."""
        return self.then.open_horizon

    def over(self, *, epochs: int, steps: int) -> Self:
        """Return this schedule for a run of known length; see :meth:`Schedule.over`."""
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


FUNCTIONS: dict[str, Callable[[float], float]] = {}
"""Functions that this program has used in a schedule or registered, by ``module:name``."""


def _path(function: Any) -> str | None:
    """Return ``module:name`` of a function that can be imported by it; None for others."""
    module = getattr(function, "__module__", None) or ""
    name = getattr(function, "__qualname__", "")
    found = getattr(sys.modules.get(module), name, None) if module != "__main__" else None
    return f"{module}:{name}" if name and found is function else None


def register(function: Callable[[float], float]) -> Callable[[float], float]:
    """Register a function, so that records can refer to it by its name.

    Reading a record imports and runs nothing, so a function in it is at first only a name. To build
    a :class:`UserSchedule` of the function registers it as well. You can use this function as a
    decorator.

    Args:
        function: one that can be imported: defined at the top level of a module.

    Returns:
        The function.

    Raises:
        ValueError: if the function cannot be found under its name.

    >>> import math
    >>> register(math.sqrt) is math.sqrt
    True
    >>> from sgdm_lib.schedules import from_dict
    >>> from_dict({"kind": "UserSchedule", "function": "math:sqrt"})(9)
    3.0
    """
    path = _path(function) if callable(function) else None
    if path is None:
        raise ValueError(
            f"function must be defined at the top level of a module, got {function!r}: a record "
            "could not name it"
        )
    FUNCTIONS[path] = function
    return function


class UnknownFunction(ValueError):
    """A schedule cannot be evaluated: its function is a name that nobody has registered."""


@dataclass(frozen=True)
class UserSchedule(Schedule):
    """A schedule that calls a function of your own: value(t) = function(t).

    Args:
        function: takes one time (a float, from 0), returns the value, finite and >= 0. A function
            that can be imported (defined at the top of a module) is written as JSON by its name
            ``module:name``; of any other a record keeps the values. A name in place of the function
            stays a name until the function is registered (:func:`register`).
        unit: "epoch" or "step".

    Raises:
        ValueError: if it is neither callable nor a name.

    >>> UserSchedule(lambda epoch: 8 + epoch)(3)
    11.0
    """

    function: Callable[[float], float] | str
    unit: Unit = "epoch"

    def __post_init__(self) -> None:
        check_fields(self)
        if isinstance(self.function, str) and re.fullmatch(r"[^:\s]+:[^:\s]+", self.function):
            object.__setattr__(self, "function", FUNCTIONS.get(self.function, self.function))
        elif not callable(self.function):
            raise ValueError(
                f"UserSchedule.function must be callable, got {self.function!r}: give a function "
                "of the epoch (or step)"
            )
        elif path := _path(self.function):
            FUNCTIONS[path] = self.function

    @property
    def formula(self) -> str:
        """The function's name."""
        if isinstance(self.function, str):
            return f"{self.function}(t)"
        return f"{getattr(self.function, '__qualname__', repr(self.function))}(t)"

    def _at(self, t: np.ndarray) -> np.ndarray:
        return np.reshape([self._value(float(each)) for each in t.ravel()], t.shape)

    def _value(self, t: float) -> float:
        function = self.function
        if isinstance(function, str):  # asked anew: it may have been registered since
            function = FUNCTIONS.get(function, function)
        if isinstance(function, str):
            raise UnknownFunction(
                f"the schedule {function!r} is only a name, as it was read from a file, and "
                "nothing is imported unasked: import the function if you trust it and pass it to "
                "sgdm_lib.schedules.register"
            )
        value = function(t)
        if np.ndim(value) or not isinstance(value, (Real, np.ndarray)):
            raise ValueError(
                f"{self.formula} must return one number, got {value!r} at t = {t:g}: return a float"
            )
        return float(value)

    def to_dict(self) -> dict[str, Any]:
        """Return a description that JSON can hold, with the function as ``module:name``.

        Raises:
            ValueError: if the function cannot be imported.
        """
        path = self.function if isinstance(self.function, str) else _path(self.function)
        if path is None:
            name = getattr(self.function, "__qualname__", repr(self.function))
            raise ValueError(
                f"UserSchedule.function must be importable to be written as JSON, got {name}: "
                "define it at the top level of a module"
            )
        return {"kind": "UserSchedule", "function": path, "unit": self.unit}


MOST_VALUES = 100_000
"""A record may hold so many values of a function that cannot be imported."""


def as_values(schedule: Schedule, length: int) -> Schedule:
    """Return the schedule itself if JSON can hold it, else its values as a :class:`Piecewise`.

    Args:
        schedule: with a horizon that is known.
        length: how many values the run takes, at the times 0, 1, ..., length - 1.

    Raises:
        ValueError: if there are more than :data:`MOST_VALUES` different stretches.
    """
    try:
        schedule.to_dict()
    except ValueError as error:
        values = schedule(np.arange(length, dtype=np.float64))
        starts = np.flatnonzero(np.diff(values)) + 1
        if len(starts) >= MOST_VALUES:
            raise ValueError(
                f"{error}; a record can keep at most {MOST_VALUES:,} values of one that cannot be "
                f"imported, got {len(starts) + 1:,}"
            ) from None
        kept = values[np.append(0, starts)].tolist()
        return Piecewise(tuple(kept), tuple(map(float, starts)), schedule.unit)
    return schedule
