"""When (iii), batch size and learning rate growing together, is below (ii): a map over settings.

Kondo & Iiduka's theorems rank *bounds*. What the runs do is computed here exactly, on quadratics
like that of :mod:`sgdm_lib.study.claims.lyapunov`: the smallest expected squared gradient norm
under
(iii), divided by that under (ii) with the same batch sizes and the first learning rate throughout.
One setting shows one sign; these 14 show what it depends on: whether the distance from the minimum
(the bias) or the noise makes up most of the norm with which (ii) ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from sgdm_lib import theory
from sgdm_lib.theory import Constants, Hyperparameters

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """A quadratic with L = Delta = 1 and a pair of growing schedules; NSHB."""

    lr: float = 0.01
    """First learning rate."""
    batch_size: float = 8.0
    """First batch size."""
    variance: float = 100.0
    """sigma^2 of a single-sample gradient."""
    batch_growth: float = 2.0
    """delta: factor of the batch size at each stage."""
    lr_growth: float = 1.2
    """gamma: factor of the learning rate at each stage in (iii)."""
    stages: int = 8
    """Number of stages."""
    stage_steps: int = 2_500
    """Steps of a stage."""
    condition: float = 1_000.0
    """Largest over smallest of the 16 curvatures, which are spread evenly on a log scale."""
    momentum: float = 0.9
    """beta."""

    @property
    def curvatures(self) -> Array:
        """The 16 curvatures, the largest of them 1."""
        return np.geomspace(1 / self.condition, 1.0, 16)

    @property
    def batch_sizes(self) -> Array:
        """b_t of every step."""
        return theory.staged(self.batch_size, self.batch_growth, self.stages, self.stage_steps)

    @property
    def growing_lr(self) -> Array:
        """eta_t of every step under (iii)."""
        return theory.staged(self.lr, self.lr_growth, self.stages, self.stage_steps)


_DEFAULT = Setting()
SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {
        "the setting of L1t": _DEFAULT,
        "σ² = 1": replace(_DEFAULT, variance=1.0),
        "σ² = 1,000": replace(_DEFAULT, variance=1e3),
        "σ² = 10,000": replace(_DEFAULT, variance=1e4),
        "batch grows by 1.5": replace(_DEFAULT, batch_growth=1.5),
        "batch grows by 1.3": replace(_DEFAULT, batch_growth=1.3),
        "lr grows by 1.1": replace(_DEFAULT, lr_growth=1.1),
        "first lr 0.05": replace(_DEFAULT, lr=0.05),
        "first batch size 1": replace(_DEFAULT, batch_size=1.0),
        "4 stages": replace(_DEFAULT, stages=4),
        "16 stages": replace(_DEFAULT, stages=16),
        "stages of 500 steps": replace(_DEFAULT, stage_steps=500),
        "condition number 10": replace(_DEFAULT, condition=10.0),
        "condition number 1": replace(_DEFAULT, condition=1.0),
    }
)
"""One number changed at a time; T3 applies to (iii) in each of them."""


@dataclass(frozen=True)
class Comparison:
    """What (iii) and (ii) come to in one setting."""

    ratio: float
    """Exact: least E||grad f||^2 under (iii) / under (ii) with a constant learning rate."""
    bound_ratio: float
    """The same of the bounds T3."""
    from_start_ratio: float
    """Exact: (iii) / (ii) with the *last* learning rate of (iii) from the start."""
    noise_share: float
    """Share of noise in the least E||grad f||^2 under (ii); the rest is bias."""

    @property
    def bias_dominates(self) -> bool:
        """Whether (ii) ends with more bias than noise."""
        return self.noise_share < 0.5


@lru_cache(maxsize=64)
def compare(setting: Setting) -> Comparison:
    """Compute (iii) against (ii) exactly, next to what T3 guarantees.

    Raises:
        ValueError: if T3 does not apply to one of the two.

    >>> found = compare(Setting(stages=4, stage_steps=500))
    >>> found.ratio < 1, found.bias_dominates
    (True, True)
    """
    s = setting
    lam = s.curvatures
    start, sizes, growing = np.sqrt(2 / lam / lam.size), s.batch_sizes, s.growing_lr
    flat = np.full(growing.size, s.lr)

    def norms(lr: Array, variance: float) -> Array:
        problem = theory.quadratic_problem(lam, start=start, variance=variance)
        return theory.exact_gradient_norms(problem, Hyperparameters(lr, s.momentum, sizes))

    def bound(lr: Array) -> float:
        run = Hyperparameters(lr, s.momentum, sizes)
        return float(theory.lyapunov_bound(run, Constants(1.0, s.variance, 1.0))[-1])

    both, batch_only = norms(growing, s.variance).min(), norms(flat, s.variance)
    at = int(batch_only.argmin())
    from_start = norms(np.full(growing.size, growing[-1]), s.variance).min()
    return Comparison(
        ratio=float(both / batch_only[at]),
        bound_ratio=bound(growing) / bound(flat),
        from_start_ratio=float(both / from_start),
        noise_share=float(1 - norms(flat, 0.0)[at] / batch_only[at]),
    )


def comparisons() -> dict[str, Comparison]:
    """Every setting of the map with what comes out, in some seconds."""
    return {name: compare(setting) for name, setting in SETTINGS.items()}


def summary(found: Mapping[str, Comparison]) -> str:
    """In one sentence: in how many settings (iii) is lower, and whether bias decides it.

    >>> low, high = Comparison(0.8, 0.6, 1.3, 0.1), Comparison(2.0, 0.6, 1.0, 0.7)
    >>> summary({"a": low, "b": high})
    'Exactly, (iii) is below (ii) in 1 of 2 settings: depends, while bias dominates it is.'
    """
    lower = [name for name, c in found.items() if c.ratio < 1]
    head = f"Exactly, (iii) is below (ii) in {len(lower)} of {len(found)} settings"
    if len(lower) in (0, len(found)):
        return f"{head}."
    if all((c.ratio < 1) is c.bias_dominates for c in found.values()):
        return f"{head}: depends, while bias dominates it is."
    return f"{head}: depends on the setting."


def table(found: Mapping[str, Comparison]) -> dict[str, list[float | str]]:
    """The map as columns for :func:`sgdm_lib.plots.table`, least noise first."""
    rows = sorted(found.items(), key=lambda item: item[1].noise_share)
    return {
        "setting": [name for name, _ in rows],
        "noise in (ii)": [f"{100 * c.noise_share:.0f}%" for _, c in rows],
        "(iii) / (ii), exact": [c.ratio for _, c in rows],
        "(iii) / (ii), bound T3": [c.bound_ratio for _, c in rows],
        "(iii) / last lr from the start, exact": [c.from_start_ratio for _, c in rows],
    }
