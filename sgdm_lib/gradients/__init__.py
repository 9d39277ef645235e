"""What a run is measured by: the full gradient norm, gradient variance, noise scale, diversity.

"Full gradient norm" means two things. *Exact* is the norm the theory bounds, of the gradient of the
mean loss over the training set at fixed weights. *Authors'* is what both papers' code computes: in
train mode, with BatchNorm statistics of each measuring batch, in batches of the current training
batch size, each weighted ``batch_size / n`` - also the short last one, so that the weights sum to
``ceil(n/b) b/n >= 1``. The two agree for a net without BatchNorm when b divides n.
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
