"""The networks: published sizes, shapes, seeding, and that they learn."""

import math
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from sgdm_lib import data, models

SMALL = ("mlp", "cnn", "cnn_bn")


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def parameters_of(net):
    return sum(p.numel() for p in net.parameters()), len(list(net.parameters()))


def flops(net, shape):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, *shape))
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("name", "classes", "numbers", "tensors"),
    [
        ("resnet18", 100, 11_220_132, 62),
        ("resnet18", 200, 11_271_432, 62),
        ("wideresnet28_10", 10, 36_479_194, 80),
        ("wideresnet28_10", 100, 36_536_884, 80),
        ("mlp", 10, 64 * (3 * 32 * 32 + 1) + 10 * 65, 4),
        ("cnn", 100, 9 * (3 * 16 + 16 * 32 + 32 * 64) + 16 + 32 + 64 + 100 * 257, 8),
        ("cnn_bn", 100, 9 * (3 * 16 + 16 * 32 + 32 * 64) + 2 * (16 + 32 + 64) + 100 * 257, 11),
    ],
)
def test_number_of_parameters(name, classes, numbers, tensors):
    assert parameters_of(models.build(name, (3, 32, 32), classes, seed=0)) == (numbers, tensors)


def test_resnet18_costs_what_the_papers_network_costs():
    net = models.build("resnet18", (3, 32, 32), 100, seed=0)
    assert flops(net, (3, 32, 32)) == pytest.approx(1.111e9, rel=1e-3)


@pytest.mark.parametrize(("size", "mega"), [(8, 0.41), (28, 5), (32, 6), (64, 6)])
def test_cnn_costs_a_few_mflop_at_every_size(size, mega):
    net = models.build("cnn", (3, size, size), 100, seed=0)
    assert flops(net, (3, size, size)) <= mega * 1e6


@pytest.mark.parametrize("name", ["mlp", "cnn", "cnn_bn", "resnet18"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (2, 9, 12)])
def test_logits_have_one_row_per_image(name, shape):
    logits = models.build(name, shape, 7, seed=0)(torch.rand(2, *shape))
    assert logits.shape == (2, 7)
    assert logits.isfinite().all()


def test_wideresnet_maps_images_to_logits():
    net = models.build("wideresnet28_10", (3, 8, 8), 7, seed=0).eval()
    assert net(torch.rand(2, 3, 8, 8)).shape == (2, 7)


def test_resnet18_follows_the_published_layout():
    """Written out from He et al.: stem, then relu(F(x) + shortcut(x)), pooling, linear."""
    net = models.build("resnet18", (3, 16, 16), 5, seed=1).eval()
    x = torch.rand(2, 3, 16, 16)
    h = F.relu(net.bn1(F.conv2d(x, net.conv1.weight, padding=1)))
    assert h.shape[2:] == x.shape[2:], "no pooling and no stride in the stem"
    for index, block in enumerate(net.blocks):
        stride = 2 if index in (2, 4, 6) else 1
        y = block.bn1(F.conv2d(h, block.conv1.weight, stride=stride, padding=1)).clamp(min=0)
        y = block.bn2(F.conv2d(y, block.conv2.weight, padding=1))
        if stride == 2:
            h = block.shortcut[1](F.conv2d(h, block.shortcut[0].weight, stride=2))
        h = (y + h).clamp(min=0)
    assert h.shape == (2, 512, 2, 2)
    expected = h.mean((2, 3)) @ net.fc.weight.T + net.fc.bias
    torch.testing.assert_close(net(x), expected)


def test_wideresnet_follows_the_published_layout():
    """Written out from Zagoruyko & Komodakis: BN-relu-conv twice, shortcut from the first relu."""
    net = models.WideResNet(3, 5, depth=10, width=2).eval()
    for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.bias, -1, 1)
        nn.init.uniform_(norm.running_mean, -1, 1)
    x = torch.rand(2, 3, 16, 16)
    h = F.conv2d(x, net.conv1.weight, padding=1)
    widths = []
    for block, stride in zip(net.blocks, (1, 2, 2), strict=True):
        y = block.bn1(h).clamp(min=0)
        h = F.conv2d(y, block.shortcut.weight, stride=stride)
        y = F.conv2d(y, block.conv1.weight, stride=stride, padding=1)
        h = h + F.conv2d(block.bn2(y).clamp(min=0), block.conv2.weight, padding=1)
        widths.append(h.shape[1])
    assert widths == [32, 64, 128]
    expected = net.fc(net.bn(h).clamp(min=0).mean((2, 3)))
    torch.testing.assert_close(net(x), expected)
    assert len(models.WideResNet(3, 5, depth=16, width=1).blocks) == 6


def test_weights_depend_on_the_seed_alone():
    torch.manual_seed(11)
    first = models.build("cnn", (1, 8, 8), 10, seed=3)
    torch.manual_seed(12)
    torch.rand(5)
    again = models.build("cnn", (1, 8, 8), 10, seed=3)
    other = models.build("cnn", (1, 8, 8), 10, seed=4)
    for p, q, r in zip(*(net.parameters() for net in (first, again, other)), strict=True):
        assert torch.equal(p, q)
        assert not torch.equal(p, r)


def test_building_leaves_the_global_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    models.build("mlp", (1, 8, 8), 10, seed=0)
    with pytest.raises(ValueError, match="use mlp"):
        models.build("cnn", (1, 4, 4), 10, seed=0)
    assert torch.equal(torch.rand(3), expected)


def test_a_default_device_does_not_move_the_network():
    with torch.device("meta"):
        net = models.build("mlp", (1, 8, 8), 10, seed=0)
    same = models.build("mlp", (1, 8, 8), 10, seed=0)
    assert net.fc1.weight.device.type == "cpu"
    assert torch.equal(net.fc1.weight, same.fc1.weight)


@pytest.mark.parametrize("name", models.NAMES)
def test_initial_weights_have_torchs_default_spread(name):
    """Linear layers start uniform in +-1/sqrt(inputs)."""
    net = models.build(name, (3, 8, 8), 100, seed=0)
    layer = [m for m in net.modules() if isinstance(m, nn.Linear)][-1]
    bound = 1 / math.sqrt(layer.in_features)
    assert layer.weight.abs().max() <= bound
    assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_small_nets_treat_the_images_of_a_batch_independently(name):
    net = models.build(name, (1, 8, 8), 10, seed=0)
    assert not any("norm" in type(m).__name__.lower() for m in net.modules())
    x = torch.rand(4, 1, 8, 8)
    alone = torch.cat([net(x[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(net(x), alone)


def test_batchnorm_makes_them_depend_on_each_other_while_training():
    net, x = models.build("cnn_bn", (1, 8, 8), 10, seed=0), torch.rand(4, 1, 8, 8)
    assert not torch.allclose(net(x)[:2], net(x[:2]), atol=1e-3)
    net.eval()
    torch.testing.assert_close(net(x)[:2], net(x[:2]))


@pytest.mark.parametrize("name", SMALL)
def test_small_nets_run_under_vmap(name):
    nets = [models.build(name, (1, 8, 8), 10, seed=s) for s in range(2)]
    params, buffers = torch.func.stack_module_state(nets)
    x = torch.rand(4, 1, 8, 8)
    out = torch.func.vmap(lambda p, b: torch.func.functional_call(nets[0], (p, b), (x,)))(
        params, buffers
    )
    torch.testing.assert_close(out, torch.stack([net(x) for net in nets]))


@pytest.mark.parametrize(
    ("name", "steps", "accuracy"), [("mlp", 200, 0.85), ("cnn", 200, 0.7), ("cnn_bn", 200, 0.85)]
)
def test_small_nets_learn_digits(name, steps, accuracy):
    digits = data.load("digits")
    x, y = digits.x_train.float() / 255, digits.y_train
    net = models.build(name, digits.shape, 10, seed=0)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for step in range(steps):
        batch = data.epoch_permutation(len(y), 0, step)[:64]
        optimizer.zero_grad()
        F.cross_entropy(net(x[batch]), y[batch]).backward()
        optimizer.step()
    with torch.no_grad():
        guess = net(digits.x_test.float() / 255).argmax(1)
    assert (guess == digits.y_test).float().mean() > accuracy


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet19", (3, 32, 32), 100, 0), "did you mean 'resnet18'"),
        (("mlp", (3, 32), 10, 0), "channels, height, width"),
        (("mlp", (3, 0, 32), 10, 0), "height in shape must be a whole number >= 1, got 0"),
        (("mlp", (1, 8, 8), 1, 0), "classes must be a whole number >= 2, got 1"),
        (("mlp", (1, 8, 8), 10, -1), "seed must be a whole number >= 0"),
        (("cnn", (1, 7, 9), 10, 0), "smaller side of the image .* >= 8, got 7: use mlp"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    name, shape, classes, seed = arguments
    with pytest.raises(ValueError, match=message):
        models.build(name, shape, classes, seed=seed)


def test_models_and_data_do_not_import_torchvision():
    code = (
        "import sys; from sgdm_lib import augment, data, models;"
        "sys.exit(any(m.split('.')[0] in ('torchvision', 'matplotlib') "
        "for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
