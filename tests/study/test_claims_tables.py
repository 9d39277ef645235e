"""The paper's printed numbers, decoded."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sgdm_lib.study import papers
from sgdm_lib.study.claims import tables
from sgdm_lib.study.criteria import Curve
from sgdm_lib.study.evidence import Published

CURVES = Path(__file__).resolve().parents[2] / "chapters" / "paper_curves"


@pytest.fixture(scope="module")
def sfo():
    return tables.sfo_table(CURVES)


@pytest.fixture(scope="module")
def wall_clock():
    return tables.wall_clock_table(CURVES)


def test_every_printed_number_is_the_end_of_an_epoch(sfo):
    assert sfo["epoch"].tolist() == [55, 105, 41, 50, 115, 196, 58, 101, 105, 41, 50, 26]
    assert sfo["batch_size"].tolist() == [8, 8, 32, 32, 128, 128, 256, 512, 8, 32, 128, 256]


def test_decode_adds_up_by_hand():
    # 25 epochs of ceil(50,000 / 128) = 391 steps, then one of 196 steps of 256
    reached = tables.decode("b128_x2_every25", 25 * 391 * 128 + 196 * 256)
    assert reached == tables.Reached(26, 256, 25 * 391 + 196, after_growth=True)
    assert not tables.decode("b8", 55 * 50_000).after_growth


def test_decode_refuses_what_no_epoch_ends_with():
    with pytest.raises(ValueError, match="end of an epoch of b8, got 2,050,016"):
        tables.decode("b8", 2_050_016)
    with pytest.raises(ValueError, match="run must be"):
        tables.decode("b16", 50_000)


def three(low, middle, high, **more):
    values = np.array([low, middle, high], dtype=float)
    epoch, nan = np.arange(1, len(low) + 1), np.full(len(low), np.nan)
    return Curve(epoch, epoch, epoch, values, nan, len(low), **more)


def test_crossings_of_a_falling_and_a_rising_curve():
    falling = three([3, 1, 0, 0, 0], [4, 3, 0.9, 0, 0], [5, 4, 3, 2, 1])
    assert tables.crossings(falling, 1.0) == {"first": 2, "middle": 3, "mean": 4, "last": 5}
    rising = three([0, 1, 2, 3, 4], [1, 2, 3, 5, 5], [2, 5, 6, 6, 6], rising=True)
    assert tables.crossings(rising, 5.0) == {"first": 2, "middle": 4, "mean": 5, "last": None}


def test_crossings_need_three_runs():
    curve = three([2, 1], [3, 2], [4, 3])
    with pytest.raises(ValueError, match="3 runs, got 1"):
        tables.crossings(replace(curve, values=curve.values[:1]), 1.0)


def test_rows_agree_with_one_run_where_they_can_be_compared(sfo):
    shown = sfo[sfo["mean"].notna()]
    assert set(shown["run"]) == set(tables.IN_FIGURES)
    one = (shown["epoch"] == shown["first"]) | (shown["epoch"] == shown["last"])
    assert (one | (shown["epoch"] == shown["middle"])).all()
    assert (shown["epoch"] != shown["mean"]).any()
    assert sfo[sfo["mean"].isna()]["first"].isna().all()


def test_schedules_compared_are_the_same_until_the_threshold(sfo):
    known = papers.catalogue()
    for run, figure in tables.IN_FIGURES.items():
        plans = [
            known[name].plan(50_000)
            for name in (f"kamo2025/sfo/{run}", f"kamo2025/cifar100/{figure}")
        ]
        until = sfo[sfo["run"] == run][["epoch", "last"]].max().max()
        np.testing.assert_array_equal(*(plan.batch_sizes[:until] for plan in plans))


def test_crossings_of_a_published_curve(sfo):
    curve = Published(CURVES).curve("nshb/constant", "gradient_norm")
    row = sfo[(sfo["run"] == "b128") & (sfo["threshold"] == 0.1)].iloc[0]
    assert curve.mean[row["mean"] - 2] > 0.1 >= curve.mean[row["mean"] - 1]
    assert row["first"] <= row["mean"] <= row["last"]


def test_wall_clock(wall_clock):
    row = wall_clock.set_index(["threshold", "run"]).loc[(0.1, "b8")]
    assert (row["epoch"], row["steps"]) == (55, 55 * 6250)
    assert row["seconds_per_epoch"] == pytest.approx((2 * 3600 + 22 * 60 + 58) / 55)
    assert row["ms_per_step"] == pytest.approx(1000 * 8578 / 343_750)


def test_a_saving_is_the_product_of_its_parts(wall_clock):
    for threshold in (0.1, 0.05):
        part = tables.saving(wall_clock, threshold, "b8_x2_every20", "b8")
        assert part.time == pytest.approx(part.epochs * part.cost)
        assert 0 < part.share_of_epochs < 1
    with pytest.raises(ValueError, match="run"):
        tables.saving(wall_clock, 0.1, "b128", "b8")


def test_effort_ratio():
    fast, slow = three([4, 2, 1], [4, 2, 1], [4, 2, 1]), three([4, 4, 2], [4, 4, 2], [4, 4, 2])
    ratios = tables.effort_ratio(fast, slow, [4.0, 2.0, 1.0], "epoch")
    np.testing.assert_allclose(ratios, [1.0, 2 / 3, np.nan])
    with pytest.raises(ValueError, match="unit"):
        tables.effort_ratio(fast, slow, [1.0], "hours")
