"""Experiments: validation, JSON round trip, content hash."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from engine_helpers import small
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdm_lib.engine import OPTIMIZERS, Experiment
from sgdm_lib.schedules import Constant, Cosine, Diminishing, Piecewise, StageGrowth, UserSchedule

BASE = {
    "dataset": "digits",
    "model": "mlp",
    "optimizer": "nshb",
    "epochs": 3,
    "batch_size": 8,
    "lr": 0.1,
}


@settings(deadline=None, max_examples=50)
@given(
    optimizer=st.sampled_from(OPTIMIZERS),
    epochs=st.integers(2, 50),
    batch_size=st.one_of(
        st.integers(1, 100), st.builds(StageGrowth, st.just(8), st.integers(1, 4), every=st.just(2))
    ),
    lr=st.one_of(st.floats(1e-6, 10), st.just(Cosine(0.1)), st.just(Diminishing(0.1))),
    seed=st.integers(0, 2**31),
    augment=st.booleans(),
    n_train=st.one_of(st.none(), st.integers(1, 1000)),
    precision=st.sampled_from(("fp32", "tf32", "bf16")),
    estimators=st.sampled_from(((), ("exact",), ("exact", "authors"))),
)
def test_json_round_trip(**fields):
    one = Experiment(dataset="digits", model="mlp", **fields)
    other = Experiment.from_json(one.to_json())
    assert other == one
    assert other.hash == one.hash
    assert hash(one) == hash(other)
    assert one.differences(other) == {}


def test_defaults_are_the_papers():
    nshb, qhm, adam = (Experiment(**BASE | {"optimizer": o}) for o in ("nshb", "qhm", "adam"))
    assert nshb.momentum == qhm.momentum == Constant(0.9)
    assert qhm.nu == Constant(0.7)
    assert nshb.nu is adam.momentum is adam.nu is None
    assert nshb.weight_decay == 0


def test_numbers_and_constants_are_the_same_experiment():
    one, other = Experiment(**BASE), Experiment(**BASE | {"lr": Constant(0.1), "momentum": 0.9})
    assert one == other
    assert one.hash == other.hash
    assert Experiment(**BASE | {"epochs": 3.0, "weight_decay": 0}).hash == one.hash


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"lr": 0.2},
        {"batch_size": StageGrowth(8, 2, every=1)},
        {"model": "cnn"},
        {"optimizer": "shb"},
        {"momentum": 0.8},
        {"augment": True},
        {"n_train": 100},
        {"label_noise": 0.1},
        {"weight_decay": 0.1},
        {"precision": "tf32"},
        {"gradient_norm_every": 2},
        {"estimators": ("authors",)},
        {"epochs": 4},
        {"allow_shrinking": True},
    ],
)
def test_every_field_counts_in_the_hash_and_is_named_as_a_difference(change):
    one = Experiment(**BASE)
    other = one.replace(**change)
    assert one.hash != other.hash
    assert list(one.differences(other)) == list(change)


def test_the_hash_does_not_change_with_versions():
    assert Experiment(**BASE).hash == "b0b3faf0b70e"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": "digit"}, "dataset must be one of .* did you mean 'digits'"),
        ({"model": "resnet"}, "model must be one of"),
        ({"optimizer": "NSHB"}, "optimizer must be one of"),
        ({"precision": "fp16"}, "precision must be one of fp32, tf32, bf16, got 'fp16'"),
        ({"estimators": ("exakt",)}, "estimator must be one of exact, authors, got 'exakt'"),
        ({"epochs": 0}, "epochs must be a whole number >= 1 and <= 1000000, got 0"),
        ({"epochs": 2.5}, "epochs must be a whole number"),
        ({"epochs": 10**9}, "epochs must be a whole number >= 1 and <= 1000000, got 1000000000"),
        ({"epochs": 10**400}, "epochs must be a whole number >= 1"),
        ({"weight_decay": 10**400}, "weight_decay must be a finite number >= 0"),
        ({"seed": -1}, "seed must be a whole number >= 0"),
        ({"seed": 1e300}, "seed must be a whole number >= 0 and <= 4294967295, got 1e.300"),
        ({"augment": "false"}, "augment must be True or False, got 'false'"),
        ({"augment": 1}, "augment must be True or False, got 1"),
        ({"allow_shrinking": "no"}, "allow_shrinking must be True or False, got 'no'"),
        ({"lr": None}, "lr must be a number or a schedule, got None"),
        ({"batch_size": None}, "batch_size must be a number or a schedule, got None"),
        ({"estimators": ("exact", "exact")}, "estimators must be named once each"),
        ({"estimators": "exact"}, "estimators must be a tuple of names, got 'exact'"),
        ({"estimators": None}, "estimators must be a tuple of names, got None"),
        ({"gradient_norm_every": 0}, "gradient_norm_every must be a whole number >= 1"),
        ({"weight_decay": -1}, "weight_decay must be a finite number >= 0"),
        ({"label_noise": 1.5}, "label_noise must be a finite number >= 0 and <= 1"),
        ({"n_train": 0}, "n_train must be a whole number >= 1"),
        ({"optimizer": "adam", "momentum": 0.9}, "momentum must be None for the optimizer 'adam'"),
        ({"nu": 0.7}, "nu must be None for the optimizer 'nshb', got 0.7: only qhm"),
    ],
)
def test_bad_fields_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Experiment(**BASE | change)


def test_replace_names_unknown_fields():
    with pytest.raises(ValueError, match="did you mean 'epochs'"):
        Experiment(**BASE).replace(epoch=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "an experiment must be a mapping, got list"),
        ("{}", "needs the field 'dataset', which is missing"),
        (json.dumps(BASE | {"speed": 3}), "field of an experiment must be one of"),
        (json.dumps(BASE | {"lr": {"kind": "Cosinus"}}), "schedule kind must be one of"),
        ("{", "Expecting property name"),
        ("[" * 100_000, "too deeply nested"),
    ],
)
def test_bad_json_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        Experiment.from_json(text)


def test_plan_is_over_the_training_images_in_use():
    assert small().plan(1437).n_train == 200
    assert small(n_train=None).plan(1437).n_train == 1437
    with pytest.raises(ValueError, match="n_train must be a whole number <= 100, got 200"):
        small().plan(100)


def test_numpys_booleans_are_booleans():
    assert Experiment(**BASE | {"augment": np.True_}) == Experiment(**BASE | {"augment": True})


def test_a_new_field_counts_in_the_hash_only_where_it_is_not_the_default():
    @dataclass(frozen=True, kw_only=True)
    class Later(Experiment):
        clipping: float = 0.0

    assert Later(**BASE).hash == Experiment(**BASE).hash
    assert Later(**BASE, clipping=1.0).hash != Later(**BASE).hash


def test_functions_without_a_name_become_their_values():
    nameless = small(
        lr=UserSchedule(lambda t: 0.1 / (1 + t)), batch_size=StageGrowth(8, 2, every=2)
    )
    kept = nameless.with_values(1437)
    assert kept.lr == Piecewise((0.1, 0.05, 0.1 / 3, 0.025), (1, 2, 3))
    assert Experiment.from_json(kept.to_json()) == kept
    assert kept.plan(1437).table().equals(nameless.plan(1437).table())
    assert small().with_values(1437) == small()
    by_step = small(lr=UserSchedule(lambda t: 0.1 - 1e-3 * t, unit="step")).with_values(1437)
    assert len(by_step.lr.values) == by_step.plan(1437).total_steps == 76
    with pytest.raises(ValueError, match="lr must be >= 0"):
        small(lr=UserSchedule(lambda t: -t)).with_values(1437)
