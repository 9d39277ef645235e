"""Curvature along a run: measured on the networks the run went through."""

import numpy as np
import pytest
import torch

from sgdm_lib import data, fit
from sgdm_lib.augment import normalise
from sgdm_lib.engine import Experiment, curvature_path, load_data
from sgdm_lib.gradients import largest_curvature

RUN = Experiment(
    dataset="digits", model="mlp", optimizer="nshb", epochs=2, batch_size=256, lr=0.1, n_train=300
)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_last_row_is_the_curvature_of_the_trained_network():
    path = curvature_path(RUN, [1, 2], iterations=5)
    assert path["epoch"].tolist() == [1, 2]
    run, dataset = fit(RUN, progress=False), load_data(RUN)
    x = normalise(dataset.x_train, dataset.mean, dataset.std)
    found = largest_curvature(run.model, (x, dataset.y_train), iterations=5, tolerance=0.02)
    np.testing.assert_allclose(path["curvature"].iloc[1], found.value, rtol=1e-6)
    np.testing.assert_allclose(path["residual"].iloc[1], found.residual, rtol=1e-4)
    assert (path["curvature"].abs() > 0).all()
    assert dataset.n_train == 300 < data.load("digits").n_train


def test_epochs_must_be_in_the_run():
    with pytest.raises(ValueError, match="epoch"):
        curvature_path(RUN, [3])
