"""Measurements of a model's gradients: full gradient norm, variance, noise scale, diversity.

"Full gradient norm" means two things. The *exact* one is the norm that the theory bounds: that of
the gradient of the mean loss over the training set at fixed parameters. The *authors'* one is what
the code of both papers computes: in train mode, with the BatchNorm statistics of each measuring
batch, in batches of the current training batch size, each with the weight ``batch_size / n``. The
short last batch has this weight, too, so that the batch weights sum to ``ceil(n/b) b/n >= 1``. The
two agree for a net without BatchNorm when b divides n.
"""

from sgdm_lib.gradients.full import (
    full_gradient,
    full_gradient_norm,
    has_batch_norm,
)
from sgdm_lib.gradients.noise import (
    GradientNoise,
    gradient_noise,
)
from sgdm_lib.gradients.sharpness import (
    Curvature,
    hessian_vector_product,
    largest_curvature,
)

__all__ = [
    "Curvature",
    "GradientNoise",
    "full_gradient",
    "full_gradient_norm",
    "gradient_noise",
    "has_batch_norm",
    "hessian_vector_product",
    "largest_curvature",
]
