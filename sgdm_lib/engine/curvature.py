"""The largest curvature of the training loss along a run."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pandas as pd

from sgdm_lib.augment import normalise
from sgdm_lib.engine.batches import load_data
from sgdm_lib.engine.device import choose_device
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.snapshots import fit_with_snapshots
from sgdm_lib.gradients import largest_curvature

__all__ = ["curvature_path"]


def curvature_path(
    experiment: Experiment,
    epochs: Iterable[int],
    *,
    iterations: int = 30,
    tolerance: float = 0.02,
    device: str = "auto",
    data_root: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Train, and measure the largest curvature of the training loss after some of the epochs.

    The loss is the mean over the whole training set, without augmentation, in eval mode.

    Args:
        experiment: what to run.
        epochs: after which epochs (from 1) to measure.
        iterations: at most so many Hessian-vector products each time.
        tolerance: stop at a residual below this part of the curvature.
        device: as for :func:`sgdm_lib.engine.training.fit`.
        data_root: as for :func:`sgdm_lib.engine.training.fit`.

    Returns:
        One row a measurement: epoch, curvature (the Hessian eigenvalue of largest absolute value
        that was found), residual (how far from an eigenvalue it may be).

    Raises:
        ValueError: if an epoch is not part of the run, or an argument is out of range.
    """
    _, nets = fit_with_snapshots(experiment, epochs, device=device, data_root=data_root)
    dataset, where = load_data(experiment, data_root), choose_device(device)
    x = normalise(dataset.x_train.to(where), dataset.mean, dataset.std)
    batch = x, dataset.y_train.to(where)
    rows = []
    for epoch, net in sorted(nets.items()):
        found = largest_curvature(net, batch, iterations=iterations, tolerance=tolerance)
        rows.append({"epoch": epoch, "curvature": found.value, "residual": found.residual})
    return pd.DataFrame(rows)
