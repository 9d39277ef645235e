"""A schedule's certificate next to what happens: on a quadratic, and on a network.

On the quadratic everything is known: the smoothness L, the noise, and the expected squared gradient
at every step, exactly. On a network the norm is measured and L is not known; the largest curvature
at some points of the path stands in for it. It bounds L from below, so it can refute a theorem's
condition along the path and never prove it.
"""

from sgdm_lib.study.certified.certificate import Certified, limits_by_epoch
from sgdm_lib.study.certified.network import on_digits, on_network
from sgdm_lib.study.certified.quadratic import Quadratic, on_quadratic
from sgdm_lib.study.certified.tables import (
    FORMATS,
    break_even,
    coefficients,
    growth_conditions,
    last_stage,
    summary,
)

__all__ = [
    "FORMATS",
    "Certified",
    "Quadratic",
    "break_even",
    "coefficients",
    "growth_conditions",
    "last_stage",
    "limits_by_epoch",
    "on_digits",
    "on_network",
    "on_quadratic",
    "summary",
]
