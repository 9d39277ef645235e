"""What a "holds" is worth, and which outcomes a change of criteria changed."""

from pathlib import Path

import pandas as pd
import pytest
from claims_helpers import curve, given

from sgdm_lib.study import pages
from sgdm_lib.study.pages import Scorecard

CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"


def test_chance_gives_at_most_one_holds_in_twenty():
    rates = pages.error_rates()
    assert len(rates) == 5
    assert rates['"holds" by chance (%)'].between(0.5, 5).all()
    assert pages.false_positives(1) == 0, "one seed never holds"


def test_by_chance_counts_the_tests_that_can_hold():
    falling = [1, 0.5, 0.4, 0.3]
    runs = {f"{o}__constant": curve([2, *falling[1:]], 0.01) for o in ("nshb", "sgd", "shb")}
    runs |= {"nshb__x2": curve([0.5, 0.2, 0.1, 0.1]), "sgd__x2": curve(falling, seeds=1)}
    k3 = pages.all_claims()["K3"]
    card = Scorecard({"K3": {"paper": k3.judge(given(**runs)), "small": None}}, {"K3": k3})
    paper, full, small = pages.by_chance(card).to_dict("records")
    assert (paper["tests"], paper["hold"]) == (1, 1)
    assert paper["by chance"] == pytest.approx(pages.false_positives(3))
    assert full["tests"] == small["tests"] == 0


def test_changes_names_what_changed_and_nothing_else():
    before = pd.DataFrame(
        {
            "id": ["K1", "K2", "K9c"],
            "paper": ["reproduced", "partly reproduced", "reproduced"],
            "full": ["not yet run", "", ""],
        }
    )
    now = pd.DataFrame(
        {
            "id": ["K1", "K2", "K3"],
            "paper": ["holds", "fails", "holds"],
            "full": ["no data", "", ""],
        }
    )
    found = pages.changes(before, now)
    assert found[["claim", "before", "now"]].values.tolist() == [
        ["K2", "mixed", "fails"],
        ["K9c", "holds", "-"],
        ["K3", "-", "holds"],
    ]


def test_the_outcomes_before_the_one_judge_are_kept():
    before = pd.read_csv(CHAPTERS / "scorecard-2026-11-23.csv")
    words = {*pages.EARLIER_WORDS}
    assert set(before[["paper", "full", "small"]].fillna("").to_numpy().ravel()) - {""} <= words
