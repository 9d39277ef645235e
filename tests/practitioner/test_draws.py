"""Random draws depend on what they are named after, and on nothing else in the process."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from sgdm_lib import data, models
from sgdm_lib.augment import sample_params

# Computed with the code that made the committed records; these numbers may never change.
DIGESTS = [
    ("mlp", (1, 8, 8), 10, 0, "8002074bfbf808a0"),
    ("mlp", (1, 8, 8), 10, 7, "4389dcccf86874e7"),
    ("cnn", (1, 8, 8), 10, 0, "956ddb8d39cfc193"),
    ("cnn", (3, 64, 64), 200, 7, "e781fe936741f0a7"),
    ("cnn_bn", (3, 32, 32), 100, 0, "397a05d15fe90d71"),
    ("cnn_bn", (3, 32, 32), 100, 7, "ac3c0cf6ad79f15a"),
    ("resnet18", (3, 32, 32), 100, 0, "7ade9e2150db75d8"),
    ("wideresnet28_10", (3, 32, 32), 10, 0, "d47220df30bd405f"),
]


def digest(tensors):
    total = hashlib.sha256()
    for name, tensor in tensors.items():
        total.update(name.encode() + str(tensor.dtype).encode())
        total.update(tensor.contiguous().numpy().tobytes())
    return total.hexdigest()[:16]


def weights(name, shape, classes, seed):
    return digest(models.build(name, shape, classes, seed=seed).state_dict())


@pytest.mark.parametrize(("name", "shape", "classes", "seed", "expected"), DIGESTS)
def test_weights_are_the_bits_of_the_recorded_runs(name, shape, classes, seed, expected):
    assert weights(name, shape, classes, seed) == expected


def test_threads_do_not_mix_their_draws():
    jobs = [("resnet18", (3, 8, 8), 10, seed) for seed in range(6)]
    alone = [weights(*job) for job in jobs]
    before = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda job: weights(*job), jobs)) == alone
    assert torch.equal(torch.get_rng_state(), before)
    with ThreadPoolExecutor(4) as pool:  # somebody else draws from the global generator meanwhile
        others = [pool.submit(torch.rand, 2_000_000) for _ in range(8)]
        assert [weights(*job) for job in jobs[:3]] == alone[:3]
        [other.result() for other in others]


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


SURROUNDINGS = {
    "another default device": lambda: torch.device("meta"),
    "float64 by default": lambda: default_dtype(torch.float64),
    "bfloat16 by default": lambda: default_dtype(torch.bfloat16),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "no_grad": torch.no_grad,
    "inference mode": torch.inference_mode,
}


def everything_drawn():
    digits = data.load("digits")
    small = data.with_random_labels(data.subset(digits, 300), 0.2)
    crops = sample_params(50, data.generator(1, 2, "augment"), padding=1, size=(8, 8))
    return {
        "order": data.epoch_permutation(100, 3, 4),
        "images": small.x_train,
        "labels": small.y_train,
        "flip": crops.flip,
        "table": crops.table,
        "angle": crops.angle,
    } | models.build("cnn_bn", (1, 8, 8), 10, seed=3).state_dict()


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_surroundings_change_no_bit(surroundings):
    expected = digest(everything_drawn())
    with SURROUNDINGS[surroundings]():
        assert digest(everything_drawn()) == expected
        net = models.build("mlp", (1, 8, 8), 10, seed=0)
    assert all(p.requires_grad and not p.is_inference() for p in net.parameters())


class Odd(nn.Module):
    """Draws in ways that the built-in nets do not use."""

    def __init__(self, shape, classes):
        super().__init__()
        self.a = nn.Parameter(torch.randn(3, 2))
        self.b = nn.Parameter(torch.rand(4))
        self.embedding = nn.Embedding(5, 3)
        self.attention = nn.MultiheadAttention(4, 2)
        self.c = nn.Parameter(nn.init.orthogonal_(torch.empty(3, 3)))
        self.register_buffer("order", torch.randperm(7))
        self.register_buffer("some", torch.randint(9, (5,)))
        self.d = nn.Parameter(torch.randn_like(self.a))
        self.register_buffer("chance", torch.bernoulli(torch.full((9,), 0.5)))


def test_any_layer_draws_as_if_torch_had_just_been_seeded(monkeypatch):
    monkeypatch.setitem(models._MAKERS, "mlp", Odd)
    torch.manual_seed(9)
    expected = Odd((1, 8, 8), 10).state_dict()
    found = models.build("mlp", (1, 8, 8), 10, seed=9).state_dict()
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
