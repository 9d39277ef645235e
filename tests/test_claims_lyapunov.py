"""Claims of theory on the quadratic: both outcomes possible, numbers against their definition."""

import numpy as np
import pytest

from sgdm_lib import theory
from sgdm_lib.claims import lyapunov


@pytest.fixture
def no_cache():
    """Forgets what was computed with other constants; again after the test."""

    def clear():
        lyapunov.least.cache_clear()
        lyapunov.bound.cache_clear()

    yield clear
    clear()


def simulated(batch, lr, runs=400):
    """Mean squared gradient norms of NSHB by sampling, step by step."""
    rng = np.random.default_rng(0)
    rates = lyapunov.learning_rates(lr, 1)[:200]
    sizes = lyapunov.batch_sizes(batch, 1)[:200]
    x = np.tile(lyapunov.START, (runs, 1))
    m, found = np.zeros_like(x), []
    for eta, b in zip(rates, sizes, strict=True):
        gradient = lyapunov.CURVATURES * x
        found.append((gradient**2).sum(1))
        scale = np.sqrt(lyapunov.VARIANCE / b / x.shape[1])
        m = 0.9 * m + 0.1 * (gradient + scale * rng.standard_normal(x.shape))
        x = x - eta * m
    return np.array(found)


def test_the_exact_value_is_that_of_sampled_runs():
    found = simulated("constant", "cosine")
    exact = theory.exact_gradient_norms(
        lyapunov.CURVATURES,
        lyapunov.START,
        lyapunov.learning_rates("cosine", 1)[:200],
        0.9,
        8.0,
        variance=100.0,
    )
    error = found.std(1) / np.sqrt(found.shape[1])
    assert (np.abs(found.mean(1) - exact) < 5 * error + 1e-12).all()


def test_the_problem_is_what_the_text_says():
    problem = theory.quadratic_problem(lyapunov.CURVATURES, start=lyapunov.START)
    assert theory.initial_gap(problem) == pytest.approx(1.0)
    assert problem.smoothness == 1.0
    assert lyapunov.batch_sizes("growing", 8)[-1] == 8 * 2**7
    assert lyapunov.learning_rates("cosine", 2)[0] == pytest.approx(0.01)
    with pytest.raises(ValueError, match="kind must be"):
        lyapunov.learning_rates("linear", 2)


def test_bounds_hold():
    for batch in ("constant", "growing"):
        for lr in (*lyapunov.DECAYS, "growing"):
            exact = lyapunov.least(batch, lr, 2)
            assert exact <= lyapunov.bound("T3", batch, lr, 2)
            assert exact <= lyapunov.bound("T2", batch, lr, 2)


def test_a_constant_batch_keeps_noise_in_the_bound_but_a_falling_lr_converges():
    verdict = lyapunov.constant_batch_keeps_noise()
    assert verdict.outcome == "partly reproduced"
    assert "exact, constant lr ✓" in verdict.evidence
    assert "exact, cosine ✗" in verdict.evidence
    assert "T3, cosine ✓" in verdict.evidence
    assert "T2, 1/sqrt(t) ✗" in verdict.evidence
    assert verdict.seeds == 0


@pytest.mark.parametrize(
    ("claim", "change", "outcome"),
    [
        ("L2t", {"BATCH_GROWTH": 1.0}, "partly reproduced"),
        ("L2t", {"LOST_BY_CONVERGENCE": 0.01}, "not reproduced"),
        ("L3t", {"LR_GROWTH": 0.5}, "partly reproduced"),
    ],
)
def test_claims_can_come_out_the_other_way(monkeypatch, no_cache, claim, change, outcome):
    assert lyapunov.JUDGED[claim]().outcome == "reproduced"
    for name, value in change.items():
        monkeypatch.setattr(lyapunov, name, value)
    no_cache()
    assert lyapunov.JUDGED[claim]().outcome == outcome


def test_an_lr_that_grows_too_fast_has_no_bound(monkeypatch):
    monkeypatch.setattr(lyapunov, "LR_GROWTH", 1.3)  # 0.81 * 1.3 > 1
    assert lyapunov.bound.__wrapped__("T3", "growing", "growing", 2) == float("inf")
