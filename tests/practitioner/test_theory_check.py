"""The nightly script ``benchmarks/check_theory.py``, small; and that it can fail."""

import importlib.util
import sys
from pathlib import Path

import pytest

from sgdm_lib import theory


@pytest.fixture(scope="module")
def script():
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "check_theory.py"
    before = list(sys.path)
    spec = importlib.util.spec_from_file_location("check_theory", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_theory"] = module
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = before
    for name in ("check_theory", "theory_cases"):
        del sys.modules[name]


@pytest.mark.parametrize(("cases", "runs"), [(360, 0), (24, 150)])
def test_no_bound_is_violated_and_every_forbidden_setting_reported(script, cases, runs):
    outcomes = script.check(cases, runs=runs, seed=17)
    assert len(outcomes) == 12
    for name, outcome in outcomes.items():
        assert len(outcome.ratios) >= cases // 12 - 2, name
        assert outcome.violations == []
        assert outcome.unreported == []
        assert min(outcome.ratios) >= (0.9 if runs else 1 - 1e-9)


def test_a_bound_that_is_one_percent_too_small_is_caught(script, monkeypatch):
    real = theory.sgd_bound
    monkeypatch.setattr(theory, "sgd_bound", lambda *a, **k: 0.99 * real(*a, **k))
    assert script.check(600, seed=0)["SGD"].violations


@pytest.mark.parametrize("name", ["lyapunov_condition", "certificate_condition", "sgd_condition"])
def test_a_condition_that_lets_everything_pass_is_caught(script, monkeypatch, name):
    monkeypatch.setattr(
        theory, name, lambda *a, **k: theory.Admissibility("none", "none", 0, 0.0, 1.0, True)
    )
    assert any(o.unreported for o in script.check(36, seed=0).values())


def test_the_exit_status_tells(script, monkeypatch, capsys):
    assert script.main(["--exact", "24", "--monte-carlo", "12", "--runs", "50"]) == 0
    assert "PASS" in capsys.readouterr().out
    real = theory.lyapunov_bound
    monkeypatch.setattr(theory, "lyapunov_bound", lambda *a, **k: 0.3 * real(*a, **k))
    assert script.main(["--exact", "120", "--monte-carlo", "1", "--runs", "50"]) == 1
    assert "FAIL" in capsys.readouterr().out
