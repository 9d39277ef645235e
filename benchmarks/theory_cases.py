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

    run: theory.Hyperparameters
    bound: Array
    weights: Array
    forbidden: theory.Admissibility
    expected: str  # how the condition begins that must fail in the forbidden setting

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
        self.constants = theory.constants(problem)
        self.smoothness = problem.smoothness
        self.momentum = float(rng.choice([0.0, 0.5, 0.9, 0.99, rng.uniform(0, 0.99)]))
        self.optimizer = str(rng.choice(["nshb", "shb"]))
        self.share = float(rng.choice([0.9999, rng.uniform(0.05, 1), 10 ** rng.uniform(-2, 0)]))
        self.too_much = float(rng.uniform(1.001, 3))

    @property
    def unit(self) -> float:
        """The optimizer's lr for NSHB's lr 1."""
        return 1 - self.momentum if self.optimizer == "shb" else 1.0

    def run(self, lr: Array, batch_size: Array = 1.0, nu: float = 1.0) -> theory.Hyperparameters:
        """A run with the case's momentum and optimizer."""
        return theory.Hyperparameters(
            lr, self.momentum, batch_size, nu=nu, optimizer=self.optimizer
        )

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
    limit = theory.constant_lr_limit(
        draw.momentum, smoothness=draw.smoothness, nu=nu, kappa=kappa, optimizer=draw.optimizer
    )
    run = draw.run(np.full(draw.steps, draw.share * limit), draw.batches(), nu=nu)
    bound = theory.constant_lr_bound(run, draw.constants, kappa=kappa)
    beyond = draw.run(run.lr / draw.share * draw.too_much, nu=nu)
    forbidden = theory.constant_lr_condition(beyond, draw.smoothness, kappa=kappa)
    return Case(run, bound, np.ones(draw.steps), forbidden, "lr <")


def certificate_case(draw: Draw) -> Case:
    """T2: the share of a step spent on curvature is linear in the lr, so its limit is known."""
    nu = 1.0 if draw.optimizer == "shb" else float(draw.rng.choice([1.0, draw.rng.uniform()]))
    kappa = float(draw.rng.choice([1.0, 10 ** draw.rng.uniform(-1, 1)]))
    small, batches = draw.shape() * 1e-6, draw.batches()
    weights, _, z_lr = theory.certificate_weights(
        draw.run(small, nu=nu), draw.smoothness, kappa=kappa
    )
    used = np.divide(z_lr - weights, z_lr, out=np.zeros_like(z_lr), where=z_lr > 0).max()
    run = draw.run(small / used * draw.share, batches, nu=nu)
    result = theory.schedule_certificate(run, draw.constants, kappa=kappa)
    beyond = draw.run(small / used * draw.too_much, nu=nu)
    forbidden = theory.certificate_condition(beyond, draw.smoothness, kappa=kappa)
    return Case(run, result.bound, result.weights, forbidden, "weight A_t")


def growing_case(draw: Draw) -> Case:
    """T2's closed form for bounded growth of the look-ahead average."""

    def judge(lr: Array) -> theory.Admissibility:
        return theory.growing_lr_condition(draw.run(lr), draw.smoothness)

    small, batches = draw.shape() * 1e-9, draw.batches()
    if not judge(small):
        small = draw.shape(falling=True) * 1e-9
    verdict = judge(small)
    while not verdict.condition.startswith("look-ahead"):  # raise the lr until it is the tight one
        small = small * 10
        verdict = judge(small)
    scale = verdict.limit / theory.look_ahead(small, draw.momentum).max()
    run = draw.run(small * scale * draw.share, batches)
    bound = theory.growing_lr_bound(run, draw.constants)
    weights = theory.look_ahead(run.lr, draw.momentum)
    return Case(run, bound, weights, judge(small * scale * draw.too_much), "look-ahead")


def lyapunov_case(draw: Draw) -> Case:
    """T3: any schedule whose growth it allows."""
    beta, shape = draw.momentum, np.maximum(draw.shape(), 1e-3)
    if np.any(shape[:-1] <= beta**2 * shape[1:]):
        shape = np.maximum(draw.shape(falling=True), 1e-3)
    curve = draw.smoothness * (1 - beta)
    top = np.min((shape[:-1] - beta**2 * shape[1:]) / shape[:-1] ** 2, initial=1 / shape[-1])
    lr, batches = shape * top / curve * draw.share * draw.unit, draw.batches()
    run = draw.run(lr, batches)
    bound = theory.lyapunov_bound(run, draw.constants)
    if draw.steps > 1 and beta > 0.1 and draw.rng.integers(2):  # a jump faster than 1/momentum^2
        beyond, expected = lr.copy(), "lr growth"
        beyond[draw.steps // 2 :] *= 1.01 * theory.fastest_lr_growth(beta) * lr.max() / lr.min()
    else:
        beyond, expected = lr / draw.share * draw.too_much, "l"
    forbidden = theory.lyapunov_condition(draw.run(beyond), draw.smoothness)
    return Case(run, bound, lr, forbidden, expected)


def nonincreasing_case(draw: Draw) -> Case:
    """T3Q."""
    shape, batches = draw.shape(falling=True), draw.batches()
    shape = shape / shape[0] * 2 / draw.smoothness * draw.unit
    lr = shape * draw.share
    run = draw.run(lr, batches)
    bound = theory.nonincreasing_lr_bound(run, draw.constants)
    if draw.rng.integers(2):
        beyond, expected = np.append(lr, lr[-1] * 1.01 + 1e-9), "non-increasing"
    else:
        beyond, expected = shape * draw.too_much, "lr[0] <"
    forbidden = theory.nonincreasing_lr_condition(draw.run(beyond), draw.smoothness)
    return Case(run, bound, lr, forbidden, expected)


def family_case(draw: Draw) -> Case:
    """T3x with the best weight, or any weight of its interval."""
    limit, batches = 2 / draw.smoothness * draw.unit, draw.batches()
    run = draw.run(np.full(draw.steps, limit * draw.share), batches)
    low, high = theory.weight_interval(run, draw.smoothness)
    x = float(draw.rng.uniform(low, high)) if draw.rng.integers(2) else None
    bound = theory.lyapunov_family_bound(run, draw.constants, x=x)
    if x is not None and draw.momentum > 0:
        outside = max(0.5 * low, 1e-12) if draw.rng.integers(2) else 0.5 * (1 + high)
        forbidden = theory.lyapunov_family_condition(run, draw.smoothness, x=outside)
        expected = ("P > 0", "D > 0")
    else:
        beyond = draw.run(run.lr / draw.share * draw.too_much)
        forbidden = theory.lyapunov_family_condition(beyond, draw.smoothness)
        expected = ("lr < 2/L",)
    name = forbidden.condition if forbidden.condition.startswith(expected) else expected[0]
    return Case(run, bound, np.ones(draw.steps), forbidden, name)


def sgd_case(draw: Draw) -> Case:
    """The SGD bound under any lr below 2/L."""
    draw.momentum, draw.optimizer = 0.0, "nshb"
    shape, batches = draw.shape() * 2 / draw.smoothness, draw.batches()
    lr = shape * draw.share
    run = draw.run(lr, batches)
    bound = theory.sgd_bound(run, draw.constants)
    beyond = draw.run(lr / lr.max() * 2 / draw.smoothness * draw.too_much)
    return Case(run, bound, lr, theory.sgd_condition(beyond, draw.smoothness), "lr < 2/L")


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
    lr = np.full(draw.steps, limit * draw.share)
    own = {"version": version}
    # the printed maximum may exceed its first entry; go beyond both
    most = max(limit, (second if version == "printed" else 0) * draw.unit)
    beyond = draw.run(draw.too_much * most)
    if theorem == "3.1":
        run = draw.run(lr, np.full(draw.steps, float(draw.rng.integers(1, 65))))
        bound = theory.theorem_31_bound(run, draw.constants, **own)
        forbidden = theory.theorem_31_condition(beyond, draw.smoothness, **own)
    elif theorem == "A.4":
        run = draw.run(lr, draw.batches())
        bound = theory.lemma_a4_bound(run, draw.constants, **own)
        forbidden = theory.lemma_a4_condition(beyond, draw.smoothness, **own)
    else:
        growth, stages = (
            (4, 4) if version == "repaired" else (max(2, 1 + int(draw.momentum**-2)), 2)
        )
        own, longest = own | {"growth": growth}, -(-draw.steps // stages)
        run = draw.run(lr, theory.staged(1, growth, stages, longest)[: draw.steps])
        bound = theory.theorem_32_bound(
            draw.run(lr, 1.0), draw.constants, stage_steps=longest, **own
        )
        forbidden = theory.theorem_32_condition(beyond, draw.smoothness, **own)
    return Case(run, bound, np.ones(draw.steps), forbidden, "lr <=")


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
