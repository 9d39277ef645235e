"""The house style: told apart by everyone, on white and in the dark; sharp and small; its mark."""

import base64
import io
import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from sgdm_lib.plots import colours, use_style
from sgdm_lib.plots.style import picture
from sgdm_lib.study.figures import logo

ROOT = Path(__file__).resolve().parents[2]
# Machado, Oliveira & Fernandes (2009), full severity; on linear RGB.
SIGHTS = {
    "full": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
# hue-rotate(180deg) of the CSS filter specification
HALF_TURN = np.array([[-0.574, 1.430, 0.144], [0.426, 0.430, 0.144], [0.426, 1.430, -0.856]])
DARK_PAGE = "#121212"


def rgb(colour):
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def linear(values):
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def in_the_dark(values):
    """The filter of book.css: invert(0.93) hue-rotate(180deg)."""
    return np.clip(HALF_TURN @ (values * (1 - 2 * 0.93) + 0.93), 0, 1)


def lab(values, sight):
    """CIE L*a*b* (D65) of an RGB colour as seen with this sight."""
    seen = np.clip(np.asarray(SIGHTS[sight]) @ linear(values), 0, 1)
    ratios = TO_XYZ @ seen / [0.95047, 1, 1.08883]
    small = ratios / (3 * (6 / 29) ** 2) + 4 / 29
    x, y, z = np.where(ratios > (6 / 29) ** 3, np.cbrt(ratios), small)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one, two):
    """WCAG 2 contrast ratio of two RGB colours."""
    low, high = sorted(TO_XYZ[1] @ linear(c) for c in (one, two))
    return (high + 0.05) / (low + 0.05)


def test_the_filter_is_the_one_of_the_pages():
    assert "filter: invert(0.93) hue-rotate(180deg);" in (ROOT / "_static/book.css").read_text()
    plate = in_the_dark(rgb("#ffffff"))
    assert abs(plate - rgb(DARK_PAGE)).max() < 0.002, "a figure's ground is the page's"


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_are_told_apart(sight, theme):
    """At least 12; 2.3 is just noticeable. Old palettes reached 1.4: so this can fail."""
    shown = [rgb(colour) for colour in colours(8)]
    if theme == "dark":
        shown = [in_the_dark(values) for values in shown]
    seen = [lab(values, sight) for values in shown]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 12


@pytest.mark.parametrize("colour", colours(8))
def test_lines_stand_out_from_both_grounds(colour):
    assert contrast(rgb(colour), rgb("#ffffff")) >= 3
    assert contrast(in_the_dark(rgb(colour)), rgb(DARK_PAGE)) >= 3


def test_text_in_figures_is_legible_on_both_grounds():
    use_style()
    for name in ("text.color", "axes.labelcolor", "xtick.color"):
        values = np.array(to_rgb(plt.rcParams[name]))
        assert contrast(values, rgb("#ffffff")) >= 7
        assert contrast(in_the_dark(values), rgb(DARK_PAGE)) >= 7


def test_lines_are_stored_in_few_colours_and_photographs_in_all():
    use_style()
    lines, axes = plt.subplots()
    axes.plot(np.sin(np.arange(50)), color="#d55e00")
    photograph, axes = plt.subplots()
    axes.imshow(np.random.default_rng(0).random((50, 50, 3)))
    few, all_ = (
        Image.open(io.BytesIO(base64.b64decode(picture(figure, largest=0)[0]["image/png"])))
        for figure in (lines, photograph)
    )
    assert few.mode == "P"
    assert all_.mode == "RGBA"
    distance = np.abs(np.asarray(few.convert("RGB")) - np.array([0xD5, 0x5E, 0x00])).max(axis=-1)
    assert (distance <= 2).sum() > 1000, "the line has kept its colour"
    plt.close("all")


def test_pictures_are_svg_where_small_and_else_sharp_png():
    use_style()
    figure, panel = plt.subplots(figsize=(4, 3))
    panel.plot([1, 2, 3])
    pictures, _ = picture(figure)
    assert ET.fromstring(pictures["image/svg+xml"]).tag.endswith("svg")
    assert picture(figure)[0] == pictures, "the same figure must be the same file"
    panel.plot(np.sin(np.arange(5000)), "o")
    pictures, size = picture(figure)
    png = base64.b64decode(pictures["image/png"])
    assert int.from_bytes(png[16:20], "big") == pytest.approx(2 * size["image/png"]["width"], abs=2)
    plt.close(figure)


def test_the_mark_is_what_the_code_draws(tmp_path):
    logo.draw(tmp_path)
    for name, text in logo.files().items():
        assert (ROOT / "_static" / name).read_text("utf8") == text, (
            "python -m sgdm_lib.study.figures.logo"
        )
        assert (tmp_path / name).read_text("utf8") == text
        assert ET.fromstring(text).find("{*}title").text


def test_the_marks_curve_falls_to_the_floor_of_each_batch():
    values = logo.norms(stages=4, steps=400)
    assert (np.diff(values) <= 0).all()
    assert values[400::400] ** 2 == pytest.approx([1 / 2, 1 / 4, 1 / 8, 1 / 16])
    radii = [float(r) for r in re.findall(r'r="([\d.]+)"', logo.logo())]
    assert np.divide(radii[1:], radii[:-1]) == pytest.approx(np.sqrt(2), rel=0.03)
