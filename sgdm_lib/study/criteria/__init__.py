"""Criteria: functions that turn curves into ratios per seed, and the one judge of them.

A verdict is computed, never typed. Each criterion has its limit in its signature, so that a reader
can look it up, disagree, and run it with another limit.
"""

from sgdm_lib.study.criteria.budget import (
    reaches_with_less,
)
from sgdm_lib.study.criteria.course import (
    falls_faster,
    follows,
    levels_off,
)
from sgdm_lib.study.criteria.criteria import (
    ends_above,
    ends_apart,
    ends_higher,
    ends_highest,
    ends_lower,
    ends_lowest,
    ends_near,
    ends_no_higher,
)
from sgdm_lib.study.criteria.curves import (
    QUANTITIES,
    Curve,
    Evidence,
    InMemory,
    level,
    measurements,
)
from sgdm_lib.study.criteria.ends import (
    end,
    end_changes,
    end_ratio,
)
from sgdm_lib.study.criteria.gates import (
    at_chance,
    same_until,
)
from sgdm_lib.study.criteria.judge import (
    judge,
    t_interval,
)
from sgdm_lib.study.criteria.live import (
    final_level,
    goes_below,
    stalls,
)
from sgdm_lib.study.criteria.verdict import (
    OUTCOMES,
    SYMBOLS,
    Verdict,
    combine,
    listed,
    no_data,
    tally,
    undecided,
)

__all__ = [
    "Curve",
    "InMemory",
    "OUTCOMES",
    "QUANTITIES",
    "SYMBOLS",
    "Evidence",
    "Verdict",
    "at_chance",
    "reaches_with_less",
    "combine",
    "end",
    "end_changes",
    "end_ratio",
    "tally",
    "ends_above",
    "ends_apart",
    "ends_higher",
    "ends_highest",
    "ends_lower",
    "ends_lowest",
    "ends_near",
    "ends_no_higher",
    "falls_faster",
    "final_level",
    "follows",
    "goes_below",
    "judge",
    "level",
    "levels_off",
    "listed",
    "no_data",
    "measurements",
    "same_until",
    "stalls",
    "t_interval",
    "undecided",
]
