"""The base class of schedules, the checks of their fields, and their form as JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields, replace
from typing import Any, Literal, Self, overload

import numpy as np

from sgdm_lib.checks import choice, number

Unit = Literal["epoch", "step"]
KINDS: dict[str, type[Schedule]] = {}
POSITIVE = {"above": 0.0}
NOT_NEGATIVE = {"at_least": 0.0}
FIXES = {  # the advice for a field outside its range
    "value": "a learning rate is about 0.1, a batch size at least 1",
    "start": "give the value of the first epoch",
    "end": "give the value to arrive at",
    "factor": "2 doubles from stage to stage, 0.5 halves",
    "every": "give the length of a stage",
    "cap": "give a limit, or None for none",
    "power": "1 is a straight line, 2 falls faster at first",
    "horizon": "leave it open: the plan knows the run's length",
}


class Schedule(ABC):
    """A hyperparameter as a pure function of time; the base class of all schedules.

    Subclasses are frozen dataclasses. Call one with a time, or with an array of times, counted
    from 0 in its ``unit``.
    """

    def __init_subclass__(cls) -> None:
        known = KINDS.get(cls.__name__)
        own = (__package__ + ".", "sgdm_lib.")  # the library may be reloaded
        if known and known.__module__.startswith(own) and not cls.__module__.startswith(own):
            raise TypeError(
                f"a schedule of your own cannot be called {cls.__name__}: records with that name "
                "mean the library's; choose another name"
            )
        KINDS[cls.__name__] = cls

    @property
    @abstractmethod
    def unit(self) -> Unit:
        """The unit of time: "epoch" or "step"."""

    @property
    @abstractmethod
    def formula(self) -> str:
        """The schedule as a formula in t (epochs or steps, from 0), for tables and records."""

    @abstractmethod
    def _at(self, t: np.ndarray) -> np.ndarray:
        """Return the values at the times ``t`` (float64)."""

    @property
    def open_horizon(self) -> bool:
        """Whether the schedule does not know yet how long the run is."""
        return getattr(self, "horizon", 0) is None

    @overload
    def __call__(self, t: float) -> float: ...
    @overload
    def __call__(self, t: np.ndarray) -> np.ndarray: ...
    def __call__(self, t: float | np.ndarray) -> float | np.ndarray:
        """Return the value at time ``t``, from 0 in the schedule's unit; an array for an array.

        Raises:
            ValueError: if the horizon is still open, or ``t`` is negative.
        """
        if self.open_horizon:
            raise ValueError(
                f"horizon must be known to evaluate {self.formula}, got None: "
                "give one, or let a TrainingPlan fill it in"
            )
        times = np.asarray(t, dtype=np.float64)
        if times.size and not times.min() >= 0:
            raise ValueError(f"t must be >= 0, got {times.min():g}: {self.unit}s start at 0")
        values = np.asarray(self._at(times), dtype=np.float64)
        return values if isinstance(t, np.ndarray) else float(values)

    def over(self, *, epochs: int, steps: int) -> Self:
        """Return this schedule for a run of known length, which fills in an open horizon.

        Args:
            epochs: length of the run in epochs.
            steps: length of the run in steps.

        Raises:
            ValueError: if a horizon was given and differs from the run's length.
        """
        length = epochs if self.unit == "epoch" else steps
        if self.open_horizon:
            return replace(self, horizon=length)  # type: ignore[type-var]
        horizon = getattr(self, "horizon", length)
        if horizon != length:
            relation = "longer" if horizon > length else "shorter"
            raise ValueError(
                f"horizon of {self.formula} must be {length} {self.unit}s, the time it has, "
                f"got {horizon:g} (the schedule is {relation} than the plan): leave horizon open, "
                "or change the number of epochs"
            )
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return a description that JSON can hold; :func:`from_dict` reads it back."""

        def plain(value: Any) -> Any:
            if isinstance(value, Schedule):
                return value.to_dict()
            return list(value) if isinstance(value, tuple) else value

        names = [f.name for f in fields(self)]  # type: ignore[arg-type]
        return {"kind": type(self).__name__, **{n: plain(getattr(self, n)) for n in names}}

    def __str__(self) -> str:
        return self.formula


def check_fields(schedule: Any, **limits: dict[str, float]) -> None:
    """Check the named fields of a frozen schedule and make them floats; ``None`` stays."""
    name = type(schedule).__name__
    for field, limit in limits.items():
        value = getattr(schedule, field)
        if value is not None:
            checked = number(f"{name}.{field}", value, **limit, fix=FIXES[field])
            object.__setattr__(schedule, field, checked)
    choice(f"{name}.unit", schedule.unit, ["epoch", "step"])


def check_schedule(name: str, value: Any) -> None:
    """Raise ValueError if a value is no schedule."""
    if not isinstance(value, Schedule):
        raise ValueError(
            f"{name} must be a schedule, got {value!r}: write Constant(...) for one value"
        )


def shown_horizon(horizon: float | None) -> str:
    """Return the horizon for a formula: its number, or T while it is open."""
    return "T" if horizon is None else f"{horizon:g}"


def from_dict(data: dict[str, Any]) -> Schedule:
    """Build the schedule that :meth:`Schedule.to_dict` described.

    Nothing is imported and no function is called: a function stays the name ``module:name``, unless
    this program has used or registered that very function
    (:func:`sgdm_lib.schedules.register`).

    Args:
        data: a mapping with ``kind`` and the fields of that schedule.

    Raises:
        ValueError: if the kind or a field is unknown, a field is missing or out of range.

    >>> from_dict({"kind": "Cosine", "start": 0.1})
    Cosine(start=0.1, end=0.0, horizon=None, unit='epoch')
    """
    if not isinstance(data, dict) or "kind" not in data:
        raise ValueError(f"a schedule must be a mapping with 'kind', got {data!r}")
    kind = KINDS[choice("schedule kind", data["kind"], KINDS)]
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    given: dict[str, Any] = {}
    for key, value in data.items():
        if key == "kind":
            continue
        choice(f"field of {data['kind']}", key, known)
        if isinstance(value, dict):
            value = from_dict(value)
        elif isinstance(value, list):
            value = tuple(value)
        given[key] = value
    try:
        return kind(**given)
    except TypeError as error:
        missing = str(error).partition("missing ")[2] or str(error)
        raise ValueError(f"schedule {data['kind']} lacks {missing}") from None
