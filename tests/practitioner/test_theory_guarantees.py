"""All guarantees of one schedule: each theorem's own verdict and bound, and above the truth."""

import numpy as np
import pytest

from sgdm_lib import theory

CONSTANTS = {"smoothness": 1.0, "variance": 4.0, "initial_gap": 0.5}


@pytest.mark.parametrize("optimizer", ["nshb", "shb"])
def test_each_theorem_answers_for_itself(optimizer):
    lr = np.linspace(0.02, 0.001, 300) * (0.1 if optimizer == "shb" else 1)
    sizes = np.linspace(4, 40, 300)
    found = theory.guarantees(lr, 0.9, sizes, **CONSTANTS, optimizer=optimizer)
    own = {
        "T2": theory.schedule_certificate(lr, 0.9, sizes, **CONSTANTS, optimizer=optimizer).bound,
        "T3": theory.lyapunov_bound(lr, 0.9, sizes, **CONSTANTS, optimizer=optimizer),
        "T3Q": theory.nonincreasing_lr_bound(lr, 0.9, sizes, **CONSTANTS, optimizer=optimizer),
    }
    assert found.keys() == own.keys()
    measured = np.minimum.accumulate(
        theory.exact_gradient_norms(1.0, 1.0, lr, 0.9, sizes, variance=4.0, optimizer=optimizer)
    )
    for name, answer in found.items():
        np.testing.assert_array_equal(answer.bound, np.minimum.accumulate(own[name]))
        assert (answer.bound >= measured).all()


def test_a_bound_comes_only_with_a_passed_condition():
    found = theory.guarantees([0.1] * 5 + [0.5] * 5, 0.9, 8, **CONSTANTS)
    assert [answer.bound is None for answer in found.values()] == [True, True, True]
    assert found["T3"].verdict.step == 5
    assert found["T3Q"].verdict.step == 5
    found = theory.guarantees(1.5, 0.9, 8, steps=10, **CONSTANTS)
    assert [name for name, answer in found.items() if answer.bound is not None] == ["T3", "T3Q"]
