"""The gradient noise that a run ends with."""

from __future__ import annotations

from sgdm_lib.augment import normalise
from sgdm_lib.engine.batches import load_data
from sgdm_lib.engine.records import Run
from sgdm_lib.gradients import GradientNoise, gradient_noise

__all__ = ["final_noise"]


def final_noise(run: Run) -> GradientNoise:
    """Full gradient norm and single-sample variance at a run's final weights, on its training set.

    Args:
        run: a run that still has its network, as :func:`sgdm_lib.engine.training.fit` returns it.

    Raises:
        ValueError: if the run was read from a record that keeps no weights.
    """
    if run.model is None:
        raise ValueError("run.model must be there, got None: fit it anew, or with weights=True")
    dataset = load_data(run.experiment)
    device = next(run.model.parameters()).device
    x = normalise(dataset.x_train.to(device), dataset.mean, dataset.std)
    return gradient_noise(run.model, (x, dataset.y_train.to(device)))
