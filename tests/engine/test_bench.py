"""The benchmark's pieces: tables, files, and that both loops train on the same pictures."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from engine_helpers import small
from torch import nn

from sgdm_lib import data
from sgdm_lib.augment import normalise
from sgdm_lib.engine import speed
from sgdm_lib.engine.speed import loops, steps, tables

EXPERIMENT = small(augment=True)


def test_step_table_has_a_row_for_each_mode_and_batch_size(monkeypatch):
    ticks = itertools.count(step=0.25)
    monkeypatch.setattr(steps.time, "perf_counter", lambda: next(ticks))
    table = speed.step_table(EXPERIMENT, (8, 250), modes=("eager",), device="cpu", seconds=2.0)
    assert table["batch_size"].tolist() == [8, 250]  # more than the 200 images: some twice
    assert set(table["mode"]) == {"eager"}
    assert table["steps"].tolist() == [8, 8]  # of a quarter of a second each
    assert table["median_ms"].tolist() == [250.0, 250.0]
    assert table["images_per_second"].tolist() == [32.0, 1000.0]
    assert table["peak_memory_mb"].isna().all()


def test_step_table_refuses_what_the_device_cannot_do():
    with pytest.raises(ValueError, match="mode must be eager or compile on cpu, got 'graph'"):
        speed.step_table(EXPERIMENT, (8,), modes=("graph",), device="cpu")


def test_plain_loop_times_both_and_states_the_ratio():
    table = speed.plain_loop(EXPERIMENT, (8, 64), device="cpu", workers=0, seconds=0.02)
    assert table["batch_size"].tolist() == [8, 64]
    assert (table[["engine_steps", "plain_steps"]] >= 3).all().all()
    np.testing.assert_allclose(table["ratio"], table["engine"] / table["plain"])


def test_images_per_second_are_counted_after_the_warm_up(monkeypatch):
    ticks = itertools.count()  # a second a look: one at the start, one before each further step
    monkeypatch.setattr(loops.time, "perf_counter", lambda: next(ticks))
    steps_ = iter([1000] * loops.WARM_UP + [8, 8, 8, 8, 8, 8])
    rate, count = loops._rate(steps_, seconds=3.0)
    assert count == 5
    assert rate == 40 / 4


def test_the_plain_loop_sees_the_same_pictures():
    digits = data.load("digits")
    pictures = loops.Pictures(digits, augment=False)
    expected = normalise(digits.x_train, digits.mean, digits.std)
    assert len(pictures) == 1437
    for index in (0, 7, 1436):
        image, label = pictures[index]
        assert torch.equal(image, expected[index])
        assert label == digits.y_train[index]


def test_the_plain_loop_trains(monkeypatch):
    made = []
    build = loops.models.build
    monkeypatch.setattr(
        loops.models, "build", lambda *a, **k: made.append(build(*a, **k)) or made[0]
    )
    monkeypatch.setattr(
        torch.optim, "SGD", lambda p, lr, momentum: sgd(p, lr=0.01, momentum=momentum)
    )
    dataset = data.subset(data.load("digits"), 200)
    torch.manual_seed(0)  # the DataLoader's shuffles
    loop = loops._plain(small(), dataset, 8, torch.device("cpu"), 0)
    assert [next(loop) for _ in range(50)] == [8] * 50
    x = normalise(dataset.x_train, dataset.mean, dataset.std)
    assert float(nn.functional.cross_entropy(made[0](x), dataset.y_train).detach()) < 1.0


sgd = torch.optim.SGD


def test_tables_are_written_twice(tmp_path):
    table = pd.DataFrame(
        {"mode": ["a", "b"], "ms": [1.23456, 4321.0], "device": "x", "gpu_ms": np.nan}
    )
    markdown, parquet = speed.write(table, "A title", tmp_path / "new" / "bench")
    text = markdown.read_text()
    assert text.startswith(f"# A title, {tables.machine()['date']}\n")
    assert "| mode | ms |" in text
    assert "| a | 1.23 |" in text
    assert "| b | 4,321 |" in text
    assert "device x" in text
    assert f"torch {torch.__version__}" in text
    read = pd.read_parquet(parquet)
    assert read["ms"].tolist() == [1.23456, 4321.0]
    assert (read["torch"] == torch.__version__).all()


def test_one_command_makes_both_tables(tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "choose_mode", lambda mode, where: "eager")
    monkeypatch.setattr(
        loops, "DataLoader", lambda d, b, shuffle, num_workers: loader(d, b, shuffle)
    )
    files = speed.run(tmp_path, experiment=EXPERIMENT, device="cpu", batch_sizes=(8,), seconds=0.01)
    assert [f.name for f in files] == [
        "bench_steps.md",
        "bench_steps.parquet",
        "bench_loops.md",
        "bench_loops.parquet",
    ]
    assert all(f.stat().st_size > 0 for f in files)


loader = torch.utils.data.DataLoader
