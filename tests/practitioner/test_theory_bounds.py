"""The bounds of sgdm_lib.theory against written-out references, and the identities between them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdm_lib import theory
from sgdm_lib.theory import Constants, Hyperparameters

MOMENTA = st.floats(0, 0.99)
FEW = settings(deadline=None, max_examples=40)
CONSTANTS = Constants(smoothness=1.3, variance=2.5, initial_gap=0.7)
BATCHES = st.lists(st.integers(1, 512), min_size=1, max_size=40)
SCHEDULES = st.lists(st.floats(0.01, 1), min_size=1, max_size=40)


def naive_look_ahead(lr, momentum, beyond=4000):
    long = np.append(lr, np.full(beyond, lr[-1]))
    powers = momentum ** np.arange(len(long))
    return np.array([(1 - momentum) * powers[: len(long) - t] @ long[t:] for t in range(len(lr))])


def naive_certificate(lr, momentum, smoothness, nu, kappa):
    """T2's weights as double sums, straight from the formula."""
    average = naive_look_ahead(lr, momentum)
    step = [(1 - nu) * e + nu * a for e, a in zip(lr, average, strict=True)]
    q = smoothness * nu * momentum * math.sqrt(1 + kappa) / 2
    weights, noise = [], []
    for t in range(len(lr)):
        weight = step[t] - smoothness * step[t] ** 2 / 2 - q * step[t] * average[t] / (1 - momentum)
        extra = 0.0
        for k in range(t + 1, len(lr)):
            weight -= q * momentum ** (k - 1 - t) * step[k] * average[k]
            extra += momentum ** (2 * (k - 1 - t)) * step[k] * average[k]
        weights.append(weight)
        noise.append(smoothness * step[t] ** 2 / 2 + q / kappa * (1 - momentum) * extra)
    return np.array(weights), np.array(noise), np.array(step)


@FEW
@given(SCHEDULES, MOMENTA, st.floats(0, 1), st.floats(0.1, 10))
def test_certificate_weights_equal_the_double_sums(lr, momentum, nu, kappa):
    got = theory.certificate_weights(
        Hyperparameters(lr, momentum, nu=nu), smoothness=1.3, kappa=kappa
    )
    for ours, reference in zip(got, naive_certificate(lr, momentum, 1.3, nu, kappa), strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-9, atol=1e-9)


@FEW
@given(SCHEDULES, MOMENTA, st.floats(0, 1), st.integers(0, 2**31))
def test_look_ahead_makes_the_z_sequence_walk_like_sgd(lr, momentum, nu, seed):
    gradients = np.random.default_rng(seed).standard_normal(len(lr))
    average = theory.look_ahead(lr, momentum)
    gaps = momentum / (1 - momentum) * np.append(average, lr[-1])
    z_lr = (1 - nu) * np.array(lr) + nu * average
    theta, buffer = 0.3, 0.0
    z = theta
    for t, g in enumerate(gradients):
        buffer = momentum * buffer + (1 - momentum) * g
        theta -= lr[t] * ((1 - nu) * g + nu * buffer)
        z -= z_lr[t] * g
        assert theta - nu * gaps[t + 1] * buffer == pytest.approx(z, abs=1e-9)


@FEW
@given(BATCHES, MOMENTA, st.floats(0, 1), st.floats(0.1, 10), st.floats(0.01, 0.99))
def test_constant_lr_bound_is_its_formula(batches, momentum, nu, kappa, share):
    root = math.sqrt(1 + kappa)
    e = 0.5 + root * nu * momentum / (1 - momentum)
    lr = share / (1.3 * e)
    got = theory.constant_lr_bound(
        Hyperparameters(lr, momentum, batches, nu=nu), CONSTANTS, kappa=kappa
    )
    for t in {1, len(batches)}:
        mean = sum(1 / b for b in batches[:t]) / t
        factor = 1 + root / kappa * nu * momentum / (1 + momentum)
        expected = (0.7 / (lr * t) + 1.3 * lr / 2 * factor * 2.5 * mean) / (1 - share)
        assert got[t - 1] == pytest.approx(expected, rel=1e-9)
    best = theory.constant_lr_bound(
        Hyperparameters(lr, momentum, batches, nu=nu), CONSTANTS, kappa=None
    )
    assert np.all(best <= got * (1 + 1e-4))
    if momentum == 0:
        np.testing.assert_allclose(best, got)


@FEW
@given(BATCHES, st.floats(0.01, 0.99))
def test_without_momentum_every_bound_is_the_sgd_bound(batches, share):
    lr = np.full(len(batches), share * 2 / 1.3)
    sgd = theory.sgd_bound(Hyperparameters(lr, 0.0, batches), CONSTANTS)
    half = 1 - 1.3 * lr[0] / 2
    mean = np.mean(1 / np.array(batches))
    classical = (0.7 / (lr[0] * len(batches)) + 1.3 * lr[0] / 2 * 2.5 * mean) / half
    assert sgd[-1] == pytest.approx(classical)
    np.testing.assert_allclose(
        theory.constant_lr_bound(Hyperparameters(lr, 0.0, batches), CONSTANTS), sgd
    )
    np.testing.assert_allclose(
        theory.schedule_certificate(Hyperparameters(lr, 0.0, batches), CONSTANTS).bound, sgd
    )
    np.testing.assert_allclose(
        theory.growing_lr_bound(Hyperparameters(lr, 0.0, batches), CONSTANTS), sgd
    )
    np.testing.assert_allclose(
        theory.nonincreasing_lr_bound(Hyperparameters(lr, 0.0, batches), CONSTANTS), sgd
    )


@FEW
@given(BATCHES, MOMENTA, st.floats(0.01, 0.99))
def test_t3x_at_one_half_is_t3_and_the_best_weight_is_best(batches, momentum, share):
    lr = share * (1 + momentum) / 1.3
    t3 = theory.lyapunov_bound(Hyperparameters(lr, momentum, batches), CONSTANTS)
    half = theory.lyapunov_family_bound(Hyperparameters(lr, momentum, batches), CONSTANTS, x=0.5)
    np.testing.assert_allclose(half, t3, rtol=1e-9)
    best = theory.lyapunov_family_bound(Hyperparameters(lr, momentum, batches), CONSTANTS)
    low, high = theory.weight_interval(Hyperparameters(lr, momentum), smoothness=1.3)
    for x in np.linspace(low, high, 42)[1:-1]:
        other = theory.lyapunov_family_bound(
            Hyperparameters(lr, momentum, batches), CONSTANTS, x=float(x)
        )
        assert np.all(best <= other * (1 + 1e-6))


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9, 0.99])
def test_the_family_reaches_every_lr_below_two_over_l(momentum):
    theory.lyapunov_family_condition(Hyperparameters(1.999999, momentum), smoothness=1.0).require()
    assert not theory.lyapunov_family_condition(Hyperparameters(2.0, momentum), smoothness=1.0)
    optimum = 1 - momentum / 2
    if momentum:
        theory.lyapunov_family_condition(
            Hyperparameters(1.999, momentum), smoothness=1.0, x=optimum
        ).require()


def test_the_familys_floor_tends_to_momentum_squared():
    bound = theory.lyapunov_family_bound(
        Hyperparameters(1e-7, 0.8, 1.0, steps=1), Constants(1, 1, 0)
    )
    assert bound[0] == pytest.approx(0.64, rel=1e-4)


@FEW
@given(BATCHES, st.floats(0.01, 0.98), st.floats(0.01, 0.99))
def test_closed_form_of_t2_is_t1_at_constant_lr(batches, momentum, share):
    lr = share * theory.constant_lr_limit(momentum, smoothness=1.3)
    t1 = theory.constant_lr_bound(Hyperparameters(lr, momentum, batches), CONSTANTS)
    steps = np.full(len(batches), lr)
    closed = theory.growing_lr_bound(Hyperparameters(steps, momentum, batches), CONSTANTS)
    np.testing.assert_allclose(closed, t1, rtol=1e-6)
    certificate = theory.schedule_certificate(Hyperparameters(steps, momentum, batches), CONSTANTS)
    assert np.all(certificate.bound <= t1 * (1 + 1e-9))


@pytest.mark.parametrize("growth", [0.5, 1.2, 1.9])
@pytest.mark.parametrize("momentum", [0.5, 0.9])
def test_t2_lies_below_its_closed_form_under_stage_growth(growth, momentum):
    lr = theory.staged(0.0005, growth, 5, 200)
    average = theory.look_ahead(lr, momentum)
    ratios = average[1:] / average[:-1]
    if growth > 1:  # the look-ahead smooths the jump
        assert ratios.max() == pytest.approx(growth / (1 + (growth - 1) * momentum), rel=1e-3)
        assert momentum * ratios.max() ** 2 < 1
    closed = theory.growing_lr_bound(Hyperparameters(lr, momentum, 4), CONSTANTS)
    assert (
        theory.schedule_certificate(Hyperparameters(lr, momentum, 4), CONSTANTS).bound[-1]
        <= closed[-1]
    )


@FEW
@given(SCHEDULES, st.floats(0, 0.95), st.integers(1, 40))
def test_a_shorter_horizon_keeps_t2_weights_valid(lr, momentum, cut):
    whole = theory.certificate_weights(Hyperparameters(lr, momentum), smoothness=1.0)
    short, short_noise, _ = naive_certificate(lr, momentum, 1.0, 1.0, 1.0)
    cut = min(cut, len(lr))
    average = theory.look_ahead(lr, momentum)[:cut]
    q = momentum / math.sqrt(2)
    lost = np.array(
        [
            sum(momentum ** (k - 1 - t) * average[k] ** 2 for k in range(t + 1, cut))
            for t in range(cut)
        ]
    )
    own = average - average**2 / 2 - q * average**2 / (1 - momentum) - q * lost
    assert np.all(whole[0][:cut] <= own + 1e-12)
    np.testing.assert_allclose(whole[1], short_noise, rtol=1e-9)
    np.testing.assert_allclose(whole[0], short, rtol=1e-9, atol=1e-12)


@FEW
@given(BATCHES, st.floats(0.01, 0.98), st.floats(0.01, 0.75))
def test_shb_is_nshb_at_lr_over_one_minus_momentum(batches, momentum, share):
    scale = 1 - momentum
    lr = np.linspace(1, 0.5, len(batches)) * share
    small = lr * theory.constant_lr_limit(momentum, smoothness=1.3)
    rates = [small, lr, small[0], lr[0], lr[0]]
    bounds = [
        lambda run: theory.schedule_certificate(run, CONSTANTS).bound,
        lambda run: theory.nonincreasing_lr_bound(run, CONSTANTS),
        lambda run: theory.constant_lr_bound(run, CONSTANTS),
        lambda run: theory.lyapunov_bound(run, CONSTANTS),
        lambda run: theory.lyapunov_family_bound(run, CONSTANTS),
    ]
    for bound, rate in zip(bounds, rates, strict=True):
        shb = bound(Hyperparameters(rate * scale, momentum, batches, optimizer="shb"))
        np.testing.assert_allclose(shb, bound(Hyperparameters(rate, momentum, batches)), rtol=1e-7)


def test_lyapunov_bounds_are_their_formulas():
    lr, b = np.array([0.3, 0.2, 0.2, 0.1]), np.array([1.0, 4.0, 2.0, 8.0])
    t3 = theory.lyapunov_bound(Hyperparameters(lr, 0.9, b), CONSTANTS)
    assert t3[-1] == pytest.approx((2 * 0.7 / 0.1 + 2.5 * (lr / b).sum()) / 0.8)
    q = 1.8 + 0.1 / (1 - 1.3 * 0.3 / 2)
    t3q = theory.nonincreasing_lr_bound(Hyperparameters(lr, 0.9, b), CONSTANTS)
    assert t3q[-1] == pytest.approx((q * 0.7 / 0.1 + (q - 1) * 2.5 * (lr / b).sum()) / 0.8)
    shb = theory.lyapunov_bound(Hyperparameters(lr / 10, 0.9, b, optimizer="shb"), CONSTANTS)
    assert shb[1] == pytest.approx((2 * 0.7 + 2.5 * (0.03 + 0.02 / 4)) / 0.05)


def test_a_warm_up_from_zero_says_nothing_at_first():
    bound = theory.lyapunov_bound(Hyperparameters([0.0, 0.0, 0.0], 0.5, 1), CONSTANTS)
    assert np.all(np.isinf(bound))
    bound = theory.schedule_certificate(Hyperparameters([0.0, 0.1], 0.0, 1), CONSTANTS).bound
    assert np.isinf(bound[0])
    assert np.isfinite(bound[1])
