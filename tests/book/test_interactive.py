"""Figures with sliders: the page's numbers are the library's, and moving a slider redraws."""

import math

import matplotlib as mpl
import numpy as np
import pytest

from sgdm_lib import theory
from sgdm_lib.book import play
from sgdm_lib.theory import Constants, Hyperparameters

mpl.use("agg")
WIDGETS = {
    "momentum": play.momentum_on_quadratic,
    "schedule": play.schedule_to_bound,
}
SET = """([name, value]) => {
    const input = document.querySelector(`[data-control="${name}"]`);
    input.value = value;
    input.dispatchEvent(new Event('input', {bubbles: true}));
}"""
VALUE = "name => Number(document.querySelector(`[data-number='${name}']`).dataset.value)"
TEXT = "name => document.querySelector(`[data-number='${name}']`).textContent"
SHOWN = "name => document.querySelector(`[data-shows='${name}']`).textContent"


@pytest.fixture(scope="module")
def pages(browser):
    """Each widget alone in a page, and the errors it made."""
    errors, pages = [], {}
    for name, make in WIDGETS.items():
        page = browser.new_page()
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.on("request", lambda r: errors.append(r.url) if r.url.startswith("http") else None)
        page.set_content(make()._repr_html_())
        pages[name] = page
    yield pages
    assert not errors


def put(page, **settings):
    """Set controls; the position of a logarithmic slider is snapped by the browser."""
    for name, value in settings.items():
        scale = page.evaluate(
            "name => document.querySelector(`[data-control='${name}']`).dataset.scale || ''", name
        )
        position = {"log": math.log10, "log2": math.log2}.get(scale, lambda v: v)(value)
        page.evaluate(SET, [name, str(position)])


@pytest.mark.parametrize(
    ("optimizer", "lr", "momentum", "condition", "nu"),
    [
        ("NSHB", 1.0, 0.9, 10, 0.7),
        ("NSHB", 39.0, 0.9, 100, 0.7),
        ("SHB", 0.1, 0.9, 1, 0.7),
        ("SHB", 3.0, 0.5, 50, 0.7),
        ("QHM", 2.0, 0.8, 10, 0.7),
        ("QHM", 0.5, 0.95, 300, 0.25),
        ("NSHB", 0.5, 0.0, 3, 0.7),
    ],
)
def test_momentum_numbers_are_the_librarys(pages, optimizer, lr, momentum, condition, nu):
    page = pages["momentum"]
    put(page, optimizer=optimizer, lr=lr, momentum=momentum, condition=condition, nu=nu)
    lr, condition = (float(page.evaluate(SHOWN, name)) for name in ("lr", "condition"))
    own = {"nu": nu if optimizer == "QHM" else 1.0}
    own["optimizer"] = "shb" if optimizer == "SHB" else "nshb"
    curvatures = np.array([1.0, 1 / condition])
    path = theory.quadratic_path(curvatures, [1, 1], lr, momentum, steps=100, **own)
    radii = theory.spectral_radius(curvatures, lr, momentum, **own)
    expected = {
        "effective": lr / (1 - momentum) if optimizer == "SHB" else lr,
        "limit": float(theory.stability_limit(momentum, **own)),
        "radius_steep": radii[0],
        "radius_flat": radii[1],
        "remaining": (path[-1] ** 2 @ curvatures) / curvatures.sum(),
    }
    for name, value in expected.items():
        assert page.evaluate(VALUE, name) == pytest.approx(value, rel=1e-8), name
    unstable = "unstable" in page.evaluate(TEXT, "verdict")
    assert unstable == (lr >= expected["limit"])


def schedule(shape, first, growth):
    """The schedules of the page, written out."""
    t = np.arange(2000)
    return {
        "constant": np.full(2000, first),
        "cosine": first * (1 + np.cos(np.pi * t / 2000)) / 2,
        "linear decay": first * (1 - t / 2000),
        "1/sqrt(t)": first / np.sqrt(1 + t),
        "stages": theory.staged(first, growth, 10, 200),
        "linear growth": first * (1 + (growth - 1) * t / 200),
    }[shape]


@pytest.mark.parametrize(
    ("lr_shape", "lr", "lr_growth", "batch_shape", "batch_growth", "momentum", "variance"),
    [
        ("constant", 0.03, 1.2, "constant", 2, 0.9, 1),
        ("cosine", 0.03, 1.2, "stages", 2, 0.9, 10),
        ("linear decay", 1.5, 1.2, "stages", 1.5, 0.9, 1),
        ("1/sqrt(t)", 0.05, 1.2, "constant", 2, 0.5, 5),
        ("stages", 0.005, 1.2, "linear growth", 3, 0.9, 1),
        ("stages", 0.01, 1.3, "stages", 2, 0.9, 1),
        ("stages", 0.1, 0.5, "stages", 1, 0.8, 100),
        ("constant", 2.5, 1.2, "constant", 2, 0.0, 1),
    ],
)
def test_bounds_are_the_librarys(
    pages, lr_shape, lr, lr_growth, batch_shape, batch_growth, momentum, variance
):
    page = pages["schedule"]
    put(page, lr_shape=lr_shape, lr=lr, lr_growth=lr_growth, batch_shape=batch_shape, batch=16)
    put(page, batch_growth=batch_growth, momentum=momentum, variance=variance)
    lr, variance = (float(page.evaluate(SHOWN, name)) for name in ("lr", "variance"))
    sizes = schedule(batch_shape, 16.0, batch_growth)
    run = Hyperparameters(schedule(lr_shape, lr, lr_growth), momentum, sizes)
    found = theory.guarantees(run, Constants(1, variance, 1))
    assert page.evaluate(VALUE, "sfo") == pytest.approx(sizes.sum())
    for name, answer in found.items():
        value, text = page.evaluate(VALUE, name), page.evaluate(TEXT, name)
        if answer.bound is None:
            assert "does not apply" in text, name
            assert math.isnan(value)
            step = f"step {answer.verdict.step}"
            assert step in text or "too large" in text or "2/L" in text
        else:
            assert value == pytest.approx(answer.bound[-1], rel=1e-8), name


@pytest.mark.parametrize(("widget", "key"), [("momentum", "lr"), ("schedule", "variance")])
def test_the_keyboard_moves_a_slider_and_redraws(pages, widget, key):
    page = pages[widget]
    put(page, lr=0.03)
    slider = page.locator(f'input[data-control="{key}"]')
    label = page.locator(f'label[for="{slider.get_attribute("id")}"]')
    assert label.inner_text()
    before = page.locator(".panels").inner_html(), page.evaluate(SHOWN, key)
    slider.focus()
    for _ in range(15):
        page.keyboard.press("ArrowLeft")
    after = page.locator(".panels").inner_html(), page.evaluate(SHOWN, key)
    assert after[0] != before[0]
    assert float(after[1]) < float(before[1])
    assert slider.get_attribute("aria-valuetext") == after[1]
    described = page.locator(".panels svg").evaluate_all("all => all.map(s => s.ariaLabel)")
    assert all(described)


@pytest.mark.parametrize("make", WIDGETS.values(), ids=WIDGETS)
def test_stands_alone_twice_on_a_page_and_has_a_picture(make):
    widget = make()
    first, second = widget._repr_html_(), widget._repr_html_()
    assert first != second, "ids must be unique"
    assert "<noscript><img alt=" in first
    assert 'src="http' not in first
    assert "fetch(" not in first
    assert widget._repr_png_().startswith(b"\x89PNG")
