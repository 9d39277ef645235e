"""Random cases for ``check_theory.py``: a theorem, an admissible setting, and a forbidden one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sgdm_lib import theory

Array = np.ndarray


@dataclass
class Case:
    """One admissible setting of one theorem, its bound, and the same setting made inadmissible."""

    lr: Array
    momentum: float
    batch_size: Array
    bound: Array
    weights: Array
    forbidden: theory.Admissibility
    expected: str  # how the condition begins that must fail in the forbidden setting
    nu: float = 1.0
    optimizer: str = "nshb"

    @property
    def reported(self) -> bool:
        """Whether the forbidden setting is refused for the right reason, with a positive excess."""
        verdict = self.forbidden
        right = verdict.condition.startswith(self.expected)
        return not verdict.ok and right and verdict.excess >= 0


class Draw:
    """Random ingredients of one case."""

    def __init__(self, rng: np.random.Generator, problem: theory.Problem, steps: int):
        self.rng, self.steps = rng, steps
        self.constants = {
            "smoothness": problem.smoothness,
            "variance": problem.variance,
            "initial_gap": theory.initial_gap(problem),
        }
        self.smoothness = problem.smoothness
        self.momentum = float(rng.choice([0.0, 0.5, 0.9, 0.99, rng.uniform(0, 0.99)]))
        self.optimizer = str(rng.choice(["nshb", "shb"]))
        self.share = float(rng.choice([0.9999, rng.uniform(0.05, 1), 10 ** rng.uniform(-2, 0)]))
        self.too_much = float(rng.uniform(1.001, 3))

    @property
    def unit(self) -> float:
        """The optimizer's lr for NSHB's lr 1."""
        return 1 - self.momentum if self.optimizer == "shb" else 1.0

    def batches(self) -> Array:
        """Constant, linear, doubling, random, shrinking or cyclical batch sizes from 1 to 64."""
        t, total = np.arange(self.steps), self.steps
        kind = self.rng.integers(6)
        if kind == 0:
            return np.full(total, float(self.rng.integers(1, 65)))
        if kind == 1:
            return np.minimum(1.0 + t // self.rng.integers(1, 20), 64)
        if kind == 2:
            return 2.0 ** np.minimum(t // max(1, total // 7), 6)
        if kind == 3:
            return self.rng.integers(1, 65, total).astype(float)
        if kind == 4:
            return np.maximum(64.0 - t // max(1, total // 64), 1)
        return 2.0 ** (t // 5 % self.rng.integers(2, 7))

    def shape(self, *, falling: bool = False) -> Array:
        """An lr schedule with maximum about 1: constant, decays, growth, warm-up, steps, random."""
        t, total = np.arange(self.steps), self.steps
        kind = self.rng.integers(5 if falling else 9)
        if kind == 0:
            return np.ones(total)
        if kind == 1:
            return 1 / np.sqrt(t + 1)
        if kind == 2:
            return 0.5 * (1 + np.cos(np.pi * t / total))
        if kind == 3:
            return (1 - t / total) ** self.rng.uniform(0.5, 3)
        if kind == 4:
            return self.rng.uniform(0.1, 0.9) ** (t * 4 // total)
        if kind == 5:
            return self.rng.uniform(1.05, 2) ** (t * 6 // total - 5.0)
        if kind == 6:
            return np.minimum(1.0, (t + 1) / max(1, total // 5))
        if kind == 7:
            warm = max(1, total // 5)
            decay = 0.5 * (1 + np.cos(np.pi * (t - warm) / max(1, total - warm)))
            return np.where(t < warm, t / warm, decay)
        return self.rng.uniform(0.5, 1, total)


def constant_case(draw: Draw) -> Case:
    """T1, every kappa and nu."""
    nu = 1.0 if draw.optimizer == "shb" else float(draw.rng.choice([1.0, draw.rng.uniform()]))
    kappa = draw.rng.choice([None, 1.0, 10 ** draw.rng.uniform(-2, 2)])
    own = {"nu": nu, "kappa": kappa, "optimizer": draw.optimizer}
    limit = theory.constant_lr_limit(draw.momentum, smoothness=draw.smoothness, **own)
    lr, batches = np.full(draw.steps, draw.share * limit), draw.batches()
    bound = theory.constant_lr_bound(lr, draw.momentum, batches, **draw.constants, **own)
    forbidden = theory.constant_lr_condition(
        lr / draw.share * draw.too_much, draw.momentum, smoothness=draw.smoothness, **own
    )
    weights = np.ones(draw.steps)
    return Case(lr, draw.momentum, batches, bound, weights, forbidden, "lr <", nu, draw.optimizer)


def certificate_case(draw: Draw) -> Case:
    """T2: the share of a step spent on curvature is linear in the lr, so its limit is known."""
    nu = 1.0 if draw.optimizer == "shb" else float(draw.rng.choice([1.0, draw.rng.uniform()]))
    kappa = float(draw.rng.choice([1.0, 10 ** draw.rng.uniform(-1, 1)]))
    own = {"nu": nu, "kappa": kappa, "optimizer": draw.optimizer}
    small, batches = draw.shape() * 1e-6, draw.batches()
    weights, _, z_lr = theory.certificate_weights(
        small, draw.momentum, smoothness=draw.smoothness, **own
    )
    used = np.divide(z_lr - weights, z_lr, out=np.zeros_like(z_lr), where=z_lr > 0).max()
    lr = small / used * draw.share
    result = theory.schedule_certificate(lr, draw.momentum, batches, **draw.constants, **own)
    forbidden = theory.certificate_condition(
        small / used * draw.too_much, draw.momentum, smoothness=draw.smoothness, **own
    )
    return Case(
        lr,
        draw.momentum,
        batches,
        result.bound,
        result.weights,
        forbidden,
        "weight A_t",
        nu,
        draw.optimizer,
    )


def growing_case(draw: Draw) -> Case:
    """T2's closed form for bounded growth of the look-ahead average."""
    own = {"smoothness": draw.smoothness, "optimizer": draw.optimizer}
    small, batches = draw.shape() * 1e-9, draw.batches()
    if not theory.growing_lr_condition(small, draw.momentum, **own):
        small = draw.shape(falling=True) * 1e-9
    verdict = theory.growing_lr_condition(small, draw.momentum, **own)
    while not verdict.condition.startswith("look-ahead"):  # raise the lr until it is the tight one
        small = small * 10
        verdict = theory.growing_lr_condition(small, draw.momentum, **own)
    top = theory.look_ahead(small, draw.momentum).max()
    scale = verdict.limit / top
    lr = small * scale * draw.share
    bound = theory.growing_lr_bound(
        lr, draw.momentum, batches, **draw.constants, optimizer=draw.optimizer
    )
    forbidden = theory.growing_lr_condition(small * scale * draw.too_much, draw.momentum, **own)
    weights = theory.look_ahead(lr, draw.momentum)
    return Case(
        lr, draw.momentum, batches, bound, weights, forbidden, "look-ahead", 1.0, draw.optimizer
    )


def lyapunov_case(draw: Draw) -> Case:
    """T3: any schedule whose growth it allows."""
    beta, shape = draw.momentum, np.maximum(draw.shape(), 1e-3)
    if np.any(shape[:-1] <= beta**2 * shape[1:]):
        shape = np.maximum(draw.shape(falling=True), 1e-3)
    curve = draw.smoothness * (1 - beta)
    top = np.min((shape[:-1] - beta**2 * shape[1:]) / shape[:-1] ** 2, initial=1 / shape[-1])
    lr, batches = shape * top / curve * draw.share * draw.unit, draw.batches()
    own = {"smoothness": draw.smoothness, "optimizer": draw.optimizer}
    bound = theory.lyapunov_bound(lr, beta, batches, **draw.constants, optimizer=draw.optimizer)
    if draw.steps > 1 and beta > 0.1 and draw.rng.integers(2):  # a jump faster than 1/momentum^2
        jump = lr.copy()
        jump[draw.steps // 2 :] *= 1.01 * theory.fastest_lr_growth(beta) * lr.max() / lr.min()
        forbidden, expected = theory.lyapunov_condition(jump, beta, **own), "lr growth"
    else:
        forbidden = theory.lyapunov_condition(lr / draw.share * draw.too_much, beta, **own)
        expected = "l"
    return Case(lr, beta, batches, bound, lr, forbidden, expected, 1.0, draw.optimizer)


def nonincreasing_case(draw: Draw) -> Case:
    """T3Q."""
    own = {"smoothness": draw.smoothness, "optimizer": draw.optimizer}
    shape, batches = draw.shape(falling=True), draw.batches()
    shape = shape / shape[0] * 2 / draw.smoothness * draw.unit
    lr = shape * draw.share
    bound = theory.nonincreasing_lr_bound(
        lr, draw.momentum, batches, **draw.constants, optimizer=draw.optimizer
    )
    if draw.rng.integers(2):
        grown = np.append(lr, lr[-1] * 1.01 + 1e-9)
        forbidden = theory.nonincreasing_lr_condition(grown, draw.momentum, **own)
        expected = "non-increasing"
    else:
        too_much = shape * draw.too_much
        forbidden = theory.nonincreasing_lr_condition(too_much, draw.momentum, **own)
        expected = "lr[0] <"
    return Case(lr, draw.momentum, batches, bound, lr, forbidden, expected, 1.0, draw.optimizer)


def family_case(draw: Draw) -> Case:
    """T3x with the best weight, or any weight of its interval."""
    own = {"smoothness": draw.smoothness, "optimizer": draw.optimizer}
    limit, batches = 2 / draw.smoothness * draw.unit, draw.batches()
    lr = np.full(draw.steps, limit * draw.share)
    low, high = theory.weight_interval(lr[0], draw.momentum, **own)
    x = float(draw.rng.uniform(low, high)) if draw.rng.integers(2) else None
    bound = theory.lyapunov_family_bound(
        lr, draw.momentum, batches, **draw.constants, optimizer=draw.optimizer, x=x
    )
    if x is not None and draw.momentum > 0:
        outside = max(0.5 * low, 1e-12) if draw.rng.integers(2) else 0.5 * (1 + high)
        forbidden = theory.lyapunov_family_condition(lr, draw.momentum, x=outside, **own)
        expected = ("P > 0", "D > 0")
    else:
        too_much = lr / draw.share * draw.too_much
        forbidden = theory.lyapunov_family_condition(too_much, draw.momentum, **own)
        expected = ("lr < 2/L",)
    name = forbidden.condition if forbidden.condition.startswith(expected) else expected[0]
    weights = np.ones(draw.steps)
    return Case(lr, draw.momentum, batches, bound, weights, forbidden, name, 1.0, draw.optimizer)


def sgd_case(draw: Draw) -> Case:
    """The SGD bound under any lr below 2/L."""
    shape, batches = draw.shape() * 2 / draw.smoothness, draw.batches()
    lr = shape * draw.share
    bound = theory.sgd_bound(lr, batches, **draw.constants)
    too_much = lr / lr.max() * 2 / draw.smoothness * draw.too_much
    forbidden = theory.sgd_condition(too_much, smoothness=draw.smoothness)
    return Case(lr, 0.0, batches, bound, lr, forbidden, "lr < 2/L")


def printed_case(draw: Draw, theorem: str, version: str) -> Case:
    """Kamo & Iiduka's theorems: repaired for every momentum > 0, printed where T1 proves them."""
    if version == "printed":
        thresholds = theory.momentum_thresholds()
        least = thresholds.theorem_31 if theorem == "3.1" else thresholds.bias
        draw.momentum = float(draw.rng.uniform(least, 0.99))
    draw.momentum = draw.momentum or 0.01
    limits = theory.lr_limits(draw.momentum, smoothness=draw.smoothness)
    second = limits.second_constant if theorem == "3.1" else limits.second_growth
    limit = (limits.first if version == "printed" else min(limits.first, second)) * draw.unit
    lr = limit * draw.share
    own = {"version": version, "optimizer": draw.optimizer}
    settings = {**draw.constants, **own, "steps": draw.steps}
    smooth = {"smoothness": draw.smoothness, **own}
    # the printed maximum may exceed its first entry; go beyond both
    beyond = draw.too_much * max(limit, (second if version == "printed" else 0) * draw.unit)
    if theorem == "3.1":
        batches = np.full(draw.steps, float(draw.rng.integers(1, 65)))
        bound = theory.theorem_31_bound(lr, draw.momentum, batches[0], **settings)
        forbidden = theory.theorem_31_condition(beyond, draw.momentum, **smooth)
    elif theorem == "A.4":
        batches = draw.batches()
        bound = theory.lemma_a4_bound(lr, draw.momentum, batches, **settings)
        forbidden = theory.lemma_a4_condition(beyond, draw.momentum, **smooth)
    else:
        growth, stages = (
            (4, 4) if version == "repaired" else (max(2, 1 + int(draw.momentum**-2)), 2)
        )
        longest = -(-draw.steps // stages)
        batches = theory.staged(1, growth, stages, longest)[: draw.steps]
        stage = {"growth": growth, "stage_steps": longest}
        bound = theory.theorem_32_bound(lr, draw.momentum, 1, **stage, **settings)
        forbidden = theory.theorem_32_condition(beyond, draw.momentum, growth=growth, **smooth)
    steps = np.full(draw.steps, lr)
    weights = np.ones(draw.steps)
    return Case(
        steps, draw.momentum, batches, bound, weights, forbidden, "lr <=", 1.0, draw.optimizer
    )


THEOREMS: dict[str, Callable[[Draw], Case]] = {
    "SGD": sgd_case,
    "T1": constant_case,
    "T2": certificate_case,
    "T2 growth": growing_case,
    "T3": lyapunov_case,
    "T3Q": nonincreasing_case,
    "T3x": family_case,
    "K&I 3.1 repaired": lambda draw: printed_case(draw, "3.1", "repaired"),
    "K&I 3.2 repaired": lambda draw: printed_case(draw, "3.2", "repaired"),
    "K&I A.4 repaired": lambda draw: printed_case(draw, "A.4", "repaired"),
    "K&I 3.1 printed": lambda draw: printed_case(draw, "3.1", "printed"),
    "K&I 3.2 printed": lambda draw: printed_case(draw, "3.2", "printed"),
}
