"""The one judge: its outcomes, its gates, and that every path to it gives the same outcome."""

import math
from dataclasses import replace

import numpy as np
import pytest
from claims_helpers import curve, given
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st
from scipy import stats

from sgdm_lib.study import criteria, pages
from sgdm_lib.study.criteria import Verdict, combine, gates, judge

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("values", "more", "outcome"),
    [
        ([0.50, 0.55, 0.60], {}, "holds"),
        ([0.50, 0.90, 1.20], {}, "undecided"),
        ([1.50, 1.55, 1.60], {}, "fails"),
        ([0.50, 0.55, 0.60], {"better": "above"}, "fails"),
        ([0.9, 0.9], {}, "holds"),  # no spread: the value decides
        ([1.1, 1.1], {}, "fails"),
        ([1.0, 1.0], {}, "undecided"),
        ([1e-9], {}, "undecided"),  # one seed
        ([1e9], {}, "undecided"),
        ([INF], {}, "undecided"),
        ([0.5, 0.5, 0.5, INF], {}, "undecided"),  # a diverged run: it cannot hold
        ([1.5, 1.5, 1.5, INF], {}, "fails"),
        ([INF, INF], {}, "fails"),
        ([0.5, 0.5, 0.0], {}, "holds"),  # a diverged baseline
        ([1.5, 1.5, 0.0], {}, "undecided"),
        ([0.0, 0.0], {}, "holds"),
        ([0.0, INF], {}, "undecided"),
        ([NAN, NAN], {}, "undecided"),  # both diverged
        ([0.5, NAN], {}, "undecided"),
        ([0.0, 0.0], {"better": "above"}, "fails"),
        ([1.1, 1.2, 1.15], {"limit": 1.5, "better": "inside"}, "holds"),
        ([2.1, 2.2, 2.15], {"limit": 1.5, "better": "inside"}, "fails"),
        ([0.3, 0.31, 0.32], {"limit": 1.5, "better": "inside"}, "fails"),
        ([0.3, 0.31, 0.32], {"limit": 1.5, "better": "outside"}, "holds"),
        ([INF, INF], {"limit": 1.5, "better": "inside"}, "fails"),
        ([INF, INF], {"limit": 1.5, "better": "outside"}, "undecided"),
    ],
)
def test_outcomes(values, more, outcome):
    verdict = judge(values, more.pop("limit", 1.0), **more)
    assert verdict.outcome == outcome
    assert verdict.why or outcome != "undecided"
    assert verdict.seeds == len(values)


def test_the_interval_is_students_on_the_logarithms():
    values = [0.5, 0.7, 1.1, 0.4]
    verdict = judge(values, 1.0)
    mean, low, high = np.exp(
        [
            np.log(values).mean(),
            *stats.t.interval(0.95, 3, np.log(values).mean(), stats.sem(np.log(values))),
        ]
    )
    assert (verdict.value, *verdict.interval) == pytest.approx((mean, low, high))
    assert verdict.values == pytest.approx(values)
    assert f"{low:.3g} to {high:.3g} (4 seeds)" in verdict.evidence


def test_anonymous_runs_are_compared_by_welchs_interval():
    a, b = np.array([1.0, 1.4, 1.3]), np.array([2.0, 2.6, 1.5])
    verdict = judge(a, 1.0, baseline=b, paired=False)
    reference = stats.ttest_ind(np.log(a), np.log(b), equal_var=False).confidence_interval(0.95)
    assert verdict.interval == pytest.approx((math.exp(reference.low), math.exp(reference.high)))
    assert "unpaired, 3 + 3 runs" in verdict.evidence
    assert (verdict.values, verdict.seeds) == ((), 3)
    assert judge([1.0], 1.0, baseline=b, paired=False).outcome == "undecided"
    assert judge([INF, 1, 1], 1.0, baseline=[2, 2, 2], paired=False).outcome == "undecided"
    assert judge([1, 1, 1], 1.0, baseline=[INF, 2, 2], paired=False).outcome == "holds"


def test_one_seed_says_where_it_points():
    assert "on the side of the claim (1 seed): one seed cannot tell" in judge([0.5], 1).evidence
    assert "against the claim" in judge([0.5], 1, better="above").evidence


def test_pairs_must_match():
    with pytest.raises(ValueError, match="equal sizes, got 2 and 3"):
        judge([1.0, 2.0], 1.0, baseline=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="at least one number"):
        judge([], 1.0)


@settings(max_examples=60, deadline=None)
@for_all(st.lists(st.floats(0.01, 100), min_size=1, max_size=8), st.floats(0.01, 100))
def test_sides_are_mirror_images_and_units_do_not_matter(values, limit):
    ratios = np.array(values)
    below, above = judge(ratios, limit), judge(1 / ratios, 1 / limit, better="above")
    assert below.outcome == above.outcome
    other = {"holds": "fails", "fails": "holds"}
    assert judge(ratios, limit, better="above").outcome == other.get(below.outcome, below.outcome)
    logs = judge(np.log(ratios), math.log(limit), scale="difference")
    assert logs.outcome == below.outcome


@pytest.mark.parametrize(
    ("seeds", "paired"), [(2, True), (3, True), (5, True), (10, True), (3, False)]
)
def test_chance_is_seldom_taken_for_an_effect(seeds, paired):
    share = pages.false_positives(seeds, paired=paired)
    assert 0.005 < share <= 0.05
    rng = np.random.default_rng(1)
    groups = np.exp(0.15 * rng.standard_normal((2, 400, seeds)))
    held = [
        judge(a, 1.0, baseline=None if paired else b, paired=paired).outcome == "holds"
        for a, b in zip(*groups, strict=True)
    ]
    assert abs(np.mean(held) - share) < 4 * math.sqrt(share / 400), "it simulates judge itself"


# Gates


FALLING = np.geomspace(1, 0.1, 20)


def test_a_baseline_that_never_improves_decides_nothing():
    source = given(a=curve(0.1 * FALLING), b=curve(np.linspace(1, 2, 20)))
    for criterion in (criteria.ends_lower, criteria.falls_faster, criteria.reaches_with_less):
        verdict = criterion(source, "a", "b")
        assert verdict.why == "the baseline never got better than at its first reading"
        assert verdict.outcome == "undecided"
    assert criteria.ends_lower(source, "b", "a").outcome == "fails", "the run under test may be bad"


def test_a_run_stuck_at_chance_is_the_worst_however_small_its_norm():
    """A collapsed network has a tiny gradient: its loss gives it away."""
    collapsed = np.full((3, 20), True)
    source = given(a=curve(1e-3 * FALLING, stuck=collapsed), b=curve(FALLING))
    for criterion in (criteria.ends_lower, criteria.falls_faster, criteria.reaches_with_less):
        assert criterion(source, "a", "b").outcome == "fails", criterion
    recovered = collapsed.copy()
    recovered[:, 10:] = False
    low_while_stuck = np.r_[np.full(10, 1e-3), np.geomspace(2, 0.9, 10)]
    source = given(a=curve(low_while_stuck, stuck=recovered), b=curve(FALLING))
    cost = criteria.reaches_with_less(source, "a", "b")
    assert cost.value == pytest.approx(20 / 2), "its small values while stuck do not count"


def test_a_level_that_is_never_reached_is_not_the_last_one():
    never = curve(np.full(20, 5.0))
    assert np.isinf(never.reached(1.0)).all()
    source = given(a=never, b=curve(FALLING))
    for unit in ("sfo", "step", "epoch"):
        assert (
            criteria.reaches_with_less(source, "a", "b", threshold=0.5, unit=unit).outcome
            == "fails"
        )
        assert criteria.reaches_with_less(source, "a", "b", threshold=0.5, unit=unit).value == INF
    some = replace(curve(FALLING), values=np.stack([FALLING, FALLING, np.full(20, 5.0)]))
    lucky = criteria.reaches_with_less(given(a=some, b=curve(FALLING)), "a", "b", threshold=0.5)
    assert lucky.outcome == "undecided"
    assert "never got there" in lucky.why


def test_directions_are_given_not_read_from_a_curves_ends():
    rising_norm = curve(np.r_[1.0, 0.5, np.full(18, 2.0)])
    assert rising_norm.reached(0.5).tolist() == [2, 2, 2]
    accuracy = curve(np.r_[1.0, 50.0, np.full(18, 0.5)], rising=True)
    assert accuracy.reached(50.0).tolist() == [2, 2, 2]


def test_a_level_reached_before_the_plans_differ_decides_nothing():
    from sgdm_lib.study import papers

    known = papers.catalogue()
    x2, flat = (known[f"cnn10k/cifar100/nshb/{name}"] for name in ("x2", "constant8"))
    assert gates.same_until(x2, flat) == 4
    assert gates.same_until(x2, known["cnn10k/cifar100/shb/x2"]) == 0
    assert gates.same_until(x2, x2.replace(seed=1)) == x2.epochs
    early, late = np.r_[1.0, 0.1, np.full(30, 0.5)], np.r_[np.linspace(1, 0.1, 32)]
    for values, outcome in ((early, "undecided"), (late, "fails")):
        pair = given(a=curve(late, experiment=x2), b=curve(values, experiment=flat))
        verdict = criteria.reaches_with_less(pair, "a", "b", threshold=0.1)
        assert verdict.outcome == outcome or verdict.value == 1


def test_seconds_count_only_where_nothing_else_ran():
    busy = given(a=curve(0.1 * FALLING), b=curve(FALLING))
    verdict = criteria.reaches_with_less(busy, "a", "b", unit="seconds")
    assert verdict.outcome == "undecided"
    assert "machine to themselves" in verdict.why
    quiet = given(a=curve(0.1 * FALLING, alone=True), b=curve(FALLING, alone=True))
    assert criteria.reaches_with_less(quiet, "a", "b", unit="seconds").outcome == "holds"


def test_follows_knows_a_diverged_run():
    gone = curve(70 + FALLING, rising=True, diverged=(True, True, True))
    source = given("test_accuracy", a=gone, b=curve(70 - FALLING, rising=True))
    assert criteria.follows(source, "a", "b").outcome == "fails"


# Levels


def test_a_level_is_the_median_of_the_last_quarter():
    values = np.arange(200.0)
    assert criteria.level(values) == np.median(values[150:])
    assert criteria.level(values[:16]) == np.median(values[8:16]), "at least 8 measurements"
    assert criteria.level(values[:10]) == np.median(values[5:10]), "but at most half of them"
    assert criteria.level([3.0, NAN, 5.0]) == 5.0
    assert math.isnan(criteria.level([NAN]))
    assert curve(values, running_min=True).levels.tolist() == [199.0] * 3


# Combining


def part(outcome, **more):
    return Verdict("", outcome, "e", "k", **more)


def test_combining_counts():
    yes, no, open_, nothing = map(part, ("holds", "fails", "undecided", "no data"))
    assert combine("c", {"a": yes, "b": yes}).outcome == "holds"
    assert combine("c", {"a": no, "b": no}).outcome == "fails"
    mixed = combine("c", {"a": yes, "b": no, "c": no, "d": open_, "e": nothing})
    assert (mixed.outcome, mixed.passed, mixed.tests) == ("mixed", 1, 3)
    assert mixed.label == "mixed (1 of 3)"
    assert mixed.evidence == "1 of 3 decided tests hold; 1 undecided; 1 without data."
    few = combine("c", {"a": yes, "b": open_, "c": nothing})
    assert (few.outcome, few.label) == ("undecided", "undecided")
    assert "Only 1 of 3" in few.evidence
    assert combine("c", {"a": open_, "b": nothing}).outcome == "undecided"
    assert combine("c", {"a": nothing, "b": nothing}).outcome == "no data"
    nested = combine("c", {"x": mixed, "y": yes})
    assert (nested.passed, nested.tests) == (2, 4)
    with pytest.raises(ValueError, match="at least one"):
        combine("c", {})
    assert combine("c", {"x": no}).claim == "c"


def test_a_box_has_a_row_a_part_and_escapes():
    html = combine("a < b", {"x < y": part("holds"), "z": part("fails")})._repr_html_()
    assert html.count("<tr") == 2
    assert "x &lt; y" in html
    assert "a &lt; b" in html
    assert 'class="verdict mixed"' in html
    assert 'class="verdict no-data"' in part("no data")._repr_html_()


def test_symbols_differ_without_colour():
    assert len(set(criteria.SYMBOLS.values())) == len(criteria.OUTCOMES) == 5
    with pytest.raises(ValueError, match="outcome must be one of"):
        part("reproduced")
