"""Each criterion on curves whose answer is known: clear, noisy, the other way, one seed."""

from dataclasses import replace

import numpy as np
import pytest
from claims_helpers import curve, given
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from sgdm_lib.study import criteria

FLAT = np.r_[2.0, np.ones(19)]  # it has fallen: a baseline that never does decides nothing
RISEN = np.r_[0.5, np.ones(19)]
PAIR = {"run": "a/x2", "baseline": "a/constant"}


def outcome(criterion, source, **arguments):
    return criterion(source, **arguments).outcome


def accuracy(level, spread=0.0, **changes):
    return curve(level * RISEN, spread, rising=True, **changes)


@pytest.mark.parametrize(
    ("level", "spread", "seeds", "expected"),
    [
        (0.5, 0.01, 3, "holds"),
        (0.9, 0.2, 3, "undecided"),  # the interval contains 1
        (0.5, 0.0, 1, "undecided"),  # one seed
        (1.1, 0.0, 3, "fails"),
    ],
)
def test_ends_lower(level, spread, seeds, expected):
    runs = {"a__x2": curve(level * FLAT, spread, seeds), "a__constant": curve(FLAT, 0, seeds)}
    verdict = criteria.ends_lower(given(**runs), **PAIR)
    assert verdict.outcome == expected
    assert verdict.seeds == seeds
    values = level + (spread * np.linspace(-1, 1, seeds) if seeds > 1 else np.zeros(1))
    assert verdict.values == pytest.approx(values)
    assert verdict.value == pytest.approx(np.exp(np.log(values).mean()))
    strict = outcome(criteria.ends_lower, given(**runs), **PAIR, factor=0.1)
    assert strict == ("undecided" if seeds == 1 else "fails")


def test_only_seeds_that_both_have_are_compared():
    ours = replace(curve(FLAT, 0.5), seed_ids=(2, 0, 5))
    theirs = replace(curve(FLAT, 0.1), seed_ids=(0, 1, 2))
    verdict = criteria.ends_lower(given(a__x2=ours, a__constant=theirs), **PAIR)
    assert verdict.values == pytest.approx([0.5 / 1.1, 1.0 / 0.9])
    alone = replace(ours, seed_ids=(7, 8, 9))
    nothing = criteria.ends_lower(given(a__x2=alone, a__constant=theirs), **PAIR)
    assert (nothing.outcome, nothing.why) == ("no data", "The two have no seed in common")


def test_anonymous_runs_are_not_paired():
    runs = [replace(curve(level * FLAT, 0.05), seed_ids=None) for level in (0.5, 1.0)]
    verdict = criteria.ends_lower(given(a__x2=runs[0], a__constant=runs[1]), **PAIR)
    assert verdict.outcome == "holds"
    assert "unpaired, 3 + 3 runs" in verdict.evidence


@pytest.mark.parametrize(
    ("gain", "spread", "expected", "none", "apart"),
    [
        (2.0, 0.1, "holds", "fails", "holds"),
        (-2.0, 0.1, "fails", "holds", "holds"),
        (0.1, 0.1, "undecided", "undecided", "fails"),
        (0.5, 0.1, "holds", "fails", "undecided"),
    ],
)
def test_differences_of_accuracies(gain, spread, expected, none, apart):
    source = given("test_accuracy", a__x2=accuracy(70 + gain, spread), a__constant=accuracy(70))
    verdict = criteria.ends_higher(source, **PAIR)
    assert (verdict.outcome, verdict.value) == (expected, pytest.approx(gain))
    assert "points" in verdict.evidence
    assert outcome(criteria.ends_no_higher, source, **PAIR) == none
    assert outcome(criteria.ends_higher, source, **PAIR, by=3.0) == "fails"
    assert outcome(criteria.ends_apart, source, **PAIR) == apart


def test_absolute_values_have_a_meaning_at_the_papers_scale_only():
    source = given("test_accuracy", a__x2=accuracy(71, 0.2))
    near = {"run": "a/x2", "value": 70.0, "within": 2.0}
    assert outcome(criteria.ends_near, source, **near) == "holds"
    assert outcome(criteria.ends_near, source, **near | {"within": 1.2}) == "undecided"
    assert outcome(criteria.ends_near, source, **near | {"within": 0.3}) == "fails"
    assert outcome(criteria.ends_above, source, run="a/x2", value=70.0) == "holds"
    assert outcome(criteria.ends_above, source, run="a/x2", value=70.8) == "undecided"
    assert outcome(criteria.ends_above, source, run="a/x2", value=72.0) == "fails"
    small = replace(source, full_scale=False)
    for verdict in (
        criteria.ends_near(small, **near),
        criteria.ends_above(small, run="a/x2", value=70.0),
    ):
        assert verdict.outcome == "undecided"
        assert "the paper's protocol only" in verdict.evidence


def test_falls_faster_looks_at_all_epochs():
    early = np.r_[np.full(10, 0.1), np.ones(10)]
    baseline = np.r_[2.0, np.ones(19)]
    source = given(a__x2=curve(early), a__constant=curve(baseline))
    verdict = criteria.falls_faster(source, **PAIR)
    assert verdict.outcome == "holds"
    assert verdict.value == pytest.approx(0.1**0.5 / 2 ** (1 / 20))
    swapped = {"run": "a/constant", "baseline": "a/x2"}
    falling = given(a__x2=curve(early * FLAT), a__constant=curve(baseline))
    assert outcome(criteria.falls_faster, falling, **swapped) == "fails"


def test_curves_measured_at_different_epochs_are_compared_where_both_were():
    rare = curve([5.0, 0.5, 0.5], epoch=np.array([3, 10, 20]), epochs=20)
    values = np.ones(20)
    values[[0, 4]] = 1e6
    source = given(a__x2=rare, a__constant=curve(values))
    assert criteria.falls_faster(source, **PAIR).value == pytest.approx((5 * 0.25) ** (1 / 3))


def test_ends_lowest_names_the_strongest_rival():
    curves = {"a__x2": curve(0.2 * FLAT), "b__x2": curve(FLAT), "c__x2": curve(0.5 * FLAT)}
    lowest = {"run": "a/x2", "others": ("b/x2", "c/x2")}
    verdict = criteria.ends_lowest(given(**curves), **lowest)
    assert verdict.outcome == "holds"
    assert verdict.value == pytest.approx(0.4)
    assert "against c/x2" in verdict.evidence
    incomplete = given(a__x2=curves["a__x2"], b__x2=curves["b__x2"])
    some = criteria.ends_lowest(incomplete, **lowest)
    assert (some.outcome, some.why) == ("undecided", "only 1 of 2 others have been run")
    curves["c__x2"] = curve(0.1 * FLAT)
    assert outcome(criteria.ends_lowest, given(**curves), **lowest) == "fails"
    curves["c__x2"] = curve(0.2 * FLAT, 0.01)
    assert outcome(criteria.ends_lowest, given(**curves), **lowest) == "undecided"


def test_follows_measures_the_mean_distance():
    points = given("test_accuracy", a__x2=accuracy(71), b__x2=accuracy(70))
    like = {"run": "a/x2", "like": "b/x2"}
    assert outcome(criteria.follows, points, **like, within=1.5) == "holds"
    assert outcome(criteria.follows, points, **like, within=0.5) == "fails"
    norms = given(a__x2=curve(2 * FLAT), b__x2=curve(FLAT))
    verdict = criteria.follows(norms, **like, quantity="gradient_norm", within=1.5)
    assert verdict.outcome == "fails"
    assert verdict.value == pytest.approx(2.0)
    anonymous = {
        name.replace("/", "__"): replace(norms.curve(name, "gradient_norm"), seed_ids=None)
        for name in ("a/x2", "b/x2")
    }
    other = criteria.follows(given(**anonymous), **like, quantity="gradient_norm")
    assert other.value == pytest.approx(2.0)
    assert "against the mean of the other" in other.criterion


def falling(rate):
    return np.exp(-rate * np.arange(20))


def test_cheaper_without_a_threshold_asks_for_the_best_both_reach():
    source = given(a__x2=curve(falling(0.2)), a__constant=curve(falling(0.1)))
    verdict = criteria.reaches_with_less(source, **PAIR)
    # the slower one ends at exp(-1.9): after 20 epochs; the faster is below that from epoch 11 on
    assert verdict.value == pytest.approx(11 / 20)
    assert verdict.outcome == "holds"
    other_way = {"run": "a/constant", "baseline": "a/x2"}
    assert outcome(criteria.reaches_with_less, source, **other_way) == "fails"


def test_cheaper_with_a_threshold():
    source = given(a__x2=curve(falling(0.2)), a__constant=curve(falling(0.1)))
    at = criteria.reaches_with_less(source, **PAIR, threshold=0.5, unit="step")
    assert at.value == pytest.approx(5 / 8)  # exp(-0.8) and exp(-0.7) are the first below
    never = criteria.reaches_with_less(source, **PAIR, threshold=0.1)
    assert never.outcome == "holds"
    assert "3 of the baselines diverged or never got there" in never.evidence
    assert outcome(
        criteria.reaches_with_less, source, run="a/constant", baseline="a/x2", threshold=0.1
    ) == ("fails")
    with pytest.raises(ValueError, match="unit must be one of"):
        criteria.reaches_with_less(source, **PAIR, unit="euro")


def test_a_diverged_run_is_the_worst():
    good = curve(np.geomspace(1, 0.9, 20))
    gone = curve(0.1 * good.mean, diverged=(True,) * 3)
    once = replace(gone, diverged=(False, False, True))
    for criterion in (criteria.ends_lower, criteria.falls_faster, criteria.reaches_with_less):
        assert outcome(criterion, given(a__x2=gone, a__constant=good), **PAIR) == "fails"
        assert outcome(criterion, given(a__x2=once, a__constant=good), **PAIR) == "undecided"
        assert outcome(criterion, given(a__x2=good, a__constant=gone), **PAIR) == "holds"
        assert outcome(criterion, given(a__x2=gone, a__constant=gone), **PAIR) == "undecided"
    accurate = given(
        "test_accuracy", a__x2=accuracy(90, diverged=(True,) * 3), a__constant=accuracy(1)
    )
    assert outcome(criteria.ends_higher, accurate, **PAIR) == "fails"


CRITERIA = {
    criteria.ends_lower: PAIR,
    criteria.ends_higher: PAIR,
    criteria.ends_no_higher: PAIR,
    criteria.ends_apart: PAIR,
    criteria.falls_faster: PAIR,
    criteria.reaches_with_less: PAIR,
    criteria.ends_near: {"run": "a/x2", "value": 70, "within": 1},
    criteria.ends_above: {"run": "a/x2", "value": 70},
    criteria.ends_lowest: {"run": "a/x2", "others": ("b/x2",)},
    criteria.follows: {"run": "a/x2", "like": "b/x2"},
}


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda c: c.__name__)
def test_without_runs_nothing_is_claimed(criterion):
    verdict = criterion(given(), **CRITERIA[criterion])
    assert (verdict.outcome, verdict.seeds, verdict.value) == ("no data", 0, None)
    assert "a/x2" in verdict.criterion
    with pytest.raises(ValueError, match="quantity must be one of"):
        criterion(given(), **CRITERIA[criterion], quantity="beauty")


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda c: c.__name__)
def test_runs_that_did_not_measure_the_quantity_are_not_called_missing(criterion):
    both = criteria.InMemory(
        {(run, "empirical_loss"): curve(FLAT) for run in ("a/x2", "b/x2", "a/constant")}
    )
    verdict = criterion(both, **CRITERIA[criterion])
    assert verdict.outcome == "no data"
    assert verdict.evidence.endswith("was not measured.")


def test_a_missing_opponent_is_named():
    verdict = criteria.ends_lower(given(a__x2=curve(FLAT)), **PAIR)
    assert (verdict.outcome, verdict.evidence) == ("no data", "Not yet run: a/constant.")


def test_bad_limits_are_named():
    for criterion, name in ((criteria.ends_near, "within"), (criteria.follows, "within")):
        with pytest.raises(ValueError, match=f"{name} must be a finite number > 0"):
            criterion(given(), **CRITERIA[criterion] | {name: 0})
    with pytest.raises(ValueError, match="factor must be"):
        criteria.ends_lower(given(), **PAIR, factor=-1)


@settings(max_examples=40, deadline=None)
@for_all(
    st.lists(st.floats(0.01, 100), min_size=5, max_size=30),
    st.floats(0.01, 100),
    st.floats(0, 0.009),
)
def test_a_run_cannot_beat_itself_and_scale_does_not_matter(values, scale, spread):
    one = curve(values, spread)
    source = given(a__x2=one, a__constant=one)
    for criterion in (criteria.ends_lower, criteria.falls_faster, criteria.reaches_with_less):
        assert outcome(criterion, source, **PAIR) == "undecided"
    other = curve(np.array(values)[::-1], spread)
    both = given(a__x2=one, a__constant=other)
    scaled = given(
        a__x2=curve(scale * np.array(values), scale * spread),
        a__constant=curve(scale * np.array(values)[::-1], scale * spread),
    )
    before, after = (criteria.falls_faster(s, **PAIR).value for s in (both, scaled))
    assert before == pytest.approx(after, rel=1e-6)
