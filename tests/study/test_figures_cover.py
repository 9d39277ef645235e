"""The cover shows every schedule, and a dot with its batch size where a stage begins."""

from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection

from sgdm_lib.study import figures
from sgdm_lib.study.evidence import Published

CHAPTERS = Path(__file__).parents[2] / "chapters"


@pytest.fixture(autouse=True)
def _no_windows():
    matplotlib.use("agg")
    yield
    plt.close("all")


def _numbers():
    return pd.read_csv(CHAPTERS / "noise-floor.csv")


def _dots(panel):
    """The marks, and not the bands."""
    return [found for found in panel.collections if isinstance(found, PathCollection)]


def test_cover_marks_every_stage():
    runs = _numbers()
    (panel,) = figures.cover(runs).axes
    drawn = {line.get_label(): line.get_ydata() for line in panel.lines}
    assert list(drawn) == ["constant 8", "constant 128", "from 8, doubled every 10 epochs"]
    for name, values in drawn.items():
        assert values.tolist() == runs[runs["schedule"] == name]["mean"].tolist()
    assert [text.get_text() for text in panel.texts] == ["8", "16", "32", "64", "128", "256"]
    growing = drawn["from 8, doubled every 10 epochs"]
    expected = [[e, growing[e - 1]] for e in (1, 11, 21, 31, 41, 51)]
    assert np.allclose(np.concatenate([dot.get_offsets() for dot in _dots(panel)]), expected)
    areas = [dot.get_sizes()[0] for dot in _dots(panel)]
    assert areas == sorted(set(areas))
    assert panel.get_yscale() == "log"
    assert "epochs" in panel.get_xlabel()


def test_the_numbers_of_the_cover_show_its_sentence():
    """Both constant batch sizes level off, the smaller one higher; the growing one ends lowest."""
    runs = _numbers()
    level = runs[runs["epoch"] > 45].groupby("schedule")[["mean", "low", "high"]].mean()
    before = runs[runs["epoch"].between(31, 45)].groupby("schedule")["mean"].mean()
    for name in ("constant 8", "constant 128"):
        assert level.loc[name, "mean"] > 0.9 * before[name]
    end = runs[runs["epoch"] > 54].groupby("schedule")[["mean", "low", "high"]].mean()
    assert end.loc["constant 8", "low"] > end.loc["constant 128", "high"]
    assert end.loc["constant 128", "low"] > end.loc["from 8, doubled every 10 epochs", "high"]


def test_equal_batch_figure_shades_the_epochs_and_draws_every_ratio():
    figure = figures.at_equal_batch_size(Published(CHAPTERS / "paper_curves"))
    above, below = figure.axes
    sizes = [text.get_text() for text in above.texts if text.get_text() != "both at 128"]
    assert sizes == [f"{8 * 2**m:,}" for m in range(10)]
    ratios = {line.get_label(): line.get_ydata() for line in below.lines}
    assert ratios["NSHB"][99] == pytest.approx(7.49, abs=0.005)
    assert len(ratios) == 7
    for panel in figure.axes:
        (shade,) = panel.patches
        assert (shade.get_x(), shade.get_width()) == (80, 20)
