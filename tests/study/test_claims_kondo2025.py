"""The claims on schedules (i)-(iv), on curves made up so that the outcome is known."""

from dataclasses import replace

import numpy as np
import pytest
from claims_helpers import curve, given

from sgdm_lib.study import criteria, papers
from sgdm_lib.study.claims import kondo2025
from sgdm_lib.study.claims.kondo2025 import CLAIMS
from sgdm_lib.study.criteria import ends_highest, levels_off
from sgdm_lib.study.evidence import Recorded

EPOCHS = np.arange(1, 101)
BEGIN = np.full(5, 10.0)
SHAPES = {
    "falling": 1 / EPOCHS,
    "level": np.r_[BEGIN, np.ones(95)],
    "half": np.r_[BEGIN, np.ones(45), np.full(50, 0.6)],
}


@pytest.mark.parametrize(
    ("shape", "left", "outcome"),
    [
        ("level", 0.5, "holds"),
        ("half", 0.5, "holds"),
        ("half", 0.7, "fails"),
        ("falling", 0.5, "fails"),
    ],
)
def test_levels_off(shape, left, outcome):
    source = given(nshb__x=curve(SHAPES[shape]))
    verdict = levels_off(source, "nshb/x", left=left)
    assert verdict.outcome == outcome
    late, early = np.median(SHAPES[shape][75:]), np.median(SHAPES[shape][25:50])
    assert verdict.value == pytest.approx(late / early)
    assert f"above {left:g}" in verdict.criterion


def test_levels_off_is_undecided_with_one_seed_or_where_the_seeds_disagree():
    assert levels_off(given(r=curve(SHAPES["level"], seeds=1)), "r").outcome == "undecided"
    falls = np.r_[BEGIN, np.ones(45), np.full(50, 0.3)]
    disagreeing = np.stack([falls, SHAPES["half"], SHAPES["level"]])
    found = levels_off(given(r=replace(curve(falls), values=disagreeing)), "r")
    assert found.outcome == "undecided"
    assert found.values == pytest.approx([0.3, 0.6, 1.0])


def test_a_curve_that_has_not_begun_to_fall_has_no_floor():
    for path in (np.ones(40), np.linspace(1, 3, 40), np.linspace(1, 0.8, 40)):
        verdict = levels_off(given(r=curve(path)), "r")
        assert (verdict.outcome, verdict.why) == ("undecided", "it has hardly fallen by mid-run")
    assert levels_off(given(r=curve(np.ones(40))), "r", fallen=1.1).outcome == "holds"


def test_levels_off_without_curve_or_measured_too_rarely_or_diverged():
    assert levels_off(given(), "r").outcome == "no data"
    rare = levels_off(given(r=curve([1.0], epochs=100)), "r")
    assert (rare.outcome, rare.why) == ("undecided", "it was measured too rarely")
    gone = curve(SHAPES["level"], diverged=(True,) * 3)
    assert levels_off(given(r=gone), "r").outcome == "fails"
    with pytest.raises(ValueError, match="left must be"):
        levels_off(given(), "r", left=0)


def accuracy(end, spread=0.0, **changes):
    return curve(np.r_[0.0, np.full(9, end)], spread, rising=True, **changes)


@pytest.mark.parametrize(
    ("ends", "outcome"),
    [((70, 60, 65), "holds"), ((70, 60, 69.9), "undecided"), ((70, 75, 60), "fails")],
)
def test_ends_highest(ends, outcome):
    spreads = (0.5, 0.0, 0.0)
    names = ("s__a", "s__b", "s__c")
    curves = {k: accuracy(e, s) for k, e, s in zip(names, ends, spreads, strict=True)}
    verdict = ends_highest(given("test_accuracy", **curves), "s/a", ("s/b", "s/c"))
    assert verdict.outcome == outcome
    assert verdict.value == pytest.approx(ends[0] - max(ends[1:]))


def test_ends_highest_is_undecided_while_others_are_missing():
    source = given("test_accuracy", a=accuracy(50), b=accuracy(40))
    some = ends_highest(source, "a", ("b", "c"))
    assert (some.outcome, some.why) == ("undecided", "only 1 of 2 others have been run")
    assert ends_highest(source, "a", ("b",)).outcome == "holds"
    assert ends_highest(source, "a", ("c",)).outcome == "no data"
    lost = given("test_accuracy", a=accuracy(50, diverged=(True,) * 3), b=accuracy(1))
    assert ends_highest(lost, "a", ("b",)).outcome == "fails"


def judged(key, level, missing=()):
    """The claim's outcome where runs end at ``level(name)`` in every quantity."""
    names = [name for name in CLAIMS[key].runs if name not in missing]
    curves = {}
    for name in names:
        for quantity in criteria.QUANTITIES:
            curves[name, quantity] = level(name.partition("/")[2], quantity)
    return CLAIMS[key].judge(criteria.InMemory(curves))


def ranked(order):
    """Curves that end the better the later their kind comes in ``order``."""

    def made(name, quantity):
        rank = 1.0 + order.index(name.partition("_")[0])
        norm, accuracy = 8 / EPOCHS**rank, np.linspace(0, 10 * rank, 100)
        rising = quantity == "test_accuracy"
        return curve(accuracy if rising else norm, rising=rising)

    return made


KINDS = ["constant", "growing", "both", "warmup"]


@pytest.mark.parametrize("key", ["L2", "L3", "L4", "L5", "L6a", "L6b"])
def test_each_claim_on_order_can_come_out_both_ways(key):
    assert judged(key, ranked(KINDS)).outcome == "holds"
    assert judged(key, ranked(KINDS[::-1])).outcome == "fails"
    assert judged(key, ranked(KINDS), CLAIMS[key].runs).outcome == "no data"


def test_the_claim_on_the_floor_can_come_out_both_ways():
    flat, falling = curve(SHAPES["level"]), curve(SHAPES["falling"])
    assert judged("L1", lambda *_: flat).outcome == "holds"
    assert judged("L1", lambda *_: falling).outcome == "fails"
    mixed = judged("L1", lambda name, _: flat if name == "constant_constant" else falling)
    assert (mixed.outcome, mixed.passed, mixed.tests) == ("mixed", 1, 5)


def test_equal_runs_are_no_hierarchy():
    same = curve(np.linspace(1, 0.5, 40), 0.01)
    for key in ("L2", "L3", "L4", "L5", "L6a", "L6b"):
        assert judged(key, lambda *_: same).passed == 0, key


def test_markedly_faster_is_more_than_a_little_faster():
    def level(name, quantity):
        last = 0.8 if name == "constant_constant" else 0.7
        return curve(np.linspace(1, last, 40), 1e-9)

    assert judged("L4", level).outcome == "mixed"


@pytest.mark.parametrize("key", CLAIMS)
def test_runs_are_in_the_catalogue_at_both_scales(key):
    dataset = CLAIMS[key].dataset
    full = Recorded(None, "kondo2025", "full", dataset)
    scales = [full] if dataset == "tiny_imagenet" else [full, Recorded(None, "kondo2025", "cnn10k")]
    names = {source.name(run) for source in scales for run in CLAIMS[key].runs}
    assert names <= set(papers.catalogue())


def test_every_run_of_a_kind_is_judged_against():
    """A warm-up that beats all others must beat every schedule of the paper without warm-up."""
    without = {
        name.partition("/")[2]
        for name in papers.kondo2025.configs()
        if name.startswith("nshb/") and "warmup" not in name
    }
    assert set(kondo2025.WITHOUT_WARMUP) == without
