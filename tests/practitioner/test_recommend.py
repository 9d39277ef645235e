"""The recommended plan: its shape, its guarantee against the theorem, its words, bad input."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sgdm_lib import theory
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.recommend import GrowthGuarantee, recommend
from sgdm_lib.schedules import Piecewise, StageGrowth, from_dict
from sgdm_lib.study import papers
from sgdm_lib.theory import Constants, Hyperparameters


@st.composite
def wishes(draw):
    n_train = draw(st.integers(1, 3_000))
    start = draw(st.integers(1, n_train))
    return {
        "n_train": n_train,
        "epochs": draw(st.integers(1, 60)),
        "batch_size": start,
        "largest_batch_size": draw(st.integers(start, 4_000)),
        "lr": draw(st.floats(1e-4, 10)),
        "momentum": draw(st.sampled_from([0.0, 0.3, 0.87, 0.9, 0.99])),
        "optimizer": draw(st.sampled_from(["nshb", "shb"])),
        "warmup": draw(st.sampled_from([0.0, 0.05, 0.1, 0.5])),
    }


def lr_of_every_step(plan):
    return np.concatenate([plan.in_epoch(epoch)["lr"] for epoch in range(plan.epochs)])


@given(wishes())
@settings(deadline=None, max_examples=50)
def test_properties(wish):
    r = recommend(**wish)
    sizes, cap = r.plan.batch_sizes, min(wish["largest_batch_size"], wish["n_train"])
    assert (np.diff(sizes) >= 0).all()
    assert sizes[0] == wish["batch_size"]
    assert sizes[-1] == (cap if wish["epochs"] > 1 else wish["batch_size"])
    assert (sizes == sizes[-1]).mean() >= 0.25  # the share kept for the decay
    assert r.cost.sfo == wish["n_train"] * wish["epochs"]
    assert r.cost.steps == r.plan.total_steps <= r.cost.steps_at_start
    lr = lr_of_every_step(r.plan)
    last = r.plan.stages[-1].first_epoch
    peak = r.plan.first_step(last) if last else int(lr.argmax())
    assert (np.diff(lr[: peak + 1]) >= -1e-12 * wish["lr"]).all()
    assert (np.diff(lr[peak:]) <= 0).all()
    assert np.isclose(lr, wish["lr"], rtol=1e-9).any()
    # at no step does the lr grow faster than half-way to what T3 admits, so T3 holds for some L
    half = (1 + theory.fastest_lr_growth(wish["momentum"])) / 2
    assert (lr[1:] / lr[:-1]).max(initial=1) <= half * (1 + 1e-12)
    assert r.guarantee.ok
    assert r.guarantee.smoothness_limit > 0


def applies(plan, optimizer, smoothness):
    lr = lr_of_every_step(plan)
    momentum = plan.at(0)["momentum"]
    run = Hyperparameters(lr, momentum, optimizer=optimizer)
    return theory.lyapunov_condition(run, smoothness)


@given(wishes())
@settings(deadline=None, max_examples=30)
def test_guarantee_is_the_theorems(wish):
    r = recommend(**wish)
    assume(r.plan.total_steps > 1)
    limit = r.guarantee.smoothness_limit
    assert applies(r.plan, r.optimizer, limit * 0.999)
    assert not applies(r.plan, r.optimizer, limit * 1.001)


@pytest.mark.parametrize("optimizer", ["nshb", "shb"])
def test_bound_is_the_theorems(optimizer):
    plan = recommend(
        n_train=500, epochs=12, batch_size=4, largest_batch_size=64, lr=0.05, optimizer=optimizer
    ).plan
    own = GrowthGuarantee(plan, optimizer)
    sizes = np.repeat(plan.batch_sizes, plan.steps)
    run = Hyperparameters(lr_of_every_step(plan), 0.9, sizes, optimizer=optimizer)
    bound = theory.lyapunov_bound(run, Constants(own.smoothness_limit / 2, 7.0, 3.0))[-1]
    assert own.distance * 3 + own.noise * 7 == pytest.approx(bound, rel=1e-12)


def test_written_out():
    """20 samples, 20 epochs, 2 -> 8: every number by hand."""
    r = recommend(
        n_train=20, epochs=20, batch_size=2, largest_batch_size=8, lr=0.1, momentum=0.9, warmup=0.1
    )
    # 15 epochs below the cap at most; the warm-up takes 2; a stage at most a tenth, 2 epochs
    assert [(s.batch_size, s.epochs, s.steps_per_epoch) for s in r.plan.stages] == [
        (2, 4, 10),
        (4, 2, 5),
        (8, 14, 3),
    ]
    half = (1 + 1 / 0.81) / 2  # less than sqrt(2)
    rise = min(10, half**19)  # 20 steps of warm-up
    g = rise ** (1 / 19)
    wanted = [0.1 / rise * g**t for t in range(20)] + [0.1] * 20 + [0.1 * half] * 10
    wanted += [0.1 * half**2 * (1 + math.cos(math.pi * t / 42)) / 2 for t in range(42)]
    np.testing.assert_allclose(lr_of_every_step(r.plan), wanted, rtol=1e-12)
    assert (r.cost.steps, r.cost.sfo, r.cost.sfo_nominal) == (92, 400, 40 * 2 + 10 * 4 + 42 * 8)
    assert r.cost.steps_at_start == 200
    # the tightest jump is the last one, from 0.1*half: (1 - 0.81 half)/(0.1 * lr)
    limit = (1 - 0.81 * half) / (0.1 * 0.1 * half)
    assert r.guarantee.smoothness_limit == pytest.approx(limit, rel=1e-9)
    assert (r.guarantee.step, r.guarantee.epoch) == (50, 6)


def test_shb_takes_the_same_steps_as_nshb_at_the_converted_lr():
    wish = {"n_train": 1_000, "epochs": 20, "batch_size": 8, "largest_batch_size": 64}
    nshb, shb = recommend(lr=0.3, **wish), recommend(lr=0.03, optimizer="shb", **wish)
    np.testing.assert_allclose(lr_of_every_step(shb.plan), lr_of_every_step(nshb.plan) * 0.1)
    assert shb.guarantee.smoothness_limit == pytest.approx(nshb.guarantee.smoothness_limit)
    assert shb.guarantee.distance == pytest.approx(nshb.guarantee.distance)


def test_without_momentum_the_lr_follows_the_root_of_the_batch():
    r = recommend(n_train=1_000, epochs=40, batch_size=8, largest_batch_size=32, lr=0.1, momentum=0)
    starts = [r.plan.first_step(stage.first_epoch) for stage in r.plan.stages]
    assert [r.plan.at(step)["lr"] for step in starts[1:]] == pytest.approx([0.1 * 2**0.5, 0.2])


def test_no_room_for_growth_is_warm_up_and_cosine():
    r = recommend(n_train=1_000, epochs=10, batch_size=32, largest_batch_size=32, lr=0.1)
    assert [stage.batch_size for stage in r.plan.stages] == [32]
    lr = lr_of_every_step(r.plan)
    assert lr.argmax() in (31, 32)  # after one epoch
    assert lr[-1] < 1e-4
    assert "already the largest" in str(r)


def test_few_epochs_make_fewer_and_larger_jumps():
    r = recommend(n_train=10_000, epochs=4, batch_size=8, largest_batch_size=4_096, lr=0.1)
    assert [stage.batch_size for stage in r.plan.stages] == [8, 64, 512, 4_096]
    one = recommend(n_train=100, epochs=1, batch_size=8, largest_batch_size=64, lr=0.1)
    assert [stage.batch_size for stage in one.plan.stages] == [8]


def test_stages_as_asked():
    r = recommend(n_train=1_000, epochs=40, batch_size=10, largest_batch_size=160, lr=0.1, stages=3)
    assert [stage.batch_size for stage in r.plan.stages] == [10, 40, 160]


TENFOLD = 10 ** (1 / 9)


def test_a_growth_too_fast_is_named_with_a_momentum_that_would_do():
    r = recommend(
        n_train=1_000, epochs=40, batch_size=8, largest_batch_size=64, lr=0.1, lr_growth=TENFOLD
    )
    assert not r.guarantee
    jump = r.plan.stages[1].first_epoch
    assert (r.guarantee.epoch, r.guarantee.step) == (jump, r.plan.first_step(jump))
    assert r.guarantee.jump == pytest.approx(TENFOLD)
    assert r.guarantee.fitting_momentum == 0.87  # as Kondo & Iiduka use for this growth
    assert f"in epoch {jump + 1} " in str(r)
    assert "With momentum 0.87 it applies." in str(r)
    fitting = TrainingPlan(1_000, 40, r.batch_size, r.lr, momentum=0.87)
    assert GrowthGuarantee(fitting)
    assert not GrowthGuarantee(TrainingPlan(1_000, 40, r.batch_size, r.lr, momentum=0.88))


def test_the_papers_runs_all_satisfy_the_growth_condition():
    """So do warm-up and growth at momentum 0.9 or, tenfold, 0.87; not tenfold at 0.9."""
    for name in ("both_growing_max0.5", "both_growing_max1.0", "warmup_cosine_max1.0"):
        experiment = papers.catalogue()[f"kondo2025/cifar100/nshb/{name}"]
        assert GrowthGuarantee(experiment.plan(4_096)), name  # the jumps do not depend on n
        if "1.0" in name:
            assert not GrowthGuarantee(experiment.replace(momentum=0.9).plan(4_096)), name


def test_a_known_smoothness_stops_the_growth():
    wish = {"n_train": 1_000, "epochs": 40, "batch_size": 8, "largest_batch_size": 512, "lr": 0.1}
    free, known = recommend(**wish), recommend(**wish, smoothness=8.0)
    assert lr_of_every_step(free.plan).max() > 1.9 / 16
    assert lr_of_every_step(known.plan).max() == pytest.approx(1.9 / 16)  # (1+beta)/(2 L)
    assert known.guarantee.ok
    assert not GrowthGuarantee(free.plan, smoothness=8.0)
    assert "where it stops" in str(known)
    shb = recommend(**wish | {"lr": 0.01}, smoothness=8.0, optimizer="shb")
    assert lr_of_every_step(shb.plan).max() == pytest.approx(0.19 / 16)
    assert shb.guarantee.ok


def test_an_lr_too_large_for_a_known_smoothness():
    plan = TrainingPlan(100, 4, 10, 0.1)
    verdict = GrowthGuarantee(plan, smoothness=20.0)
    assert verdict.smoothness_limit == pytest.approx(19)
    assert not verdict
    assert verdict.fitting_momentum is None  # (1 + beta)/L < 0.1 for every beta < 1
    assert "with every lr multiplied by 0.95" in str(verdict)
    assert GrowthGuarantee(TrainingPlan(100, 4, 10, 0.095), smoothness=20.0)


def test_an_lr_of_zero_may_stay_but_not_rise():
    assert GrowthGuarantee(TrainingPlan(100, 4, 10, Piecewise((0.1, 0.0), (2,))))
    stuck = GrowthGuarantee(TrainingPlan(100, 4, 10, Piecewise((0.1, 0.0, 0.1), (1, 2))))
    assert not stuck
    assert (stuck.epoch, stuck.jump) == (2, math.inf)


@pytest.mark.parametrize(
    ("lr", "momentum", "step"),
    [
        ((0.1,), 0.5, 0),  # a single step has no jump
        ((0.1, 0.1, 0.1), 0.5, 1),  # the first of equal jumps
        ((0.1, 0.1, 0.32, 0.1), 0.5, 2),  # a jump counts for the step that it leads to
        ((0.1, 0.2, 0.4), 0.0, 2),  # without momentum the end counts most, and is the last step
        ((0.0, 0.0), 0.9, 1),  # an lr of zero everywhere: any L will do
    ],
)
def test_the_tightest_step(lr, momentum, step):
    schedule = Piecewise(lr, tuple(range(1, len(lr)))) if len(lr) > 1 else lr[0]
    guarantee = GrowthGuarantee(TrainingPlan(10, len(lr), 10, schedule, momentum=momentum))
    assert guarantee.ok
    assert (guarantee.step, guarantee.epoch) == (step, step)


def test_guarantee_wants_a_constant_momentum():
    changing = TrainingPlan(100, 4, 10, 0.1, momentum=Piecewise((0.5, 0.9), (2,)))
    with pytest.raises(ValueError, match=r"momentum must be constant.*choose one value"):
        GrowthGuarantee(changing)


def test_time_follows_from_a_measured_speed():
    wish = {"n_train": 1_000, "epochs": 10, "batch_size": 8, "largest_batch_size": 64, "lr": 0.1}
    assert recommend(**wish).cost.seconds is None
    r = recommend(**wish, speed=(0.01, 0.002))
    assert r.cost.seconds == pytest.approx(r.cost.steps * 0.01 + 10_000 * 0.002)
    assert r.cost.seconds_at_start == pytest.approx(1_250 * 0.01 + 20)
    assert "of training, instead of 32 s" in str(r)


def test_a_momentum_that_is_next_to_nothing_is_none():
    tiny, none = recommend(**GOOD, momentum=1e-300), recommend(**GOOD, momentum=0.0)
    np.testing.assert_allclose(lr_of_every_step(tiny.plan), lr_of_every_step(none.plan))


def test_the_pace_is_told_as_one_of_two():
    text = str(recommend(**GOOD, momentum=0.5))
    assert "cheapest" not in text
    assert "when the target is not known beforehand" in text
    assert "for one known target the same bound prefers an lr that grows as fast as" in text


def test_schedules_travel_as_json():
    r = recommend(n_train=1_000, epochs=20, batch_size=8, largest_batch_size=64, lr=0.1)
    back = TrainingPlan(
        1_000, 20, from_dict(r.batch_size.to_dict()), from_dict(r.lr.to_dict()), momentum=0.9
    )
    assert back.fingerprint == r.plan.fingerprint
    assert back == r.plan


def test_reads_like_a_plan():
    r = recommend(n_train=1_000, epochs=20, batch_size=8, largest_batch_size=64, lr=0.1)
    text, page = str(r), r._repr_html_()
    assert text.startswith("Plan for NSHB, momentum 0.9: 1,000 samples, 20 epochs\n")
    for said in ("Cost: ", "Guarantee: T3 applies", "- Assumed: ", "- Not known: ", "Theorems 3.1"):
        assert said in text
    assert page.count("<tr>") == 1 + len(r.plan.stages)
    assert "E‖∇f‖²" in page
    for ascii_ in ("||", "sigma^2", "Delta", "-&gt;", "->"):
        assert ascii_ not in page
    assert page.count("<li>") == len(r.reasons)


GOOD = {"n_train": 1_000, "epochs": 20, "batch_size": 8, "largest_batch_size": 64, "lr": 0.1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_train": 0}, "n_train must be a whole number >= 1, got 0"),
        ({"epochs": 1.5}, "epochs must be a whole number"),
        ({"batch_size": 2_000}, "batch_size .* <= 1000, got 2000: start from a batch that"),
        ({"largest_batch_size": 4}, "largest_batch_size .* >= 8, got 4: it must hold the batch"),
        ({"lr": 0}, "lr must be a finite number > 0, got 0: give one known to work"),
        ({"momentum": 1}, "momentum must be a finite number >= 0 and < 1, got 1"),
        ({"optimizer": "adam"}, "optimizer must be one of nshb, shb, got 'adam'"),
        ({"warmup": 0.6}, "warmup .* <= 0.5, got 0.6: it is a share of the epochs"),
        ({"stages": 17}, "stages .* <= 16, got 17: 20 epochs leave room"),
        ({"lr_growth": 0.5}, "lr_growth .* >= 1, got 0.5: None follows the rule"),
        ({"smoothness": 0}, "smoothness must be a finite number > 0, got 0"),
        ({"speed": (0.1, -1)}, "speed .* got -1: give seconds of a step"),
        ({"speed": (0.1,)}, "speed must be two numbers"),
        ({"n_train": 10**12}, "must give at most 100,000,000 steps, got 2,500,000,000,000: start"),
    ],
)
def test_bad_input(change, message):
    recommend(**GOOD)
    with pytest.raises(ValueError, match=message):
        recommend(**GOOD | change)


def test_guarantee_bad_input():
    plan = TrainingPlan(100, 4, StageGrowth(2, 2, every=1), 0.1)
    with pytest.raises(ValueError, match="optimizer must be one of nshb, shb, got 'sgd'"):
        GrowthGuarantee(plan, "sgd")
    with pytest.raises(ValueError, match="smoothness must be a finite number > 0"):
        GrowthGuarantee(plan, smoothness=-1.0)


def test_needs_neither_torch_nor_matplotlib():
    code = "import sys, sgdm_lib.recommend; print({'torch', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
