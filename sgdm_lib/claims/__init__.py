"""Claims and verdicts: what is said, by which criterion it is judged, and what the runs say.

A :class:`Claim` of a paper has tests; a test is a named criterion with its runs and limits filled
in. The same tests judge the paper's published curves (:class:`Published`) and our records
(:class:`Recorded`), at full scale and at a small one. A verdict is computed, never typed: each
criterion is a function here, with its limit in its signature, so that a reader can look it up,
disagree, and run it with another limit.
"""

from sgdm_lib.claims.chance import EARLIER_WORDS, by_chance, changes, error_rates, false_positives
from sgdm_lib.claims.claim import Claim, Test
from sgdm_lib.claims.computed import Computed
from sgdm_lib.claims.course import falls_faster, follows, levels_off
from sgdm_lib.claims.criteria import (
    ends_above,
    ends_apart,
    ends_higher,
    ends_highest,
    ends_lower,
    ends_lowest,
    ends_near,
    ends_no_higher,
)
from sgdm_lib.claims.curves import QUANTITIES, Curve, Given, Source, level, readings
from sgdm_lib.claims.effort import cheaper
from sgdm_lib.claims.gates import at_chance, same_until
from sgdm_lib.claims.judge import judge, t_interval
from sgdm_lib.claims.live import final_level, goes_below, stalls
from sgdm_lib.claims.measured import floor_and_rate, lr_within_limit
from sgdm_lib.claims.published import NAMES_IN_FIGURES, Published
from sgdm_lib.claims.recorded import PROTOCOLS, Recorded, find, of_runs
from sgdm_lib.claims.report import Report
from sgdm_lib.claims.scorecard import (
    COLUMNS,
    Glance,
    Scorecard,
    all_claims,
    everything,
    scorecard,
    sources,
)
from sgdm_lib.claims.trained import Trained, train
from sgdm_lib.claims.verdict import OUTCOMES, SYMBOLS, Verdict, combine, no_data, undecided

__all__ = [
    "COLUMNS",
    "EARLIER_WORDS",
    "NAMES_IN_FIGURES",
    "OUTCOMES",
    "PROTOCOLS",
    "QUANTITIES",
    "SYMBOLS",
    "Claim",
    "Computed",
    "Curve",
    "Given",
    "Glance",
    "Published",
    "Recorded",
    "Report",
    "Scorecard",
    "Source",
    "Test",
    "Trained",
    "Verdict",
    "all_claims",
    "at_chance",
    "by_chance",
    "changes",
    "cheaper",
    "combine",
    "ends_above",
    "ends_apart",
    "ends_higher",
    "ends_highest",
    "ends_lower",
    "ends_lowest",
    "ends_near",
    "ends_no_higher",
    "error_rates",
    "everything",
    "falls_faster",
    "false_positives",
    "final_level",
    "find",
    "floor_and_rate",
    "follows",
    "goes_below",
    "judge",
    "level",
    "levels_off",
    "lr_within_limit",
    "no_data",
    "of_runs",
    "readings",
    "same_until",
    "scorecard",
    "sources",
    "stalls",
    "t_interval",
    "train",
    "undecided",
]
