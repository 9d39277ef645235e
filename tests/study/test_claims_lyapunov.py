"""Claims of theory on the quadratic: both outcomes possible, numbers against their definition."""

import numpy as np
import pytest

from sgdm_lib import theory
from sgdm_lib.study.claims import joint_growth, lyapunov
from sgdm_lib.theory import Hyperparameters


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
    problem = theory.quadratic_problem(lyapunov.CURVATURES, start=lyapunov.START, variance=100.0)
    run = Hyperparameters(lyapunov.learning_rates("cosine", 1)[:200], 0.9, 8.0)
    exact = theory.exact_gradient_norms(problem, run)
    error = found.std(1) / np.sqrt(found.shape[1])
    assert (np.abs(found.mean(1) - exact) < 5 * error + 1e-12).all()


def test_the_problem_is_what_the_text_says():
    problem = theory.quadratic_problem(lyapunov.CURVATURES, start=lyapunov.START)
    assert theory.constants(problem).initial_gap == pytest.approx(1.0)
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
    assert verdict.outcome == "mixed"
    outcomes = {name: part.outcome for name, part in verdict.parts.items()}
    assert outcomes["exact, constant lr"] == "holds"
    assert outcomes["exact, cosine"] == "fails"
    assert outcomes["T3, cosine"] == "holds"
    assert outcomes["T2, 1/√t"] == "fails"
    assert verdict.seeds == 0


@pytest.mark.parametrize(
    ("change", "outcome"),
    [({"BATCH_GROWTH": 1.0}, "mixed"), ({"LOST_BY_CONVERGENCE": 0.01}, "fails")],
)
def test_convergence_can_come_out_the_other_way(monkeypatch, no_cache, change, outcome):
    assert lyapunov.JUDGED["L2t"]().outcome == "holds"
    for name, value in change.items():
        monkeypatch.setattr(lyapunov, name, value)
    no_cache()
    assert lyapunov.JUDGED["L2t"]().outcome == outcome


def test_both_growing_is_faster_in_the_bound_and_depends_in_truth():
    verdict = lyapunov.both_growing_is_faster()
    bound, exact = verdict.parts.values()
    assert (bound.outcome, bound.passed, bound.tests) == ("holds", 6, 6)
    assert (exact.outcome, exact.passed, exact.tests) == ("mixed", 5, 14)
    assert verdict.label == "mixed (11 of 20)"
    assert "below (ii) in 5 of 14 settings: depends, while bias dominates it is" in verdict.evidence
    found = joint_growth.comparisons()
    # the referee's values, computed apart
    expected = {
        "the setting of L1t": 0.80,
        "σ² = 1,000": 2.24,
        "σ² = 10,000": 3.11,
        "batch grows by 1.5": 2.12,
        "batch grows by 1.3": 2.83,
        "first lr 0.05": 3.3,
        "first batch size 1": 2.1,
        "4 stages": 1.24,
        "condition number 10": 3.6,
        "condition number 1": 3.6,
    }
    assert {name: found[name].ratio for name in expected} == pytest.approx(expected, rel=0.02)
    default = found["the setting of L1t"]
    assert default.from_start_ratio == pytest.approx(1.29, rel=0.01)  # the last lr at once wins
    assert default.ratio == pytest.approx(
        lyapunov.least("growing", "growing") / lyapunov.least("growing", "constant")
    )
    assert all(one.bound_ratio < 1 for one in found.values())  # the bound does not see it
    assert all((one.ratio < 1) is one.bias_dominates for one in found.values())


def test_the_map_has_settings_that_t3_admits_and_a_table():
    for setting in joint_growth.SETTINGS.values():
        assert theory.lyapunov_condition(Hyperparameters(setting.growing_lr, 0.9), smoothness=1.0)
    shown = joint_growth.table(
        {"a": joint_growth.Comparison(2.0, 0.5, 1.1, 0.7)}
        | {"b": joint_growth.Comparison(0.5, 0.5, 1.1, 0.1)}
    )
    assert shown["setting"] == ["b", "a"]
    assert {len(column) for column in shown.values()} == {2}
    with pytest.raises(ValueError, match=r"T3 .* does not apply"):
        joint_growth.compare(joint_growth.Setting(lr_growth=1.3, stage_steps=3))


@pytest.mark.parametrize(
    ("ratios", "shares", "words"),
    [
        ((0.5, 0.6), (0.1, 0.7), "in 2 of 2 settings."),
        ((0.5, 2.0), (0.1, 0.7), "in 1 of 2 settings: depends, while bias dominates it is."),
        ((2.0, 0.5), (0.1, 0.7), "in 1 of 2 settings: depends on the setting."),
    ],
)
def test_the_summary_is_computed(ratios, shares, words):
    found = {
        str(i): joint_growth.Comparison(ratio, 0.5, 1.0, share)
        for i, (ratio, share) in enumerate(zip(ratios, shares, strict=True))
    }
    assert joint_growth.summary(found).endswith(words)


def test_an_lr_that_grows_too_fast_has_no_bound(monkeypatch):
    monkeypatch.setattr(lyapunov, "LR_GROWTH", 1.3)  # 0.81 * 1.3 > 1
    assert lyapunov.bound.__wrapped__("T3", "growing", "growing", 2) == float("inf")
