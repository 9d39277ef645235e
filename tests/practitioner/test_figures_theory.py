"""Theory figures: the right numbers on the right axes."""

import matplotlib as mpl
import numpy as np
import pytest

from sgdm_lib import plots, theory

mpl.use("agg")


@pytest.fixture(autouse=True)
def _close():
    yield
    mpl.pyplot.close("all")


def test_lines_points_and_marks():
    x = np.array([1.0, 2.0])
    figure = plots.lines(
        {"a": (x, x), "b": (x, 2 * x)}, "x (m)", "y", log="xy", points={"b": (x, x)}, marks={"m": 3}
    )
    (panel,) = figure.axes
    drawn = panel.get_lines()
    np.testing.assert_array_equal(drawn[1].get_ydata(), 2 * x)
    assert drawn[2].get_color() == drawn[1].get_color() != drawn[0].get_color()
    assert drawn[3].get_xdata()[0] == 3
    assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b", "m"]


def test_panels_keep_a_label_in_its_colour():
    x = np.arange(3)
    both = {"one": {"a": (x, x), "b": (x, x)}, "two": {"b": (x, 2 * x)}}
    one, two = plots.line_panels(both, "x", "y").axes
    assert two.get_lines()[0].get_color() == one.get_lines()[1].get_color()
    np.testing.assert_array_equal(two.get_lines()[0].get_ydata(), 2 * x)
    assert "two" in (two.get_title(), two.get_title("left"))


def test_unknown_axis_is_refused():
    with pytest.raises(ValueError, match="log"):
        plots.lines({"a": ([1], [1])}, "x", "y", log="z")


def test_stability_map_draws_the_limit():
    lr, momentum = np.geomspace(0.1, 100, 20), np.linspace(0, 0.9, 10)
    radius = theory.spectral_radius(1.0, lr, momentum[:, None])
    limit = theory.stability_limit(momentum)
    panel = plots.stability_map(lr, momentum, {"n": radius}, {"n": limit}, x="lr").axes[0]
    np.testing.assert_allclose(panel.get_lines()[0].get_xdata(), limit)
    assert panel.get_xscale() == "log"


def test_table_formats():
    html = plots.table({"name": ["a"], "x": [1.23456], "n": [2]}).to_html()
    assert "1.23" in html
    assert "1.234" not in html
    assert "0.5000" in plots.table({"x": [0.5]}, formats={"x": "{:.4f}"}).to_html()


def test_columns_of_words_stand_on_the_left():
    left = plots.table({"x": [1.0], "ruler": ["eval mode"]}).to_html()
    right = plots.table({"x": [1.0], "share": ["12%"], "missing": ["-"]}).to_html()
    assert left.count("text-align: left") == 2, "the heading and its column"
    assert "text-align" not in right
