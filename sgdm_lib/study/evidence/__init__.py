"""Evidence: curves with their seeds, from the papers, from records or trained here.

The papers' published curves (:class:`Published`), recorded runs (:class:`Recorded`) and runs that
a chapter trains (:class:`Trained`) are brought into one form, a
:class:`~sgdm_lib.study.criteria.Curve`.
"""

from sgdm_lib.study.evidence.levels import (
    SHORT_NAMES,
    curves,
    ends,
    rank_correlations,
    ranking,
)
from sgdm_lib.study.evidence.published import (
    NAMES_IN_FIGURES,
    Published,
)
from sgdm_lib.study.evidence.recorded import (
    PROTOCOLS,
    Recorded,
    find,
    of_runs,
)
from sgdm_lib.study.evidence.trained import (
    Trained,
    matching_digits,
    train,
)

__all__ = [
    "NAMES_IN_FIGURES",
    "PROTOCOLS",
    "Published",
    "Recorded",
    "SHORT_NAMES",
    "Trained",
    "curves",
    "ends",
    "find",
    "matching_digits",
    "of_runs",
    "rank_correlations",
    "ranking",
    "train",
]
