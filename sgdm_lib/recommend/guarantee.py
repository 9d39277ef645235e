"""What T3 says about a plan: its growth condition, and its bound up to two unknown constants.

T3 (:func:`sgdm_lib.theory.lyapunov_bound`) is the bound that follows from the Lyapunov function of
Kondo & Iiduka (2508.03105). It asks, at every step, ``beta^2 eta_{t+1} <= eta_t (1 - L (1-beta)
eta_t)``. The smoothness L of a network is unknown. So the condition is solved for L: the *largest*
L for which T3 covers the plan. If that is not positive, the lr jumps too fast whatever L is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sgdm_lib.checks import choice, number
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.theory import Hyperparameters, fastest_lr_growth, smoothness_limits

OPTIMIZERS = ("nshb", "shb")
_SLACK = 1e-12


@dataclass(frozen=True)
class GrowthGuarantee:
    """T3 asked about a plan; true where it applies.

    Args:
        plan: the plan; its momentum must be constant.
        optimizer: "nshb" or "shb", whose lr the plan's is.
        smoothness: L, the Lipschitz constant of the gradient, if known; None asks for any L > 0.

    Raises:
        ValueError: if the optimizer is another, the momentum changes or ``smoothness`` is not
            positive.

    The jumps of Kondo & Iiduka's tenfold growth, with the momentum of their other runs; they use
    0.87:

    >>> from sgdm_lib.schedules import GrowthTo, StageGrowth
    >>> b, lr = StageGrowth(8, 2, every=30), GrowthTo(0.1, 1.0, every=30)
    >>> tenfold = GrowthGuarantee(TrainingPlan(50_000, 300, b, lr, momentum=0.9))
    >>> print(tenfold)
    T3 does not apply: in epoch 31 (step 187,500) the lr jumps 1.292-fold, and momentum 0.9 admits
    less than 1.235-fold. With momentum 0.87 it applies.
    >>> print(GrowthGuarantee(TrainingPlan(50_000, 300, b, lr, momentum=0.87)))
    T3 applies for every L up to 0.223 (tightest in epoch 271, step 374,370): the least
    E||grad f||^2 is at most 0.000294 Delta + 0.0662 sigma^2.
    """

    plan: TrainingPlan
    optimizer: str = "nshb"
    smoothness: float | None = None

    def __post_init__(self) -> None:
        choice("optimizer", self.optimizer, OPTIMIZERS)
        if self.smoothness is not None:
            number("smoothness", self.smoothness, above=0)
        if np.ptp(self._per_step("momentum")) > 0:
            raise ValueError(
                f"momentum must be constant for T3, got {self.plan.momentum}: choose one value"
            )

    def _per_step(self, name: str) -> np.ndarray:
        return np.concatenate([self.plan.in_epoch(e)[name] for e in range(self.plan.epochs)])

    @cached_property
    def _lr(self) -> np.ndarray:
        return self._per_step("lr")

    @cached_property
    def momentum(self) -> float:
        """beta."""
        return float(self._per_step("momentum")[0])

    @cached_property
    def _limits(self) -> np.ndarray:
        return self._limits_with(self.momentum)

    def _limits_with(self, momentum: float) -> np.ndarray:
        """The largest L that T3 admits, one a jump; a single step has its end alone."""
        limits = smoothness_limits(
            "T3", Hyperparameters(self._lr, momentum, optimizer=self.optimizer)
        )
        return limits[1:] if limits.size > 1 else limits

    @property
    def smoothness_limit(self) -> float:
        """The largest L for which T3 applies; not positive if it applies for none."""
        return float(self._limits.min())

    @property
    def ok(self) -> bool:
        """Whether T3 applies: for the given L, or for some L > 0."""
        return bool(self._enough(self._limits).all())

    def _enough(self, limits: np.ndarray) -> np.ndarray:
        if self.smoothness is None:
            return limits > 0
        return limits >= self.smoothness * (1 - _SLACK)

    def __bool__(self) -> bool:
        return self.ok

    @cached_property
    def step(self) -> int:
        """The first step (from 0) whose lr violates T3; where it applies, the tightest one."""
        bad = ~self._enough(self._limits)
        index = int(np.argmax(bad) if bad.any() else np.argmin(self._limits))
        return min(index + 1, self._lr.size - 1)

    @property
    def epoch(self) -> int:
        """The epoch of :attr:`step`, from 0."""
        return self.plan.position(self.step).epoch

    @property
    def jump(self) -> float:
        """By which factor the lr changes at :attr:`step`."""
        before = float(self._lr[self.step - 1]) if self.step else float(self._lr[0])
        return float(self._lr[self.step]) / before if before else float("inf")

    @cached_property
    def fitting_momentum(self) -> float | None:
        """The largest momentum of two digits for which T3 covers this lr and L; None if none does.

        For "shb" the lr, not the size of its steps, is what stays.
        """
        for hundredths in range(99, -1, -1):
            if self._enough(self._limits_with(hundredths / 100)).all():
                return hundredths / 100
        return None

    @cached_property
    def distance(self) -> float:
        """What T3's bound charges for Delta = f(theta_0) - f*: 2/((1-beta) sum eta_t)."""
        scale = 1.0 if self.optimizer == "shb" else 1 - self.momentum
        return _over(2.0, scale * float(self._lr.sum()))

    @cached_property
    def noise(self) -> float:
        """What it charges for sigma^2: the mean of 1/b_t, weighted by the lr."""
        sizes = np.repeat(self.plan.batch_sizes, self.plan.steps)
        return _over(float((self._lr / sizes).sum()), float(self._lr.sum()))

    def __str__(self) -> str:
        place = f"in epoch {self.epoch + 1} (step {self.step:,})"
        if self.ok:
            return (
                f"T3 applies for every L up to {self.smoothness_limit:.3g} (tightest "
                f"{place[:-1].replace(' (', ', ')}): the least E||grad f||^2 is at most "
                f"{self.distance:.3g} Delta + {self.noise:.3g} sigma^2."
            )
        fit = self.fitting_momentum
        instead = f" With momentum {fit:g} it applies." if fit is not None else ""
        if self.smoothness_limit <= 0:
            fastest = fastest_lr_growth(self.momentum)
            return (
                f"T3 does not apply: {place} the lr jumps {self.jump:.4g}-fold, and momentum "
                f"{self.momentum:g} admits less than {fastest:.4g}-fold.{instead}"
            )
        share = self.smoothness_limit / (self.smoothness or 1.0)
        return (
            f"T3 does not apply for L = {self.smoothness:g}: {place} the lr is too large; it "
            f"applies up to L = {self.smoothness_limit:.3g}, or with every lr multiplied by "
            f"{share:.3g}.{instead}"
        )


def _over(above: float, below: float) -> float:
    return above / below if below > 0 else float("inf")
