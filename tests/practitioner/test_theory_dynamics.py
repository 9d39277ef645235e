"""Quadratics: spectrum, stability, stationary floor, exact moments; the problems; Monte Carlo."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdm_lib import theory
from sgdm_lib.theory import Constants, Hyperparameters

FEW = settings(deadline=None, max_examples=40)
MOMENTA = st.floats(0, 0.99)


def transition(h, momentum, nu):
    """The 2 x 2 map of (x, buffer), curvature times lr = h, by its definition."""
    row = np.array([1 - h * ((1 - nu) + nu * (1 - momentum)), -h * nu * momentum])
    return np.array([row, [1 - momentum, momentum]])


@FEW
@given(st.floats(1e-3, 60), MOMENTA, st.floats(0, 1))
def test_spectral_radius_is_the_largest_eigenvalue(h, momentum, nu):
    roots = np.abs(np.linalg.eigvals(transition(h, momentum, nu)))
    expected = roots.max() if nu >= 1e-60 else abs(1 - h)  # nu = 0 does not use the buffer
    got = theory.spectral_radius(2.0, h / 2, momentum, nu=nu)
    assert float(got) == pytest.approx(expected, rel=1e-5, abs=1e-7)


@FEW
@given(MOMENTA, st.floats(0, 1), st.floats(0.1, 10))
def test_stability_limit_is_where_the_radius_passes_one(momentum, nu, curvature):
    limit = float(theory.stability_limit(momentum, curvature=curvature, nu=nu))
    assert theory.spectral_radius(curvature, limit * 0.999, momentum, nu=nu) < 1
    assert theory.spectral_radius(curvature, limit * 1.001, momentum, nu=nu) > 1


def test_stability_of_the_named_methods_and_a_map_in_one_call():
    assert theory.stability_limit(0.9) == pytest.approx(38)
    assert theory.stability_limit(0.9, optimizer="shb") == pytest.approx(3.8)
    assert theory.stability_limit(0.9, nu=0.0) == pytest.approx(2)
    momentum, lr = np.linspace(0, 0.99, 30)[:, None], np.geomspace(0.01, 100, 40)
    shb = theory.spectral_radius(1.0, lr, momentum, optimizer="shb")
    assert shb.shape == (30, 40)
    np.testing.assert_allclose(shb, theory.spectral_radius(1.0, lr / (1 - momentum), momentum))
    with pytest.raises(ValueError, match="momentum must lie in"):
        theory.spectral_radius(1.0, 0.1, [0.5, 1.0])
    with pytest.raises(ValueError, match="curvature must be finite numbers > 0"):
        theory.spectral_radius(0.0, 0.1, 0.5)


@FEW
@given(st.floats(0.02, 0.9), st.floats(0, 0.9), st.floats(0, 1), st.floats(0.1, 10))
def test_stationary_floor_solves_the_lyapunov_equation(share, momentum, nu, curvature):
    limit = float(theory.stability_limit(momentum, curvature=curvature, nu=nu))
    lr = share * limit
    a = transition(curvature * lr, momentum, nu)  # of (x, buffer/curvature)
    inflow = np.array([-lr * ((1 - nu) + nu * (1 - momentum)), (1 - momentum) / curvature])
    system = np.eye(4) - np.kron(a, a)
    moments = np.linalg.solve(system, np.outer(inflow, inflow).ravel() * 0.3)
    got = theory.stationary_floor(curvature, lr, momentum, variance=0.6, batch_size=2, nu=nu)
    assert float(got) == pytest.approx(curvature**2 * moments[0], rel=1e-6)


@pytest.mark.parametrize(("momentum", "nu"), [(0.0, 1.0), (0.5, 1.0), (0.9, 1.0), (0.9, 0.7)])
def test_stationary_floor_is_the_limit_of_the_exact_recursion_and_of_simulation(momentum, nu):
    curvatures, lr = np.array([0.3, 1.0, 1.0]), 0.6
    own = {"variance": 2.0, "nu": nu}
    floor = float(theory.stationary_floor(curvatures, lr, momentum, batch_size=4, **own))
    problem = theory.quadratic_problem(curvatures, variance=2.0)
    run = Hyperparameters(lr, momentum, 4, steps=400, nu=nu)
    assert theory.exact_gradient_norms(problem, run)[-1] == pytest.approx(floor, rel=1e-8)
    norms = theory.simulate(problem, run, runs=300, seed=3)
    late = norms[100:].mean(0)
    assert abs(late.mean() - floor) < 4.5 * late.std(ddof=1) / math.sqrt(300)


def test_nshb_floor_in_closed_form():
    for momentum in (0.0, 0.5, 0.9):
        lr = np.array([0.01, 0.5, 1.5])
        expected = 2 * lr / 2 * 3 / 8 / (1 - (1 - momentum) * 2 * lr / (2 * (1 + momentum)))
        stable = lr < theory.stability_limit(momentum, curvature=2.0)
        got = theory.stationary_floor([2.0, 2.0], lr, momentum, variance=3, batch_size=8)
        np.testing.assert_allclose(got[stable], expected[stable])
        assert np.all(np.isinf(got[~stable]))
        shb = theory.stationary_floor(
            2.0, lr * (1 - momentum), momentum, variance=3, batch_size=8, optimizer="shb"
        )
        np.testing.assert_allclose(shb, got)


@FEW
@given(st.integers(1, 30), MOMENTA, st.floats(0, 1), st.integers(0, 2**31))
def test_exact_moments_equal_the_sum_over_noise_impulses(steps, momentum, nu, seed):
    rng = np.random.default_rng(seed)
    lr, batches = rng.uniform(0, 1, steps), rng.integers(1, 9, steps)
    curvatures, start = rng.uniform(0.1, 2, 3), rng.standard_normal(3)
    problem = theory.quadratic_problem(curvatures, start=start, variance=2)
    got = theory.exact_gradient_norms(problem, Hyperparameters(lr, momentum, batches, nu=nu))

    def response(position, impulse_at):  # linear: mean part plus one response an impulse
        x, m, out = np.array(position, float), np.zeros(3), []
        for t in range(steps):
            out.append(x)
            g = curvatures * x + (1.0 if t == impulse_at else 0.0)
            m = momentum * m + (1 - momentum) * g
            x = x - lr[t] * ((1 - nu) * g + nu * m)
        return np.array(out)

    second = response(start, None) ** 2
    for t in range(steps):
        second += response(np.zeros(3), t) ** 2 * (2 / 3 / batches[t])
    np.testing.assert_allclose(got, second @ curvatures**2, rtol=1e-7, atol=1e-12)


@FEW
@given(st.floats(0.01, 0.99), st.integers(0, 2**31))
def test_shb_runs_by_its_own_rule_and_equals_nshb(momentum, seed):
    rng = np.random.default_rng(seed)
    lr, batches = rng.uniform(0, 1, 25), rng.integers(1, 9, 25)

    def pair(rates):
        shb = Hyperparameters(rates * (1 - momentum), momentum, batches, optimizer="shb")
        return Hyperparameters(rates, momentum, batches), shb

    problem = theory.quadratic_problem([0.2, 1.0], variance=1.0)
    nshb, shb = (theory.exact_gradient_norms(problem, run) for run in pair(lr))
    np.testing.assert_allclose(shb, nshb, rtol=1e-8)
    problem = theory.cosine_problem(3)
    one, two = (theory.simulate(problem, run, runs=4, seed=seed) for run in pair(lr / 9))
    np.testing.assert_allclose(two, one, rtol=1e-6)


def test_exact_moments_over_more_steps_than_one_chunk():
    lr = np.full(9000, 0.3)
    problem = theory.quadratic_problem(1.0, variance=1.0)
    whole = theory.exact_gradient_norms(problem, Hyperparameters(lr, 0.9))
    assert whole[4095:4100] == pytest.approx(np.full(5, whole[-1]), rel=1e-9)
    assert whole[-1] == pytest.approx(float(theory.stationary_floor(1, 0.3, 0.9, variance=1)))


@pytest.mark.parametrize("h", [0.2, 1.0, 1.7, 2.5])
def test_without_weight_on_the_buffer_the_radius_is_that_of_sgd(h):
    got = theory.spectral_radius(1.0, h, [0.0, 0.5, 0.9], nu=0.0)
    assert got == pytest.approx(np.full(3, abs(1 - h)))
    path = theory.quadratic_path(1.0, 1.0, h, 0.9, steps=30, nu=0.0).ravel()
    np.testing.assert_allclose(np.abs(path), abs(1 - h) ** np.arange(31), atol=1e-12)


def test_paths():
    path = theory.quadratic_path([1.0, 4.0], [1.0, -1.0], 0.2, 0.9, steps=60)
    problem = theory.quadratic_problem([1.0, 4.0], start=[1.0, -1.0])
    norms = theory.exact_gradient_norms(problem, Hyperparameters(0.2, 0.9, steps=61))
    np.testing.assert_allclose((path**2) @ np.array([1.0, 16.0]), norms, rtol=1e-8)
    shb = theory.quadratic_path([1.0, 4.0], [1.0, -1.0], 0.02, 0.9, steps=60, optimizer="shb")
    np.testing.assert_allclose(shb, path, rtol=1e-8)
    qhm = theory.quadratic_path(1.0, 1.0, 0.2, 0.9, steps=1, nu=0.7)
    assert qhm[1, 0] == pytest.approx(1 - 0.2 * (0.3 + 0.7 * 0.1))


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9, 0.98])
def test_the_lag_of_an_empty_buffer_is_that_of_a_long_path(momentum):
    h = 0.3 * (1 - momentum**0.5) ** 2 / (1 - momentum)
    rate = float(theory.spectral_radius(1.0, h, momentum))
    steps = round(20 / (1 - rate))
    last = theory.quadratic_path(1.0, 1.0, h, momentum, steps=steps)[-1, 0]
    expected = math.log(last / rate**steps) / -math.log(rate)
    assert theory.zero_start_lag(1.0, h, momentum) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    small = theory.zero_start_lag(1e-7, 1.0, momentum)
    assert small == pytest.approx(momentum / (1 - momentum), rel=1e-2, abs=1e-6)
    with pytest.raises(ValueError, match="lr must be such that"):
        theory.zero_start_lag(1.0, 100.0, momentum)


# --- problems ----------------------------------------------------------------------------------

PROBLEMS = {
    "quadratic": theory.quadratic_problem([0.1, 1.0, 3.0], variance=2.0),
    "cosine": theory.cosine_problem(3),
    "rational": theory.rational_problem(3, 50),
    "rational, no replacement": theory.rational_problem(3, 50, replacement=False),
    "regression": theory.regression_problem(3, 50),
    "regression, no replacement": theory.regression_problem(3, 50, replacement=False),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_problem_constants_are_what_they_claim(name):
    problem, rng = PROBLEMS[name], np.random.default_rng(0)
    x = rng.standard_normal((400, 3)) * rng.choice([0.3, 1, 3], (400, 1))
    y = x + rng.standard_normal((400, 3)) * 0.01
    slope = np.linalg.norm(problem.gradient(x) - problem.gradient(y), axis=1)
    assert np.all(slope <= problem.smoothness * np.linalg.norm(x - y, axis=1) * (1 + 1e-9))
    step = 1e-6 * np.eye(3)
    for axis in range(3):
        difference = (problem.value(x + step[axis]) - problem.value(x - step[axis])) / 2e-6
        np.testing.assert_allclose(problem.gradient(x)[:, axis], difference, atol=1e-6)
    assert problem.value(x).min() >= problem.minimum
    gap = float(problem.value(problem.start[None])[0]) - problem.minimum
    expected = Constants(problem.smoothness, problem.variance, gap)
    assert theory.constants(problem) == expected


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("batch_size", [1, 7, 50])
def test_mini_batch_noise_has_mean_zero_and_the_stated_variance(name, batch_size):
    problem, rng = PROBLEMS[name], np.random.default_rng(1)
    x = np.tile([[0.5, -0.2, 1.0]], (4000, 1))
    noise = problem.noise(rng, x, batch_size)
    squared = (noise**2).sum(1)
    error = squared.std(ddof=1) / math.sqrt(4000)
    assert np.all(np.abs(noise.mean(0)) <= 4.5 * noise.std(0, ddof=1) / math.sqrt(4000) + 1e-12)
    limit = problem.variance / batch_size
    assert squared.mean() <= limit + 4.5 * error
    expected = None
    if name in ("quadratic", "cosine", "rational"):
        expected = limit
    elif name == "rational, no replacement":
        expected = limit * (50 - batch_size) / 49
    if expected is not None:
        assert abs(squared.mean() - expected) <= 4.5 * error + 1e-12


def test_sampling_without_replacement_needs_enough_samples():
    problem = theory.rational_problem(3, 50, replacement=False)
    with pytest.raises(ValueError, match="batch_size must be a whole number >= 1 and <= 50"):
        theory.simulate(problem, Hyperparameters(0.1, 0.5, 51, steps=1))
    with pytest.raises(ValueError, match="batch_size must be a whole number"):
        theory.simulate(problem, Hyperparameters(0.1, 0.5, 2.5, steps=1))
    theory.simulate(theory.rational_problem(3, 50), Hyperparameters(0.1, 0.5, 51, steps=1), runs=2)


def test_simulation_repeats_with_its_seed_and_agrees_with_the_exact_moments():
    problem = theory.quadratic_problem([0.2, 1.0], variance=1.0)
    lr, batches = np.linspace(0.5, 0.1, 40), np.repeat([1, 4], 20)
    run = Hyperparameters(lr, 0.9, batches, nu=0.8)
    norms, again, other = (
        theory.simulate(problem, run, runs=2000, seed=seed) for seed in (5, 5, 6)
    )
    assert np.array_equal(norms, again)
    assert not np.array_equal(norms, other)
    exact = theory.exact_gradient_norms(problem, run)
    mean, error = theory.mean_and_error(norms, lr)
    target = theory.running_average(exact, lr)
    assert np.all(np.abs(mean - target) <= 4.5 * error + 1e-9)
    with pytest.raises(ValueError, match="runs must be at least 2"):
        theory.mean_and_error(norms[:, :1])
