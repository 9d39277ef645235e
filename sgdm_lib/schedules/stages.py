"""Schedules that are constant within a stage and jump between stages."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sgdm_lib.checks import number
from sgdm_lib.schedules.base import (
    NOT_NEGATIVE,
    POSITIVE,
    Schedule,
    Unit,
    check_fields,
    shown_horizon,
)


@dataclass(frozen=True)
class Constant(Schedule):
    """A schedule that keeps one value: value(t) = value.

    Args:
        value: the value, at least 0.
        unit: "epoch" or "step"; makes no difference to the value.

    Raises:
        ValueError: if the value is negative, NaN or infinite.

    >>> Constant(0.1)(7)
    0.1
    """

    value: float
    unit: Unit = "epoch"

    def __post_init__(self) -> None:
        check_fields(self, value=NOT_NEGATIVE)

    @property
    def formula(self) -> str:
        """The value itself."""
        return f"{self.value:.6g}"

    def _at(self, t: np.ndarray) -> np.ndarray:
        return np.full(t.shape, self.value)


@dataclass(frozen=True)
class StageGrowth(Schedule):
    """A schedule that multiplies by a factor every so many epochs or steps.

        value(t) = start * factor ** floor(t / every),   at most ``cap`` (at least, for a decay)

    This is the papers' exponential growth: a batch size from 8, doubled every 20 epochs, is
    ``StageGrowth(8, 2, every=20)``. A factor below 1 is a decay. Source: Kamo & Iiduka 2025,
    section 3.2 (delta = ``factor``, b0 = ``start``); authors' ``bs_method: exp_growth``.

    Args:
        start: the first value, > 0.
        factor: growth (or decay) from stage to stage, > 0.
        every: length of a stage in units, >= 1.
        cap: limit that the value does not pass; not below ``start`` for growth, not above it
            for a decay.
        unit: "epoch" or "step".

    Raises:
        ValueError: if a field is out of range, or the cap is on the wrong side of the start.

    >>> batch_size = StageGrowth(8, 2, every=20, cap=1024)
    >>> [batch_size(epoch) for epoch in (0, 19, 20, 140, 199)]
    [8.0, 8.0, 16.0, 1024.0, 1024.0]
    """

    start: float
    factor: float
    every: float
    cap: float | None = None
    unit: Unit = "epoch"

    def __post_init__(self) -> None:
        check_fields(self, start=POSITIVE, factor=POSITIVE, every={"at_least": 1.0}, cap=POSITIVE)
        if self.cap is not None and (self.cap - self.start) * (self.factor - 1) < 0:
            side = ">=" if self.factor > 1 else "<="
            raise ValueError(
                f"StageGrowth.cap must be {side} start {self.start:g} with factor "
                f"{self.factor:g}, got {self.cap:g}: move the cap, or the start"
            )

    @property
    def formula(self) -> str:
        """start * factor^floor(t/every), with the cap if there is one."""
        text = f"{self.start:.6g}*{self.factor:.6g}^floor(t/{self.every:g})"
        if self.cap is None:
            return text
        return f"{'min' if self.factor >= 1 else 'max'}({text}, {self.cap:.6g})"

    def _at(self, t: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):  # an uncapped growth may overflow to inf; plans refuse it
            values = self.start * self.factor ** np.floor(t / self.every)
        if self.cap is None:
            return values
        return np.minimum(values, self.cap) if self.factor >= 1 else np.maximum(values, self.cap)


@dataclass(frozen=True)
class GrowthTo(Schedule):
    """A schedule that grows (or decays) by stages to a given value in the last stage.

        value(t) = start * g ** floor(t / every),   never past ``end``,
        g = (end / start) ** (every / (horizon - every))

    Source: Kondo & Iiduka's ``lr_method: exp_growth`` with ``lr_max``: lr 0.1 to 1.0 over 300
    epochs in stages of 30 has g = 10 ** (1/9).

    Args:
        start: the first value, > 0.
        end: the value of the last stage, > 0.
        every: length of a stage in units, >= 1.
        horizon: length of the run in units, > ``every``; None: the plan's.
        unit: "epoch" or "step".

    Raises:
        ValueError: if a field is out of range.

    >>> lr = GrowthTo(0.1, 1.0, every=30, horizon=300)
    >>> round(lr.factor, 4), lr(0), round(lr(30), 4), lr(299)
    (1.2915, 0.1, 0.1292, 1.0)
    """

    start: float
    end: float
    every: float
    horizon: float | None = None
    unit: Unit = "epoch"

    def __post_init__(self) -> None:
        check_fields(self, start=POSITIVE, end=POSITIVE, every={"at_least": 1.0}, horizon=POSITIVE)
        _more_than_a_stage(self)

    @property
    def factor(self) -> float:
        """The growth g from stage to stage; the horizon must be known."""
        if self.horizon is None:
            raise ValueError("GrowthTo.horizon must be known for its factor, got None: give one")
        return (self.end / self.start) ** (self.every / (self.horizon - self.every))

    @property
    def formula(self) -> str:
        """start * g^floor(t/every), with g written out."""
        every, length = f"{self.every:g}", shown_horizon(self.horizon)
        power = f"floor(t/{every})*{every}/({length}-{every})"
        return f"{self.start:.6g}*({self.end:.6g}/{self.start:.6g})^({power})"

    def _at(self, t: np.ndarray) -> np.ndarray:
        values = self.start * self.factor ** np.floor(t / self.every)
        bound = np.minimum if self.end >= self.start else np.maximum
        return bound(values, self.end)


@dataclass(frozen=True)
class AffineGrowthTo(Schedule):
    """Geometric growth in stages, stretched and shifted to reach a given end, as the authors do.

        value(t) = a * factor ** floor(t / every) + (start - a),   at most ``end``,
        a = (end - start) / (factor ** K - 1),   K = (horizon - every) / every

    The end is not a cap: with ``factor`` 2 from 8 to 1024 in ten stages the batch sizes are 8, 10,
    14, 22, 38, 70, 134, 261, 516, 1024. Source: the authors' ``bs_max`` (and ``lr_max`` beside
    ``lr_growth_rate``).

    Args:
        start: the first value, > 0.
        end: the value of the last stage, >= ``start``.
        factor: ratio of neighbouring increments, > 1.
        every: length of a stage in units, >= 1.
        horizon: length of the run in units, > ``every``; None: the plan's.
        unit: "epoch" or "step".

    Raises:
        ValueError: if a field is out of range.

    >>> import math
    >>> batch_size = AffineGrowthTo(8, 1024, factor=2, every=30, horizon=300)
    >>> [math.ceil(batch_size(30 * stage)) for stage in range(10)]
    [8, 10, 14, 22, 38, 70, 134, 261, 516, 1024]
    """

    start: float
    end: float
    factor: float
    every: float
    horizon: float | None = None
    unit: Unit = "epoch"

    def __post_init__(self) -> None:
        check_fields(
            self, start=POSITIVE, factor={"above": 1.0}, every={"at_least": 1.0}, horizon=POSITIVE
        )
        check_fields(self, end={"at_least": self.start})
        _more_than_a_stage(self)

    @property
    def formula(self) -> str:
        """a * factor^floor(t/every) + (start - a), with a and the last value named."""
        every, length = f"{self.every:g}", shown_horizon(self.horizon)
        factor, start, end = f"{self.factor:.6g}", f"{self.start:.6g}", f"{self.end:.6g}"
        a = f"a=({end}-{start})/({factor}^(({length}-{every})/{every})-1)"
        return f"min(a*{factor}^floor(t/{every}) + ({start}-a), {end}), {a}"

    def _at(self, t: np.ndarray) -> np.ndarray:
        assert self.horizon is not None
        stages = (self.horizon - self.every) / self.every
        a = (self.end - self.start) / (self.factor**stages - 1)
        values = a * self.factor ** np.floor(t / self.every) + (self.start - a)
        return np.minimum(values, self.end)


def _more_than_a_stage(schedule: GrowthTo | AffineGrowthTo) -> None:
    if schedule.horizon is not None and schedule.horizon <= schedule.every:
        raise ValueError(
            f"{type(schedule).__name__}.every must be < horizon {schedule.horizon:g}, got "
            f"{schedule.every:g}: with a single stage there is nothing to grow"
        )


@dataclass(frozen=True)
class Piecewise(Schedule):
    """A schedule with a list of values and the times at which the next value begins.

        value(t) = values[i] for boundaries[i-1] <= t < boundaries[i]

    Args:
        values: one value for each stretch, each >= 0.
        boundaries: the times, strictly increasing and > 0, one fewer than values.
        unit: "epoch" or "step".

    Raises:
        ValueError: if the lengths do not fit, a value is negative or the times do not increase.

    >>> lr = Piecewise((0.1, 0.01, 0.001), boundaries=(60, 120))
    >>> [lr(epoch) for epoch in (0, 59, 60, 119, 120)]
    [0.1, 0.1, 0.01, 0.01, 0.001]
    """

    values: tuple[float, ...]
    boundaries: tuple[float, ...]
    unit: Unit = "epoch"

    def __post_init__(self) -> None:
        check_fields(self)
        values = tuple(number("Piecewise.values", v, at_least=0) for v in self.values)
        times = tuple(number("Piecewise.boundaries", t, above=0) for t in self.boundaries)
        if len(values) != len(times) + 1:
            raise ValueError(
                f"Piecewise needs one boundary fewer than values, got {len(values)} values and "
                f"{len(times)} boundaries: the first value starts at 0"
            )
        if any(later <= sooner for sooner, later in pairwise(times)):
            raise ValueError(f"Piecewise.boundaries must increase, got {times}: sort them")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "boundaries", times)

    @property
    def formula(self) -> str:
        """Each value with the time from which it holds."""
        starts = (0.0, *self.boundaries)
        return ", ".join(f"{v:.6g} from {t:g}" for v, t in zip(self.values, starts, strict=True))

    def _at(self, t: np.ndarray) -> np.ndarray:
        return np.asarray(self.values)[np.searchsorted(self.boundaries, t, side="right")]


def as_schedule(value: Schedule | float, name: str = "value") -> Schedule:
    """Return a schedule as it is, and a number as :class:`Constant`.

    Raises:
        ValueError: if it is neither, or the number is negative, NaN or infinite.

    >>> as_schedule(0.1)
    Constant(value=0.1, unit='epoch')
    """
    fix = "wrap a function in UserSchedule" if callable(value) else "give a number or a schedule"
    if isinstance(value, Schedule):
        return value
    return Constant(number(name, value, at_least=0, fix=fix))
