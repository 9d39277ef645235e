"""What the tests of the loaders share: plans, and their batches written out by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import strategies as st
from torch import nn

from sgdm_lib.data import epoch_permutation
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.schedules import Piecewise, StageGrowth, linear

# Python 3.12 and later warn when a process with threads forks, as DataLoader's workers do.
forks = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@st.composite
def plans(draw):
    n = draw(st.integers(1, 60))
    epochs = draw(st.integers(1, 5))
    size = Piecewise(
        tuple(draw(st.lists(st.integers(1, n), min_size=epochs, max_size=epochs))),
        tuple(range(1, epochs)),
    )
    return TrainingPlan(n, epochs, size, lr=0.1, allow_shrinking=True)


def growing(n=100, epochs=6):
    return TrainingPlan(n, epochs, StageGrowth(8, 2, every=2), linear(0.1))


def written_out_batches(plan, seed):
    """Every batch of the plan, cut by hand from the epochs' orders."""
    batches = []
    for epoch in range(plan.epochs):
        order = epoch_permutation(plan.n_train, seed, epoch).tolist()
        size = int(plan.batch_sizes[epoch])
        batches += [order[i : i + size] for i in range(0, plan.n_train, size)]
    return batches


def layer_norm_net(dtype=torch.float64):
    """A small classifier without BatchNorm."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 4)).to(dtype)
