"""Regimes and price: closed forms against sums, minimisation and the bounds themselves."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdm_lib import theory
from sgdm_lib.theory import Constants, Hyperparameters

FEW = settings(deadline=None, max_examples=40)
CONSTANTS = Constants(smoothness=1.3, variance=2.5, initial_gap=0.7)


@FEW
@given(st.integers(1, 64), st.floats(1.05, 4), st.integers(1, 5), st.integers(1, 10))
def test_epoch_based_growth_has_few_steps(b, growth, epochs, stages):
    sizes = b * growth ** np.arange(stages)
    counts = epochs * np.ceil(1000 / sizes)
    assert counts.sum() <= theory.steps_epochs(b, growth, epochs, 1000, stages)


@FEW
@given(st.sampled_from(["i", "ii", "iii"]), st.integers(1, 6), st.floats(0.5, 0.87))
def test_hierarchy_is_t3_in_closed_form(case, stages, momentum):
    lr_growth, batch_growth = (1.2, 2.0) if case == "iii" else (1.0, 2.0 if case == "ii" else 1.0)
    k, lr, b = 7, 0.001, 4
    closed = theory.hierarchy_bound(
        case,
        stages,
        Hyperparameters(lr, momentum, b),
        CONSTANTS,
        stage_steps=k,
        lr_growth=lr_growth,
        batch_growth=batch_growth,
    )
    rates, batches = (
        theory.staged(lr, lr_growth, stages, k),
        theory.staged(b, batch_growth, stages, k),
    )
    t3 = theory.lyapunov_bound(Hyperparameters(rates, momentum, batches), CONSTANTS)[-1]
    assert t3 <= closed * (1 + 1e-12)
    lost = {"i": 0, "ii": 2.0**-stages, "iii": (1.2 / 2) ** stages}[case]
    noise = 2.5 * lr * k / b / {"i": 1, "ii": 0.5, "iii": 0.4}[case]
    assert closed - t3 == pytest.approx(noise * lost / rates.sum(), abs=1e-12 * closed)


def test_the_rates_of_the_hierarchy():
    own = (Hyperparameters(0.01, 0.9, 8), Constants(1e-6, 1, 1))
    grows = {"stage_steps": 100, "batch_growth": 2, "lr_growth": 1.2}
    at = {
        c: [theory.hierarchy_bound(c, m, *own, **grows) for m in (40, 80)]
        for c in ("i", "ii", "iii")
    }
    assert at["i"][1] > 1 / 8  # floor sigma^2/b whatever the lr
    assert at["ii"][1] == pytest.approx(at["ii"][0] / 2)  # 1/M
    assert at["iii"][1] / at["iii"][0] == pytest.approx(1.2**-40, rel=1e-2)  # gamma^-M
    with pytest.raises(ValueError, match="needs gamma < delta"):
        theory.hierarchy_bound("iii", 3, *own, **grows | {"batch_growth": 1.1})


def test_hierarchy_refuses_what_t3_does_not_cover():
    own = (Hyperparameters(0.1, 0.9, 8), CONSTANTS)
    grows = {"stage_steps": 100, "batch_growth": 2.0}
    with pytest.raises(ValueError, match="stages must be at most 1 in"):  # 0.81 * 1.5 > 1
        theory.hierarchy_bound("iii", 100, *own, lr_growth=1.5, **grows)
    with pytest.raises(ValueError, match=r"T3 .* does not apply: lr <= \(1\+beta\)/L"):
        theory.hierarchy_bound("i", 5, Hyperparameters(1000, 0.9, 8), CONSTANTS, stage_steps=100)
    # the last admissible number of stages is growth_stage_limit's, and T3 itself agrees
    most = theory.growth_stage_limit(0.1, 1.2, 0.9, smoothness=1.3) + 1
    closed = theory.hierarchy_bound("iii", most, *own, lr_growth=1.2, **grows)
    lr, b = theory.staged(0.1, 1.2, most, 100), theory.staged(8, 2, most, 100)
    assert closed >= theory.lyapunov_bound(Hyperparameters(lr, 0.9, b), CONSTANTS)[-1]
    with pytest.raises(ValueError, match=f"stages must be at most {most}"):
        theory.hierarchy_bound("iii", most + 1, *own, lr_growth=1.2, **grows)
    lr, b = theory.staged(0.1, 1.2, most + 1, 100), theory.staged(8, 2, most + 1, 100)
    assert not theory.lyapunov_condition(Hyperparameters(lr, 0.9), smoothness=1.3)


@FEW
@given(st.floats(0.05, 0.95), st.floats(1.01, 1.5), st.floats(-5, -1))
def test_growth_stage_limit_is_the_edge_of_t3(momentum, growth, exponent):
    lr = 10**exponent * (1 + momentum)
    jumps = theory.growth_stage_limit(lr, growth, momentum, smoothness=1.0)
    allowed = theory.staged(lr, growth, jumps + 1, 2)
    assert theory.lyapunov_condition(Hyperparameters(allowed, momentum), smoothness=1.0)
    too_many = theory.staged(lr, growth, jumps + 2, 2)
    assert not theory.lyapunov_condition(Hyperparameters(too_many, momentum), smoothness=1.0)


def test_growth_penalty_is_a_ratio_of_sums():
    lr = theory.staged(0.01, 1.3, 9, 5)
    assert theory.growth_penalty(1.3, 9) == pytest.approx(len(lr) * lr[-1] / lr.sum())
    assert theory.growth_penalty(1.3, 60) == pytest.approx(60 * 0.3 / 1.3, rel=1e-6)


@pytest.mark.parametrize("power", [0, 0.5, 1, 2, 3])
def test_decay_noise_factors(power):
    t = (np.arange(20_000) + 0.5) / 20_000
    shapes = [("cosine", (1 + np.cos(np.pi * t)) / 2), ("polynomial", (1 - t) ** power)]
    for name, lr in shapes:
        expected = (lr**2).sum() / lr.sum()
        assert theory.decay_noise_factor(name, power) == pytest.approx(expected, rel=1e-4)


# --- cost --------------------------------------------------------------------------------------

C = theory.coefficients(Hyperparameters(0.02, 0.9), CONSTANTS)


@FEW
@given(st.integers(1, 500), st.integers(1, 500))
def test_coefficients_rebuild_t1(batch, steps):
    bound = theory.constant_lr_bound(Hyperparameters(0.02, 0.9, batch, steps=steps), CONSTANTS)
    assert C.bias / steps + C.noise / batch == pytest.approx(bound[-1])


@FEW
@given(st.floats(0.05, 1), st.integers(1, 5000))
def test_steps_to_target_is_where_t1_passes_it(target, batch):
    steps = float(theory.steps_to_target(batch, target, C))
    if not math.isfinite(steps):
        assert C.noise / batch >= target**2 * (1 - 1e-12)
    elif steps < 20_000:
        run = Hyperparameters(0.02, 0.9, batch, steps=math.ceil(steps) + 1)
        bound = theory.constant_lr_bound(run, CONSTANTS)
        assert theory.first_step_below(bound, target) in (math.ceil(steps), math.ceil(steps) + 1)


@FEW
@given(st.floats(0.05, 1))
def test_critical_batch_size_minimises_the_sfo(target):
    best = float(theory.critical_batch_size(target, C))
    least = float(theory.minimal_sfo(target, C))
    assert theory.sfo_to_target(best, target, C) == pytest.approx(least)
    assert theory.steps_to_target(best, target, C) == pytest.approx(2 * C.bias / target**2)
    others = theory.sfo_to_target(best * np.array([0.51, 0.8, 0.99, 1.01, 1.5, 10]), target, C)
    assert np.all(others > least)


@FEW
@given(st.lists(st.floats(1, 1e4), min_size=1, max_size=30))
def test_no_schedule_beats_the_tuned_constant_batch_in_this_bound(batches):
    b = np.array(batches)
    reached = math.sqrt(C.bias / len(b) + C.noise * np.mean(1 / b))
    assert b.sum() >= float(theory.minimal_sfo(reached, C)) * (1 - 1e-12)


@pytest.mark.parametrize("nu", [1.0, 0.5])
def test_tuned_lr_is_the_best_constant_lr(nu):
    batches = np.array([1.0, 30.0, 1000.0])
    lr, steps, sfo = theory.tuned_lr_cost(batches, 0.3, 0.9, CONSTANTS, nu=nu)
    np.testing.assert_allclose(sfo, batches * steps)
    for b, rate, least in zip(batches, lr, steps, strict=True):
        at = theory.coefficients(Hyperparameters(rate, 0.9, nu=nu), CONSTANTS)
        assert theory.steps_to_target(b, 0.3, at) == pytest.approx(least)
        for factor in (0.7, 0.99, 1.01, 1.3):
            near = theory.coefficients(Hyperparameters(rate * factor, 0.9, nu=nu), CONSTANTS)
            assert theory.steps_to_target(b, 0.3, near) >= least
    flat = 2 * 1.3 * 0.7 * theory.noise_factor(0.9, nu=nu) * 2.5 / 0.3**4
    assert theory.tuned_lr_cost(1e-9, 0.3, 0.9, CONSTANTS, nu=nu)[2] == pytest.approx(flat)


def measured_exponent(errors, costs):
    """Slope of log cost against log 1/eps between the last two thirds of the stages."""
    half = 2 * len(errors) // 3
    rise = math.log(costs[-1] / costs[half])
    return rise / (math.log(errors[half] / errors[-1]) / 2)


@pytest.mark.parametrize(("gamma", "delta"), [(1.4, 1.96), (1.4, 3.0), (1.4, 1.7), (2.0, 8.0)])
def test_exponents_of_joint_growth(gamma, delta):
    m = np.arange(120.0)
    total = np.cumsum(gamma**m)
    squared = (1 + np.cumsum((gamma**2 / delta) ** m)) / total
    got = measured_exponent(squared, np.cumsum(delta**m))
    expected = theory.sfo_exponent_lr_growth(gamma, delta)
    assert got == pytest.approx(expected, rel=0.06)  # the logarithm at delta = gamma^2
    best = theory.sfo_exponent_lr_growth(gamma, theory.optimal_batch_growth(gamma))
    assert best == pytest.approx(4)
    assert expected >= best - 1e-12


# --- what growth costs -------------------------------------------------------------------------


@pytest.mark.parametrize("nu", [1.0, 0.7])
def test_tuned_lr_gives_mccandlishs_curve_and_fixed_lr_does_not(nu):
    b = np.geomspace(1, 1e6, 25)
    _, steps, sfo = theory.tuned_lr_cost(b, 0.3, 0.9, CONSTANTS, nu=nu)
    knee = float(theory.tuned_knee(0.3, 0.9, variance=2.5, nu=nu))
    least_steps = 4 * 0.7 * 1.3 * theory.curvature_factor(0.9, nu=nu) / 0.3**2
    least_sfo = 2 * 0.7 * 1.3 * theory.noise_factor(0.9, nu=nu) * 2.5 / 0.3**4
    np.testing.assert_allclose(steps, least_steps * (1 + knee / b))
    np.testing.assert_allclose(sfo, least_sfo * (1 + b / knee))
    # their own form, (S/S_min - 1)(E/E_min - 1) = 1: no wall, SFO rises with b throughout
    np.testing.assert_allclose((steps / least_steps - 1) * (sfo / least_sfo - 1), 1)
    wall = C.noise / 0.3**2  # at a fixed lr no number of steps will do below it
    assert np.isinf(theory.steps_to_target(0.99 * wall, 0.3, C))


GROWN = 1.2
TOP = theory.constant_lr_limit(0.9, smoothness=1.0) / 2


def joint_cost(power, stages, eps2=0.007, steps=2_000):
    """SFO for batch sizes growing like lr^power, lr to TOP by 1.2 a stage, b_0 tuned (T2)."""
    lr = theory.staged(TOP / GROWN ** (stages - 1), GROWN, stages, steps)
    shape = theory.staged(1.0, GROWN**power, stages, steps)
    one = Constants(1.0, 1.0, 1.0)
    return theory.tuned_batch_cost(Hyperparameters(lr, 0.9, shape), eps2**0.5, one)[1]


@pytest.mark.parametrize(
    ("stages", "expected"),
    [(20, (1, 0.522, 0.613, 1.0, 6.78)), (40, (1, 0.275, 0.357, 1.0, 133))],
)
def test_for_a_known_target_the_batch_should_grow_like_the_lr(stages, expected):
    costs = np.array([joint_cost(power, stages) for power in (0, 1, 1.5, 2, 3)])
    np.testing.assert_allclose(costs / costs[0], expected, rtol=0.01)
    fine = np.linspace(0.5, 1.5, 21)
    best = fine[np.argmin([joint_cost(power, stages) for power in fine])]
    assert best == pytest.approx(1.0, abs=0.051)  # delta = gamma, not gamma^2
    assert theory.optimal_batch_growth(GROWN, known_target=True) == GROWN


def test_with_batches_proportional_to_the_lr_only_the_sum_of_the_lr_counts():
    steps, one = 40_000, Constants(1.0, 1.0, 1.0)
    lr = theory.staged(TOP / GROWN**19, GROWN, 20, 2_000)
    small = [
        theory.tuned_batch_cost(Hyperparameters(rate / 50, 0.9, shape), 0.7, one)[1]
        for rate, shape in ((lr, lr), (np.full(steps, lr.mean()), 1.0))
    ]
    assert small[0] == pytest.approx(small[1], rel=0.01)  # to leading order in the lr


def test_tuned_batch_cost_reaches_the_target_exactly():
    lr = np.linspace(0.03, 0.001, 900)
    scale, sfo = theory.tuned_batch_cost(Hyperparameters(lr, 0.9, lr), 0.6, CONSTANTS)
    bound = theory.schedule_certificate(Hyperparameters(lr, 0.9, scale * lr), CONSTANTS).bound[-1]
    assert bound == pytest.approx(0.36)
    assert sfo == pytest.approx((scale * lr).sum())
    assert theory.tuned_batch_cost(Hyperparameters(lr, 0.9, lr), 0.05, CONSTANTS) == (
        math.inf,
        math.inf,
    )


def test_the_window_of_the_exponents_is_nearly_empty():
    """The bound's exponent is about targets above the trivial ||grad f||^2 <= 2 L Delta."""
    low, high = theory.exponent_window(GROWN, 50, TOP, smoothness=1, initial_gap=1)
    lr = theory.staged(TOP / GROWN**160, GROWN, 161, 50)
    one = Constants(1.0, 1.0, 1.0)
    sizes = theory.staged(50 * lr[0] ** 2, GROWN**2, 161, 50)
    bound = theory.schedule_certificate(Hyperparameters(lr, 0.9, sizes), one).bound
    assert bound[49::50][-82:].min() > high**2 == pytest.approx(2)  # 0 of 82 stages say anything
    assert np.sqrt(bound.min()) > low
    # T >= K >= (gamma-1)/(gamma L eta_cap) L Delta/eps^2: not "only log steps"
    assert pytest.approx(4.41, abs=0.01) == 0.2 / (1.2 * TOP)
    assert 50 * low**2 == pytest.approx(4.41, abs=0.01)


def test_stages_of_equal_epochs_have_no_exponent():
    """Kondo & Iiduka's ten-fold growth: each stage as many samples, so ever fewer steps."""
    gamma, found = 10 ** (1 / 9), []
    for stages in (1, 5, 10, 20):
        m = np.arange(stages)
        steps = 30 * np.ceil(50_000 / (8 * 2.0**m)).astype(int)
        lr, b = np.repeat(0.1 * gamma**m, steps), np.repeat(8 * 2.0**m, steps)
        run = Hyperparameters(lr, 0.87, b)
        found.append(theory.lyapunov_bound(run, Constants(1e-3, 1.0, 1.0))[-1])
    assert found == pytest.approx([0.126, 0.074, 0.066, 0.064], abs=6e-4)


def test_cost_input_is_checked():
    with pytest.raises(ValueError, match="does not apply"):
        theory.coefficients(Hyperparameters(1.0, 0.9), CONSTANTS)
    with pytest.raises(ValueError, match="target_norm must be finite numbers > 0"):
        theory.critical_batch_size(0.0, C)
    own = (Hyperparameters(0.1, 0, 1), CONSTANTS)
    with pytest.raises(ValueError, match="growth must be a finite number > 1"):
        theory.hierarchy_bound("ii", 1, *own, stage_steps=1, batch_growth=1)
    with pytest.raises(ValueError, match="case must be one of i, ii, iii"):
        theory.hierarchy_bound("iv", 1, *own, stage_steps=1)
    with pytest.raises(ValueError, match="lr and batch_size must be numbers"):
        theory.hierarchy_bound("i", 1, Hyperparameters([1, 2], 0, 1), CONSTANTS, stage_steps=1)


@FEW
@given(st.floats(0.05, 1), st.floats(0, 1e5))
def test_the_fastest_batch_size_has_the_least_time(target, overhead):
    best = float(theory.fastest_batch_size(overhead, target, C))
    near = best * np.array([0.99, 1.0, 1.01])
    time = overhead * theory.steps_to_target(near, target, C) + theory.sfo_to_target(
        near, target, C
    )
    assert time.argmin() == 1


def test_a_schedule_costs_what_its_bound_says():
    batches = 8 + np.arange(1.0, 3001)
    run = Hyperparameters(0.02, 0.9, batches)
    bound = theory.constant_lr_bound(run, CONSTANTS)
    targets = [1.0, 0.4, 1e-3]
    steps, sfo = theory.schedule_cost(batches, targets, C)
    for eps, count, cost in zip(targets[:2], steps, sfo, strict=False):
        assert count == theory.first_step_below(bound, eps)
        assert cost == batches[: int(count)].sum()
        assert cost >= theory.minimal_sfo(eps, C)
    assert np.isinf(steps[2])
    assert np.isinf(sfo[2])


def test_log_slope_is_the_power_over_the_last_part():
    x = np.geomspace(1, 1000, 400)
    assert theory.log_slope(x, 3 * x**-0.5) == pytest.approx(-0.5)
    bent = np.where(x < 200, 7.0, 7.0 * (x / 200) ** -2)
    assert theory.log_slope(x, bent) == pytest.approx(-2, rel=0.01)
    assert theory.log_slope(x, bent, factor=1e9) == pytest.approx(-2 * np.log(5) / np.log(1000))
    with pytest.raises(ValueError, match="x and y must be of one length and x increase"):
        theory.log_slope([1.0, 3.0, 2.0], [1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="at least 2 values"):
        theory.log_slope([1.0], [1.0])
