"""Every public function of the theory, one argument spoiled at a time: a clear ValueError or a
number, never another exception, a warning (they are errors here) or a NaN.
"""

import dataclasses
import inspect

import numpy as np
import pytest

from sgdm_lib import theory
from sgdm_lib.theory import Constants, Hyperparameters

QUADRATIC = theory.quadratic_problem([0.5, 1.0], variance=1.0)
GOOD = {
    "lr": 0.001,
    "momentum": 0.9,
    "batch_size": 8.0,
    "smoothness": 1.0,
    "variance": 2.0,
    "initial_gap": 1.5,
    "steps": 6,
    "hyperparameters": {"lr": 0.001, "momentum": 0.9, "batch_size": 8.0, "steps": 6},
    "constants": {"smoothness": 1.0, "variance": 2.0, "initial_gap": 1.5},
    "growth": 2.0,
    "stages": 3,
    "stage_steps": 4,
    "target_norm": 0.5,
    "c": theory.Coefficients(bias=4.0, noise=1.0),
    "curvature": 1.0,
    "curvatures": [0.5, 1.0],
    "start": [1.0, 2.0],
    "problem": QUADRATIC,
    "norms": [[3.0, 2.0], [1.0, 2.0]],
    "bound": [4.0, 1.0],
    "lr_growth": 1.2,
    "batch_growth": 2.0,
    "largest_lr": 0.05,
    "case": "iii",
    "shape": "cosine",
    "theorem": "T3",
    "first": 8.0,
    "epochs": 3.0,
    "n_train": 100.0,
    "runs": 2,
    "x": [1.0, 2.0, 10.0],
    "y": [3.0, 2.0, 1.0],
    "overhead": 10.0,
    "batch_sizes": [8.0, 16.0],
    "targets": [1.0, 2.5],
}
OWN = {
    "tuned_batch_cost": {"target_norm": 50.0},
    "sgd_bound": {"hyperparameters": {"lr": 0.001, "momentum": 0.0, "steps": 6}},
    "growth_factor": {"momentum": 0.5},
    "counterexample": {"start": 1.0},
    "lyapunov_family_condition": {"x": 0.5},
    "lyapunov_family_bound": {"x": 0.5},
    "zero_start_lag": {"lr": 0.001, "momentum": 0.5},
    "rational_problem": {"start": 1.0},
    "cosine_problem": {"start": 1.0},
}
SPOILS = {
    "nan": np.nan,
    "inf": np.inf,
    "minus inf": -np.inf,
    "negative": -1.0,
    "zero": 0.0,
    "one": 1.0,
    "huge": 1e308,
    "tiny": 1e-308,
    "word": "fast",
    "None": None,
    "truth": True,
    "complex": 1 + 2j,
    "empty": [],
    "square": [[0.1, 0.2], [0.3, 0.4]],
    "ragged": [[0.1], [0.2, 0.3]],
    "words": ["a", "b"],
    "nan inside": [0.1, np.nan],
    "long": np.full(17, 0.5),
    "function": len,
    "dict": {},
    "steps": 10**12,
}


def arguments(name):
    """The arguments of a function that have a good value, and all with a default."""
    parameters = inspect.signature(getattr(theory, name)).parameters
    good = GOOD | OWN.get(name, {})
    chosen = {key: good[key] for key in parameters if key in good}
    missing = [k for k, p in parameters.items() if p.default is p.empty and k not in chosen]
    assert not missing, (name, missing)
    return chosen, list(parameters)


VALUES = {"hyperparameters": Hyperparameters, "constants": Constants}


def call(name, arguments):
    """Call a function; dicts become the values that the theory is asked about."""
    made = {
        k: VALUES[k](**v) if k in VALUES and isinstance(v, dict) else v
        for k, v in arguments.items()
    }
    return getattr(theory, name)(**made)


def spoiled(good, names):
    """The arguments with one spoiled, also one field of a value; its name and how."""
    for key in names:
        for label, value in SPOILS.items():
            if key not in VALUES or not isinstance(value, dict):
                yield key, label, value, good | {key: value}
    for key in VALUES.keys() & good.keys():
        for part in [field.name for field in dataclasses.fields(VALUES[key])]:
            for label, value in SPOILS.items():
                yield part, label, value, good | {key: good[key] | {part: value}}


FUNCTIONS = [name for name in theory.__all__ if inspect.isfunction(getattr(theory, name))]


def numbers(answer):
    """All floats of an answer, however deep."""
    if isinstance(answer, dict):
        answer = list(answer.values())
    if isinstance(answer, (tuple, list)):
        return np.concatenate([numbers(part) for part in answer]) if answer else np.zeros(0)
    if dataclasses.is_dataclass(answer):
        return numbers([getattr(answer, f.name) for f in dataclasses.fields(answer)])
    array = np.asarray(answer)
    return array.astype(float).ravel() if array.dtype.kind in "iuf" else np.zeros(0)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_argument_spoiled(name):
    good, all_names = arguments(name)
    answer = call(name, good)
    assert not np.isnan(numbers(answer)).any()
    for key, label, value, bad in spoiled(good, all_names):
        try:
            answer = call(name, bad)
        except ValueError as error:
            text = str(error)
            assert len(text) > 20, (key, label, text)
            for raw in ("ambiguous", "broadcast", "could not convert", "inhomogeneous"):
                assert raw not in text, (key, label, text)
        except Exception as error:
            pytest.fail(f"{name}({key}={label}): {type(error).__name__}: {error}")
        else:
            if isinstance(value, (str, complex, dict)) or label in ("words", "function"):
                pytest.fail(f"{name}({key}={label}) was let through: {answer}")
            if name != "weight_interval":  # (nan, nan) says that there is none
                assert not np.isnan(numbers(answer)).any(), (key, label)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.noise_factor(-1), "momentum must be a finite number >= 0 and < 1, got -1"),
        (lambda: theory.noise_factor(0.5, kappa=0), "kappa must be a finite number > 0, got 0"),
        (lambda: theory.curvature_factor(1.0), "momentum must be .* < 1, got 1.0"),
        (lambda: theory.curvature_factor(0.5, nu=2), "nu must be .* <= 1, got 2"),
        (
            lambda: theory.critical_batch_size(0.5, 3.0),
            "c must be Coefficients, got 3.0: make them",
        ),
        (
            lambda: theory.quadratic_problem([1, 1], start=[1, 2, 3]),
            r"start must be a number or have shape \(2,\), got shape \(3,\)",
        ),
        (lambda: theory.running_average(0.0), r"norms must have shape \(T,\) or \(T, runs\)"),
        (lambda: theory.running_average([1.0, 2.0], [1.0]), "weights must be a number or have"),
        (lambda: theory.optimal_batch_growth(1e308), "lr_growth must be .* got 1e"),
        (lambda: theory.staged(8, 2, 5000, 1), "stages must keep first .* below 1e"),
        (lambda: Hyperparameters("fast", 0.9), "lr must be a number or an"),
        (
            lambda: theory.lyapunov_bound(Hyperparameters(0.1, 0.9, steps=2), {}),
            r"constants must be theory.Constants\(...\), got {}",
        ),
        (
            lambda: theory.lyapunov_condition(Hyperparameters(0.1, 0.9, nu=0.5), 1.0),
            "nu must be 1 in this theorem, got 0.5",
        ),
        (
            lambda: Constants([], 1, 1),
            "smoothness must be a finite number",
        ),
        (
            lambda: theory.constant_lr_limit(0.9, smoothness=1, optimizer=np.array(["nshb"])),
            "optimizer must be one of nshb, shb",
        ),
        (
            lambda: Hyperparameters(0.01, 0.9, 8, steps=10**12),
            "steps must be a whole number >= 1 and <= 100000000",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_diverging_run_ends_in_infinity():
    run = Hyperparameters(1e5, 0.9, steps=200)
    norms = theory.exact_gradient_norms(theory.quadratic_problem(1.0), run)
    assert np.isinf(norms[-1])
    assert not np.isnan(norms).any()
    path = theory.quadratic_path(1.0, 1.0, 1e5, 0.9, steps=200)
    assert np.isinf(path[-1]).all()
    assert np.isinf(theory.simulate(QUADRATIC, run, runs=2)[-1]).all()
