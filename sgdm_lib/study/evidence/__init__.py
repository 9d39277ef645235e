"""Evidence: curves with their seeds, from the papers, from records or trained here.

The papers' published curves (:class:`Published`), recorded runs (:class:`Recorded`) and runs that
a chapter trains (:class:`Trained`) are brought into one form, a :class:`Curve`.
"""

from sgdm_lib.study.criteria.curves import (
    QUANTITIES,
    Curve,
    Evidence,
    InMemory,
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
    train,
)

__all__ = [
    "Curve",
    "InMemory",
    "NAMES_IN_FIGURES",
    "PROTOCOLS",
    "Published",
    "QUANTITIES",
    "Recorded",
    "Evidence",
    "Trained",
    "find",
    "of_runs",
    "train",
]
