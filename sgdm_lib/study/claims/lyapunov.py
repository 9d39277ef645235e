"""What Kondo & Iiduka's theorems say, judged where everything is known: no run, no seed.

The claims on schedules (i)-(iii) are about expected gradient norms. On a quadratic these are
computed exactly, to the last digit, next to the bounds of :mod:`sgdm_lib.theory`. The problem: 16
curvatures spread evenly on a logarithmic scale from 0.001 to L = 1, each with the same share of
Delta = 1, so that the squared gradient falls like 1/t without noise; variance 100; NSHB with
momentum 0.9 from learning rate 0.01 and batch size 8; stages of 2,500 steps. Growing batch sizes
double at each stage, growing learning rates gain a factor 1.2.

Asymptotic statements are judged by what becomes of a value when the number of steps is quadrupled,
from 2 stages to 8: a floor keeps nearly all of it, 1/sqrt(T) half, 1/T a quarter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from sgdm_lib import theory
from sgdm_lib.checks import choice
from sgdm_lib.study.claims import joint_growth
from sgdm_lib.study.criteria.verdict import Verdict, combine
from sgdm_lib.theory import Constants, Hyperparameters

LR, MOMENTUM, BATCH_SIZE, VARIANCE = 0.01, 0.9, 8.0, 100.0
STAGE, SHORT, LONG = 2_500, 2, 8
BATCH_GROWTH, LR_GROWTH = 2.0, 1.2
CURVATURES = np.geomspace(1e-3, 1.0, 16)
START = np.sqrt(2 / CURVATURES / CURVATURES.size)
DECAYS = {"constant": "constant lr", "cosine": "cosine", "diminishing": "1/√t"}
KEPT_BY_A_FLOOR, LOST_BY_CONVERGENCE = 0.7, 0.6

STATEMENTS = {
    "L1t": "(i) In theory a constant batch size leaves a noise floor, whatever the decay of the "
    "learning rate.",
    "L2t": "(ii) In theory a growing batch size with a decaying learning rate converges.",
    "L3t": "(iii) In theory batch size and learning rate growing together converge faster than "
    "(i) and (ii).",
}
"""The claims in our words."""

Array = npt.NDArray[np.float64]


def learning_rates(kind: str, stages: int) -> Array:
    """The learning rate of every step.

    Args:
        kind: "constant", "cosine" (to 0 at the end), "diminishing" (1/sqrt(1 + t/100)), "growing".
        stages: length of the run in stages.

    Raises:
        ValueError: if the kind is unknown.

    >>> learning_rates("growing", 2)[[0, -1]]
    array([0.01 , 0.012])
    """
    choice("kind", kind, (*DECAYS, "growing"))
    t = np.arange(stages * STAGE)
    if kind == "growing":
        return theory.staged(LR, LR_GROWTH, stages, STAGE)
    if kind == "cosine":
        return LR * (1 + np.cos(np.pi * t / t.size)) / 2
    return LR / np.sqrt(1 + t / 100) if kind == "diminishing" else np.full(t.size, LR)


def batch_sizes(kind: str, stages: int) -> Array:
    """The batch size of every step, "constant" or "growing".

    >>> batch_sizes("growing", 3)[[0, -1]]
    array([ 8., 32.])
    """
    growth = BATCH_GROWTH if choice("kind", kind, ("constant", "growing")) == "growing" else 1.0
    return theory.staged(BATCH_SIZE, growth, stages, STAGE)


def _run(batch: str, lr: str, stages: int) -> Hyperparameters:
    return Hyperparameters(learning_rates(lr, stages), MOMENTUM, batch_sizes(batch, stages))


@lru_cache(maxsize=64)
def least(batch: str, lr: str, stages: int = LONG) -> float:
    """The smallest expected squared gradient norm of the run, exactly."""
    problem = theory.quadratic_problem(CURVATURES, start=START, variance=VARIANCE)
    return float(theory.exact_gradient_norms(problem, _run(batch, lr, stages)).min())


@lru_cache(maxsize=64)
def bound(theorem: str, batch: str, lr: str, stages: int = LONG) -> float:
    """What "T2" or "T3" guarantees of that number; infinite where it does not apply."""
    choice("theorem", theorem, ("T2", "T3"))
    answer = theory.guarantees(_run(batch, lr, stages), Constants(1.0, VARIANCE, 1.0))[theorem]
    return float("inf") if answer.bound is None else float(answer.bound[-1])


def constant_batch_keeps_noise() -> Verdict:
    """L1t: (i) a constant batch size leaves a noise floor, whatever the learning rate does.

    True of the bound T3 and, at a constant learning rate, of the run; not of a falling one.

    >>> constant_batch_keeps_noise().outcome
    'mixed'
    """
    parts = {f"T3, {words}": _floor_of_bound(lr) for lr, words in DECAYS.items()}
    parts["T2, 1/√t"] = _keeps("the bound T2", _fall(bound, "T2", "constant", "diminishing"))
    parts |= {
        f"exact, {words}": _keeps("the exact value", _fall(least, "constant", lr))
        for lr, words in DECAYS.items()
    }
    return combine(STATEMENTS["L1t"], parts)


def growing_batch_converges() -> Verdict:
    """L2t: (ii) with a growing batch size and a decaying learning rate the norm tends to 0.

    >>> growing_batch_converges().outcome
    'holds'
    """
    parts = {
        f"T3, {words}": _falls("the bound T3", _fall(bound, "T3", "growing", lr))
        for lr, words in DECAYS.items()
    }
    parts |= {
        f"exact, {words}": _falls("the exact value", _fall(least, "growing", lr))
        for lr, words in DECAYS.items()
    }
    return combine(STATEMENTS["L2t"], parts)


def both_growing_is_faster() -> Verdict:
    """L3t: (iii) with the learning rate growing too, the norm is lower than under (i) and (ii).

    True of the bound T3, here against every schedule of (i) and (ii). Of the exact value it depends
    on the setting: see the map of :mod:`sgdm_lib.study.claims.joint_growth`, against (ii) with a
    constant learning rate.

    >>> both_growing_is_faster().outcome
    'mixed'
    """
    in_bound, exact = {}, {}
    for batch, lr in ((batch, lr) for batch in ("constant", "growing") for lr in DECAYS):
        label = f"against {'(i)' if batch == 'constant' else '(ii)'} {DECAYS[lr]}"
        ratio = bound("T3", "growing", "growing") / bound("T3", batch, lr)
        in_bound[label] = _below("the bound T3", ratio)
    found = joint_growth.comparisons()
    for name, one in found.items():
        exact[name] = _below("the exact value", one.ratio)
    parts = {
        "the bound T3": combine("", in_bound),
        f"exact, in {len(exact)} settings": combine("", exact),
    }
    verdict = combine(STATEMENTS["L3t"], parts)
    return replace(verdict, evidence=f"{verdict.evidence} {joint_growth.summary(found)}")


JUDGED: Mapping[str, Callable[[], Verdict]] = MappingProxyType(
    {
        "L1t": constant_batch_keeps_noise,
        "L2t": growing_batch_converges,
        "L3t": both_growing_is_faster,
    }
)
"""By id: what computes the verdict on a claim of theory."""


def _fall(value: Callable[..., float], *about: str) -> float:
    """What is left of a value when the number of steps is quadrupled."""
    return value(*about, LONG) / value(*about, SHORT)


def _floor_of_bound(lr: str) -> Verdict:
    ratio = bound("T3", "constant", lr) / (VARIANCE / BATCH_SIZE)
    return _one(ratio >= 1, ratio, "the bound T3 / (variance / batch size), at least 1")


def _keeps(what: str, left: float) -> Verdict:
    text = f"{what} after 4 T steps / after T, above {KEPT_BY_A_FLOOR:g}"
    return _one(left > KEPT_BY_A_FLOOR, left, text)


def _falls(what: str, left: float) -> Verdict:
    text = f"{what} after 4 T steps / after T, below {LOST_BY_CONVERGENCE:g}"
    return _one(left < LOST_BY_CONVERGENCE, left, text)


def _below(what: str, ratio: float) -> Verdict:
    return _one(ratio < 1, ratio, f"{what} after as many steps, (iii) / the other, below 1")


def _one(holds: bool, value: float, criterion: str) -> Verdict:
    outcome = "holds" if holds else "fails"
    return Verdict("", outcome, f"{value:.3g}.", criterion, value=value)
