"""Admissibility: which condition of a theorem fails, at which step, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sgdm_lib.theory._inputs import Array

# Conditions with "<=" hold with equality at their limit; one rounding error must not fail them.
_SLACK = 1e-12


@dataclass(frozen=True)
class Admissibility:
    """The verdict of one theorem about one setting; true where the theorem applies.

    Args:
        theorem: the theorem's name.
        condition: the condition that fails first, or the tightest one where all hold.
        step: the step it speaks about (from 0).
        value: the left-hand side of the condition at that step.
        limit: the right-hand side.
        ok: whether every condition holds.
    """

    theorem: str
    condition: str
    step: int
    value: float
    limit: float
    ok: bool

    @property
    def excess(self) -> float:
        """The difference value - limit: by how much it fails, or (negative) the margin left."""
        return self.value - self.limit

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        where = f"{self.condition}, step {self.step}: {self.value:.6g} against {self.limit:.6g}"
        if self.ok:
            return f"{self.theorem} applies; tightest condition {where}"
        return f"{self.theorem} does not apply: {where}, {self.excess:.3g} too much"

    def require(self) -> None:
        """Raise ``ValueError`` with the whole verdict unless the theorem applies."""
        if not self.ok:
            raise ValueError(f"{self}: lower the lr or choose another theorem")


@dataclass(frozen=True)
class Condition:
    """``value <= limit`` (or ``<`` if strict) at steps ``first_step, first_step + 1, ...``."""

    text: str
    value: Array | float
    limit: Array | float
    strict: bool = False
    first_step: int = 0

    def arrays(self) -> tuple[Array, Array]:
        """Value and limit with one entry a step."""
        value, limit = np.broadcast_arrays(np.atleast_1d(self.value), np.atleast_1d(self.limit))
        return value.astype(np.float64), limit.astype(np.float64)

    def holds(self) -> npt.NDArray[np.bool_]:
        """For every step whether the condition holds there."""
        value, limit = self.arrays()
        if self.strict:
            return value < limit
        finite_limit = np.where(np.isfinite(limit), np.abs(limit), 0.0)
        return value <= limit + _SLACK * np.maximum(np.abs(value), finite_limit)


def judge(theorem: str, conditions: Sequence[Condition]) -> Admissibility:
    """The earliest failure of several conditions, or the tightest one if all hold.

    >>> verdict = judge("demo", [Condition("lr <= 1", np.array([0.5, 2.0, 3.0]), 1.0)])
    >>> verdict.ok, verdict.step, verdict.value, verdict.limit, verdict.excess
    (False, 1, 2.0, 1.0, 1.0)
    >>> print(verdict)
    demo does not apply: lr <= 1, step 1: 2 against 1, 1 too much
    """
    failures, margins = [], []
    for order, condition in enumerate(conditions):
        value, limit = condition.arrays()
        if value.size == 0:
            continue
        bad = ~condition.holds()
        if bad.any():
            index = int(np.argmax(bad))
            failures.append((index + condition.first_step, order, index))
        else:
            size = np.maximum(np.maximum(np.abs(value), np.abs(limit)), np.finfo(float).tiny)
            with np.errstate(invalid="ignore"):
                margin = np.where(np.isinf(limit), np.inf, (limit - value) / size)
            index = int(np.argmin(margin))
            margins.append((float(margin[index]), order, index))
    if failures:
        _, order, index = min(failures)
    else:
        _, order, index = min(margins)
    condition = conditions[order]
    value, limit = condition.arrays()
    return Admissibility(
        theorem=theorem,
        condition=condition.text,
        step=index + condition.first_step,
        value=float(value[index]),
        limit=float(limit[index]),
        ok=not failures,
    )


def constant(lr: Array, unit: float) -> Condition:
    """The condition that the lr does not change: |lr[t] - lr[0]| <= 0."""
    return Condition("constant lr: |lr[t] - lr[0]| <= 0", np.abs(lr - lr[0]) * unit, 0.0)
