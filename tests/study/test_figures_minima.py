"""Gradient norms are drawn as measured, and as running minima only beside the paper's."""

from dataclasses import replace

import matplotlib
import matplotlib.pyplot as plt
import pytest
from claims_helpers import curve, given

from sgdm_lib.study import figures

READ = curve([3.0, 1.0, 2.0], seeds=1)
PAPERS = replace(curve([3.0, 2.0, 1.0]), running_min=True)


@pytest.mark.parametrize("beside_the_papers", [False, True])
def test_norms_are_running_minima_only_beside_the_papers(beside_the_papers):
    matplotlib.use("agg")
    sources = [given(a=PAPERS)] * beside_the_papers + [given(a=READ)]
    figure = figures.panels([("", sources, {"x": "a"})], ["gradient_norm"])
    (panel,) = figure.axes
    *_, ours = panel.get_lines()
    assert ours.get_ydata().tolist() == ([3, 1, 1] if beside_the_papers else [3, 1, 2])
    assert ("running minimum" in panel.get_ylabel()) is beside_the_papers
    plt.close("all")
