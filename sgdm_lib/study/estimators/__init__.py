"""How much of a fall of the measured gradient norm is the ruler, and how much the weights.

When the batch size grows, two things change between two points of the papers' gradient norm
curves: the weights, and the batch size that the norm is measured with. A run that keeps its
networks is split by reading both rulers at both weights (:func:`stage_readings`, :func:`split`). A
record keeps none; its two estimators allow a cruder split (:func:`split_record`).
"""

from sgdm_lib.study.estimators.decomposition import (
    Drop,
    chain,
    decompose_by_reference,
    decompose_drop,
)
from sgdm_lib.study.estimators.estimates import (
    COLUMNS,
    Readings,
    load_readings,
    moved_statistics,
    readings,
    stage_readings,
    with_and_without_augmentation,
)
from sgdm_lib.study.estimators.estimator import (
    Ruler,
    augmented_reading,
    expected_reading,
    log_spread,
    running_minimum,
    weight_sum,
)
from sgdm_lib.study.estimators.splits import (
    Change,
    mostly_weights,
    split,
    split_record,
)

__all__ = [
    "COLUMNS",
    "Change",
    "Drop",
    "Readings",
    "Ruler",
    "augmented_reading",
    "chain",
    "decompose_by_reference",
    "decompose_drop",
    "expected_reading",
    "load_readings",
    "log_spread",
    "mostly_weights",
    "moved_statistics",
    "readings",
    "running_minimum",
    "split",
    "split_record",
    "stage_readings",
    "weight_sum",
    "with_and_without_augmentation",
]
