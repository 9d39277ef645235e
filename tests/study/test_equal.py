"""Equal what: on histories made up so that the winner is known."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgdm_lib.engine import Experiment, Run, records
from sgdm_lib.study import figures
from sgdm_lib.study.compare import equal_budget
from sgdm_lib.study.compare.equal_budget.budgets import cost_of

mpl.use("agg")
BASE = Experiment(dataset="digits", model="mlp", optimizer="nshb", epochs=10, batch_size=8, lr=0.1)
N = 1_000


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def run(norm_of_step, steps_an_epoch, epochs=10, seed=0, every=1):
    """A run whose gradient norm is a function of the steps taken."""
    blank = dict.fromkeys(records.COLUMNS, 0) | {"status": "ok"}
    rows = []
    for e in range(1, epochs + 1):
        norm = norm_of_step(e * steps_an_epoch) if e % every == 0 else np.nan
        rows.append(
            blank
            | {
                "epoch": e,
                "step": e * steps_an_epoch,
                "sfo": e * N,
                "full_gradient_norm": norm,
                "test_accuracy": 1 - norm / 10,
            }
        )
    return Run(BASE.replace(seed=seed), records.history(rows), {"status": "finished"})


def falling(step):
    return 100 / step


def test_effort_counts_what_it_says():
    r = run(falling, 50)
    np.testing.assert_array_equal(equal_budget.budget(r, "epoch"), np.arange(1, 11))
    np.testing.assert_array_equal(equal_budget.budget(r, "step"), 50 * np.arange(1, 11))
    np.testing.assert_array_equal(equal_budget.budget(r, "sfo"), equal_budget.budget(r, 0))
    np.testing.assert_array_equal(equal_budget.budget(r, 4.0), 1_200 * np.arange(1, 11))
    np.testing.assert_array_equal(
        equal_budget.with_cost(r, 4).history.cost, equal_budget.budget(r, 4)
    )
    assert "cost" not in r.history
    with pytest.raises(ValueError, match="did you mean 'step'"):
        equal_budget.budget(r, "steps")
    with pytest.raises(ValueError, match="step cost must be a finite number >= 0"):
        equal_budget.budget(r, -1.0)


def test_a_level_is_the_median_of_the_last_readings_by_then():
    r = run(lambda step: step, 1, epochs=100)
    assert equal_budget.level_at(r, "full_gradient_norm", "step", 50) == np.median(range(38, 51))
    assert equal_budget.level_at(r, "full_gradient_norm", "step", 50, part=0.5) == np.median(
        range(26, 51)
    )
    assert equal_budget.level_at(r, "test_error", "step", 50) == pytest.approx(4.4)
    sparse = run(lambda step: step, 1, epochs=100, every=40)
    assert equal_budget.level_at(sparse, "full_gradient_norm", "step", 75) == 40
    assert np.isnan(equal_budget.level_at(sparse, "full_gradient_norm", "step", 39))


def test_a_norm_that_depends_on_steps_alone_is_equal_at_equal_steps():
    """Twice the steps an epoch: half the norm at equal epochs, the same at equal steps."""
    many, few = [run(falling, 100)], [run(falling, 50)]
    assert equal_budget.advantage(many, few, "full_gradient_norm", "epoch") == (pytest.approx(0.5),)
    assert equal_budget.advantage(many, few, "full_gradient_norm", "sfo") == (pytest.approx(0.5),)
    steps = equal_budget.advantage(many, few, "full_gradient_norm", "step")
    assert steps == (pytest.approx(1, rel=0.06),)  # the last half holds other epochs


@settings(deadline=None, max_examples=30)
@given(cost=st.floats(0, 1e6))
def test_time_lies_between_equal_sfo_and_equal_steps(cost):
    many = [run(falling, 100, epochs=200)]
    few = [run(falling, 50, epochs=200)]
    (ratio,) = equal_budget.advantage(many, few, "full_gradient_norm", cost)
    assert 0.49 < ratio < 1.03


def test_at_no_cost_time_is_sfo_and_at_a_huge_one_steps():
    many, few = [run(falling, 100)], [run(falling, 30)]
    for of, cost in (("sfo", 0.0), ("step", 1e9)):
        expected = equal_budget.advantage(many, few, "full_gradient_norm", of)
        assert equal_budget.advantage(many, few, "full_gradient_norm", cost) == pytest.approx(
            expected
        )


@pytest.mark.parametrize(
    ("levels", "outcome"),
    [((0.5, 0.51), "holds"), ((0.5, 1.1), "undecided"), ((1.5, 1.51), "fails")],
)
def test_verdict(levels, outcome):
    ours = [run(lambda _, v=v: v, 10, seed=s) for s, v in enumerate(levels)]
    # another order, one more; a baseline that never falls would decide nothing
    theirs = [run(lambda step: 1.0 + (step < 20), 10, seed=s) for s in (1, 0, 7)]
    verdict = equal_budget.ends_lower_at_equal("c", ours, theirs, "step")
    assert (verdict.claim, verdict.outcome) == ("c", outcome)
    assert verdict.values == pytest.approx(levels)
    assert "steps" in verdict.criterion
    assert equal_budget.ends_lower_at_equal("c", [], theirs, "step").outcome == "no data"
    assert equal_budget.ends_lower_at_equal("c", ours[:1], theirs[2:], "step").outcome == "no data"


def test_too_early_to_say():
    ours, theirs = [run(falling, 100, every=5)], [run(falling, 10)]
    verdict = equal_budget.ends_lower_at_equal("c", ours, theirs, "step")
    assert verdict.outcome == "no data"
    assert "not measured before the shorter run ends" in verdict.evidence
    table = equal_budget.winners({"a": ours}, {"b": theirs}, {"steps": "step"})
    assert table.data.loc["b", "steps"] == "too early to say"


def test_winners_names_the_winner_and_the_factor():
    ours = [run(lambda _, v=v: v, 10, seed=s) for s, v in enumerate((0.5, 0.5, 2.0))]
    theirs = [run(lambda _: 1.0, 10, seed=s) for s in range(3)]
    rivals = {"rival": theirs, "mirror": [], "worse": [run(lambda _: 4.0, 10)]}
    rivals["better"] = [run(lambda _: 0.1, 10)]
    table = equal_budget.winners({"a": ours}, rivals, {"steps": "step", "SFO": "sfo"})
    assert table.data.loc["rival", "steps"] == "ahead 1.26× (2/3)"
    assert "ahead\u00a01.26× (2/3)" in table.to_html(), "broken before the brackets only"
    assert table.data.loc["mirror", "SFO"] == "not yet run"
    assert table.data.loc["worse", "SFO"] == "ahead 8× (1/1)"
    assert table.data.loc["better", "SFO"] == "behind 5× (1/1)"
    assert "lower full gradient norm" in table.to_html()
    with pytest.raises(ValueError, match="runs must hold one schedule, got 2"):
        equal_budget.winners({"a": ours, "b": ours}, rivals, {"steps": "step"})


def test_seeds_must_match():
    with pytest.raises(ValueError, match=r"must have the seeds \[0\], got \[1\]"):
        equal_budget.advantage([run(falling, 1)], [run(falling, 1, seed=1)], "train_loss", "step")


def test_step_cost_is_the_overhead_over_the_time_of_an_image():
    assert equal_budget.step_cost(BASE, "cpu") >= 0
    for overhead, per_image in ((1e-3, 1e-5), (0.0, 1e-5), (2e-4, 3e-6)):
        small, large = (overhead + b * per_image for b in (4, 128))
        assert cost_of(small, large) == pytest.approx(overhead / per_image, abs=1e-5)
    assert cost_of(2.0, 1.0) == np.inf, "a larger step that takes no longer"


def test_missing_runs_come_with_their_command():
    names = ["quick/digits/nshb/x2", "quick/digits/nshb/constant128"]
    found = equal_budget.missing(names, [[], [run(falling, 1)]], "cpu")
    assert found.names == ("quick/digits/nshb/x2",)
    assert found.seconds > 0
    assert "sgdm run quick/digits/nshb/x2 --out chapters/records" in str(found)
    assert "sgdm run" in found._repr_html_()
    nothing = equal_budget.missing(names, [[run(falling, 1)]] * 2, "cpu")
    assert str(nothing) == "All of these runs are recorded."
    assert "recorded" in nothing._repr_html_()
    with pytest.raises(ValueError, match="run must be one of"):
        equal_budget.missing(["quick/digits/nshb/x3"], [[]])


def test_figure_of_four_efforts():
    figure = figures.at_four_budgets({"a": [run(falling, 50)], "b": []}, 4.0)
    panels = figure.axes
    assert [len(panel.get_lines()) for panel in panels] == [1, 1, 1, 1]
    np.testing.assert_array_equal(panels[3].get_lines()[0].get_xdata(), 1_200 * np.arange(1, 11))
    assert figures.at_four_budgets({"a": []}, 4.0).get_suptitle() == "not yet run"


def test_figure_at_equal_time():
    figure = figures.at_equal_time({"b": ([1, 10], [[0.5, 2.0], [4.0, 4.0]])}, "train_loss", "a")
    np.testing.assert_allclose(figure.axes[0].get_lines()[0].get_ydata(), [1, 4])
    assert "training loss" in figure.axes[0].get_ylabel()
