"""The published curves at equal batch size, against numbers computed straight from the CSV."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from claims_helpers import curve

from sgdm_lib.study import pages, papers
from sgdm_lib.study.claims import equal_batch as eb
from sgdm_lib.study.evidence import Published

CURVES = Path(__file__).resolve().parents[2] / "chapters" / "paper_curves"
CIFAR, TINY = Published(CURVES), Published(CURVES, "tiny_imagenet")


def _csv(dataset, schedule, optimizer, column="mean"):
    rows = pd.read_csv(CURVES / "kamo2025" / f"{dataset}_resnet18.csv")
    rows = rows[rows["metric"] == "gradient_norm"]
    rows = rows[(rows["schedule"] == schedule) & (rows["optimizer"] == optimizer)]
    return rows.set_index("epoch")[column]


@pytest.mark.parametrize("source", [CIFAR, TINY], ids=["cifar", "tiny"])
@pytest.mark.parametrize("schedule", ["constant", "x2", "x4"])
def test_drawn_batch_sizes_are_those_of_the_catalogue(source, schedule):
    plan = papers.catalogue()[f"kamo2025/{source.dataset}/nshb/{schedule}"].plan()
    assert eb.batch_sizes(source, schedule).tolist() == plan.batch_sizes.tolist()


def test_equal_epochs():
    assert eb.equal_epochs(CIFAR) == (81, 100)
    assert eb.equal_epochs(TINY) == (101, 125)
    assert eb.equal_epochs(CIFAR, "x4") == (81, 120)


def test_unknown_schedule_and_no_common_epoch_are_named(monkeypatch):
    with pytest.raises(ValueError, match="schedule must be one of constant, x2, x4, got 'x3'"):
        eb.batch_sizes(CIFAR, "x3")
    monkeypatch.setattr(eb, "batch_sizes", lambda _, schedule: np.full(3, len(schedule)))
    with pytest.raises(ValueError, match="in no epoch"):
        eb.equal_epochs(CIFAR)


@pytest.mark.parametrize(
    ("source", "label", "equal", "end"),
    [
        (CIFAR, "NSHB", 7.49, 4.53),
        (CIFAR, "SHB", 3.70, 2.66),
        (CIFAR, "SGD", 7.74, 4.54),
        (CIFAR, "Adam", 6.03, 14.7),
        (CIFAR, "AdamW", 2.33, 13.7),
        (TINY, "NSHB", 9.76, 7.78),
        (TINY, "SHB", 6.13, 5.18),
        (TINY, "SGD", 10.1, 7.88),
    ],
)
def test_ratios_at_equal_batch_size_and_at_the_end(source, label, equal, end):
    row = eb.comparison(source).set_index("optimizer").loc[label]
    assert row["equal"] == pytest.approx(equal, abs=0.005 if equal < 10 else 0.05)
    assert row["end"] == pytest.approx(end, abs=0.005 if end < 10 else 0.05)
    last = eb.equal_epochs(source)[1]
    for word, epoch in (("equal", last), ("end", 200)):
        constant, growing = (
            {c: _csv(source.dataset, s, label, c)[epoch] for c in ("mean", "low", "high")}
            for s in ("constant", "x2")
        )
        assert row[word] == pytest.approx(constant["mean"] / growing["mean"], rel=1e-12)
        assert row[f"{word}_low"] == pytest.approx(constant["low"] / growing["high"], rel=1e-12)
        assert row[f"{word}_high"] == pytest.approx(constant["high"] / growing["low"], rel=1e-12)


@pytest.mark.parametrize("source", [CIFAR, TINY], ids=["cifar", "tiny"])
def test_the_lead_shrinks_without_adaptive_steps_and_grows_with_adam(source):
    rows = eb.comparison(source).set_index("optimizer")
    for label in ("NSHB", "SHB", "SGD"):
        assert rows.loc[label, "equal_low"] > rows.loc[label, "end_high"] > 1
    for label in ("Adam", "AdamW"):
        assert 1 < rows.loc[label, "equal_high"] < rows.loc[label, "end_low"]
    assert rows.loc["RMSprop", "end_high"] < 1
    assert rows.drop("RMSprop")["read_there"].all()


def test_slopes_over_the_last_epochs():
    rows = eb.comparison(CIFAR).set_index("optimizer").round(2)
    constant = {"NSHB": -1.23, "SHB": -1.15, "SGD": -0.92, "Adam": -1.29}
    assert {k: rows.loc[k, "constant_slope"] for k in constant} == constant
    growing = {"NSHB": -0.15, "SHB": -0.19, "SGD": -0.06}
    assert {k: rows.loc[k, "growing_slope"] for k in growing} == growing
    tiny = eb.comparison(TINY).set_index("optimizer").round(2).loc["NSHB"]
    assert (tiny["constant_slope"], tiny["growing_slope"]) == (-1.14, -0.44)


def test_what_is_left_of_the_norm_after_the_equal_epochs():
    row = eb.comparison(CIFAR).set_index("optimizer").loc["NSHB"]
    for word, schedule in (("constant", "constant"), ("growing", "x2")):
        norm = _csv("cifar100", schedule, "NSHB")
        assert row[f"{word}_falls"] == pytest.approx(norm[200] / norm[100], rel=1e-12)
    assert row["end"] / row["equal"] == pytest.approx(row["constant_falls"] / row["growing_falls"])


def test_slope_of_powers():
    epochs = np.arange(1, 41.0)
    assert eb.log_slope(curve(3 * epochs**-1.5, 0.0), 11, 40) == pytest.approx(-1.5)
    assert eb.log_slope(curve(np.full(40, 2.0), 0.0), 1, 40) == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="two epochs at least, got 1 in 40-50"):
        eb.log_slope(curve(epochs, 0.0), 40, 50)


def test_a_value_carried_along_was_not_read_in_the_window():
    carried = curve(np.array([3.0, 2, 1, 1, 1, 0.5]), 0.1)
    assert not eb.fell_within(carried, 4, 5)
    assert eb.fell_within(carried, 4, 6)
    with pytest.raises(ValueError, match="no value after epoch 7"):
        eb.fell_within(carried, 4, 7)


def test_equal_training_loss():
    found = eb.at_equal_loss(CIFAR, "nshb", 60)
    assert (found.constant_epoch, found.growing_batch_size) == (84, 32)
    assert found.loss == pytest.approx(0.041, abs=5e-4)
    assert found.norm_ratio[0] == pytest.approx(3.3, abs=0.05)
    assert found.norm_ratio[1] < found.norm_ratio[0] < found.norm_ratio[2]
    with pytest.raises(ValueError, match="never has a training loss of"):
        eb.at_equal_loss(CIFAR, "nshb", 200)
    with pytest.raises(ValueError, match="no curves of lion"):
        eb.at_equal_loss(CIFAR, "lion", 60)


def test_the_constant_batch_size_has_a_floor_for_rmsprop_only():
    found = pages.all_claims()["K16a"].judge(CIFAR)
    assert found.outcome == "mixed"
    outcomes = {label: part.outcome for label, part in found.parts.items()}
    assert outcomes == {
        "NSHB": "fails",
        "SHB": "fails",
        "SGD": "fails",
        "Adam": "fails",
        "AdamW": "undecided",
        "RMSprop": "holds",
    }
    norm = _csv("cifar100", "constant", "NSHB")
    left = norm.loc[151:200].mean() / norm.loc[51:100].mean()
    assert found.parts["NSHB"].value == pytest.approx(left, rel=0.05)
