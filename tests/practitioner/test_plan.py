"""TrainingPlan: pinned numbers of the papers, invariants for every plan, bad input."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdm_lib.plan import TrainingPlan
from sgdm_lib.schedules import (
    AffineGrowthTo,
    Constant,
    Cosine,
    Cyclical,
    Diminishing,
    GrowthTo,
    Piecewise,
    Polynomial,
    StageGrowth,
    UserSchedule,
    WarmUp,
    linear,
)


@st.composite
def plans(draw):
    """Plans of every shape: any batch sizes, schedules in epochs and in steps."""
    n = draw(st.integers(1, 200))
    epochs = draw(st.integers(2, 8))
    sizes = draw(st.lists(st.floats(0.01, n), min_size=epochs, max_size=epochs))
    unit = draw(st.sampled_from(["epoch", "step"]))
    lr = draw(
        st.sampled_from(
            [
                Constant(0.1, unit=unit),
                Cosine(0.1, 0.01, unit=unit),
                Polynomial(0.1, power=2, unit=unit),
                Diminishing(0.1, unit=unit),
                StageGrowth(0.1, 1.5, every=2, cap=0.3, unit=unit),
                WarmUp(linear(0.1, 0.5, unit=unit), 1, Cosine(0.5, unit=unit)),
            ]
        )
    )
    return TrainingPlan(
        n,
        epochs,
        Piecewise(tuple(sizes), tuple(range(1, epochs))),
        lr,
        momentum=draw(st.sampled_from([0.0, 0.9, linear(0.9), Cosine(0.5)])),
        nu=draw(st.sampled_from([None, 0.7, linear(1.0, 0.5)])),
        allow_shrinking=True,
    )


# Numbers of the papers


def test_kondo_iidukas_doubling_schedule():
    plan = TrainingPlan(50_000, 300, StageGrowth(8, 2, every=30), lr=0.1)
    assert [s.batch_size for s in plan.stages] == [8 * 2**m for m in range(10)]
    assert [s.steps_per_epoch for s in plan.stages] == [
        6250, 3125, 1563, 782, 391, 196, 98, 49, 25, 13,
    ]  # fmt: skip
    ragged = [50_000 - (s.steps_per_epoch - 1) * s.batch_size for s in plan.stages]
    assert ragged == [8, 16, 16, 16, 80, 80, 336, 848, 848, 848]
    assert plan.total_steps == 374_760
    assert TrainingPlan(50_000, 300, 128, lr=0.1).total_steps == 117_300


@pytest.mark.parametrize(
    ("batch_size", "steps"),
    [
        (128, 78_200),
        (StageGrowth(8, 2, every=20), 249_840),
        (StageGrowth(8, 4, every=40), 333_080),
    ],
)
def test_kamo_iidukas_steps(batch_size, steps):
    assert TrainingPlan(50_000, 200, batch_size, lr=0.1).total_steps == steps


@pytest.mark.parametrize(
    ("batch_size", "epoch", "sfo"),
    [
        (8, 55, 2_750_000),
        (8, 105, 5_250_000),
        (StageGrowth(8, 2, every=20, cap=1024), 41, 2_050_016),
        (StageGrowth(8, 2, every=20, cap=1024), 50, 2_500_160),
        (128, 115, 5_755_520),
        (128, 196, 9_809_408),
        (StageGrowth(128, 2, every=50, cap=1024), 58, 2_903_808),
        (StageGrowth(128, 2, every=50, cap=1024), 101, 5_061_376),
        (128, 50, 2_502_400),
        (StageGrowth(128, 2, every=25, cap=1024), 26, 1_301_376),
    ],
)
def test_kamo_iidukas_sfo_tables(batch_size, epoch, sfo):
    """Nominal SFO at the end of the epoch in which the table's run crossed its threshold."""
    plan = TrainingPlan(50_000, 200, batch_size, lr=0.1)
    assert plan.table()["cumulative_sfo_nominal"][epoch - 1] == sfo


def test_affine_ladder_of_tiny_imagenet_and_lr_stages_at_the_same_epochs():
    lr = GrowthTo(0.1, 1.0, every=30)
    plan = TrainingPlan(100_000, 300, AffineGrowthTo(8, 1024, factor=2, every=30), lr)
    assert plan.batch_sizes[::30].tolist() == [8, 10, 14, 22, 38, 70, 134, 261, 516, 1024]
    assert np.diff(plan.table()["lr_first"]).nonzero()[0].tolist() == list(range(29, 299, 30))


def test_linear_per_step_decays_early_when_batches_grow():
    plan = TrainingPlan(50_000, 300, StageGrowth(8, 2, every=30), linear(0.1))
    assert plan.table()["lr_first"][30] == pytest.approx(0.05, abs=5e-4)


# Invariants


@settings(deadline=None, max_examples=50)
@given(plans())
def test_table_against_a_loop_over_every_batch(plan):
    table = plan.table()
    step = sfo = nominal = 0
    for epoch in range(plan.epochs):
        size, first, lrs = int(plan.batch_sizes[epoch]), 0, []
        assert plan.first_step(epoch) == step
        begin = step
        while first < plan.n_train:
            at = plan.position(step)
            last = min(first + size, plan.n_train)
            assert at == (step, epoch, step - begin, size, first, last)
            now = plan.at(step)
            lrs.append(now["lr"])
            for name in now:
                schedule = getattr(plan, name)
                want = schedule(float(epoch if schedule.unit == "epoch" else step))
                assert now[name] == pytest.approx(want, rel=1e-14)
                assert plan.in_epoch(epoch)[name][step - begin] == pytest.approx(want, rel=1e-14)
            sfo += last - first
            nominal += size
            first, step = last, step + 1
        assert first == plan.n_train  # every sample once
        row = table.iloc[epoch]
        assert (row.epoch, row.batch_size, row.steps) == (epoch + 1, size, step - begin)
        assert (row.cumulative_steps, row.cumulative_sfo) == (step, sfo)
        assert row.cumulative_sfo_nominal == nominal
        assert (row.lr_first, row.lr_last) == pytest.approx((lrs[0], lrs[-1]), rel=1e-14)
    assert (plan.total_steps, plan.total_sfo, plan.total_sfo_nominal) == (step, sfo, nominal)


@settings(deadline=None, max_examples=50)
@given(plans())
def test_stages_cover_all_epochs_and_neighbours_differ(plan):
    sizes = [s.batch_size for s in plan.stages for _ in range(s.epochs)]
    steps = [s.steps_per_epoch for s in plan.stages for _ in range(s.epochs)]
    assert sizes == plan.batch_sizes.tolist()
    assert steps == plan.steps.tolist()
    assert [s.first_epoch for s in plan.stages] == [
        sum(s.epochs for s in plan.stages[:i]) for i in range(len(plan.stages))
    ]
    assert all(a.batch_size != b.batch_size for a, b in pairwise(plan.stages))


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 500), st.floats(0.01, 500), st.integers(1, 5))
def test_batch_sizes_are_rounded_up(n, size, epochs):
    size = min(size, n)
    plan = TrainingPlan(n, epochs, size, lr=0.1)
    assert plan.batch_sizes.tolist() == [math.ceil(size)] * epochs
    assert plan.steps.tolist() == [math.ceil(n / math.ceil(size))] * epochs


@settings(deadline=None, max_examples=50)
@given(plans(), st.sampled_from(["n_train", "epochs", "lr", "momentum", "nu", "batch_size"]))
def test_equal_plans_have_equal_fingerprints_and_others_have_others(plan, change):
    given_ = {
        name: getattr(plan, name)
        for name in ("n_train", "epochs", "batch_size", "lr", "momentum", "nu", "allow_shrinking")
    }
    again = TrainingPlan(**given_)
    assert again == plan
    assert again.fingerprint == plan.fingerprint
    value = {
        "n_train": plan.n_train + 1,
        "epochs": plan.epochs + 1,
        "lr": 0.12345,
        "momentum": 0.12345,
        "nu": 0.12345,
        "batch_size": Constant(201),
    }[change]
    more = {"n_train": 300} if change == "batch_size" else {}
    fixed = {"lr": 0.1, "momentum": 0.9, "nu": None}  # open horizons would be another length's
    plan = TrainingPlan(**{**given_, **fixed, **more})
    other = TrainingPlan(**{**given_, **fixed, **more, change: value})
    assert other.fingerprint != plan.fingerprint


def test_preview_names_totals_hyperparameters_and_stages():
    plan = TrainingPlan(50_000, 300, StageGrowth(8, 2, every=30), Cosine(0.1), nu=0.7)
    text = str(plan)
    assert text.startswith("50,000 samples, 300 epochs: 374,760 steps, SFO 15,000,000")
    assert "lr 0.1*(1+cos(pi*t/300))/2; momentum 0.9; nu 0.7" in text
    lines = text.splitlines()[3:]
    assert lines[0].split()[:3] == ["1-30", "8", "6250"]
    assert len(lines) == 10


# Bad input


def good(**changes):
    return TrainingPlan(**{"n_train": 100, "epochs": 10, "batch_size": 8, "lr": 0.1, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_train": 0}, r"n_train must be a whole number >= 1, got 0"),
        ({"n_train": 10.5}, r"n_train must be a whole number >= 1, got 10.5"),
        ({"epochs": 0}, r"epochs must be a whole number >= 1, got 0"),
        (
            {"batch_size": 101},
            r"between 1 and n_train = 100, got 101 in epoch 1 .*cap the schedule",
        ),
        (
            {"batch_size": 0},
            r"batch_size must be between 1 and n_train = 100, got 0 .*: start at 1",
        ),
        ({"batch_size": -1}, r"batch_size must be a finite number >= 0, got -1"),
        (
            {"batch_size": StageGrowth(8, 2, every=1)},
            r"between 1 and n_train = 100, got 128 in epoch 5 from 8\*2\^floor.*: cap the schedule",
        ),
        ({"batch_size": StageGrowth(8, 1e300, every=1)}, r"got 8e\+300 in epoch 2"),
        ({"batch_size": UserSchedule(lambda t: math.inf)}, r"got inf in epoch 1"),
        (
            {"batch_size": StageGrowth(64, 0.5, every=3)},
            r"must not shrink, got 32 in epoch 4 after 64 .*pass allow_shrinking=True",
        ),
        (
            {"batch_size": Cyclical(StageGrowth(8, 2, every=2), 4)},
            r"must not shrink, got 8 in epoch 5 after 16",
        ),
        (
            {"batch_size": StageGrowth(8, 2, every=50, unit="step")},
            r"scheduled in epochs, got the unit 'step': .*give the schedule unit='epoch'",
        ),
        ({"lr": math.nan}, r"lr must be a finite number >= 0, got nan"),
        ({"lr": -0.1}, r"lr must be a finite number >= 0, got -0.1"),
        (
            {"lr": UserSchedule(lambda t: math.nan if t == 4 else 0.1)},
            r"lr must be >= 0 and finite, got nan in epoch .*: change its start, factor or",
        ),
        ({"lr": UserSchedule(lambda t: 1 - t, unit="step")}, r"lr must be >= 0 .*got -1 in step"),
        ({"lr": StageGrowth(1, 1e200, every=1)}, r"lr must be >= 0 and finite, got inf in epoch"),
        ({"momentum": 1.0}, r"momentum must be >= 0 and < 1, got 1 in epoch"),
        ({"nu": 1.5}, r"nu must be >= 0 and <= 1, got 1.5 in epoch"),
        (
            {"lr": Cosine(0.1, horizon=20)},
            r"must be 10 epochs, .*got 20 .*longer than the plan.*leave horizon",
        ),
        ({"lr": linear(0.1, horizon=10)}, r"must be 130 steps.*got 10 .*shorter than the plan"),
        ({"lr": WarmUp(Constant(0.1), 10, Constant(1))}, r"WarmUp.length must be < 10, .* got 10"),
        ({"lr": "0.1"}, r"lr must be a finite number >= 0, got '0.1': give a number or a sched"),
        ({"lr": None}, r"lr must be a finite number >= 0, got None: give a number or a schedule"),
        ({"batch_size": None}, r"batch_size must be a finite number >= 0, got None: give a"),
        ({"momentum": None}, r"momentum must be a finite number >= 0, got None: give a number"),
        ({"epochs": 10**9}, r"epochs .* <= 1000000, got 1000000000: every epoch has a row"),
        ({"epochs": 10**400}, r"epochs .* got a whole number of 1329 bits"),
        ({"n_train": 10**12}, r"total_steps of the plan .* <= 1000000000, got .*: plan fewer ep"),
        ({"lr": 10**400}, r"lr must be a finite number >= 0, got a whole number of 1329 bits"),
        (
            {"lr": UserSchedule(lambda t: None)},
            r"must return (a|one) number, got None.* at t = 0: ret",
        ),
        (
            {"lr": UserSchedule(lambda t: np.ones(1))},
            r"must return (a|one) number, got array\(\[1\.\]\)",
        ),
        ({"lr": UserSchedule(lambda t: "0.1")}, r"must return (a|one) number, got '0\.1'"),
        ({"lr": lambda t: 0.1}, r"lr must be a finite number .*: wrap a function in UserSchedule"),
    ],
)
def test_bad_plans_are_refused_with_value_range_and_fix(changes, message):
    with pytest.raises(ValueError, match=message):
        good(**changes)


def test_growth_may_leave_its_range_in_the_last_epochs_only():
    with pytest.raises(ValueError, match=r"momentum must be >= 0 and < 1, got 1\.0\d* in epoch"):
        good(momentum=StageGrowth(0.9, 1.06, every=4))
    assert good(nu=1.0, momentum=0.0).at(0) == {"lr": 0.1, "momentum": 0.0, "nu": 1.0}


def test_shrinking_is_allowed_when_asked_for():
    sizes = good(batch_size=Cyclical(StageGrowth(8, 2, every=2), 4), allow_shrinking=True)
    assert sizes.batch_sizes.tolist() == [8, 8, 16, 16, 8, 8, 16, 16, 8, 8]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda p: p.position(130),
            r"step must be a whole number .* <= 129, got 130: the plan ends",
        ),
        (lambda p: p.position(-1), r"step must be .* >= 0 .*, got -1: count steps from 0"),
        (lambda p: p.position(1.5), r"step must be a whole number .* got 1.5"),
        (lambda p: p.at(131), r"step must be .* got 131"),
        (
            lambda p: p.first_step(10),
            r"epoch .* <= 9, got 10: the plan has 10 epochs, counted from",
        ),
        (lambda p: p.in_epoch(-1), r"epoch must be .* got -1"),
    ],
)
def test_steps_and_epochs_outside_the_plan_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(good())


def test_a_bad_value_far_into_a_long_run_is_found_and_named():
    lr = UserSchedule(lambda t: -1.0 if t == 2**20 + 5 else 0.1, unit="step")
    with pytest.raises(ValueError, match=r"got -1 in step 1048581 \(from 0\)"):
        TrainingPlan(2**20 + 10, 1, batch_size=1, lr=lr)


# Ragged batches


@settings(deadline=None, max_examples=50)
@given(plans())
def test_the_smallest_batch_is_that_of_the_batches_cut_by_hand(plan):
    last = [
        len(range(plan.n_train)[(int(s) - 1) * int(b) :])
        for b, s in zip(plan.batch_sizes, plan.steps, strict=True)
    ]
    assert plan.last_batch_sizes.tolist() == last
    cut = (plan.position(step) for step in range(plan.total_steps))
    assert plan.smallest_batch == min(last) == min(at.last - at.first for at in cut)


def test_a_plan_refuses_batches_of_one_sample_when_asked():
    plan = TrainingPlan(151, 2, Piecewise((64, 75), (1,)), lr=0.1)  # 64 64 23, then 75 75 1
    assert plan.last_batch_sizes.tolist() == [23, 1]
    message = r"at least 2 samples, got 1 in the last batch of epoch 2: 151 .* leave 1 .* of 75"
    with pytest.raises(ValueError, match=message):
        plan.check_batches()
    plan.check_batches(at_least=1)
    with pytest.raises(ValueError, match=r"got 23 in the last batch of epoch 1"):
        plan.check_batches(at_least=24)
    TrainingPlan(150, 2, Piecewise((64, 75), (1,)), lr=0.1).check_batches(at_least=22)
    assert "last" not in " ".join(plan.table().columns.drop("lr_last"))
