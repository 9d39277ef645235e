"""Published and recorded curves side by side: which run, which axis, which mark."""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from sgdm_lib import plots
from sgdm_lib.study import criteria, figures
from sgdm_lib.study.criteria import Curve, InMemory, Verdict
from sgdm_lib.study.evidence import Published
from sgdm_lib.study.figures import ends_table

mpl.use("agg")
PAPER = Published(Path(__file__).resolve().parents[2] / "chapters" / "paper_curves")
NONE = InMemory({})


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def curve(values, seeds=2, **more):
    values, epoch = np.asarray(values, dtype=float), np.arange(1, len(values) + 1)
    band = np.linspace(0.9, 1.1, seeds) if seeds > 1 else np.ones(1)
    nan = np.full(len(values), np.nan)
    return Curve(epoch, 10 * epoch, 80 * epoch, band[:, None] * values, nan, len(values), **more)


OURS = InMemory(
    {("a", "gradient_norm"): curve([1.0, 0.5, 0.02]), ("a", "test_accuracy"): curve([3])}
)


def test_panels_draw_the_published_curve():
    figure = figures.panels([("doubling", [PAPER], {"NSHB": "nshb/x2"})], ["gradient_norm"])
    (panel,) = figure.axes
    (line,) = panel.get_lines()
    published = PAPER.curve("nshb/x2", "gradient_norm")
    np.testing.assert_array_equal(line.get_ydata(), published.mean)
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 201))
    band = panel.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(published.low.min())
    assert panel.get_yscale() == "log"
    assert "running minimum" in panel.get_ylabel()
    assert panel.get_title(loc="left") + panel.get_title() == "doubling"


def test_a_second_source_shares_the_axes_and_is_marked():
    figure = figures.panels([("", [OURS, OURS], {"x": "a"})], ["gradient_norm"])
    first, second = figure.axes[0].get_lines()
    assert first.get_marker() in ("", "None")
    assert second.get_marker() == "o"
    assert first.get_color() == second.get_color()


def test_rows_of_other_sources_have_axes_of_their_own():
    rows = [("one", [PAPER], {"NSHB": "nshb/constant"}), ("two", [PAPER], {"NSHB": "nshb/x2"})]
    figure = figures.panels([*rows, ("ours", [OURS], {"x": "a"})], ["gradient_norm"])
    one, two, ours = figure.axes
    assert one.get_ylim() == two.get_ylim()
    assert ours.get_ylim() != one.get_ylim()
    low, high = one.get_ylim()
    means = [PAPER.curve(f"nshb/{s}", "gradient_norm").mean for s in ("constant", "x2")]
    assert low < min(map(np.min, means))
    assert high > max(map(np.max, means))


def test_labels_keep_their_colour_and_accuracy_is_linear():
    rows = [("a", [OURS], {"x": "a", "y": "missing"}), ("b", [OURS], {"y": "a"})]
    figure = figures.panels(rows, ["test_accuracy"], over="sfo")
    top, bottom = figure.axes
    assert top.get_lines()[0].get_color() == plots.colours(1)[0]
    assert bottom.get_lines()[0].get_color() == plots.colours(2)[1]
    assert top.get_yscale() == "linear"
    assert bottom.get_lines()[0].get_xdata().tolist() == [80]


def test_what_has_not_been_run():
    assert figures.panels([("x", [NONE], {"x": "a"})]).get_suptitle() == "not yet run"
    rows = [("x", [NONE], {"x": "a"}), ("y", [OURS], {"x": "a"})]
    figure = figures.panels(rows, ["gradient_norm", "empirical_loss"])
    assert len(figure.axes) == 2
    assert [text.get_text() for text in figure.axes[1].texts] == ["not yet run"]


def test_four_panels_of_a_single_row_stand_two_by_two():
    figure = figures.panels([("x", [OURS], {"x": "a"})], list(criteria.QUANTITIES))
    assert len({panel.get_subplotspec().rowspan.start for panel in figure.axes}) == 2
    labels = [panel.get_ylabel().partition("\n")[0] for panel in figure.axes]
    assert labels == [
        "full gradient norm", "training loss (nats)", "test accuracy (%)",
        "exact full gradient norm",
    ]  # fmt: skip
    two = figures.panels([("x", [OURS], {"x": "a"})] * 2, list(criteria.QUANTITIES))
    assert [panel.get_subplotspec().rowspan.start for panel in two.axes] == [0] * 4 + [1] * 4


def test_a_table_of_ends_marks_the_best_and_leaves_out_what_was_not_run():
    made = {}
    for name, level, seeds in (("a", 1.0, 2), ("b", 2.0, 1)):
        for quantity in ("gradient_norm", "test_accuracy"):
            rising = quantity == "test_accuracy"
            made[name, quantity] = curve(np.full(10, level), seeds, rising=rising)
    table = ends_table(
        InMemory(made), {"A": "a", "B": "b", "C": "c"}, ["gradient_norm", "test_accuracy"]
    )
    html = table.to_html()
    assert table.data["schedule"].tolist() == ["A", "B"]
    assert table.data["seeds"].tolist() == [2, 1]
    assert table.data["authors' norm"].str.replace("\N{WORD JOINER}", "").tolist() == [
        "1.000 (0.900\N{EN DASH}1.100)",
        "2.000",
    ]
    assert html.count("font-weight: bold") == 1
    assert "row0_col2" in html.partition("font-weight")[0], "the lowest norm"
    assert "row1_col3" in html.partition("font-weight")[0], "the highest accuracy"
    nothing = ends_table(NONE, {"A": "a"})
    assert nothing.data.iloc[0, 0] == "not yet run"
    with pytest.raises(ValueError, match="quantity must be one of"):
        ends_table(NONE, {}, ["beauty"])


def test_unknown_quantities_are_refused():
    with pytest.raises(ValueError, match="did you mean 'gradient_norm'"):
        figures.panels([], ["gradient_nrm"])
    with pytest.raises(ValueError, match="over"):
        figures.panels([], over="hours")


def verdict(outcome, value=None, interval=None):
    return Verdict("", outcome, "", "", value, interval)


def test_verdict_points():
    parts = {
        "A": verdict("holds", 0.5, (0.4, 0.6)),
        "B": verdict("undecided", 0.9),
        "C": verdict("fails", 2.0, (1.5, 3.0)),
        "D": verdict("no data"),
    }
    groups = {"K": {"paper": parts, "ours, full": {"A": verdict("no data")}}}
    figure = figures.verdict_points(groups, marks={"K": 1})
    (panel,) = figure.axes
    assert panel.get_xscale() == "log"
    assert [text.get_text() for text in panel.get_yticklabels()] == list(parts)
    dots = [line for line in panel.get_lines() if line.get_marker() == "o"][1:]
    assert [float(dot.get_xdata()[0]) for dot in dots] == [0.5, 0.9, 2.0]
    assert [dot.get_fillstyle() for dot in dots] == ["full", "left", "full"]
    assert dots[2].get_markerfacecolor() == "white"
    bars = [line for line in panel.get_lines() if len(line.get_xdata()) == 2]
    assert [bar.get_xdata().tolist() for bar in bars[1:]] == [[0.4, 0.6], [1.5, 3.0]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["paper"]
    with pytest.raises(ValueError, match="title"):
        figures.verdict_points({"K": {"paper": parts}}, marks={"L": 1})


def test_verdict_table():
    html = figures.verdict_table({"A": verdict("fails", 2.0)}).to_html()
    assert "A" in html
    assert "✗ fails" in html


def test_axes_say_where_a_norm_is_a_running_minimum():
    rows = [("", [source], {"x": run}) for source, run in ((PAPER, "nshb/x2"), (OURS, "a"))]
    labels = [axes.get_ylabel() for axes in figures.panels(rows, ["gradient_norm"]).axes]
    assert "running minimum" in labels[0]
    assert "running minimum" not in labels[1]


def test_ratio_panels():
    source = InMemory(
        {("a", "gradient_norm"): curve([4, 2, 1]), ("b", "gradient_norm"): curve([2, 2, 2])}
    )
    pairs = {"x": ("a", "b"), "y": ("a", "missing")}
    (panel,) = figures.ratio_panels(source, pairs, ["gradient_norm"]).axes
    level, ratio = panel.get_lines()
    assert set(level.get_ydata()) == {1.0}
    np.testing.assert_allclose(ratio.get_ydata(), [2, 1, 0.5])
    assert panel.get_yscale() == "log"


def test_cost_ratios():
    falling, rising = "gradient_norm", "test_accuracy"
    source = InMemory(
        {
            ("a", falling): curve([4, 1]),
            ("b", falling): curve([4, 2, 1]),
            ("a", rising): curve([1, 4], rising=True),
            ("b", rising): curve([1, 2, 3, 4], rising=True),
        }
    )
    levels = {rising: [1, 4], falling: [1, 4]}
    up, down = figures.cost_ratios(source, ("a", "b"), levels).axes
    level, sfo, step = up.get_lines()
    np.testing.assert_allclose(sfo.get_ydata(), [1, 0.5])
    np.testing.assert_allclose(step.get_ydata(), [1, 0.5])
    np.testing.assert_allclose(down.get_lines()[1].get_ydata(), [2 / 3, 1])
    assert up.get_xlim()[0] < up.get_xlim()[1]
    assert down.get_xlim()[0] > down.get_xlim()[1]
    assert set(level.get_ydata()) == {1.0}
    with pytest.raises(ValueError, match="pair"):
        figures.cost_ratios(source, ("a", "c"), levels)
