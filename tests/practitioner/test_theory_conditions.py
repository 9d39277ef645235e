"""Inadmissible settings are reported: which condition, at which step, by how much; bad input."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdm_lib import theory
from sgdm_lib.theory import Constants, Hyperparameters

FEW = settings(deadline=None, max_examples=40)
CONSTANTS = Constants(1.0, 1.0, 1.0)


def test_t3_reports_the_first_jump_that_is_too_large():
    lr = np.repeat([0.01, 0.012, 0.0156, 0.05], 5)  # x1.2 and x1.3: 0.81 x 1.3 > 1
    verdict = theory.lyapunov_condition(Hyperparameters(lr, 0.9), smoothness=1.0)
    assert not verdict
    assert verdict.step == 10
    assert verdict.condition.startswith("lr growth")
    assert verdict.value == pytest.approx(0.81 * 0.0156)
    assert verdict.limit == pytest.approx(0.012 * (1 - 0.1 * 0.012))
    assert verdict.excess == pytest.approx(verdict.value - verdict.limit)
    assert theory.lyapunov_condition(Hyperparameters(lr[:10], 0.9), smoothness=1.0)


def test_the_ten_fold_runs_need_a_momentum_below_0_9():
    growth = 10 ** (1 / 9)
    lr = theory.staged(0.01, growth, 10, 3)
    assert not theory.lyapunov_condition(Hyperparameters(lr, 0.9), smoothness=0.01)
    assert theory.lyapunov_condition(Hyperparameters(lr, 0.87), smoothness=0.01)
    five = theory.staged(0.01, 5 ** (1 / 9), 10, 3)
    assert theory.lyapunov_condition(Hyperparameters(five, 0.9), smoothness=0.01)
    assert 0.87 < theory.largest_momentum(growth) < 0.9 < theory.largest_momentum(5 ** (1 / 9))


@FEW
@given(st.floats(0.01, 0.99), st.floats(0, 0.99), st.sampled_from(["nshb", "shb"]))
def test_fastest_growth_is_the_edge_of_the_condition(momentum, share, optimizer):
    unit = 1 - momentum if optimizer == "shb" else 1.0
    lr = share * unit * (1 + momentum) / 2 + 1e-3 * unit
    fastest = theory.fastest_lr_growth(momentum, lr=lr, smoothness=1.0, optimizer=optimizer)

    def run(rates):
        return Hyperparameters(rates, momentum, optimizer=optimizer)

    inside = theory.lyapunov_condition(run([lr, 0.999 * fastest * lr, 1e-9 * lr]), 1.0)
    assert inside or inside.step == 2  # the jump itself is allowed; what follows may not be
    outside = theory.lyapunov_condition(run([lr, 1.001 * fastest * lr]), 1.0)
    assert not outside
    assert outside.step == 1


@FEW
@given(st.floats(0, 0.99), st.sampled_from(["nshb", "shb"]), st.floats(0, 0.9))
def test_limits_of_constant_lr_are_sharp_and_in_the_optimizers_own_lr(momentum, optimizer, nu):
    nu = 1.0 if optimizer == "shb" else nu
    unit = 1 - momentum if optimizer == "shb" else 1.0
    limit = theory.constant_lr_limit(momentum, smoothness=2.0, nu=nu, optimizer=optimizer)
    edges = [
        (theory.constant_lr_condition, nu, limit),
        (theory.lyapunov_condition, 1.0, (1 + momentum) / 2 * unit),
        (theory.nonincreasing_lr_condition, 1.0, 2 / 2 * unit),
        (theory.lyapunov_family_condition, 1.0, 2 / 2 * unit),
    ]
    for condition, weight, edge in edges:
        below, above = (
            Hyperparameters(edge * share, momentum, nu=weight, optimizer=optimizer)
            for share in (1 - 1e-9, 1.001)
        )
        assert condition(below, 2.0)
        verdict = condition(above, 2.0)
        assert not verdict
        assert verdict.limit == pytest.approx(edge)
        assert verdict.value == pytest.approx(edge * 1.001)


def test_a_changing_lr_is_no_constant_lr():
    lr = [0.01, 0.01, 0.02]
    for verdict in (
        theory.constant_lr_condition(Hyperparameters(lr, 0.5), smoothness=1.0),
        theory.lyapunov_family_condition(Hyperparameters(lr, 0.5), smoothness=1.0),
        theory.theorem_31_condition(Hyperparameters(lr, 0.5), smoothness=1.0),
    ):
        assert (verdict.ok, verdict.step) == (False, 2)
        assert verdict.condition.startswith("constant lr")
        assert verdict.excess == pytest.approx(0.01)


def test_t2_names_the_step_whose_weight_turns_negative():
    lr = np.full(60, 0.01)
    lr[40:] = 0.2
    verdict = theory.certificate_condition(Hyperparameters(lr, 0.9), smoothness=1.0)
    weights = theory.certificate_weights(Hyperparameters(lr, 0.9), smoothness=1.0)[0]
    assert not verdict
    assert verdict.step == int(np.argmax(weights < 0))
    assert 0 < verdict.step < 40  # steps before the jump pay for it: they look ahead
    rapid = theory.growing_lr_condition(Hyperparameters([1e-6, 1e-6, 1.0], 0.9), smoothness=1e-9)
    assert not rapid
    assert rapid.condition.startswith("lr growth")


def test_every_bound_refuses_with_the_reason():
    calls = [
        (theory.constant_lr_bound, (0.5, 0.9, 1), {}),
        (theory.schedule_certificate, (0.5, 0.9, 1), {}),
        (theory.growing_lr_bound, (0.5, 0.9, 1), {}),
        (theory.lyapunov_bound, (2.0, 0.9, 1), {}),
        (theory.nonincreasing_lr_bound, (2.0, 0.9, 1), {}),
        (theory.lyapunov_family_bound, (2.0, 0.9, 1), {}),
        (theory.theorem_31_bound, (0.03, 0.9, 1), {}),
        (theory.theorem_32_bound, (0.03, 0.9, 1), {"growth": 2, "stage_steps": 1}),
        (theory.lemma_a4_bound, (0.03, 0.9, 1), {}),
    ]
    for bound, arguments, more in calls:
        with pytest.raises(ValueError, match=r"does not apply: .*step 0: .* too much"):
            bound(Hyperparameters(*arguments, steps=5), CONSTANTS, **more)
    with pytest.raises(ValueError, match="SGD bound does not apply"):
        theory.sgd_bound(Hyperparameters([1.0, 2.0], 0.0, 1), CONSTANTS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"momentum": 1.0}, "momentum must be a finite number >= 0 and < 1, got 1.0"),
        ({"lr": -0.1}, "lr must be a finite number >= 0, got -0.1"),
        ({"lr": [0.1, np.nan]}, r"lr\[1\] must be a finite number >= 0, got nan"),
        ({"batch_size": [4, 0]}, r"batch_size\[1\] must be a finite number > 0, got 0.0"),
        ({"batch_size": [4, 4, 4], "lr": [0.1, 0.1]}, "one length, got lr 2, batch_size 3"),
        ({"lr": np.ones((2, 2))}, r"one-dimensional array, got shape \(2, 2\)"),
        ({"steps": None}, "steps must be given when lr and batch_size are constant"),
        ({"steps": 0}, "steps must be a whole number >= 1"),
        ({"smoothness": 0}, "smoothness must be a finite number > 0"),
        ({"variance": -1}, "variance must be a finite number >= 0"),
        ({"initial_gap": math.inf}, "initial_gap must be a finite number >= 0"),
        ({"optimizer": "adam"}, "optimizer must be one of nshb, shb"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {"lr": 0.1, "momentum": 0.5, "batch_size": 4, "steps": 2}
    loss = {"smoothness": 1.0, "variance": 1.0, "initial_gap": 1.0}
    if ("lr" in change and np.ndim(change["lr"])) or "batch_size" in change:
        good["steps"] = None
    with pytest.raises(ValueError, match=message):
        theory.lyapunov_bound(
            Hyperparameters(**good | {k: v for k, v in change.items() if k not in loss}),
            Constants(**loss | {k: v for k, v in change.items() if k in loss}),
        )


def test_other_bad_input():
    with pytest.raises(ValueError, match="nu must be 1 with optimizer='shb'"):
        theory.constant_lr_bound(
            Hyperparameters(0.01, 0.5, 1, steps=1, nu=0.5, optimizer="shb"), CONSTANTS
        )
    with pytest.raises(ValueError, match="kappa must be a finite number > 0"):
        theory.constant_lr_bound(Hyperparameters(0.01, 0.5, 1, steps=1), CONSTANTS, kappa=0)
    with pytest.raises(ValueError, match="x must be a finite number > 0 and < 1"):
        theory.lyapunov_family_bound(Hyperparameters(0.01, 0.5, 1, steps=1), CONSTANTS, x=1)
    with pytest.raises(ValueError, match="version must be one of printed, repaired"):
        theory.theorem_31_condition(Hyperparameters(0.01, 0.5), smoothness=1, version="new")
    with pytest.raises(ValueError, match="batch_size must be constant"):
        theory.theorem_31_bound(Hyperparameters(0.01, 0.5, [1, 2], steps=2), CONSTANTS)


# --- Kamo & Iiduka -----------------------------------------------------------------------------


@FEW
@given(st.floats(0.01, 0.99), st.floats(1.001, 50))
def test_the_constant_of_theorem_32_simplifies(momentum, growth):
    b2 = momentum**2
    if abs(b2 * growth - 1) > 1e-3:
        printed = growth / (b2 * growth - 1) * (b2 / (1 - b2) - 1 / (growth - 1))
        assert printed == pytest.approx(theory.growth_factor(momentum, growth), rel=1e-6)


@FEW
@given(st.lists(st.integers(1, 99), min_size=1, max_size=25), st.floats(0.05, 0.99))
def test_lemma_a4_is_its_double_sum(batches, momentum):
    lr = theory.lr_limits(momentum).second_growth * 0.5
    lr = min(lr, theory.lr_limits(momentum).first)
    got = theory.lemma_a4_bound(
        Hyperparameters(lr, momentum, batches), CONSTANTS, version="repaired"
    )
    total = len(batches)
    double = sum(momentum ** (2 * (t - i)) / batches[i] for t in range(total) for i in range(t + 1))
    assert got[-1] == pytest.approx(2 / (lr * total) + 2 * lr / total * double)
    assert double <= sum(1 / b for b in batches) / (1 - momentum**2) + 1e-12


def test_theorems_31_and_32_are_their_formulas_and_a1_a2_their_shb_forms():
    b31 = theory.theorem_31_bound(Hyperparameters(0.02, 0.9, 16, steps=50), CONSTANTS)[-1]
    assert b31 == pytest.approx(2 / (0.02 * 50) + 0.02 / 16 * ((3 * 0.81 + 0.9) / 3.8 + 1))
    stage = {"growth": 2, "stage_steps": 10}
    b32 = theory.theorem_32_bound(Hyperparameters(0.02, 0.9, 8, steps=50), CONSTANTS, **stage)[-1]
    printed = 2 / (0.81 * 2 - 1) * (0.81 / 0.19 - 1)
    assert b32 == pytest.approx(2 / (0.02 * 50) + 2 * 0.02 * 10 / (8 * 50) * printed)
    shb = Hyperparameters(0.002, 0.9, 16, steps=50, optimizer="shb")
    a1 = theory.theorem_31_bound(shb, CONSTANTS)[-1]
    factor = (3 * 0.81 + 0.9) / 3.8 + 1
    assert a1 == pytest.approx(2 * 0.1 / (0.002 * 50) + 0.002 / (16 * 0.1) * factor)
    shb = Hyperparameters(0.002, 0.9, 8, steps=50, optimizer="shb")
    assert theory.theorem_32_bound(shb, CONSTANTS, **stage)[-1] == pytest.approx(b32)
    assert not theory.theorem_31_condition(
        Hyperparameters(0.02, 0.9, optimizer="shb"), smoothness=1
    )


def test_printed_limits_at_momentum_0_9():
    limits = theory.lr_limits(0.9)
    assert limits.first == pytest.approx(0.0270, abs=5e-5)
    assert limits.second_growth == pytest.approx(0.00274, abs=5e-6)
    between = 0.01
    assert theory.theorem_32_condition(Hyperparameters(between, 0.9), growth=2, smoothness=1)
    refused = theory.theorem_32_condition(
        Hyperparameters(between, 0.9), growth=2, smoothness=1, version="repaired"
    )
    assert refused.condition == "lr <= second limit of the proof"
    superfluous = theory.theorem_32_condition(Hyperparameters(0.002, 0.9), growth=1.2, smoothness=1)
    assert superfluous.condition.startswith("beta^2 delta > 1")
    assert theory.theorem_32_condition(
        Hyperparameters(0.002, 0.9), growth=1.2, smoothness=1, version="repaired"
    )


def test_the_printed_maximum_is_always_the_first_limit():
    limits = [theory.lr_limits(b) for b in np.linspace(0.001, 0.999, 999)]
    assert min(x.first / x.second_constant for x in limits) == pytest.approx(1.5, abs=5e-3)
    assert min(x.first / x.second_growth for x in limits) == pytest.approx(2.65, abs=0.05)


def test_printed_theorems_fail_at_momentum_0_01():
    case = theory.counterexample(0.01)
    assert case.violated
    assert case.lr == pytest.approx(3.41, abs=5e-3)
    assert case.bound == pytest.approx(1.5e-3, abs=5e-5)
    assert case.measured == 1.0
    assert case.lr > case.stability_limit
    x, m, smallest = 1.0, 0.0, 1.0
    for _ in range(200):  # the run itself, written out
        smallest = min(smallest, x * x)
        m = 0.01 * m + 0.99 * x
        x -= case.lr * m
    assert smallest == 1.0
    assert x * x > 1e20
    assert theory.theorem_31_condition(Hyperparameters(case.lr, 0.01), smoothness=1.0)
    growth = 2 / 0.01**2
    assert theory.theorem_32_condition(
        Hyperparameters(case.lr, 0.01), growth=growth, smoothness=1.0
    )
    bound = theory.theorem_32_bound(
        Hyperparameters(case.lr, 0.01, 1, steps=200),
        Constants(1, 0, 0.5),
        growth=growth,
        stage_steps=100,
    )
    assert bound[-1] < case.measured
    for version in (theory.theorem_31_condition, theory.lemma_a4_condition):
        assert not version(Hyperparameters(case.lr, 0.01), 1.0, version="repaired")


def test_with_noise_the_printed_theorem_31_fails_below_0_07():
    edge = theory.momentum_thresholds()
    assert edge.unstable == pytest.approx(0.026, abs=5e-4)
    assert edge.floor == pytest.approx(0.0706, abs=5e-4)
    own = {"variance": 1.0, "start": 10.0, "steps": 100_000, "fraction": 1.0}
    case = theory.counterexample(0.065, **own)
    assert case.violated
    assert case.lr < case.stability_limit
    assert not theory.counterexample(0.08, **own).violated


def test_for_a_single_step_the_printed_theorem_31_fails_below_0_094():
    edge = theory.momentum_thresholds()
    assert edge.single_step == pytest.approx((math.sqrt(128) - 10) / 14, abs=1e-9)
    assert edge.floor < edge.single_step < edge.bias
    own = {"variance": 1.0, "start": 1e3, "steps": 1, "fraction": 1.0}
    for momentum, ratio in [(0.08, 0.90), (0.09, 0.97), (0.10, 1.04)]:
        case = theory.counterexample(momentum, **own)
        assert case.bound / case.measured == pytest.approx(ratio, abs=0.005)
        assert case.violated is (ratio < 1)
        # at T = 1 on x^2/2: 2 Delta against 2 Delta/eta, by hand
        assert case.measured == 1e6
        noise = case.lr * theory.constant_batch_factor(momentum)
        assert case.bound == pytest.approx(1e6 / case.lr + noise)


@pytest.mark.parametrize("version", ["printed", "repaired"])
def test_the_papers_theorems_ask_for_momentum(version):
    for condition in (theory.theorem_31_condition, theory.lemma_a4_condition):
        for lr in (1e-6, 1000.0):
            verdict = condition(Hyperparameters(lr, 0.0), 1.0, version=version)
            assert not verdict
            assert verdict.condition == "momentum > 0"
    with pytest.raises(ValueError, match="does not apply: momentum > 0"):
        theory.theorem_31_bound(Hyperparameters(0.1, 0.0, 8, steps=3), CONSTANTS, version=version)
    with pytest.raises(ValueError, match="does not apply: momentum > 0"):
        theory.theorem_32_bound(
            Hyperparameters(0.1, 0.0, 8, steps=3),
            CONSTANTS,
            growth=2,
            stage_steps=1,
            version=version,
        )


@pytest.mark.parametrize(
    ("momentum", "all_of_it"), [(0.27, True), (0.61, True), (0.9, True), (0.2, False)]
)
def test_what_t1_proves_of_the_printed_statements(momentum, all_of_it):
    implied = theory.implied_by_constant_lr_bound(momentum)
    assert implied.bias
    assert implied.theorem_32
    assert implied.theorem_31 is all_of_it
    for share in (0.01, 0.5, 1.0) if all_of_it else ():
        lr = share * theory.lr_limits(momentum).first
        ours = theory.constant_lr_bound(Hyperparameters(lr, momentum, 4.0, steps=30), CONSTANTS)
        printed = theory.theorem_31_bound(Hyperparameters(lr, momentum, 4.0, steps=30), CONSTANTS)
        assert np.all(ours <= printed)


def test_t1_at_half_its_limit_beats_the_repaired_paper_at_momentum_0_9():
    assert theory.constant_lr_limit(0.9, smoothness=1) / 2 == pytest.approx(0.0378, abs=5e-5)
    assert theory.noise_factor(0.9) == pytest.approx(1.67, abs=5e-3)
    assert pytest.approx(10.5, abs=0.05) == 2 / (1 - 0.81)
    assert theory.noise_factor(1 - 1e-9) == pytest.approx(1 + 1 / math.sqrt(2))


def test_theory_needs_numpy_only():
    code = (
        "import sys, sgdm_lib.theory;"
        "print([m for m in ('torch', 'pandas', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
