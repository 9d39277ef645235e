"""Three questions to a growing batch size, and what recorded runs answer.

A run that doubles from 8 differs from a constant 128 in three ways at once: it takes more steps, it
takes the early ones with smaller batches, and its batch grows. Each question holds the others
apart from one of the three.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from sgdm_lib.engine.records import Run
from sgdm_lib.study.compare.equal_budget.compare import (
    LOWER_IS_BETTER,
    advantage,
    ends_lower_at_equal,
    geometric_mean,
    matching,
)
from sgdm_lib.study.criteria import Verdict

QUESTIONS = {
    "Is it the number of steps?": ("x2", "constant128_steps_of_x2", "step"),
    "Is it the small batches?": ("x2", "constant8", "epoch"),
    "Does growth alone help?": ("x2_from128", "constant128", "epoch"),
}
"""By question: the growing run, the constant one, and the budget that is equal."""


def paired(
    runs: Sequence[Run], baseline: Sequence[Run], quantity: str, of: str | float
) -> tuple[float, ...]:
    """Ratios of the runs with seeds that both sides have, at equal budget.

    Args:
        runs: one run a seed.
        baseline: one run a seed.
        quantity: as for :func:`sgdm_lib.study.compare.equal_budget.advantage`.
        of: the budget that is equal, as there.

    Returns:
        One ratio a common seed, runs / baseline; empty without common seeds.
    """
    return advantage(*matching(runs, baseline), quantity, of)


def mean_ratio(
    runs: Sequence[Run], baseline: Sequence[Run], quantity: str, of: str | float
) -> float | None:
    """The geometric mean of :func:`paired`; None without common seeds."""
    ratios = paired(runs, baseline, quantity, of)
    return geometric_mean(ratios) if ratios else None


def answers(
    recorded: Callable[[str], Sequence[Run]],
    group: str = "cnn10k/cifar100/nshb/",
    quantities: Sequence[str] = ("test_error", "train_loss"),
) -> pd.DataFrame:
    """Ask every question of every quantity; unanswered are those without runs of a common seed.

    Args:
        recorded: finds the runs of an experiment, such as :func:`sgdm_lib.book.page.recorded`.
        group: where the catalogue has the runs.
        quantities: those of :func:`sgdm_lib.study.compare.equal_budget.advantage`.

    Returns:
        Rows ``question``, ``growing``, ``constant``, ``equal``, ``quantity``, ``ratio`` (geometric
        mean over the common seeds, growing / constant: below 1 growth is ahead) and ``seeds``.
    """
    rows = []
    for question, (growing, constant, of) in QUESTIONS.items():
        ours, theirs = recorded(group + growing), recorded(group + constant)
        for quantity in quantities:
            ratios = paired(ours, theirs, quantity, of)
            if ratios:
                mean = geometric_mean(ratios)
                rows.append((question, growing, constant, of, quantity, mean, len(ratios)))
    names = ["question", "growing", "constant", "equal", "quantity", "ratio", "seeds"]
    return pd.DataFrame(rows, columns=names)


def summary(found: pd.DataFrame) -> dict[str, float | None]:
    """How often growth is behind in error and loss, and by how much.

    Args:
        found: as :func:`answers` gives them.

    Returns:
        ``asked``: their number; ``behind``: in how many growth is behind; ``behind_least`` and
        ``behind_most``: by how many percent in the best and the worst; ``fewest_seeds``. The last
        three are None without any answer.
    """
    some, ratios = len(found) > 0, found.loc[found["quantity"] != "full_gradient_norm", "ratio"]
    return {
        "asked": len(ratios),
        "behind": int((ratios > 1).sum()),
        "behind_least": 100 * (float(ratios.min()) - 1) if some else None,
        "behind_most": 100 * (float(ratios.max()) - 1) if some else None,
        "fewest_seeds": int(found["seeds"].min()) if some else None,
    }


def mean_ratios(
    recorded: Callable[[str], Sequence[Run]],
    comparisons: Mapping[str, tuple[str, str, str]],
    quantities: Sequence[str],
    group: str = "cnn10k/cifar100/nshb/",
) -> pd.DataFrame:
    """Mean ratios of runs to baselines at equal budget.

    Args:
        recorded: as for :func:`answers`.
        comparisons: for each label a run, its baseline and the budget that is equal.
        quantities: as for :func:`answers`.
        group: where the catalogue has the runs.

    Returns:
        One row a comparison, by label: for each quantity the mean ratio over the common seeds (NaN
        without any), and ``seeds``, their number.
    """
    rows = {}
    for label, (run, baseline, of) in comparisons.items():
        sides = recorded(group + run), recorded(group + baseline)
        means = {name: mean_ratio(*sides, name, of) for name in quantities}
        rows[label] = means | {"seeds": min(len(paired(*sides, n, of)) for n in quantities)}
    return pd.DataFrame.from_dict(rows, orient="index")


def verdicts(
    recorded: Callable[[str], Sequence[Run]],
    group: str = "cnn10k/cifar100/nshb/",
    quantities: Sequence[str] = ("test_error", "train_loss"),
) -> dict[str, Verdict]:
    """Judge every question of every quantity: is the growing run lower at equal budget?

    Args:
        recorded: as for :func:`answers`.
        group: as for :func:`answers`.
        quantities: as for :func:`answers`.
    """
    return {
        f"{question} {growing} below {constant}, {LOWER_IS_BETTER[name]}": ends_lower_at_equal(
            question, recorded(group + growing), recorded(group + constant), of, quantity=name
        )
        for question, (growing, constant, of) in QUESTIONS.items()
        for name in quantities
    }
