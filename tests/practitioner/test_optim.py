"""SHB, NSHB and QHM against their equations written out in numpy, and as optimizers."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
import torch
from optim_helpers import ALL, HYPER, close, noisy_gradient, parameters, walk, written_out_step
from torch import nn

from sgdm_lib.optim import NSHB, QHM, SHB, methods, nesterov_to_qhm, shb_to_nshb_lr

# Against the equations


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    ("dtype", "steps", "tolerance"),
    [(torch.float64, 1000, 1e-12), (torch.float32, 300, 1e-4), (torch.bfloat16, 20, 0.1)],
)
def test_written_out_reference_on_groups_shapes_and_dtypes(kind, dtype, steps, tolerance):
    own = [
        {"lr": 0.1, "momentum": 0.9, "nu": 0.7, "weight_decay": 0.0},
        {"lr": 0.03, "momentum": 0.5, "nu": 0.2, "weight_decay": 0.01},
        {"lr": 0.2, "momentum": 0.0, "nu": 1.0, "weight_decay": 0.0},
    ]
    keys = (*HYPER[kind], "weight_decay")
    params = [parameters(dtype=dtype, seed=i) for i in range(3)]
    groups = [{"params": p, **{k: o[k] for k in keys}} for p, o in zip(params, own, strict=True)]
    expected = [[p.detach().double().numpy() for p in group] for group in params]
    buffers = [[np.zeros_like(p) for p in group] for group in expected]
    optimizer, rng = kind(groups, lr=1.0), np.random.default_rng(2)
    for _ in range(steps):
        for i, group in enumerate(params):
            for j, p in enumerate(group):
                g = noisy_gradient(expected[i][j], rng)
                p.grad = torch.tensor(g, dtype=dtype)
                expected[i][j], buffers[i][j] = written_out_step(
                    kind, expected[i][j], buffers[i][j], g, **own[i]
                )
        optimizer.step()
    for group, wanted, moments in zip(params, expected, buffers, strict=True):
        for p, want, m in zip(group, wanted, moments, strict=True):
            close(p.detach().double(), torch.as_tensor(want), tolerance, tolerance)
            buffer = optimizer.state[p]["momentum_buffer"]
            assert buffer.dtype == dtype
            close(buffer.double(), torch.as_tensor(m), tolerance, tolerance)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("tensors", [False, True])
def test_every_hyperparameter_may_change_at_every_step_also_momentum_through_zero(kind, tensors):
    rng = np.random.default_rng(3)
    plan = rng.uniform(0, 0.95, (60, 3))
    plan[20:23, 1] = 0.0
    (p,) = parameters([(5,)])
    wrap = (lambda v: torch.tensor(v, dtype=torch.float64)) if tensors else float
    optimizer = kind([p], **{name: wrap(0.5) for name in HYPER[kind]})
    want, m, noise = p.detach().numpy().copy(), np.zeros(5), np.random.default_rng(4)
    for row in plan:
        now = dict(zip(("lr", "momentum", "nu"), map(float, row), strict=True))
        for name in HYPER[kind]:
            group = optimizer.param_groups[0]
            if tensors:
                group[name].fill_(now[name])
            else:
                group[name] = now[name]
        g = noisy_gradient(want, noise)
        p.grad = torch.tensor(g)
        want, m = written_out_step(kind, want, m, g, **now)
        optimizer.step()
    close(p.detach(), torch.as_tensor(want))


@pytest.mark.parametrize("kind", ALL)
def test_tensors_give_what_floats_give(kind):
    floats = kind(parameters(), lr=0.1)
    tensors = kind(
        parameters(),
        lr=torch.tensor(0.1, dtype=torch.float64),
        momentum=torch.tensor(0.9, dtype=torch.float64),
    )
    for a, b in zip(walk(floats, 200), walk(tensors, 200), strict=True):
        close(a, b)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("grad_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "permuted", "strided"])
def test_the_layout_in_memory_makes_no_difference(kind, grad_format, layout):
    w = torch.randn(4, 3, 2, 2, dtype=torch.float64)
    room = torch.zeros(4, 3, 2, 4, dtype=torch.float64)
    p = {
        "contiguous": w.clone(),
        "channels_last": w.contiguous(memory_format=torch.channels_last),
        "permuted": w.permute(1, 0, 2, 3).contiguous().permute(1, 0, 2, 3),
        "strided": room[..., ::2].copy_(w),
    }[layout].requires_grad_()
    g, optimizer = torch.randn_like(w), kind([p], lr=0.1)
    want, m = w.numpy(), np.zeros(w.shape)
    for _ in range(3):
        p.grad = g.contiguous(memory_format=grad_format)
        want, m = written_out_step(kind, want, m, g.numpy(), lr=0.1, momentum=0.9, nu=0.7)
        optimizer.step()
    close(p.detach(), torch.as_tensor(want))
    assert not room[..., 1::2].any()  # nothing was written between the elements


# As an optimizer among others


@pytest.mark.parametrize("kind", ALL)
def test_a_compiled_step_follows_tensors_without_being_compiled_again(kind):
    from torch._dynamo.testing import CompileCounter  # takes seconds

    torch._dynamo.reset()
    names, rng = HYPER[kind], np.random.default_rng(0)
    ours = kind(parameters(), **{n: torch.tensor(0.5, dtype=torch.float64) for n in names})
    reference = kind(parameters(), **dict.fromkeys(names, 0.5))
    counter = CompileCounter()
    walk(ours, 1)
    walk(reference, 1)
    ours.step = torch.compile(ours.step, backend=counter)
    values = rng.uniform(0.1, 0.9, (12, 3))

    def set_both(t):
        for name, value in zip(names, values[t], strict=False):
            ours.param_groups[0][name].fill_(value)
            reference.param_groups[0][name] = float(value)

    rows = [walk(o, 12, each_step=set_both) for o in (ours, reference)]
    for a, b in zip(*rows, strict=True):
        close(a, b)
    assert counter.frame_count == 1
    torch._dynamo.reset()


@pytest.mark.parametrize("kind", ALL)
def test_state_dict_round_trip_goes_on_with_the_same_bits(kind):
    whole = kind(parameters(), lr=0.1, weight_decay=0.01)
    walk(whole, 5)
    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    file.seek(0)
    params = [p.detach().clone().requires_grad_() for p in whole.param_groups[0]["params"]]
    other = kind(params, lr=9.0, momentum=0.1)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert other.param_groups[0]["lr"] == 0.1
    assert all(map(torch.equal, walk(whole, 20), walk(other, 20)))


def test_the_state_of_torchs_sgd_can_be_loaded_also_without_buffers():
    (p,) = parameters([(3,)])
    plain = torch.optim.SGD([p], lr=0.1, momentum=0.9)
    plain.state[p]["momentum_buffer"] = None
    ours = SHB([p], lr=0.2)
    ours.load_state_dict(plain.state_dict())
    before = p.detach().clone()
    p.grad = torch.ones_like(p)
    ours.step()
    close(p.detach(), before - 0.1)


@pytest.mark.parametrize("kind", ALL)
def test_copies_and_groups_added_later(kind):
    (p, q) = parameters([(2,), (2,)])
    optimizer = copy.deepcopy(kind([("weight", p)], lr=0.1))
    optimizer.add_param_group({"params": [("bias", q)], "momentum": 0.5})
    assert [g["momentum"] for g in optimizer.param_groups] == [0.9, 0.5]
    before = q.detach().clone()
    q.grad = torch.ones_like(q)
    optimizer.step()  # the other group has no gradient: left alone, no state
    assert not torch.equal(q, before)
    assert len(optimizer.state) == 1


@pytest.mark.parametrize("kind", ALL)
def test_two_optimizers_that_load_one_state_go_on_independently(kind):
    def build():
        params = parameters([(3,), (2, 2)])
        return kind(params, lr=torch.tensor(0.1, dtype=torch.float64)), params

    trunk, params = build()
    walk(trunk, 5)
    state = trunk.state_dict()
    alone, branch = (copy.deepcopy(trunk), build())
    with torch.no_grad():
        for p, q in zip(params, branch[1], strict=True):
            q.copy_(p)
    branch[0].load_state_dict(state)
    want = walk(alone, 4, seed=2)
    walk(trunk, 7, seed=3)  # the trunk goes on, and its lr changes
    trunk.param_groups[0]["lr"].fill_(0.5)
    found = walk(branch[0], 4, seed=2)
    assert all(map(torch.equal, found, want))
    held = {id(t) for each in trunk.state.values() for t in each.values()}
    assert held.isdisjoint(id(t) for each in branch[0].state.values() for t in each.values())
    assert float(branch[0].param_groups[0]["lr"]) == 0.1


@pytest.mark.parametrize("kind", ALL)
def test_numbers_of_numpy_become_floats_wherever_they_come_from(kind):
    lr = np.geomspace(0.01, 0.1, 3)[0]
    groups = [
        {"params": p, **more}
        for p, more in zip(
            ([p] for p in parameters([(1,), (1,)])),
            ({}, {"lr": lr, "momentum": np.float32(0.5)}),
            strict=True,
        )
    ]
    optimizer = kind(groups, lr=lr, momentum=np.float64(0.5), weight_decay=np.int64(0))
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    for group in (*saved["param_groups"], optimizer.defaults):
        for name in ("lr", "momentum", "weight_decay"):
            assert type(group[name]) is float
    saved["param_groups"][1]["lr"] = lr  # as older checkpoints have it
    optimizer.load_state_dict(saved)
    assert type(optimizer.param_groups[1]["lr"]) is float
    saved["param_groups"][1]["lr"] = -1.0
    with pytest.raises(ValueError, match="lr must be a finite number >= 0, got -1"):
        optimizer.load_state_dict(saved)


class Wrapped(torch.Tensor):
    """A subclass that refuses fused kernels, as DTensor does, and lists of several tensors."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if "fused" in name or (name.startswith("_foreach") and len(args[0]) > 1):
            raise NotImplementedError(f"no strategy for {name}")
        return super().__torch_function__(function, types, args, kwargs or {})


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("tensors", [False, True])
def test_subclasses_of_tensors_take_the_same_step_one_by_one(kind, tensors):
    wrap = (lambda v: torch.tensor(v, dtype=torch.float64)) if tensors else float
    plain = parameters([(3,), (2, 2)])
    wrapped = [p.detach().clone().as_subclass(Wrapped).requires_grad_() for p in plain]
    plain.append(nn.Parameter(torch.ones(2, dtype=torch.float64)))  # mixed with torch's own
    wrapped.append(nn.Parameter(torch.ones(2, dtype=torch.float64)))
    options = {"lr": wrap(0.1), "momentum": wrap(0.9), "weight_decay": 0.01}
    want, found = (walk(kind(p, **options), 5) for p in (plain, wrapped))
    for a, b in zip(want, found, strict=True):
        close(a, torch.Tensor(b.as_subclass(torch.Tensor)))


@pytest.mark.filterwarnings("ignore")  # torch's own
@pytest.mark.parametrize("kind", ALL)
def test_fully_sharded_parameters_take_the_same_step(kind, tmp_path):
    fsdp = pytest.importorskip("torch.distributed.fsdp", reason="no FSDP in this torch")
    distributed = torch.distributed
    if not (distributed.is_gloo_available() and hasattr(fsdp, "fully_shard")):
        pytest.skip("needs gloo and fully_shard")

    def train(shard):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 3))
        if shard:
            fsdp.fully_shard(net[0])
            fsdp.fully_shard(net)
        optimizer = kind(net.parameters(), lr=0.01, weight_decay=0.01)
        for k in range(3):
            optimizer.zero_grad()
            net(torch.full((2, 4), float(k))).square().sum().backward()
            optimizer.step()
            optimizer.load_state_dict(optimizer.state_dict())
        return [p.full_tensor() if shard else p for p in net.parameters()]

    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'rendezvous'}", rank=0, world_size=1
    )
    try:
        for a, b in zip(train(False), train(True), strict=True):
            torch.testing.assert_close(a, b)
    finally:
        distributed.destroy_process_group()


@pytest.mark.parametrize("kind", ALL)
def test_closure_is_called_once_with_gradients_and_its_loss_returned(kind):
    p, calls = torch.ones(1, requires_grad=True), []
    optimizer = kind([p], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (p**2).sum()
        loss.backward()
        calls.append(torch.is_grad_enabled())
        return loss

    assert optimizer.step(closure).item() == 1.0
    assert calls == [True]
    assert p.item() < 1
    assert optimizer.step() is None


@pytest.mark.parametrize("kind", ALL)
def test_gradients_stay_as_they_are(kind):
    (p,) = parameters([(3,)])
    p.grad = torch.ones_like(p)
    kind([p], lr=0.1, weight_decay=0.1).step()
    assert torch.equal(p.grad, torch.ones_like(p))


# Bad input


@pytest.mark.parametrize("kind", ALL)
def test_sparse_and_complex_are_refused(kind):
    embedding = nn.Embedding(3, 2, sparse=True)
    embedding(torch.tensor([0])).sum().backward()
    with pytest.raises(RuntimeError, match=r"dense gradients.*sparse.*shape \(3, 2\).*sparse=Fal"):
        kind(embedding.parameters(), lr=0.1).step()
    with pytest.raises(TypeError, match=r"real parameters, got torch.complex64: use torch.view_as"):
        kind([torch.zeros(1, dtype=torch.complex64, requires_grad=True)], lr=0.1)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"lr": -0.1}, "lr must be a finite number >= 0, got -0.1: use a learning rate such as"),
        ({"lr": float("nan")}, "lr must be a finite number >= 0, got nan"),
        ({"lr": "0.1"}, "lr must be a finite number >= 0, got '0.1'"),
        ({"lr": torch.tensor(float("nan"))}, r"lr must be a finite number >= 0, got nan: use"),
        ({"lr": torch.tensor(-1.0)}, r"lr must be a finite number >= 0, got -1"),
        ({"lr": torch.ones(2)}, r"lr must be a float or a 0-dim tensor.*\(2,\): pass one number"),
        ({"momentum": 1.0}, "momentum must be a finite number >= 0 and < 1, got 1.0: use a mom"),
        ({"momentum": -0.5}, "momentum must be a finite number >= 0 and < 1, got -0.5"),
        ({"weight_decay": -1.0}, "weight_decay must be a finite number >= 0, got -1.0: use 0"),
    ],
)
def test_values_out_of_range_are_refused_for_all_and_for_a_group(kind, bad, message):
    with pytest.raises(ValueError, match=message):
        kind(parameters(), **{"lr": 0.1, **bad})
    with pytest.raises(ValueError, match=message):
        kind([{"params": parameters(), **bad}], lr=0.1)


def test_other_bad_input():
    with pytest.raises(ValueError, match=r"nu must be a finite number >= 0 and <= 1, got 1.1: use"):
        QHM(parameters(), lr=0.1, nu=1.1)
    with pytest.raises(ValueError, match=r"momentum must be .* < 1, got 1: use a momentum"):
        shb_to_nshb_lr(0.1, 1)
    with pytest.raises(ValueError, match=r"lr must be .* >= 0, got -1"):
        nesterov_to_qhm(-1, 0.9)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_half_precision_on_a_cpu_is_never_fused(monkeypatch, dtype):
    """Before torch 2.14 the fused kernel is wrong there (pytorch#191763)."""
    taken = []
    monkeypatch.setattr(methods, "_fused", lambda *a, **k: taken.append(a))
    p = torch.zeros(64, dtype=dtype, requires_grad=True)
    p.grad = torch.ones_like(p)
    NSHB([p], lr=1.0).step()
    assert bool(taken) == (dtype == torch.float32)
    if not taken:
        torch.testing.assert_close(p.detach(), torch.full_like(p, -0.1), rtol=0.02, atol=0)
