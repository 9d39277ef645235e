"""Full gradients and gradient noise against loops written out."""

import copy

import pytest
import torch
from engine_helpers import TinyBatchNorm
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from sgdm_lib import models
from sgdm_lib.gradients import (
    full_gradient,
    full_gradient_norm,
    gradient_noise,
    has_batch_norm,
    hessian_vector_product,
    largest_curvature,
)
from sgdm_lib.gradients.grouped import grouped_batch_norm
from sgdm_lib.study.estimators import NormEstimator


def images(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 1, 8, 8, generator=generator)
    return x, torch.randint(0, 10, (n,), generator=generator)


def plain(seed=0):
    return models.build("mlp", (1, 8, 8), 10, seed=seed)


def batch_norm(seed=0):
    torch.manual_seed(seed)
    net = TinyBatchNorm((1, 8, 8), 10)
    with torch.no_grad():
        net.bn.running_mean.normal_()
        net.bn.weight.uniform_(0.5, 2)
        net.bn.bias.normal_()
    return net


def gradient(net, x, y):
    return torch.autograd.grad(F.cross_entropy(net(x), y), list(net.parameters()))


def norm(gradients):
    return float(torch.cat([g.flatten() for g in gradients]).norm())


def state(net):
    return {name: t.clone() for name, t in net.state_dict().items()}


@pytest.mark.parametrize("make", [plain, batch_norm])
@pytest.mark.parametrize("chunk", [1, 7, 50, 1000])
def test_exact_gradient_is_autograds_in_float64(make, chunk):
    net, (x, y) = make(), images(50)
    reference = copy.deepcopy(net).double().eval()
    expected = gradient(reference, x.double(), y)
    before = state(net)
    found = full_gradient(net, (x, y), chunk=chunk)
    for f, e in zip(found, expected, strict=True):
        torch.testing.assert_close(f, e, rtol=1e-4, atol=1e-7)
    value = full_gradient_norm(net, (x, y), chunk=chunk)
    assert value == pytest.approx(norm(expected), rel=1e-5)
    assert net.training
    assert all(p.grad is None for p in net.parameters())
    assert all(torch.equal(before[name], t) for name, t in net.state_dict().items())


def test_exact_gradient_of_a_float64_net_is_exact():
    net, (x, y) = plain().double(), images(33)
    value = full_gradient_norm(net, (x.double(), y), chunk=4)
    assert value == pytest.approx(norm(gradient(net, x.double(), y)), rel=1e-13)


def test_pieces_are_the_whole():
    net, (x, y) = batch_norm(), images(50)
    pieces = zip(x.split(16), y.split(16), strict=True)
    assert full_gradient_norm(net, pieces) == pytest.approx(full_gradient_norm(net, (x, y)))


def authors_loop(net, x, y, b):
    """``get_full_grad_list.py``, in float64: train mode, every batch weighted b/n."""
    net = copy.deepcopy(net).double().train()
    total = [torch.zeros_like(p) for p in net.parameters()]
    for images_, labels in zip(x.double().split(b), y.split(b), strict=True):
        for t, g in zip(total, gradient(net, images_, labels), strict=True):
            t += g * b / len(y)
    return norm(total), net


@settings(deadline=None, max_examples=30)
@given(
    n=st.integers(2, 60),
    b=st.integers(2, 60),
    chunk=st.one_of(st.none(), st.integers(1, 70)),
    normed=st.booleans(),
)
def test_authors_estimator_is_their_loop(n, b, chunk, normed):
    if normed and n % b == 1:
        n += 1  # BatchNorm's variance of a single image is another story
    net, (x, y) = (batch_norm if normed else plain)(), images(n)
    expected, after = authors_loop(net, x, y, b)
    found = full_gradient_norm(net, (x, y), estimator="authors", batch_size=b, chunk=chunk)
    assert found == pytest.approx(expected, rel=1e-4)
    for (name, moved), reference in zip(
        net.state_dict().items(), after.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(
            moved.double(), reference.double(), rtol=1e-4, atol=1e-6, msg=name
        )


@pytest.mark.parametrize("normed", [False, True])
def test_authors_estimator_takes_the_data_in_pieces_of_whole_batches(normed):
    net, (x, y) = (batch_norm if normed else plain)(), images(50)
    expected, _ = authors_loop(net, x, y, 8)
    pieces = zip(x.split(16), y.split(16), strict=True)
    found = full_gradient_norm(net, pieces, estimator="authors", batch_size=8)
    assert found == pytest.approx(expected, rel=1e-4)
    ragged = zip(x.split(20), y.split(20), strict=True)
    with pytest.raises(ValueError, match="multiple of batch_size = 8 images, got 4"):
        full_gradient_norm(net, ragged, estimator="authors", batch_size=8)


@pytest.mark.parametrize("momentum", [0.1, 0.5, None])
@pytest.mark.parametrize("affine", [False, True])
def test_batches_in_one_pass_keep_their_own_batch_norm(momentum, affine):
    x, y = images(40)
    together = nn.Sequential(
        nn.BatchNorm2d(1, momentum=momentum, affine=affine), nn.Flatten(), nn.Linear(64, 10)
    )
    apart = copy.deepcopy(together)
    one = full_gradient_norm(together, (x, y), estimator="authors", batch_size=8, chunk=40)
    other = full_gradient_norm(apart, (x, y), estimator="authors", batch_size=8, chunk=8)
    assert one == pytest.approx(other, rel=1e-5)
    for a, b in zip(together.buffers(), apart.buffers(), strict=True):
        torch.testing.assert_close(a, b)
    assert "forward" not in together[0].__dict__


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("b", [1, 8, 64])
def test_grouped_batch_norm_is_separate_batches_in_every_layout(b, layout):
    """The gradient, the norm and the running statistics, the ragged last batch too."""
    torch.manual_seed(0)
    x, y = torch.randn(200 + 3, 3, 8, 8).double(), torch.arange(203) % 10
    x = x.contiguous(memory_format=layout)
    nets = [models.build("cnn_bn", (3, 8, 8), 10, seed=0).double() for _ in range(2)]
    norms = [
        full_gradient_norm(net, (x, y), estimator="authors", batch_size=b, chunk=chunk)
        for net, chunk in zip(nets, (203, 1), strict=True)
    ]
    assert norms[0] == pytest.approx(norms[1], rel=1e-10)
    for a, b_ in zip(nets[0].buffers(), nets[1].buffers(), strict=True):
        torch.testing.assert_close(a, b_, rtol=1e-10, atol=1e-12)


def test_grouped_batch_norm_keeps_channels_last_and_copies_nothing():
    net = nn.BatchNorm2d(6).double()
    x = torch.randn(12, 6, 4, 4).double().contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    seen = []

    class Calls(TorchDispatchMode):
        def __torch_dispatch__(self, call, types, args=(), kwargs=None):
            seen.append(call)
            return call(*args, **(kwargs or {}))

    with Calls(), grouped_batch_norm(net, 4):
        y = net(x)
        (y * y.detach().cos()).sum().backward()
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert x.grad.is_contiguous(memory_format=torch.channels_last)
    assert not [c for c in seen if "clone" in str(c) or "contiguous" in str(c)]
    assert torch.ops.aten._local_scalar_dense.default not in seen  # nothing waits for a GPU
    assert torch.ops.aten.lift_fresh.default not in seen  # no number is sent to it


@pytest.mark.parametrize("affine", [False, True])
def test_grouped_batch_norm_has_the_right_gradient(affine):
    net = nn.BatchNorm2d(3, affine=affine).double()
    x = torch.randn(8, 3, 2, 2).double().requires_grad_()
    with grouped_batch_norm(net, 4):
        assert torch.autograd.gradcheck(lambda x: net(x), (x,))
        together = net(x)
        weights = torch.randn_like(together)
        one = torch.autograd.grad((together * weights).sum(), [x, *net.parameters()])
    apart = torch.cat([net(part) for part in x.split(4)])
    other = torch.autograd.grad((apart * weights).sum(), [x, *net.parameters()])
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_grouped_batch_norm_in_bf16_has_its_statistics_in_float32():
    net, x = nn.BatchNorm2d(3), 5 + torch.randn(64, 3, 4, 4)
    with grouped_batch_norm(net, 16):
        y = net(x.bfloat16())
    assert y.dtype == torch.bfloat16
    reference = nn.BatchNorm2d(3)
    for part in x.bfloat16().float().split(16):
        reference(part)
    torch.testing.assert_close(net.running_mean, reference.running_mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(net.running_var, reference.running_var, rtol=1e-4, atol=1e-5)


def test_a_batch_of_one_value_a_channel_is_refused_in_a_shared_pass():
    net = nn.BatchNorm1d(3)
    with grouped_batch_norm(net, 1), pytest.raises(ValueError, match="more than 1 value"):
        net(torch.randn(4, 3))


def test_a_residual_net_in_one_pass_is_the_loop_over_batches():
    x, y = images(28)
    nets = [models.build("resnet18", (1, 8, 8), 10, seed=0).double() for _ in range(2)]
    together, apart = (
        full_gradient_norm(net, (x.double(), y), estimator="authors", batch_size=8, chunk=chunk)
        for net, chunk in zip(nets, (28, 1), strict=True)
    )
    assert together == pytest.approx(apart, rel=1e-10)
    for a, b in zip(*(net.state_dict().values() for net in nets), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_batch_norm_without_running_statistics():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.BatchNorm2d(1, track_running_stats=False), nn.Flatten(), nn.Linear(64, 10)
    )
    x, y = images(40)
    values = [
        full_gradient_norm(net, (x, y), estimator="authors", batch_size=8, chunk=chunk)
        for chunk in (8, 40)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_the_two_estimators_agree_without_batch_norm_where_b_divides_n():
    net, (x, y) = plain(), images(48)
    exact = full_gradient_norm(net, (x, y))
    assert full_gradient_norm(net, (x, y), estimator="authors", batch_size=8) == pytest.approx(
        exact, rel=1e-5
    )
    ragged = full_gradient_norm(net, (x, y), estimator="authors", batch_size=32)
    assert abs(ragged / exact - 1) > 1e-3


def test_only_batch_norm_counts_as_batch_norm():
    assert not has_batch_norm(plain())
    assert has_batch_norm(batch_norm())
    assert not has_batch_norm(nn.Sequential(nn.GroupNorm(1, 4), nn.LayerNorm(3)))


@pytest.mark.parametrize("make", [plain, batch_norm])
@pytest.mark.parametrize("chunk", [1, 7, None])
def test_gradient_noise_is_the_loop_over_samples(make, chunk):
    net, (x, y) = make(), images(30)
    reference = copy.deepcopy(net).double().eval()
    each = torch.stack(
        [
            torch.cat(
                [g.flatten() for g in gradient(reference, x[i : i + 1].double(), y[i : i + 1])]
            )
            for i in range(30)
        ]
    )
    mean = each.mean(0)
    variance = float((each - mean).square().sum(1).mean())
    before = state(net)
    noise = gradient_noise(net, (x, y), chunk=chunk)
    assert noise.full_gradient_norm == pytest.approx(float(mean.norm()), rel=1e-5)
    assert noise.variance == pytest.approx(variance, rel=1e-5)
    assert noise.noise_scale == pytest.approx(variance / float(mean.norm()) ** 2, rel=1e-4)
    diversity = float(each.square().sum() / each.sum(0).square().sum())  # DiveBatch's, times n
    assert noise.diversity == pytest.approx(30 * diversity, rel=1e-4)
    assert noise.full_gradient_norm == pytest.approx(full_gradient_norm(net, (x, y)), rel=1e-5)
    assert net.training
    assert all(torch.equal(before[name], t) for name, t in net.state_dict().items())


@pytest.mark.parametrize("b", [1, 4, 16])
def test_mini_batch_gradients_have_variance_sigma_squared_over_b(b):
    net, (x, y) = plain(), images(40)
    noise = gradient_noise(net, (x, y))
    full = torch.cat([g.flatten() for g in full_gradient(net, (x, y))])
    generator, draws, total = torch.Generator().manual_seed(1), 2000, 0.0
    for _ in range(draws):
        batch = torch.randint(0, 40, (b,), generator=generator)
        drawn = torch.cat([g.flatten() for g in gradient(net, x[batch], y[batch])])
        total += float((drawn.double() - full).square().sum())
    assert total / draws == pytest.approx(noise.variance / b, rel=0.1)


def test_no_mean_gradient_no_noise_scale():
    net = nn.Linear(1, 2, bias=False)
    nn.init.zeros_(net.weight)
    opposite = gradient_noise(net, (torch.ones(2, 1), torch.tensor([0, 1])))
    assert opposite.noise_scale == float("inf")
    nothing = gradient_noise(net, (torch.zeros(2, 1), torch.tensor([0, 1])))
    assert nothing.noise_scale != nothing.noise_scale


def test_bad_input_is_refused():
    net, both = plain(), images(4)
    with pytest.raises(ValueError, match="estimator must be one of exact, authors"):
        full_gradient_norm(net, both, estimator="author")
    with pytest.raises(ValueError, match="batch_size must be given for the authors' estimator"):
        full_gradient_norm(net, both, estimator="authors")
    with pytest.raises(ValueError, match="batch_size must be a whole number >= 1, got 0"):
        full_gradient_norm(net, both, estimator="authors", batch_size=0)
    for estimator in ("exact", "authors"):
        with pytest.raises(ValueError, match="chunk must be a whole number >= 1, got 0"):
            full_gradient_norm(net, both, estimator=estimator, batch_size=2, chunk=0)
    with pytest.raises(ValueError, match="chunk must be a whole number >= 1, got 0"):
        gradient_noise(net, both, chunk=0)


# Where a loop has changed things: gradients off, parameters frozen or unused, no data


def measurements(net, data):
    """Every measurement of the room, as numbers."""
    return [
        full_gradient_norm(net, data),
        full_gradient_norm(net, data, estimator="authors", batch_size=8),
        norm(full_gradient(net, [data])),
        gradient_noise(net, data).variance,
        NormEstimator().read(net, data),
        NormEstimator(7).read(net, data),
        largest_curvature(net, data, iterations=2).value,
    ]


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_measurements_switch_gradients_on_for_themselves(context):
    net, data = plain(), images(20)
    want = measurements(net, data)
    with context():
        made_here = images(20)  # inference tensors cannot be differentiated through
        assert measurements(net, data) == measurements(net, made_here) == want
        assert not torch.is_grad_enabled()
        assert torch.is_inference_mode_enabled() is (context is torch.inference_mode)
    assert all(p.grad is None for p in net.parameters())


def test_a_model_of_inference_tensors_is_refused():
    with torch.inference_mode():
        net = nn.Linear(2, 2)
    data = (torch.ones(3, 2), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"made outside torch.inference_mode\(\), .*deepcopy"):
        full_gradient_norm(net, data)


class Spare(nn.Module):
    """A net with a layer that it does not use."""

    def __init__(self, net):
        super().__init__()
        self.net, self.spare = net, nn.Linear(3, 3)

    def forward(self, x):
        return self.net(x)


def test_unused_parameters_count_as_zero():
    data = images(20)
    used, spare = plain(), Spare(plain())
    assert measurements(spare, data)[:-1] == measurements(used, data)[:-1]
    assert [float(g.abs().sum()) for g in full_gradient(spare, data)][-2:] == [0.0, 0.0]
    spare.net.requires_grad_(False)
    assert full_gradient_norm(spare, data) == 0  # what is trained does not matter to the loss


def test_frozen_parameters_count_as_zero_and_stay_frozen():
    net, (x, y) = plain(), images(20)
    whole = full_gradient(net, (x, y))
    first = next(net.parameters()).requires_grad_(False)
    part = full_gradient(net, (x, y))
    assert not part[0].any()
    assert all(map(torch.equal, part[1:], whole[1:]))
    assert full_gradient_norm(net, (x, y)) == pytest.approx(norm(whole[1:]), rel=1e-12)
    trained = [p for p in net.parameters() if p.requires_grad]
    squares = [
        norm(torch.autograd.grad(F.cross_entropy(net(x[[i]]), y[[i]]), trained)) ** 2
        for i in range(20)
    ]
    noise = gradient_noise(net, (x, y))
    assert noise.full_gradient_norm == pytest.approx(norm(whole[1:]), rel=1e-5)
    assert noise.variance == pytest.approx(sum(squares) / 20 - norm(whole[1:]) ** 2, rel=1e-4)
    ones = [torch.ones_like(p) for p in net.parameters()]
    zero_first = [torch.zeros_like(ones[0]), *ones[1:]]
    found, want = (hessian_vector_product(net, (x, y), v) for v in (ones, zero_first))
    assert not found[0].any()
    assert all(map(torch.equal, found, want))  # what is frozen does not move
    assert not first.requires_grad
    net.requires_grad_(False)
    with pytest.raises(ValueError, match="requires_grad=True, got 4 frozen ones: unfreeze"):
        full_gradient_norm(net, (x, y))


@pytest.mark.parametrize(
    "measure",
    [
        full_gradient_norm,
        lambda net, data: full_gradient_norm(net, data, estimator="authors", batch_size=2),
        lambda net, data: hessian_vector_product(net, data, list(net.parameters())),
    ],
)
def test_no_batches_and_unequal_lengths_are_refused(measure):
    x, y = images(4)
    for nothing in ([], iter(()), (x[:0], y[:0])):
        with pytest.raises(ValueError, match="at least one sample, got none: a generator that"):
            measure(plain(), nothing)
    with pytest.raises(ValueError, match="one label an image, got 4 images and 3 labels"):
        measure(plain(), [(x, y[:3])])


def test_noise_of_no_samples_or_unequal_lengths_is_refused():
    x, y = images(4)
    with pytest.raises(ValueError, match="at least one sample"):
        gradient_noise(plain(), (x[:0], y[:0]))
    with pytest.raises(ValueError, match="4 images and 3 labels"):
        gradient_noise(plain(), (x, y[:3]))


def test_the_start_of_a_power_iteration_is_drawn_on_the_cpu():
    net, data = plain(), images(4)
    want = largest_curvature(net, data, iterations=1)
    drawn = []
    original = torch.randn

    def randn(*args, **kwargs):
        drawn.append(kwargs.get("device"))
        return original(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn", randn)
        assert largest_curvature(net, data, iterations=1) == want
    assert set(drawn) == {"cpu"}  # whatever torch.set_default_device says
