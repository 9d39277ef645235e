"""How much of a fall of the measured gradient norm is the estimator, and how much the weights.

When the batch size grows, two things change between two points of the papers' gradient norm
curves: the weights, and the batch size that the norm is measured with. A run that keeps its
networks is decomposed by both estimators at both weights (:func:`stage_estimates`, :func:`split`).
A record keeps none; its two estimators allow a cruder split (:func:`split_record`).
"""

from sgdm_lib.study.estimators.decomposition import (
    Drop,
    chain,
    decompose_by_reference,
    decompose_drop,
)
from sgdm_lib.study.estimators.estimates import (
    COLUMNS,
    Estimates,
    compared,
    estimates,
    load_estimates,
    moved_statistics,
    stage_estimates,
    with_and_without_augmentation,
)
from sgdm_lib.study.estimators.estimator import (
    NormEstimator,
    augmented_estimate,
    expected_estimate,
    log_spread,
    running_minimum,
    weight_sum,
)
from sgdm_lib.study.estimators.splits import (
    StageChange,
    mostly_weights,
    split,
    split_record,
)

__all__ = [
    "COLUMNS",
    "StageChange",
    "Drop",
    "Estimates",
    "NormEstimator",
    "augmented_estimate",
    "chain",
    "compared",
    "decompose_by_reference",
    "decompose_drop",
    "expected_estimate",
    "load_estimates",
    "log_spread",
    "mostly_weights",
    "moved_statistics",
    "estimates",
    "running_minimum",
    "split",
    "split_record",
    "stage_estimates",
    "weight_sum",
    "with_and_without_augmentation",
]
