"""The claims on schedules (i)-(iv), on curves made up so that the outcome is known."""

import numpy as np
import pytest
from claims_helpers import curve, given

from sgdm_lib import claims, papers
from sgdm_lib.claims import Recorded, ends_highest, kondo2025, levels_off
from sgdm_lib.claims.kondo2025 import CLAIMS

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
        ("level", 0.5, "reproduced"),
        ("half", 0.5, "reproduced"),
        ("half", 0.7, "not reproduced"),
        ("falling", 0.5, "not reproduced"),
    ],
)
def test_levels_off(shape, left, outcome):
    source = given(nshb__x=curve(SHAPES[shape]))
    verdict = levels_off(source, "nshb/x", left=left)
    assert verdict.outcome == outcome
    late, early = SHAPES[shape][75:].mean(), SHAPES[shape][25:50].mean()
    assert verdict.values[0] == pytest.approx(late / early)
    assert f"above {left:g}" in verdict.criterion


def test_levels_off_partly_with_one_seed_or_where_the_seeds_disagree():
    assert levels_off(given(r=curve(SHAPES["level"], seeds=1)), "r").outcome == "partly reproduced"
    falls = np.r_[BEGIN, np.ones(45), np.full(50, 0.3)]
    mixed = curve(SHAPES["half"], low=falls, high=SHAPES["level"])
    assert levels_off(given(r=mixed), "r").outcome == "partly reproduced"


def test_a_curve_that_has_not_begun_to_fall_has_no_floor():
    for path in (np.ones(40), np.linspace(1, 3, 40), np.linspace(1, 0.8, 40)):
        verdict = levels_off(given(r=curve(path)), "r")
        assert (verdict.outcome, verdict.word) == ("not yet run", "nothing to judge")
        assert verdict.evidence == "The gradient norm has hardly fallen by mid-run."
    assert levels_off(given(r=curve(np.ones(40))), "r", fallen=1.1).outcome == "reproduced"


def test_levels_off_without_curve_or_measured_too_rarely_or_diverged():
    assert levels_off(given(), "r").word == "not yet run"
    rare = levels_off(given(r=curve([1.0], epochs=100)), "r")
    assert (rare.word, rare.evidence) == ("nothing to judge", "It was measured too rarely.")
    assert levels_off(given(r=curve(np.ones(8), diverged=1)), "r").outcome == "not reproduced"
    with pytest.raises(ValueError, match="left must be"):
        levels_off(given(), "r", left=0)


@pytest.mark.parametrize(
    ("ends", "spread", "outcome"),
    [
        ((70, 60, 65), 1, "reproduced"),
        ((70, 60, 69), 1, "partly reproduced"),
        ((70, 71, 60), 1, "not reproduced"),
    ],
)
def test_ends_highest(ends, spread, outcome):
    curves = {f"s__{k}": curve(np.full(10, e), spread) for k, e in zip("abc", ends, strict=True)}
    verdict = ends_highest(given("test_accuracy", **curves), "s/a", ("s/b", "s/c"))
    assert verdict.outcome == outcome
    assert verdict.values[0] == pytest.approx(ends[0] - max(ends[1:]))


def test_ends_highest_is_partly_shown_while_others_are_missing():
    source = given("test_accuracy", a=curve([50.0]), b=curve([40.0]))
    partly = ends_highest(source, "a", ("b", "c"))
    assert partly.outcome == "partly reproduced"
    assert partly.evidence.endswith("Against 1 of 2; the rest has not been run.")
    assert "the rest" not in ends_highest(source, "a", ("b",)).evidence
    assert ends_highest(source, "a", ("c",)).outcome == "not yet run"
    lost = given("test_accuracy", a=curve([50.0], diverged=1), b=curve([1.0]))
    assert ends_highest(lost, "a", ("b",)).outcome == "not reproduced"


def judged(key, level, missing=()):
    """The claim's outcome where runs end at ``level(name)`` in every quantity."""
    names = [name for name in CLAIMS[key].runs if name not in missing]
    curves = {}
    for name in names:
        for quantity in claims.QUANTITIES:
            curves[name, quantity] = level(name.partition("/")[2], quantity)
    return CLAIMS[key].judge(claims.Given(curves))


def ranked(order):
    """Curves that end the better the later their kind comes in ``order``."""

    def made(name, quantity):
        rank = 1.0 + order.index(name.partition("_")[0])
        norm, accuracy = 8 / EPOCHS**rank, np.linspace(0, 10 * rank, 100)
        return curve(accuracy if quantity == "test_accuracy" else norm)

    return made


KINDS = ["constant", "growing", "both", "warmup"]


@pytest.mark.parametrize("key", ["L2", "L3", "L4", "L5", "L6a", "L6b"])
def test_each_claim_on_order_can_come_out_both_ways(key):
    assert judged(key, ranked(KINDS)).outcome == "reproduced"
    assert judged(key, ranked(KINDS[::-1])).outcome == "not reproduced"
    assert judged(key, ranked(KINDS), CLAIMS[key].runs).outcome == "not yet run"


def test_the_claim_on_the_floor_can_come_out_both_ways():
    flat, falling = curve(SHAPES["level"]), curve(SHAPES["falling"])
    assert judged("L1", lambda *_: flat).outcome == "reproduced"
    assert judged("L1", lambda *_: falling).outcome == "not reproduced"
    mixed = judged("L1", lambda name, _: flat if name == "constant_constant" else falling)
    assert mixed.outcome == "partly reproduced"


def test_equal_runs_are_no_hierarchy():
    same = curve(np.linspace(1, 0.5, 40), 0.01)
    for key in ("L2", "L3", "L4", "L5", "L6a", "L6b"):
        assert judged(key, lambda *_: same).outcome == "not reproduced", key


def test_markedly_faster_is_more_than_a_little_faster():
    def level(name, quantity):
        last = 0.8 if name == "constant_constant" else 0.7
        return curve(np.linspace(1, last, 40), 1e-9)

    assert judged("L4", level).outcome == "partly reproduced"


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
