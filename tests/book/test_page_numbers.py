"""Numbers for the prose: several at once, ranges, and those without data."""

import pytest

from sgdm_lib.book import page
from sgdm_lib.study import evidence, pages


@pytest.fixture
def noted(monkeypatch):
    kept = {}
    monkeypatch.setattr("myst_nb.glue", lambda name, value, display: kept.update({name: value}))
    return kept


def test_several_numbers_under_one_beginning(noted):
    page.note_all("end", {"first": 1.5, "count": 3, "unknown": None})
    assert noted == {"end_first": 1.5, "end_count": 3, "end_unknown": "…"}


def test_a_range_is_the_smallest_and_the_largest(noted):
    page.note_range("norm", (value for value in (2.0, 1.0, 4.0)))
    page.note_range("none", [])
    assert noted == {"norm_low": 1.0, "norm_high": 4.0, "none_low": "…", "none_high": "…"}


def test_a_chapter_trains_by_its_settings(monkeypatch):
    asked = {}
    monkeypatch.setattr(page, "train_runs", lambda runs, **how: asked.update(how, runs=list(runs)))
    settings = page.Settings("paper", range(2), "cpu", "kept")
    settings.train({"(i)": "nshb/constant_cosine"}.values(), "kondo2025")
    assert asked["paper"] == "kondo2025"
    assert asked["runs"] == ["nshb/constant_cosine"]
    assert (asked["protocol"], asked["out"]) == ("full", "kept")
    settings.train([], protocol="quick")  # another protocol must not meet the kept runs
    assert (asked["protocol"], asked["out"]) == ("quick", None)


def test_judged_leaves_out_tests_without_data():
    assert pages.judged("L2", evidence.Trained({})) == {}
