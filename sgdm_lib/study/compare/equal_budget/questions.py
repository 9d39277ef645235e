"""Three questions to a growing batch size, and what recorded runs answer.

A run that doubles from 8 differs from a constant 128 in three ways at once: it takes more steps, it
takes the early ones with smaller batches, and its batch grows. Each question holds the others
apart from one of the three.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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


def against_growth(answered: pd.DataFrame) -> dict[str, int | float | None]:
    """How often the growing batch is behind in error and loss, of :func:`answers`.

    Returns:
        ``asked`` ratios, those ``behind`` (above 1), the smallest and the largest ratio minus 1 in
        percent (``least``, ``most``; None without answers), and the fewest ``seeds`` of an answer.
    """
    model = answered.loc[answered["quantity"] != "full_gradient_norm", "ratio"]
    return {
        "asked": len(model),
        "behind": int((model > 1).sum()),
        "least": 100 * (float(model.min()) - 1) if len(model) else None,
        "most": 100 * (float(model.max()) - 1) if len(model) else None,
        "seeds": int(answered["seeds"].min()) if len(answered) else None,
    }


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
