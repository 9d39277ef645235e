"""Tables and reports that the book shows: scorecard, reports on claims, inventory of records."""

from sgdm_lib.study.pages.chance import (
    EARLIER_WORDS,
    by_chance,
    changes,
    error_rates,
    false_positives,
)
from sgdm_lib.study.pages.inventory import (
    Record,
    assumptions,
    datasets,
    expected,
    packages,
    recorded,
    survey,
    times,
)
from sgdm_lib.study.pages.report import (
    Report,
)
from sgdm_lib.study.pages.scorecard import (
    COLUMNS,
    Scorecard,
    ScorecardChips,
    all_claims,
    everything,
    judged,
    scorecard,
)

__all__ = [
    "EARLIER_WORDS",
    "by_chance",
    "changes",
    "error_rates",
    "false_positives",
    "COLUMNS",
    "ScorecardChips",
    "Record",
    "Report",
    "Scorecard",
    "all_claims",
    "assumptions",
    "everything",
    "expected",
    "judged",
    "packages",
    "recorded",
    "scorecard",
    "datasets",
    "survey",
    "times",
]
