"""All guarantees of one schedule: each theorem's own verdict and bound, and above the truth."""

import numpy as np
import pytest

from sgdm_lib import theory
from sgdm_lib.theory import Constants, Hyperparameters

CONSTANTS = Constants(smoothness=1.0, variance=4.0, initial_gap=0.5)


@pytest.mark.parametrize("optimizer", ["nshb", "shb"])
def test_each_theorem_answers_for_itself(optimizer):
    lr = np.linspace(0.02, 0.001, 300) * (0.1 if optimizer == "shb" else 1)
    run = Hyperparameters(lr, 0.9, np.linspace(4, 40, 300), optimizer=optimizer)
    found = theory.guarantees(run, CONSTANTS)
    own = {
        "T2": theory.schedule_certificate(run, CONSTANTS).bound,
        "T3": theory.lyapunov_bound(run, CONSTANTS),
        "T3Q": theory.nonincreasing_lr_bound(run, CONSTANTS),
    }
    assert found.keys() == own.keys()
    problem = theory.quadratic_problem(1.0, variance=4.0)
    measured = np.minimum.accumulate(theory.exact_gradient_norms(problem, run))
    for name, answer in found.items():
        np.testing.assert_array_equal(answer.bound, np.minimum.accumulate(own[name]))
        assert (answer.bound >= measured).all()


def test_a_bound_comes_only_with_a_passed_condition():
    found = theory.guarantees(Hyperparameters([0.1] * 5 + [0.5] * 5, 0.9, 8), CONSTANTS)
    assert [answer.bound is None for answer in found.values()] == [True, True, True]
    assert found["T3"].verdict.step == 5
    assert found["T3Q"].verdict.step == 5
    found = theory.guarantees(Hyperparameters(1.5, 0.9, 8, steps=10), CONSTANTS)
    assert [name for name, answer in found.items() if answer.bound is not None] == ["T3", "T3Q"]
