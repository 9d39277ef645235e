"""Claims of Kamo & Iiduka 2025 that no curve decides: measured, or computed exactly.

K15, that the learning rates used lie in the range the theorems allow, needs the curvature L along a
run (:func:`sgdm_lib.gradients.largest_curvature`). K16, what the theorems say of constant and of
growing batch sizes, is checked on a quadratic, where the expected squared gradient norm obeys a
recursion and nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sgdm_lib import theory
from sgdm_lib.checks import number
from sgdm_lib.study.criteria.verdict import Verdict
from sgdm_lib.theory import Hyperparameters

STATEMENTS = {
    "K15": "The learning rates used lie in the range that the theorems allow.",
    "K16": "With a constant batch size a term of order σ²/b is left; with a geometrically growing "
    "one the average squared gradient norm is of order 1/T.",
}
"""The claims in our words; sections 3 and 4, Theorems 3.1, 3.2, A.1, A.2, appendix A.7."""


def lr_within_limit(
    lr: float, momentum: float, curvatures: Sequence[float], *, optimizer: str = "nshb"
) -> Verdict:
    """Whether a learning rate meets the condition of the printed theorems, where L was measured.

    The condition of Theorems 3.1 and 3.2 (SHB: A.1 and A.2) as printed is
    ``lr <= (1-beta) / (2 sqrt(2) sqrt(beta+beta^2) L)``, for SHB times ``1-beta``. A measured
    curvature is a lower bound of L, so that a learning rate that fails here fails for L too, while
    one that passes might still fail. *Holds* if it passes at every point, *fails* if
    at none. The judged value is lr / limit.

    Args:
        lr: the learning rate, > 0.
        momentum: beta, in (0, 1).
        curvatures: measured along the runs, in absolute value.
        optimizer: "nshb" or "shb".

    Returns:
        The verdict; its value is the ratio's geometric mean over the points.

    Raises:
        ValueError: if there are no curvatures or an argument is out of range.

    >>> lr_within_limit(0.1, 0.9, [1.0, 4.0]).evidence
    'lr / limit 7.4, 3.7 to 14.8, at 2 points along the runs.'
    """
    lr = number("lr", lr, above=0)
    if not len(curvatures):
        raise ValueError("curvatures must hold at least one value, got none: measure one")
    sizes = np.abs(np.asarray(curvatures, dtype=float))
    unit = 1 - momentum if optimizer == "shb" else 1.0
    limits = [unit * theory.lr_limits(momentum, smoothness=float(L)).first for L in sizes]
    ratios = lr / np.array(limits)
    run = Hyperparameters(lr, momentum, optimizer=optimizer)
    within = np.array([bool(theory.theorem_31_condition(run, float(L))) for L in sizes])
    outcome = "holds" if within.all() else "mixed" if within.any() else ""
    mean = float(np.exp(np.log(ratios).mean()))
    return Verdict(
        STATEMENTS["K15"],
        outcome or "fails",
        f"lr / limit {mean:.3g}, {ratios.min():.3g} to {ratios.max():.3g}, "
        f"at {len(ratios)} points along the runs.",
        "lr at most (1-beta)/(2 sqrt(2) sqrt(beta+beta^2) L) (SHB: times 1-beta), with the largest "
        "measured curvature for L, at every point (partly: at some)",
        value=mean,
        values=tuple(map(float, ratios)),
        limit=1.0,
    )


def floor_and_rate(
    *,
    curvatures: Sequence[float] = (0.1, 0.3, 1.0),
    lr: float = 0.02,
    momentum: float = 0.9,
    batch_size: int = 8,
    variance: float = 1.0,
    stage_steps: int = 2000,
    steps: int = 20_000,
    within: float = 0.05,
) -> dict[str, Verdict]:
    """What NSHB really does on a quadratic, against what Theorems 3.1 and 3.2 say; exact.

    Four parts. *Floor*: with a constant batch size ``E||grad f||^2`` tends to the positive value
    of :func:`sgdm_lib.theory.stationary_floor`. *1/b*: four times the batch size, a quarter of the
    floor. *1/T*: with the batch size doubled every ``stage_steps`` steps, the noise leaves nothing
    more than a term of order 1/T (`noise_rate`). *Bounds*: neither printed bound is violated at any
    T. All of it is exact, on one quadratic: consistent with the theorems, no proof of them.

    Args:
        curvatures: of the quadratic; the largest is L.
        lr: within the theorems' condition.
        momentum: beta.
        batch_size: the constant one, and where growth starts.
        variance: sigma^2 of a single-sample gradient.
        stage_steps: steps from one doubling to the next.
        steps: T, at least four stages.
        within: how far from the stated value a part may be, relative.

    Returns:
        A verdict for each part.

    Raises:
        ValueError: if the lr violates the theorems' printed conditions.
    """
    smoothness = max(curvatures)
    for verdict in (
        theory.theorem_31_condition(Hyperparameters(lr, momentum), smoothness),
        theory.theorem_32_condition(Hyperparameters(lr, momentum), smoothness, growth=2.0),
    ):
        verdict.require()
    sizes = batch_size * 2.0 ** (np.arange(steps) // stage_steps)
    problem = theory.quadratic_problem(curvatures, variance=variance)
    run = {
        name: theory.exact_gradient_norms(problem, Hyperparameters(lr, momentum, b, steps=steps))
        for name, b in (("b", batch_size), ("4b", 4 * batch_size), ("growing", sizes))
    }
    floor = float(
        theory.stationary_floor(curvatures, lr, momentum, variance=variance, batch_size=batch_size)
    )
    constants, first = (
        theory.constants(problem),
        Hyperparameters(lr, momentum, batch_size, steps=steps),
    )
    bounds = {
        "b": theory.theorem_31_bound(first, constants),
        "growing": theory.theorem_32_bound(first, constants, growth=2.0, stage_steps=stage_steps),
    }
    ratio = max(float((np.minimum.accumulate(run[k]) / bounds[k]).max()) for k in bounds)
    return {
        "floor": _near("last value / stationary floor", run["b"][-1] / floor, 1.0, within),
        "1/b": _near("floor at 4b / floor at b", run["4b"][-1] / run["b"][-1], 0.25, within),
        "1/T": noise_rate(
            sizes, curvatures=curvatures, lr=lr, momentum=momentum, variance=variance, within=within
        ),
        "bounds": Verdict(
            "",
            "holds" if ratio <= 1 else "fails",
            f"largest smallest-so-far / bound {ratio:.3g}.",
            "min over t < T of E||grad f||^2 at most the printed bound, for every T",
            value=ratio,
            limit=1.0,
        ),
    }


def noise_rate(
    batch_sizes: npt.ArrayLike,
    *,
    curvatures: Sequence[float] = (0.1, 0.3, 1.0),
    lr: float = 0.02,
    momentum: float = 0.9,
    variance: float = 1.0,
    within: float = 0.05,
) -> Verdict:
    """Whether the noise adds no more than a term of order 1/T to the average squared norm; exact.

    On a quadratic ``E||grad f||^2`` is that of the run without noise plus a part from the noise
    alone. If that part's average is c/T, T times it no longer changes when T doubles; with a floor
    it goes on growing, in the end twofold. The run without noise is subtracted, because its sum is
    many times larger and would hide the floor.

    Args:
        batch_sizes: b_t, one a step.
        curvatures: of the quadratic.
        lr: constant.
        momentum: beta.
        variance: sigma^2 > 0 of a single-sample gradient.
        within: how far from 1 the judged ratio may be.

    >>> noise_rate(8.0 * 2.0 ** (np.arange(4_000) // 400)).outcome
    'holds'
    >>> noise_rate(np.repeat([8.0, 64.0], [400, 3_600])).outcome  # a floor
    'fails'
    """
    number("variance", variance, above=0)
    noisy, quiet = (
        theory.exact_gradient_norms(
            theory.quadratic_problem(curvatures, variance=v),
            Hyperparameters(lr, momentum, batch_sizes),
        )
        for v in (variance, 0.0)
    )
    part = np.cumsum(noisy - quiet)
    what = "noise's part of T x average, whole run / half the run,"
    return _near(what, part[-1] / part[part.size // 2 - 1], 1.0, within)


def _near(what: str, value: float, wanted: float, within: float) -> Verdict:
    value = float(value)
    close = abs(value / wanted - 1) <= within
    return Verdict(
        "",
        "holds" if close else "fails",
        f"{what} {value:.3g}.",
        f"{what} within {100 * within:g}% of {wanted:g}",
        value=value,
    )
