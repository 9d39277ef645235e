"""What a "holds" is worth: how often chance alone would give one."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import stats

from sgdm_lib.checks import integer
from sgdm_lib.study.criteria.judge import CONFIDENCE
from sgdm_lib.study.criteria.verdict import Verdict
from sgdm_lib.study.pages.scorecard import COLUMNS, Scorecard


@lru_cache(maxsize=64)
def false_positives(
    seeds: int,
    *,
    paired: bool = True,
    spread: float = 0.15,
    trials: int = 100_000,
    seed: int = 0,
) -> float:
    """How often :func:`judge` says "holds" where nothing is different: simulated.

    The log ratios are normal with mean zero, so that a claim "below 1" is false.

    Args:
        seeds: how many, >= 1; for unpaired runs in each group.
        paired: as for :func:`judge`.
        spread: standard deviation of a log ratio (paired) or of a log level (unpaired).
        trials: how many simulated claims.
        seed: of the random numbers.

    Returns:
        The share of "holds", 0 for one seed.
    """
    n = integer("seeds", seeds, at_least=1)
    if n == 1:
        return 0.0
    rng = np.random.default_rng(seed)
    logs = spread * rng.standard_normal((1 if paired else 2, trials, n))
    squares = logs.var(axis=2, ddof=1) / n
    total = squares.sum(axis=0)
    freedom = total**2 / (squares**2).sum(axis=0) * (n - 1)
    mean = logs[0].mean(axis=1) - (0.0 if paired else logs[1].mean(axis=1))
    high = mean + stats.t.ppf(0.5 + CONFIDENCE / 2, freedom) * np.sqrt(total)
    return float((high < 0).mean())


def error_rates() -> pd.DataFrame:
    """How often the judge says "holds" of a claim that is not true, by the number of seeds.

    Returns:
        One row a comparison: how it is made, and the share of "holds", in percent.
    """
    cases = {
        **{f"{n} seeds, paired": (n, True) for n in (2, 3, 5, 10)},
        "3 + 3 runs, unpaired": (3, False),
    }
    shares = [100 * false_positives(n, paired=paired) for n, paired in cases.values()]
    return pd.DataFrame({"compared": list(cases), '"holds" by chance (%)': shares})


def by_chance(card: Scorecard) -> pd.DataFrame:
    """How many single tests of a scorecard hold, and how many would if no claim were true.

    Tests with a single seed cannot hold and are left out. The expected number does not ask whether
    the tests depend on each other; many of ours share runs, so that it may be exceeded more easily
    than if they did not.

    Args:
        card: the claims with their verdicts.

    Returns:
        One row a column of the scorecard: tests with two seeds at least, those that hold, and the
        number of "holds" that chance alone would give.
    """
    rows = []
    for column, title in COLUMNS.items():
        verdicts = [row.get(column) for row in card.verdicts.values()]
        leaves = [leaf for verdict in verdicts if verdict for leaf in verdict.leaves]
        able = [leaf for leaf in leaves if leaf.seeds > 1 and leaf.value is not None]
        rows.append(
            {
                "judged on": title,
                "tests": len(able),
                "hold": sum(leaf.outcome == "holds" for leaf in able),
                "by chance": sum(map(_rate, able)),
            }
        )
    return pd.DataFrame(rows)


def _rate(leaf: Verdict) -> float:
    return false_positives(leaf.seeds, paired=bool(leaf.values))


EARLIER_WORDS = {
    "reproduced": "holds",
    "partly reproduced": "mixed",
    "not reproduced": "fails",
    "not yet run": "no data",
}
"""What outcomes were called before there was one judge."""


def changes(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Which outcomes of a scorecard differ from those of an earlier one.

    Args:
        before: one row a claim: ``id`` and outcomes in some of the columns, in the present words
            or in :data:`EARLIER_WORDS`.
        now: the same, as :meth:`Scorecard.frame` gives it.

    Returns:
        One row a changed outcome: claim, what it is judged on, before, now; claims that are in one
        of the two only are there with "-" in the other.
    """
    columns = [column for column in COLUMNS if column in before and column in now]
    old, new = (
        frame.fillna("").set_index("id")[columns].replace(EARLIER_WORDS) for frame in (before, now)
    )
    rows = []
    for key in dict.fromkeys([*old.index, *new.index]):
        for column in columns:
            pair = [str(f.loc[key, column]) if key in f.index else "-" for f in (old, new)]
            if pair[0] != pair[1] and any(pair) and pair not in (["", "-"], ["-", ""]):
                rows.append((key, COLUMNS[column], *pair))
    return pd.DataFrame(rows, columns=["claim", "judged on", "before", "now"])
