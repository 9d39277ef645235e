"""Certificates next to what happens: limits against the theorems' own conditions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdm_lib import fit_many, schedules, theory
from sgdm_lib.engine import Experiment, curvature_path
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.study import certified, papers
from sgdm_lib.study.figures import certificates
from sgdm_lib.theory import Constants, Hyperparameters

CONDITIONS = {
    "T2": theory.certificate_condition,
    "T3": theory.lyapunov_condition,
    "T3Q": theory.nonincreasing_lr_condition,
}
RATES = st.lists(st.floats(0.01, 2.0), min_size=1, max_size=12).map(np.array)
MOMENTA = st.sampled_from([0.0, 0.5, 0.87, 0.9])


@given(RATES, MOMENTA, st.sampled_from(sorted(CONDITIONS)), st.sampled_from(["nshb", "shb"]))
@settings(deadline=None, max_examples=50)
def test_limits_are_where_the_conditions_change(lr, momentum, theorem, optimizer):
    most = theory.smoothness_limits(
        theorem, Hyperparameters(lr, momentum, optimizer=optimizer)
    ).min()
    known = {"optimizer": optimizer}

    def applies(smoothness):
        return bool(CONDITIONS[theorem](Hyperparameters(lr, momentum, **known), smoothness))

    if most <= 0:
        assert not applies(1e-9)
    else:
        assert applies(most * 0.999)
        assert not applies(most * 1.001)


@given(RATES, MOMENTA, st.sampled_from(sorted(CONDITIONS)), st.floats(0.05, 5))
@settings(deadline=None, max_examples=50)
def test_covered_steps_is_the_longest_beginning_that_a_theorem_covers(lr, beta, theorem, size):
    count = theory.covered_steps(theorem, Hyperparameters(lr, beta), smoothness=size)
    ok = [
        bool(CONDITIONS[theorem](Hyperparameters(lr[:k], beta), size))
        for k in range(1, lr.size + 1)
    ]
    assert not count or ok[count - 1]
    assert (count == lr.size) == ok[-1]
    if theorem != "T2":
        assert ok == [k <= count for k in range(1, lr.size + 1)]


def test_limits_by_epoch_name_the_epoch_of_the_jump():
    plan = papers.catalogue()["kondo2025/cifar100/nshb/both_growing_max1.0"].plan(50_000)
    at_09 = TrainingPlan(plan.n_train, plan.epochs, plan.batch_size, plan.lr, momentum=0.9)
    refused = np.flatnonzero(certified.limits_by_epoch(at_09, "T3") <= 0)
    assert refused.tolist() == list(range(30, 300, 30))
    assert (certified.limits_by_epoch(plan, "T3") > 0).all()  # theirs has momentum 0.87
    with pytest.raises(ValueError, match="theorem"):
        certified.limits_by_epoch(plan, "T9")


def test_unknown_theorem_and_bad_values():
    with pytest.raises(ValueError, match="theorem"):
        theory.smoothness_limits("T1", Hyperparameters(0.1, 0.9, steps=2))
    with pytest.raises(ValueError, match="smoothness"):
        theory.covered_steps("T3", Hyperparameters([0.1], 0.9), smoothness=0)
    changing = TrainingPlan(10, 2, 5, 0.1, momentum=schedules.StageGrowth(0.5, 1.5, every=1))
    with pytest.raises(ValueError, match="momentum must be constant"):
        certified.on_quadratic(changing)


def test_on_a_quadratic_the_bounds_hold_and_end_where_they_stop_to_cover():
    plan = papers.catalogue()["quick/digits/nshb/both_growing_max0.5"].plan()
    one = certified.on_quadratic(plan)
    for bound in one.bounds.values():
        covered = ~np.isnan(bound)
        least = np.minimum.accumulate(one.norm)
        assert (bound[covered] >= least[covered]).all()
    assert np.flatnonzero(np.isnan(one.bounds["T3"]))[0] == 5  # the first jump, by 5^(1/7)
    steady = certified.on_quadratic(papers.catalogue()["quick/digits/nshb/x2"].plan())
    assert not np.isnan(steady.bounds["T3"]).any()
    assert not np.isnan(steady.bounds["T2"]).any()


def test_the_quadratic_is_run_with_the_plans_own_steps():
    plan = TrainingPlan(10, 2, schedules.StageGrowth(5, 2, every=1), 0.3, momentum=0.5)
    problem = certified.Quadratic(smoothness=2.0, variance=0.0, directions=3)
    x, m, norms = problem.start, np.zeros(3), []
    for steps in (2, 1):
        for _ in range(steps):
            m = 0.5 * m + 0.5 * problem.curvatures * x
            x = x - 0.3 * m
        norms.append(np.linalg.norm(problem.curvatures * x))
    assert certified.on_quadratic(plan, problem).norm == pytest.approx(norms)
    assert problem.curvatures @ problem.start**2 / 2 == pytest.approx(1.0)


@pytest.fixture(scope="module")
def network():
    lr = schedules.GrowthTo(0.05, 0.1, every=1)
    short = Experiment(
        dataset="digits", model="mlp", optimizer="nshb", epochs=2, batch_size=64, lr=lr
    )
    runs = fit_many([short.replace(seed=seed) for seed in (0, 1)], progress=False)
    curvature = curvature_path(short, [1, 2])
    return certified.on_network(runs, short.plan(), curvature)


def test_on_a_network(network):
    assert network.epoch.tolist() == [1, 2]
    assert (network.low <= network.norm).all()
    assert (network.norm <= network.high).all()
    assert all(0 < value < 100 for value in network.smoothness.values())
    assert network.bounds == {}
    with pytest.raises(ValueError, match="number of runs"):
        certified.on_network([], network.plan, None)


def test_summary_says_who_is_covered(network):
    flat = certified.on_quadratic(TrainingPlan(100, 2, 10, 0.1))
    steep = certified.on_quadratic(TrainingPlan(100, 2, 10, 4.0))
    table = certified.summary({"doubled": network, "flat": flat, "steep": steep})
    assert table["covered"] == ["no", "yes", "no"]
    assert table["T3: L at most"][:2] == ["none", "19"]  # 0.81 * 2 > 1; 1.9/0.1
    assert table["momentum at most"][0] == 0.70  # 1/sqrt(2) = 0.707


def test_figure(network):
    import matplotlib.pyplot as plt

    flat = certified.on_quadratic(TrainingPlan(100, 2, 10, 0.1))
    figure = certificates({"network": network, "flat": flat})
    assert [axes.get_title() for axes in figure.axes] == ["network", "flat", "", ""]
    red = [len([p for p in axes.patches if p.get_alpha() == 0.18]) for axes in figure.axes]
    assert red == [0, 0, 1, 0]  # the second epoch of the network begins with a jump
    assert "T3" in [text.get_text() for text in figure.legends[0].get_texts()]
    plt.close(figure)


def test_on_digits_uses_the_runs_at_hand():
    from sgdm_lib.study import evidence

    name = "nshb/warmup_const_max0.2"
    experiment = papers.catalogue()[f"quick/digits/{name}"].replace(epochs=6)
    plan = experiment.plan()
    runs = fit_many([experiment.replace(seed=seed) for seed in (0, 1)], progress=False)
    at_hand = evidence.Trained({name: runs})
    found = certified.on_digits({"warm": name}, at_hand, epochs=(6,))
    assert found["warm"].plan == plan
    assert list(found["warm"].smoothness) == [6]
    assert found["warm"].norm[-1] == pytest.approx(
        np.mean([run.history["full_gradient_norm"].iloc[-1] for run in runs])
    )
    with pytest.raises(ValueError, match="run must be"):
        certified.on_digits({"none": "nshb/none"}, at_hand)


def test_coefficients_are_those_of_the_bound():
    names = ("constant_cosine", "both_growing_max1.0")
    plans = {n: papers.catalogue()[f"quick/digits/nshb/{n}"].plan() for n in names}
    table = certified.coefficients(plans)
    plan = plans["constant_cosine"]
    lr = np.repeat(plan.table()["lr_first"].to_numpy(), plan.steps)
    bound = theory.lyapunov_bound(Hyperparameters(lr, 0.9, 128.0), Constants(1.0, 1.0, 1.0))
    assert table["times Delta"][0] + table["times sigma^2"][0] == pytest.approx(bound[-1])
    assert table["times sigma^2"][0] == pytest.approx(1 / 128)
    assert np.isnan(table["times Delta"][1])  # 0.87^2 * 10^(1/7) > 1
    assert table["momentum"] == [0.9, 0.87]


def test_hierarchy_figure():
    import matplotlib.pyplot as plt
    from claims_helpers import curve

    from sgdm_lib.study import criteria
    from sgdm_lib.study.figures import hierarchy

    found = criteria.InMemory({("a/b", "empirical_loss"): curve([2.0, 1.0, 0.5], 0.1)})
    figure = hierarchy(found, {"one": "a/b", "two": "a/c"}, ["empirical_loss"], ["epoch", "sfo"])
    drawn = [axes.get_lines() for axes in figure.axes]
    assert [line[0].get_xdata().tolist() for line in drawn] == [[1, 2, 3], [1000, 2000, 3000]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one"]
    empty = hierarchy(found, {"two": "a/c"})
    assert empty.get_suptitle() == "not yet run"
    with pytest.raises(ValueError, match="over"):
        hierarchy(found, {}, over=["hours"])
    plt.close("all")


def test_break_even_and_the_last_stage_by_the_formulas_of_the_bound():
    growing = TrainingPlan(64, 4, schedules.StageGrowth(8, 2, every=2), 0.1, momentum=0.5)
    fixed = TrainingPlan(64, 4, 32, 0.1, momentum=0.5)
    # steps: 8 + 8 with batch size 8 and 4 + 4 with 16; 2 an epoch with 32
    d, s = 2 / (0.5 * 24 * 0.1), (16 / 8 + 8 / 16) / 24
    d_fixed, s_fixed = 2 / (0.5 * 8 * 0.1), 1 / 32
    found = certified.break_even(growing, fixed)
    assert found == pytest.approx((s - s_fixed) / (d_fixed - d), rel=1e-12)
    last = certified.last_stage(growing, fixed)
    assert last["steps"] == 8
    assert last["gap"] == pytest.approx(2 / (0.5 * 8 * 0.1), rel=1e-12)
    assert last["noise"] == 1 / 16
    assert last["even"] == pytest.approx((1 / 32 - 1 / 16) / last["gap"], rel=1e-12)


def test_growth_conditions_say_where_no_smoothness_will_do():
    lr = schedules.StageGrowth(0.1, 1.3, every=1)
    plans = {beta: TrainingPlan(100, 2, 10, lr, momentum=beta) for beta in (0.5, 0.9)}
    table = certified.growth_conditions(plans)
    assert table["jump"] == pytest.approx([1.0, 1.3])  # with 0.5 the level 0.13 decides
    assert table["momentum^2 x jump"] == pytest.approx([0.25, 0.81 * 1.3])
    # L <= (1 - beta^2 gamma) / ((1 - beta) eta) at the jump from 0.1, and (1 + beta) / eta at 0.13
    assert table["T3: L at most"] == [f"{min(0.675 / 0.05, 1.5 / 0.13):.3g}", "none"]
    assert table["momentum at most"] == [0.87, 0.87]
