"""The three questions, on records made up so that the answers are known."""

import numpy as np
import pytest
from claims_helpers import record

from sgdm_lib.study.compare.equal_budget import (
    answers,
    mean_ratio,
    paired,
    summary,
    verdicts,
)

GROUP = "cnn10k/cifar100/nshb/"


def _run(name, seed, loss):
    return record(GROUP + name, seed, train_loss=np.full(32, loss), test_accuracy=np.full(32, 0.5))


def test_pairs_seeds_that_both_have_and_no_others():
    ours = [_run("x2", seed, 2.0 + seed) for seed in (0, 1)]
    theirs = [_run("constant8", 1, 2.0)]
    assert paired(ours, theirs, "train_loss", "epoch") == (1.5,)
    assert paired(ours[:1], theirs, "train_loss", "epoch") == ()


def test_answers_ask_each_question_of_what_is_recorded():
    found = {"x2": [2.0, 4.0], "constant8": [1.0, 1.0], "x2_from128": [1.0], "constant128": [2.0]}
    runs = {GROUP + k: [_run(k, s, v) for s, v in enumerate(losses)] for k, losses in found.items()}
    table = answers(lambda name: runs.get(name, []), quantities=("train_loss",))
    assert table["question"].tolist() == ["Is it the small batches?", "Does growth alone help?"]
    assert table["ratio"].tolist() == pytest.approx([8**0.5, 0.5])
    assert table["seeds"].tolist() == [2, 1]


def test_ratios_in_numbers_and_verdicts():
    found = {"x2": [2.0, 4.0], "constant8": [1.0, 1.0], "x2_from128": [1.0], "constant128": [2.0]}
    runs = {GROUP + k: [_run(k, s, v) for s, v in enumerate(losses)] for k, losses in found.items()}

    def recorded(name):
        return runs.get(name, [])

    ours, theirs = runs[GROUP + "x2"], runs[GROUP + "constant8"]
    assert mean_ratio(ours, theirs, "train_loss", "epoch") == pytest.approx(8**0.5)
    assert mean_ratio(ours, [], "train_loss", "epoch") is None
    numbers = summary(answers(recorded, quantities=("train_loss",)))
    assert numbers == pytest.approx(
        {
            "asked": 2,
            "behind": 1,
            "behind_least": -50.0,
            "behind_most": 100 * (8**0.5 - 1),
            "fewest_seeds": 1,
        }
    )
    assert summary(answers(lambda name: []))["behind_least"] is None
    judged = verdicts(recorded, quantities=("train_loss",))
    assert [verdict.outcome for verdict in judged.values()] == ["no data", "undecided", "undecided"]
    assert list(judged)[1] == "Is it the small batches? x2 below constant8, training loss"
