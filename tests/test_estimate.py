"""Estimates of time: sensible, and measured once where processes share them."""

import json

import pytest

from sgdm_lib import estimate, papers

RUN = papers.catalogue()["quick/digits/nshb/constant128"]


@pytest.fixture(autouse=True)
def _fresh():
    estimate._speed.cache_clear()
    yield
    estimate._speed.cache_clear()


def test_more_steps_and_more_images_take_longer(monkeypatch):
    monkeypatch.delenv("SGDM_SPEEDS", raising=False)
    monkeypatch.setattr(estimate, "_measure", lambda *about: estimate.Speed(1e-3, 1e-5))
    plan = estimate.plan_of(RUN)
    images = estimate.images(RUN)
    assert estimate.seconds(RUN, "cpu") == pytest.approx(1e-3 * plan.total_steps + 1e-5 * images)
    assert estimate.seconds(RUN.replace(epochs=80), "cpu") > 1.5 * estimate.seconds(RUN, "cpu")


def test_processes_that_share_a_folder_measure_once(tmp_path, monkeypatch):
    monkeypatch.setenv("SGDM_SPEEDS", str(tmp_path / "speeds"))
    measured = []

    def measure(*about):
        measured.append(about)
        return estimate.Speed(0.25, 0.5)

    monkeypatch.setattr(estimate, "_measure", measure)
    first = estimate.seconds(RUN, "cpu")
    estimate._speed.cache_clear()  # another process
    assert estimate.seconds(RUN, "cpu") == first
    assert len(measured) == 1
    (file,) = (tmp_path / "speeds").iterdir()
    assert json.loads(file.read_text()) == [0.25, 0.5]
    estimate.seconds(RUN.replace(model="cnn"), "cpu")
    assert len(measured) == 2


def test_a_disturbed_timing_does_not_count():
    """Batches of 1 take 2 s and of 4 take 5 s; now and then something else holds them up."""
    delays = iter([9, 0, 50, 0, 0, 0, 7, 100])
    truth = {estimate.SMALL: 2.0, estimate.LARGE: 5.0}
    assert estimate._shortest(lambda b: truth[b] + next(delays)) == (2.0, 5.0)


def test_a_quick_network_is_timed_more_often():
    calls = []
    estimate._shortest(lambda b: calls.append(b) or 1e-3)
    spent = (len(calls) - 2) * 1e-3
    assert spent == pytest.approx(estimate.ENOUGH, abs=3e-3)
