"""Schedules: what holds for every one of them, composition, JSON, bad input."""

from __future__ import annotations

import dataclasses
import json
import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdm_lib import schedules
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
    as_schedule,
    from_dict,
    linear,
)


def slowly(t):
    """A user's function that can be imported."""
    return 1.0 + 0.5 * t


EVERY_KIND = [
    Constant(0.1),
    Constant(3, unit="step"),
    StageGrowth(8, 2, every=20),
    StageGrowth(8, 2, every=20, cap=1024),
    StageGrowth(0.5, 0.1, every=30, cap=0.01, unit="step"),
    GrowthTo(0.1, 1.0, every=30),
    GrowthTo(1.0, 0.1, every=3, horizon=90, unit="step"),
    AffineGrowthTo(8, 1024, factor=2, every=30, horizon=300),
    Piecewise((0.1, 0.01, 0.0), (60, 120)),
    Cosine(0.1),
    Cosine(0.1, 0.01, horizon=300, unit="step"),
    Polynomial(0.1, 0.02, power=2.5),
    linear(0.1, horizon=80),
    Diminishing(0.1),
    UserSchedule(slowly, unit="step"),
    WarmUp(GrowthTo(0.1, 0.5, every=3), 30, Cosine(0.5)),
    WarmUp(linear(0.1, 0.5), 100, Polynomial(0.5)),
    Cyclical(StageGrowth(8, 2, every=2), 8),
    Cyclical(WarmUp(Constant(1), 2, Constant(2)), 5),
]
# Those whose formula is one plain expression.
PLAIN = (Constant, StageGrowth, GrowthTo, Cosine, Polynomial, Diminishing)


# What holds for every schedule


@pytest.mark.parametrize("schedule", EVERY_KIND, ids=lambda s: type(s).__name__)
def test_json_round_trip(schedule):
    again = from_dict(json.loads(json.dumps(schedule.to_dict())))
    assert again == schedule
    assert hash(again) == hash(schedule)
    run = {"epochs": 300, "steps": getattr(schedule, "horizon", None) or 300}
    a, b = schedule.over(**run), again.over(**run)
    times = np.arange(80)
    assert np.array_equal(a(times), b(times))
    assert str(a) == a.formula == b.formula


@pytest.mark.parametrize("schedule", EVERY_KIND, ids=lambda s: type(s).__name__)
def test_schedules_are_frozen_and_open_horizons_say_so(schedule):
    field = dataclasses.fields(schedule)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(schedule, field, 1.0)
    if schedule.open_horizon:
        with pytest.raises(ValueError, match=r"horizon must be known .*got None: give one, or let"):
            schedule(0)
    else:
        with pytest.raises(ValueError, match=r"t must be >= 0, got -1: (epochs|steps) start at 0"):
            schedule(-1)


@pytest.mark.parametrize(
    "schedule",
    [s for s in EVERY_KIND if isinstance(s, PLAIN)],
    ids=str,
)
def test_the_formula_means_what_the_schedule_does(schedule):
    schedule = dataclasses.replace(schedule, horizon=90) if schedule.open_horizon else schedule
    names = {"floor": math.floor, "cos": math.cos, "sqrt": math.sqrt, "pi": math.pi}
    for t in range(0, 80, 7):
        value = eval(schedule.formula.replace("^", "**"), {**names, "min": min, "max": max, "t": t})
        assert schedule(t) == pytest.approx(value, rel=1e-6)


@settings(deadline=None, max_examples=50)
@given(
    st.floats(0.01, 10),
    st.floats(0.01, 10),
    st.integers(1, 20),
    st.integers(2, 100),
    st.sampled_from(["epoch", "step"]),
)
def test_growth_to_an_end_starts_and_ends_there_and_is_monotone(start, end, every, stages, unit):
    schedule = GrowthTo(start, end, every=every, unit=unit)
    length = every * stages
    values = schedule.over(epochs=length, steps=length)(np.arange(length))
    assert values[0] == pytest.approx(start)
    assert values[-1] == pytest.approx(end)
    steps = np.diff(values)
    assert (steps >= 0).all() if end >= start else (steps <= 0).all()
    assert len(set(values.tolist())) <= stages


@settings(deadline=None, max_examples=50)
@given(st.floats(0.1, 100), st.floats(0.1, 3), st.integers(1, 9), st.floats(0.1, 100))
def test_a_cap_is_never_passed(start, factor, every, limit):
    side = max if factor >= 1 else min
    cap = side(start, limit)
    values = StageGrowth(start, factor, every, cap=cap)(np.arange(60))
    free = StageGrowth(start, factor, every)(np.arange(60))
    assert np.array_equal(values, np.minimum(free, cap) if factor >= 1 else np.maximum(free, cap))


@settings(deadline=None, max_examples=50)
@given(st.floats(0.001, 1), st.floats(0, 0.001), st.floats(0.5, 3), st.integers(1, 200))
def test_decays_fall_from_start_and_stay_above_the_end(start, end, power, horizon):
    for schedule in (Cosine(start, end), Polynomial(start, end, power)):
        values = schedule.over(epochs=horizon, steps=horizon)(np.arange(horizon))
        assert values[0] == pytest.approx(start)
        assert (np.diff(values) <= 1e-15).all()
        assert (values >= end * (1 - 1e-12)).all()


def test_composition_keeps_its_own_clocks():
    lr = WarmUp(linear(0.1, 0.5), 4, Cosine(0.5, unit="step")).over(epochs=0, steps=12)
    assert [round(lr(t), 6) for t in range(5)] == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert lr(8) == pytest.approx(0.25)
    cycle = Cyclical(Piecewise((1, 2), (1,)), 3)
    assert cycle(np.arange(7)).tolist() == [1, 2, 2, 1, 2, 2, 1]
    assert Piecewise((1, 2), (3,))(np.array([2.999, 3.0])).tolist() == [1, 2]


def test_numbers_become_constants():
    assert as_schedule(3) == Constant(3.0)
    assert as_schedule(Cosine(0.1)) == Cosine(0.1)


# Bad input


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(-1), r"Constant.value must be a finite number >= 0, got -1"),
        (lambda: Constant(math.nan), r"Constant.value .* got nan"),
        (lambda: Constant(1, unit="hour"), r"Constant.unit must be one of epoch, step, got 'hour'"),
        (
            lambda: StageGrowth(8, 0, 20),
            r"StageGrowth.factor must be a finite number > 0, got 0: 2",
        ),
        (lambda: StageGrowth(8, -2, 20), r"StageGrowth.factor .* > 0, got -2"),
        (lambda: StageGrowth(0, 2, 20), r"StageGrowth.start .* > 0, got 0"),
        (lambda: StageGrowth(8, 2, 0.5), r"StageGrowth.every .* >= 1, got 0.5"),
        (lambda: StageGrowth(8, 2, 20, cap=4), r"cap must be >= start 8 .*got 4: move the cap"),
        (lambda: StageGrowth(8, 0.5, 20, cap=9), r"cap must be <= start 8 .*got 9: move the cap"),
        (lambda: StageGrowth(8, 2, 20, unit="epochs"), r"got 'epochs': did you mean 'epoch'"),
        (
            lambda: GrowthTo(0.1, 1, every=30, horizon=30),
            r"every must be < horizon 30, got 30: with",
        ),
        (lambda: GrowthTo(0.1, 0, every=30), r"GrowthTo.end .* > 0, got 0"),
        (lambda: GrowthTo(0.1, 1, every=3).factor, r"horizon must be known .* got None: give one"),
        (lambda: AffineGrowthTo(8, 4, 2, 30), r"AffineGrowthTo.end .* >= 8, got 4"),
        (lambda: AffineGrowthTo(8, 16, 1, 30), r"AffineGrowthTo.factor .* > 1, got 1"),
        (lambda: Piecewise((1, 2), ()), r"got 2 values and 0 boundaries: the first value starts"),
        (lambda: Piecewise((1, 2, 3), (5, 5)), r"boundaries must increase, got \(5.0, 5.0\): sort"),
        (lambda: Piecewise((1, -2), (5,)), r"Piecewise.values .* >= 0, got -2"),
        (lambda: Cosine(0), r"Cosine.start .* > 0, got 0"),
        (lambda: Cosine(0.1, -1), r"Cosine.end .* >= 0, got -1"),
        (lambda: Cosine("0.1"), r"Cosine.start .* got '0.1'"),
        (lambda: Polynomial(0.1, power=0), r"Polynomial.power .* > 0, got 0"),
        (lambda: Polynomial(0.1, horizon=-1), r"Polynomial.horizon .* > 0, got -1"),
        (lambda: Diminishing(math.inf), r"Diminishing.start .* got inf"),
        (lambda: UserSchedule(3), r"UserSchedule.function must be callable, got 3"),
        (lambda: WarmUp(Constant(1), 0, Constant(2)), r"WarmUp.length .* >= 1, got 0"),
        (lambda: WarmUp(Constant(1), 2.5, Constant(2)), r"WarmUp.length .* whole number .*got 2.5"),
        (lambda: WarmUp(Constant(1), 3, linear(1)), r"then must count in epochs .*got steps: give"),
        (lambda: WarmUp(Cosine(1, horizon=5), 3, Constant(1)), r"must be 3 epochs.*got 5 .*longer"),
        (lambda: WarmUp(0.1, 3, Constant(1)), r"rise must be a schedule, got 0.1: write Constant"),
        (lambda: WarmUp(Constant(1), 3, 0.5), r"then must be a schedule, got 0.5: write Constant"),
        (lambda: Cyclical(Constant(1), 0), r"Cyclical.period .* >= 1, got 0"),
        (lambda: Cyclical(8, 2), r"Cyclical.cycle must be a schedule, got 8: write Constant"),
        (lambda: as_schedule(-1, "lr"), r"lr must be a finite number >= 0, got -1"),
        (lambda: as_schedule("fast", "lr"), r"lr must be a finite number >= 0, got 'fast'"),
    ],
)
def test_bad_values_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("schedule", "relation"),
    [(Cosine(0.1, horizon=200), "longer"), (Cosine(0.1, horizon=50), "shorter")],
)
def test_a_schedule_for_another_length_is_refused(schedule, relation):
    message = rf"must be 100 epochs, the time it has, got .* \(the schedule is {relation}"
    with pytest.raises(ValueError, match=message):
        schedule.over(epochs=100, steps=7)
    with pytest.raises(
        ValueError, match=r"WarmUp.length must be < 30, .* got 30: shorten the warm"
    ):
        WarmUp(Constant(1), 30, Cosine(1)).over(epochs=30, steps=7)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "a schedule must be a mapping with 'kind', got 3"),
        ({"start": 1}, "a schedule must be a mapping with 'kind'"),
        ({"kind": "Cosin"}, "must be one of .*got 'Cosin': did you mean 'Cosine'"),
        ({"kind": "Cosine", "strat": 1}, "field of Cosine must be one of .*did you mean 'start'"),
        ({"kind": "StageGrowth", "start": 8}, "schedule StageGrowth lacks .*'factor' and 'every'"),
        ({"kind": "Cosine", "start": -1}, "Cosine.start must be a finite number > 0, got -1"),
        ({"kind": "UserSchedule", "function": "thing"}, "must be callable, got 'thing'"),
        ({"kind": "UserSchedule", "function": 3}, "must be callable, got 3"),
        ({"kind": "UserSchedule", "function": None}, "must be callable, got None"),
    ],
)
def test_bad_json_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        from_dict(data)


def test_a_function_that_cannot_be_imported_cannot_become_json():
    with pytest.raises(ValueError, match=r"must be importable .*<lambda>: define it at the top"):
        UserSchedule(lambda t: t).to_dict()


@pytest.mark.parametrize(
    "name",
    ["this:s", "os:system", "builtins:exit", "time:sleep", "sgdm_lib.__main__:main", "..x:y"],
)
def test_reading_a_schedule_imports_and_runs_nothing(name):
    sys.modules.pop("this", None)
    before = set(sys.modules)
    schedule = from_dict({"kind": "UserSchedule", "function": name, "unit": "step"})
    assert schedule.to_dict() == {"kind": "UserSchedule", "function": name, "unit": "step"}
    assert name in str(schedule)
    with pytest.raises(ValueError, match=f"{name}.* is only a name.*register"):
        schedule(3)
    assert set(sys.modules) == before


def test_a_registered_function_is_what_its_name_means():
    data = {"kind": "UserSchedule", "function": f"{__name__}:unused", "unit": "epoch"}
    early = from_dict(data)
    assert schedules.register(unused) is unused
    assert from_dict(data) == UserSchedule(unused)
    assert early(2.0) == from_dict(data)(2.0) == 5.0
    for nameless in (lambda t: t, 3, None):
        with pytest.raises(ValueError, match="function must be defined at the top level"):
            schedules.register(nameless)


def unused(t):
    return t + 3


@pytest.mark.parametrize("value", [None, "0.1", np.ones(1), [1.0]])
def test_a_function_must_return_a_number(value):
    with pytest.raises(ValueError, match=r"lambda.* must return one number, got .* at t = 4"):
        UserSchedule(lambda t: value)(4)


def test_values_stand_for_a_function_without_a_name():
    named = UserSchedule(slowly, unit="step")
    assert schedules.as_values(named, 10) is named
    for schedule in (
        UserSchedule(lambda t: 1 + t // 3),
        WarmUp(UserSchedule(lambda t: 2.5), 2, Constant(1)),
    ):
        kept = schedules.as_values(schedule, 10)
        times = np.arange(10.0)
        assert kept(times).tolist() == schedule(times).tolist()
        assert from_dict(kept.to_dict()) == kept
    assert schedules.as_values(UserSchedule(lambda t: 1 + t // 3), 9).values == (1, 2, 3)
    with pytest.raises(ValueError, match=r"at most 100,000 values .* got 100,001"):
        schedules.as_values(UserSchedule(lambda t: t), 100_001)


def test_a_schedule_of_ones_own_cannot_take_the_name_of_ours():
    with pytest.raises(TypeError, match="cannot be called Cosine"):
        type("Cosine", (Constant,), {"__module__": "mine"})
    assert from_dict(Cosine(0.1).to_dict()) == Cosine(0.1)
