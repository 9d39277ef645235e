"""Each criterion on curves whose answer is known: clear, on average, the other way, one seed."""

import numpy as np
import pytest
from claims_helpers import curve, given
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from sgdm_lib import claims

FLAT = np.ones(20)


def outcome(criterion, source, **arguments):
    return criterion(source, **arguments).outcome


PAIR = {"run": "a/x2", "baseline": "a/constant"}


@pytest.mark.parametrize(
    ("level", "spread", "seeds", "expected"),
    [
        (0.5, 0.1, 3, "reproduced"),
        (0.9, 0.2, 3, "partly reproduced"),  # the bands overlap
        (0.5, 0.0, 1, "partly reproduced"),  # one seed
        (1.1, 0.0, 3, "not reproduced"),
    ],
)
def test_ends_lower(level, spread, seeds, expected):
    source = given(a__x2=curve(level * FLAT, spread, seeds), a__constant=curve(FLAT, spread, seeds))
    verdict = claims.ends_lower(source, **PAIR)
    assert verdict.outcome == expected
    assert verdict.seeds == seeds
    assert verdict.values[0] == pytest.approx(level)
    assert verdict.values[1:] == pytest.approx(
        ((level - spread) / (1 + spread), (level + spread) / (1 - spread))
    )
    assert outcome(claims.ends_lower, source, **PAIR, factor=0.1) == "not reproduced"


def test_the_end_is_the_mean_of_the_last_tenth():
    values = np.r_[np.full(18, 9.0), 0.2, 0.4]
    source = given(a__x2=curve(values), a__constant=curve(FLAT))
    assert claims.ends_lower(source, **PAIR).values[0] == pytest.approx(0.3)
    rare = curve(values[[4, 9, 14]], epoch=np.array([5, 10, 15]), epochs=20)
    assert rare.last() == (9.0, 9.0, 9.0), "its last measurement, where none is in the last tenth"


@pytest.mark.parametrize(
    ("gain", "spread", "expected", "none"),
    [
        (2.0, 0.5, "reproduced", "not reproduced"),
        (0.5, 0.5, "partly reproduced", "partly reproduced"),
        (-0.5, 0.5, "not reproduced", "reproduced"),
    ],
)
def test_ends_higher_and_no_higher(gain, spread, expected, none):
    source = given(
        "test_accuracy",
        a__x2=curve((70 + gain) * FLAT, spread),
        a__constant=curve(70 * FLAT, spread),
    )
    verdict = claims.ends_higher(source, **PAIR)
    assert (verdict.outcome, verdict.values[0]) == (expected, pytest.approx(gain))
    assert "points" in verdict.evidence
    assert outcome(claims.ends_no_higher, source, **PAIR) == none
    assert outcome(claims.ends_higher, source, **PAIR, by=3.0) == "not reproduced"


def test_absolute_values_have_a_meaning_at_the_papers_scale_only():
    source = given("test_accuracy", a__x2=curve(71 * FLAT, 0.5))
    near = {"run": "a/x2", "value": 70.0, "within": 2.0}
    assert outcome(claims.ends_near, source, **near) == "reproduced"
    assert outcome(claims.ends_near, source, **near | {"within": 1.2}) == "partly reproduced"
    assert outcome(claims.ends_near, source, **near | {"within": 0.5}) == "not reproduced"
    assert outcome(claims.ends_above, source, run="a/x2", value=70.0) == "reproduced"
    assert outcome(claims.ends_above, source, run="a/x2", value=70.8) == "partly reproduced"
    assert outcome(claims.ends_above, source, run="a/x2", value=72.0) == "not reproduced"
    object.__setattr__(source, "protocol", "cnn10k")
    small = claims.ends_near(source, **near)
    assert (small.outcome, small.word) == ("not yet run", "nothing to judge")
    assert "the paper's protocol only" in small.evidence
    assert claims.ends_above(source, run="a/x2", value=70.0).undecided


def test_falls_faster_looks_at_all_epochs():
    early = np.r_[np.full(10, 0.1), FLAT[:10]]
    source = given(a__x2=curve(early, 0.01), a__constant=curve(FLAT, 0.01))
    verdict = claims.falls_faster(source, **PAIR)
    assert verdict.outcome == "reproduced"
    assert verdict.values[0] == pytest.approx(0.1**0.5)
    swapped = {"run": "a/constant", "baseline": "a/x2"}
    assert outcome(claims.falls_faster, source, **swapped) == "not reproduced"


def test_curves_measured_at_different_epochs_are_compared_where_both_were():
    rare = curve([5.0, 0.5, 0.5], epoch=np.array([3, 10, 20]), epochs=20)
    values = FLAT.copy()
    values[[0, 4]] = 1e6
    source = given(a__x2=rare, a__constant=curve(values))
    assert claims.falls_faster(source, **PAIR).values[0] == pytest.approx((5 * 0.25) ** (1 / 3))


def test_ends_lowest_names_the_next():
    curves = {"a__x2": curve(0.2 * FLAT), "b__x2": curve(FLAT), "c__x2": curve(0.5 * FLAT)}
    lowest = {"run": "a/x2", "others": ("b/x2", "c/x2")}
    verdict = claims.ends_lowest(given(**curves), **lowest)
    assert verdict.outcome == "reproduced"
    assert verdict.values[0] == pytest.approx(0.4)
    assert "the next, c/x2" in verdict.evidence
    incomplete = given(a__x2=curves["a__x2"], b__x2=curves["b__x2"])
    assert outcome(claims.ends_lowest, incomplete, **lowest) == "partly reproduced"
    curves["c__x2"] = curve(0.1 * FLAT)
    assert outcome(claims.ends_lowest, given(**curves), **lowest) == "not reproduced"


def test_follows_measures_the_mean_distance():
    points = given("test_accuracy", a__x2=curve(71 * FLAT), b__x2=curve(70 * FLAT))
    like = {"run": "a/x2", "like": "b/x2"}
    assert outcome(claims.follows, points, **like, within=1.5) == "reproduced"
    assert outcome(claims.follows, points, **like, within=0.5) == "not reproduced"
    norms = given(a__x2=curve(2 * FLAT), b__x2=curve(FLAT))
    verdict = claims.follows(norms, **like, quantity="gradient_norm", within=1.5)
    assert verdict.outcome == "not reproduced"
    assert verdict.values[0] == pytest.approx(2.0)


def falling(rate):
    return np.exp(-rate * np.arange(20))


def test_cheaper_without_a_threshold_asks_for_the_best_both_reach():
    source = given(a__x2=curve(falling(0.2)), a__constant=curve(falling(0.1)))
    verdict = claims.cheaper(source, **PAIR)
    # the slower one ends at exp(-1.9): after 20 epochs; the faster is below that from epoch 11 on
    assert verdict.values[0] == pytest.approx(11 / 20)
    assert verdict.outcome == "reproduced"
    other_way = {"run": "a/constant", "baseline": "a/x2"}
    assert outcome(claims.cheaper, source, **other_way) == "not reproduced"


def test_cheaper_with_a_threshold():
    source = given(a__x2=curve(falling(0.2)), a__constant=curve(falling(0.1)))
    at = claims.cheaper(source, **PAIR, threshold=0.5, unit="step")
    assert at.values[0] == pytest.approx(5 / 8)  # exp(-0.8) and exp(-0.7) are the first below
    never = claims.cheaper(source, **PAIR, threshold=0.1)
    assert never.outcome == "partly reproduced"
    assert "baseline never" in never.evidence
    lost = claims.cheaper(source, run="a/constant", baseline="a/x2", threshold=0.1)
    assert lost.outcome == "not reproduced"
    with pytest.raises(ValueError, match="unit must be one of"):
        claims.cheaper(source, **PAIR, unit="euro")


def test_cheaper_in_seconds_needs_a_clock():
    blind = {"seconds": np.full(20, np.nan)}
    source = given(a__x2=curve(falling(0.2), **blind), a__constant=curve(falling(0.1)))
    timed = claims.cheaper(source, **PAIR, unit="seconds")
    assert (timed.word, timed.evidence) == ("nothing to judge", "The seconds were not recorded.")
    assert outcome(claims.cheaper, source, **PAIR, unit="sfo") == "reproduced"


def test_cheaper_has_nothing_to_judge_where_the_baseline_never_improves():
    source = given(a__x2=curve(falling(0.2)), a__constant=curve(np.minimum.accumulate(FLAT)))
    verdict = claims.cheaper(source, **PAIR)
    assert (verdict.word, verdict.values) == ("nothing to judge", ())
    assert "never better than at its first value" in verdict.evidence
    lost = claims.cheaper(source, run="a/constant", baseline="a/x2")
    assert lost.outcome == "not reproduced"  # the baseline is there at once


def test_a_diverged_run_is_the_worst():
    gone = curve(0.1 * FLAT[:5], epochs=20, diverged=1)
    for criterion in (claims.ends_lower, claims.falls_faster, claims.cheaper):
        good = curve(FLAT)
        verdict = criterion(given(a__x2=gone, a__constant=good), **PAIR)
        assert verdict.outcome == "not reproduced", criterion
        verdict = criterion(given(a__x2=good, a__constant=gone), **PAIR)
        assert verdict.outcome == "partly reproduced", criterion
    accurate = given("test_accuracy", a__x2=curve(90 * FLAT, diverged=1), a__constant=curve(FLAT))
    assert outcome(claims.ends_higher, accurate, **PAIR) == "not reproduced"


CRITERIA = {
    claims.ends_lower: PAIR,
    claims.ends_higher: PAIR,
    claims.ends_no_higher: PAIR,
    claims.falls_faster: PAIR,
    claims.cheaper: PAIR,
    claims.ends_near: {"run": "a/x2", "value": 70, "within": 1},
    claims.ends_above: {"run": "a/x2", "value": 70},
    claims.ends_lowest: {"run": "a/x2", "others": ("b/x2",)},
    claims.follows: {"run": "a/x2", "like": "b/x2"},
}


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda c: c.__name__)
def test_without_runs_nothing_is_claimed(criterion):
    verdict = criterion(given(), **CRITERIA[criterion])
    assert (verdict.outcome, verdict.seeds, verdict.values) == ("not yet run", 0, ())
    assert "a/x2" in verdict.criterion
    with pytest.raises(ValueError, match="quantity must be one of"):
        criterion(given(), **CRITERIA[criterion], quantity="beauty")


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda c: c.__name__)
def test_runs_that_did_not_measure_the_quantity_are_not_called_missing(criterion):
    both = claims.Given(
        {(run, "empirical_loss"): curve(FLAT) for run in ("a/x2", "b/x2", "a/constant")}
    )
    verdict = criterion(both, **CRITERIA[criterion])
    assert (verdict.outcome, verdict.word) == ("not yet run", "nothing to judge")
    assert verdict.evidence.endswith("was not measured.")


def test_a_missing_opponent_is_named():
    verdict = claims.ends_lower(given(a__x2=curve(FLAT)), **PAIR)
    assert (verdict.word, verdict.evidence) == ("not yet run", "Not yet run: a/constant.")


def test_bad_limits_are_named():
    for criterion, name in ((claims.ends_near, "within"), (claims.follows, "within")):
        with pytest.raises(ValueError, match=f"{name} must be a finite number > 0"):
            criterion(given(), **CRITERIA[criterion] | {name: 0})
    with pytest.raises(ValueError, match="factor must be"):
        claims.ends_lower(given(), **PAIR, factor=-1)


@settings(max_examples=40, deadline=None)
@for_all(
    st.lists(st.floats(0.01, 100), min_size=5, max_size=30),
    st.floats(0.01, 100),
    st.floats(0, 0.009),
)
def test_a_run_cannot_beat_itself_and_scale_does_not_matter(values, scale, spread):
    one = curve(values, spread)
    source = given(a__x2=one, a__constant=one)
    for criterion in (claims.ends_lower, claims.falls_faster, claims.cheaper):
        verdict = criterion(source, **PAIR)
        assert verdict.outcome == "not reproduced" or verdict.undecided
    other = curve(np.array(values)[::-1], spread)
    both = given(a__x2=one, a__constant=other)
    scaled = given(
        a__x2=curve(scale * np.array(values), scale * spread),
        a__constant=curve(scale * np.array(values)[::-1], scale * spread),
    )
    before, after = (claims.falls_faster(s, **PAIR).values for s in (both, scaled))
    assert before == pytest.approx(after, rel=1e-6)
