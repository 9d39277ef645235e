"""Estimates of time: sensible, and measured once where processes share them."""

import json
import re
import time

import graph_tape
import pytest
import torch

from sgdm_lib.engine import speed
from sgdm_lib.engine.speed import estimate
from sgdm_lib.study import papers

RUN = papers.catalogue()["quick/digits/nshb/constant128"]


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("SGDM_SPEEDS", str(tmp_path / "own"))
    estimate._speed.cache_clear()
    yield
    estimate._speed.cache_clear()


def test_more_steps_and_more_images_take_longer(monkeypatch):
    monkeypatch.setattr(estimate, "_measure", lambda *about: estimate.Speed(1e-3, 1e-5))
    plan = RUN.plan()
    images = speed.images(RUN)
    assert speed.seconds(RUN, "cpu") == pytest.approx(1e-3 * plan.total_steps + 1e-5 * images)
    assert speed.seconds(RUN.replace(epochs=80), "cpu") > 1.5 * speed.seconds(RUN, "cpu")


def test_processes_that_share_a_folder_measure_once(tmp_path, monkeypatch):
    monkeypatch.setenv("SGDM_SPEEDS", str(tmp_path / "speeds"))
    measured = []

    def measure(*about):
        measured.append(about)
        return estimate.Speed(0.25, 0.5)

    monkeypatch.setattr(estimate, "_measure", measure)
    first = speed.seconds(RUN, "cpu")
    estimate._speed.cache_clear()  # another process
    assert speed.seconds(RUN, "cpu") == first
    assert len(measured) == 1
    (file,) = (tmp_path / "speeds").iterdir()
    assert json.loads(file.read_text()) == [0.25, 0.5, 0.0]
    speed.seconds(RUN.replace(model="cnn"), "cpu")
    assert len(measured) == 2


def test_what_was_measured_is_kept_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("SGDM_SPEEDS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(estimate, "_measure", lambda *about: estimate.Speed(0.25, 0.5))
    first = speed.seconds(RUN, "cpu")
    (file,) = (tmp_path / "sgdm/speeds").iterdir()
    monkeypatch.setattr(estimate, "_measure", lambda *about: estimate.Speed(9.0, 9.0))
    estimate._speed.cache_clear()
    assert speed.seconds(RUN, "cpu") == first
    file.write_text("[1")  # cut off: measured again
    estimate._speed.cache_clear()
    assert speed.seconds(RUN, "cpu") > first


def test_time_in_which_others_have_the_processor_does_not_count(monkeypatch):
    """A step that sleeps, as one does that has to wait for a core."""

    class Step:
        loss_sum = 0.0

        def __call__(self, x, y):
            time.sleep(0.2)

    assert estimate._time(Step(), 1, (1, 8, 8), 10, "cpu") < 0.1


def test_words_give_a_range_and_gpu_hours_where_a_cpu_needs_days(monkeypatch):
    slow = estimate.Speed(0.0, 0.1)
    monkeypatch.setattr(estimate, "_measure", lambda *about: slow)
    known = papers.catalogue()
    words = speed.in_words([known["kamo2025/cifar100/nshb/x2"]], "cpu")
    assert re.fullmatch(
        r"\d+ days \(\d+ days to \d+ days\); [\d.]+ to [\d.]+ GPU hours expected on one H200", words
    )
    wide = known["kamo2025/cifar100/nshb/x2"].replace(model="wideresnet28_10")
    assert speed.in_words([wide, RUN], "cpu").endswith("; take a GPU")
    slow = estimate.Speed(0.0, 1e-4)
    estimate._speed.cache_clear()
    monkeypatch.setenv("SGDM_SPEEDS", "/dev/null/x")
    assert re.fullmatch(r"\d+ s \(\d+ s to \d+ s\)", speed.in_words([RUN], "cpu"))


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


def test_on_a_gpu_the_precision_counts_and_norms_have_a_speed_of_their_own(monkeypatch, tmp_path):
    monkeypatch.setenv("SGDM_SPEEDS", str(tmp_path))
    monkeypatch.setattr(estimate, "choose_device", lambda device: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    seen = []

    def measure(model, shape, classes, device, precision):
        seen.append(precision)
        return estimate.Speed(1e-3, 1e-5, 3e-5 if precision == "tf32" else 2e-5)

    monkeypatch.setattr(estimate, "_measure_gpu", measure)
    run = RUN.replace(precision="bf16", estimators=("exact", "authors"), gradient_norm_every=10)
    plan = run.plan()
    measured = 2 * (run.epochs // 10) * plan.n_train
    without = run.replace(estimators=())
    assert estimate.measured_images(run) == measured
    assert speed.seconds(run) == pytest.approx(speed.seconds(without) + measured * 2e-5)
    tf32 = speed.seconds(run.replace(precision="tf32"))
    assert tf32 == pytest.approx(speed.seconds(without) + measured * 3e-5)
    assert seen == ["bf16", "tf32"]  # each once


def test_a_gpu_is_timed_with_captured_steps_sent_ahead(monkeypatch):
    graph_tape.install(monkeypatch)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: None)
    monkeypatch.setattr(estimate, "GPU_STEPS", {2: 5, 16: 4})
    speed = estimate._measure_gpu("cnn_bn", (1, 8, 8), 10, "cpu", "bf16")
    assert graph_tape.Graph.captures == 2
    assert speed.per_image > 0
    assert speed.per_measured > 0
