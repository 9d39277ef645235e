"""BatchSizeScheduler and PlanLR, and a whole loop resumed from a checkpoint."""

from __future__ import annotations

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from loader_helpers import growing, layer_norm_net, plans, written_out_batches
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sgdm_lib.data import epoch_permutation
from sgdm_lib.loaders import BatchSizeScheduler, PlanBatchSampler, PlanLR, schedulers
from sgdm_lib.optim import NSHB, QHM, SHB
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.schedules import Cosine, Piecewise, StageGrowth, linear
from sgdm_lib.study import papers

# BatchSizeScheduler


@settings(deadline=None, max_examples=30)
@given(plans())
def test_batch_size_scheduler_walks_through_the_plan(plan):
    scheduler = BatchSizeScheduler(plan)
    cuts, sizes = [], []
    while not scheduler.finished:
        at = scheduler.position
        order = epoch_permutation(plan.n_train, 2, scheduler.epoch)
        cuts.append(order[at.first : at.last].tolist())
        sizes.append(scheduler.batch_size)
        scheduler.step()
    assert cuts == written_out_batches(plan, 2)
    assert sizes == [
        int(b) for b, s in zip(plan.batch_sizes, plan.steps, strict=True) for _ in range(s)
    ]
    assert (scheduler.epoch, scheduler.batch_size) == (plan.epochs, plan.batch_sizes[-1])
    with pytest.raises(ValueError, match=f"got {plan.total_steps}: the plan ends there"):
        scheduler.step()


def test_batch_size_scheduler_state_round_trip_is_plain_data():
    scheduler = BatchSizeScheduler(growing())
    for _ in range(29):
        scheduler.step()
    file = io.BytesIO()
    torch.save(scheduler.state_dict(), file)
    file.seek(0)
    other = BatchSizeScheduler(growing())
    other.load_state_dict(torch.load(file, weights_only=True))
    assert other.position == scheduler.position == growing().position(29)


@pytest.mark.parametrize("kind", [BatchSizeScheduler, lambda plan: PlanLR(sgd(), plan)])
def test_state_of_another_plan_is_refused_with_both_fingerprints_and_the_fix(kind):
    plan, other = growing(), growing(epochs=8)
    state = kind(other).state_dict()
    with pytest.raises(ValueError, match="build the plan that the state was saved with") as error:
        kind(plan).load_state_dict(state)
    assert plan.fingerprint in str(error.value)
    assert other.fingerprint in str(error.value)


@pytest.mark.parametrize("kind", [BatchSizeScheduler, lambda plan: PlanLR(sgd(), plan)])
@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"step": 1}, r"must have step and plan, got \['step'\]: give what its state_dict"),
        (None, "must have step and plan, got NoneType"),
        ({"step": 49, "plan": growing().fingerprint}, "step of the state .* <= 48, got 49"),
        ({"step": -1, "plan": growing().fingerprint}, "step of the state .* >= 0 .*, got -1"),
    ],
)
def test_a_state_that_is_none_is_refused(kind, state, message):
    with pytest.raises(ValueError, match=message):
        kind(growing()).load_state_dict(state)


# PlanLR


def sgd(**options):
    parameter = torch.zeros(1, requires_grad=True)
    parameter.grad = torch.zeros(1)
    return torch.optim.SGD([parameter], **{"lr": 0.1, "momentum": 0.9, **options})


def moving_plan():
    return TrainingPlan(
        30,
        4,
        StageGrowth(5, 2, every=2),
        linear(0.5),
        momentum=Piecewise((0.9, 0.0, 0.5), (1, 2)),
        nu=Cosine(1.0),
    )


@pytest.mark.parametrize("tensors", [False, True])
def test_plan_lr_sets_every_step_of_every_group(tensors):
    wrap = (lambda v: torch.tensor(v, dtype=torch.float64)) if tensors else float
    groups = [{"params": [torch.zeros(1, requires_grad=True)]} for _ in range(3)]
    groups[1]["lr"] = wrap(0.05)
    optimizer = QHM(groups, lr=wrap(0.5), momentum=wrap(0.9), nu=wrap(1.0))
    held = [group["lr"] for group in optimizer.param_groups]
    plan = moving_plan()
    scheduler = PlanLR(optimizer, plan)
    for step in range(plan.total_steps):
        want = plan.at(step)
        for group, ratio in zip(optimizer.param_groups, (1.0, 0.1, 1.0), strict=True):
            assert float(group["lr"]) == pytest.approx(want["lr"] * ratio, rel=1e-15)
            assert (float(group["momentum"]), float(group["nu"])) == (want["momentum"], want["nu"])
        assert [float(lr) for lr in scheduler.get_last_lr()] == [
            float(group["lr"]) for group in optimizer.param_groups
        ]
        optimizer.step()
        scheduler.step()
    if tensors:  # the same tensors all along: what a compiled step holds on to
        assert all(group["lr"] is t for group, t in zip(optimizer.param_groups, held, strict=True))
        assert float(optimizer.defaults["lr"]) == 0.5
    assert float(optimizer.param_groups[0]["lr"]) == plan.at(plan.total_steps - 1)["lr"]
    with pytest.raises(ValueError, match=r"step must be <= 18, .* got 19: the plan ends there"):
        scheduler.step()


def test_plan_lr_leaves_optimizers_without_momentum_or_nu_as_they_are():
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=0.5)
    before = {k: v for k, v in optimizer.param_groups[0].items() if k not in ("lr", "params")}
    scheduler = PlanLR(optimizer, moving_plan())
    optimizer.step()
    scheduler.step()
    after = optimizer.param_groups[0]
    assert after["lr"] == moving_plan().at(1)["lr"]
    assert {k: after[k] for k in before} == before
    assert "momentum" not in after


@pytest.mark.parametrize("optimizer_first", [False, True])
@pytest.mark.parametrize("tensor_lr", [False, True])
def test_plan_lr_resumes_in_either_order_of_loading(optimizer_first, tensor_lr):
    def build(lr):
        lr = torch.tensor(lr) if tensor_lr else lr
        own = torch.tensor(0.01) if tensor_lr else 0.01
        groups = [{"params": [torch.zeros(1, requires_grad=True)]} for _ in range(2)]
        groups[1]["lr"] = own
        optimizer = SHB(groups, lr=lr)
        return optimizer, PlanLR(optimizer, plan)

    plan = TrainingPlan(30, 4, 5, linear(0.1))
    optimizer, scheduler = build(0.1)
    for _ in range(7):
        optimizer.step()
        scheduler.step()
    saved = copy.deepcopy((optimizer.state_dict(), scheduler.state_dict()))
    again, resumed = build(0.1)
    loads = [(again, saved[0]), (resumed, saved[1])]
    for target, state in loads if optimizer_first else reversed(loads):
        target.load_state_dict(state)
    for _ in range(plan.total_steps - 7):
        for a, b in zip(optimizer.param_groups, again.param_groups, strict=True):
            assert float(a["lr"]) == float(b["lr"])
            assert a["momentum"] == b["momentum"]
        assert scheduler.last_epoch == resumed.last_epoch
        for each in (optimizer, scheduler, again, resumed):
            each.step()


def test_a_scheduler_made_anew_on_a_running_optimizer_keeps_the_ratios():
    plan = TrainingPlan(30, 4, 5, linear(0.1))
    groups = [{"params": [torch.zeros(1, requires_grad=True)]} for _ in range(2)]
    groups[1]["lr"] = torch.tensor(0.01, dtype=torch.float64)
    optimizer = NSHB(groups, lr=torch.tensor(0.1, dtype=torch.float64))
    scheduler = PlanLR(optimizer, plan)
    for _ in range(12):
        optimizer.step()
        scheduler.step()
    PlanLR(optimizer, plan).load_state_dict(scheduler.state_dict())
    first, second = (float(group["lr"]) for group in optimizer.param_groups)
    assert first == plan.at(12)["lr"]
    assert second == pytest.approx(first / 10, rel=1e-15)


def test_plan_lr_refuses_to_switch_momentum_on():
    with pytest.raises(ValueError, match=r"got SGD with 0: give it momentum=0.9, or the plan"):
        PlanLR(sgd(momentum=0.0), growing())
    PlanLR(sgd(momentum=0.0), TrainingPlan(10, 1, 5, lr=0.1, momentum=0.0))


def test_plan_lr_refuses_ratios_to_a_zero_lr_and_things_that_are_no_optimizer():
    p = [torch.zeros(1, requires_grad=True) for _ in range(2)]
    optimizer = SHB([{"params": p[:1], "lr": 0.1}, {"params": p[1:]}], lr=0.0)
    with pytest.raises(ValueError, match=r"lr of the optimizer must be > 0 .* got 0 .*first lr"):
        PlanLR(optimizer, growing())
    with pytest.raises(TypeError, match="not an Optimizer"):
        PlanLR(nn.Linear(1, 1), growing())


# Groups that come and go


def ones(n):
    params = [nn.Parameter(torch.zeros(1)) for _ in range(n)]
    for p in params:
        p.grad = torch.ones(1)
    return params


def advance(optimizer, scheduler, steps=1):
    for _ in range(steps):
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("kind", [NSHB, torch.optim.SGD, torch.optim.AdamW])
def test_a_group_added_later_follows_the_plan_at_its_ratio(kind):
    plan = TrainingPlan(8, 2, 4, lr=Cosine(0.1))
    options = {} if kind is torch.optim.AdamW else {"momentum": 0.9}
    a, b, c = ones(3)
    optimizer = kind([a], lr=0.1, **options)
    scheduler = PlanLR(optimizer, plan)
    optimizer.add_param_group({"params": [b], "lr": 0.01})
    optimizer.add_param_group({"params": [c]})
    for step in range(1, plan.total_steps):
        advance(optimizer, scheduler)
        want = plan.at(step)["lr"]
        assert [g["lr"] for g in optimizer.param_groups] == [want, want * (0.01 / 0.1), want]
        assert scheduler.get_last_lr() == [g["lr"] for g in optimizer.param_groups]


def test_a_group_that_is_removed_leaves_the_others_as_they_are():
    plan = TrainingPlan(8, 2, 4, lr=Cosine(0.1))
    a, b, c = ones(3)
    groups = [{"params": [a]}, {"params": [b], "lr": 0.05}, {"params": [c], "lr": 0.01}]
    optimizer = NSHB(groups, lr=0.1)
    scheduler = PlanLR(optimizer, plan)
    del optimizer.param_groups[1]
    advance(optimizer, scheduler)
    want = plan.at(1)["lr"]
    assert [g["lr"] for g in optimizer.param_groups] == [want, want * (0.01 / 0.1)]
    assert scheduler.base_lrs == [0.1, 0.01]


@pytest.mark.parametrize("optimizer_first", [False, True])
def test_a_state_with_a_group_added_later_is_loaded_in_either_order(optimizer_first):
    plan = TrainingPlan(30, 4, 5, linear(0.1))

    def build():
        a, b = ones(2)
        optimizer = SHB([a], lr=0.1)
        scheduler = PlanLR(optimizer, plan)
        optimizer.add_param_group({"params": [b], "lr": 0.01})
        return optimizer, scheduler

    optimizer, scheduler = build()
    advance(optimizer, scheduler, 9)
    again, resumed = build()
    loads = [(again, optimizer.state_dict()), (resumed, scheduler.state_dict())]
    for target, state in loads if optimizer_first else reversed(loads):
        target.load_state_dict(state)
    for _ in range(plan.total_steps - 9):
        assert [g["lr"] for g in optimizer.param_groups] == [g["lr"] for g in again.param_groups]
        advance(optimizer, scheduler)
        advance(again, resumed)


def test_a_state_with_another_number_of_groups_is_refused_in_a_sentence():
    a, b = ones(2)
    state = NSHB([{"params": [a]}, {"params": [b]}], lr=0.1).state_dict()
    with pytest.raises(ValueError, match=r"groups of \[2\] parameters, got \[1, 1\]: build the"):
        NSHB([a, b], lr=0.1).load_state_dict(state)


def test_a_copied_or_pickled_scheduler_keeps_its_groups_and_ratios():
    plan = TrainingPlan(8, 2, 4, lr=Cosine(0.1))
    a, b = ones(2)
    optimizer = NSHB([{"params": [a]}, {"params": [b], "lr": 0.01}], lr=0.1)
    scheduler = PlanLR(optimizer, plan)
    advance(optimizer, scheduler)
    for other in (copy.deepcopy(scheduler), pickle.loads(pickle.dumps(scheduler))):
        assert other.optimizer is not optimizer
        advance(other.optimizer, other)
        want = plan.at(2)["lr"]
        assert [g["lr"] for g in other.optimizer.param_groups] == [want, want * (0.01 / 0.1)]
    assert optimizer.param_groups[0]["lr"] == plan.at(1)["lr"]


@pytest.mark.parametrize("tensors", [False, True])
def test_a_group_keeps_its_own_momentum_and_nu_and_the_others_follow(tensors):
    wrap = (lambda v: torch.tensor(v, dtype=torch.float64)) if tensors else float
    plan = moving_plan()

    def build():
        a, b, c = ones(3)
        groups = [{"params": [a]}, {"params": [b], "momentum": wrap(0.3)}]
        groups.append({"params": [c], "nu": wrap(0.25)})
        optimizer = QHM(groups, lr=wrap(0.5), momentum=wrap(0.9), nu=wrap(1.0))
        return optimizer, PlanLR(optimizer, plan)

    optimizer, scheduler = build()
    for step in range(plan.total_steps):
        if step == 7:  # a loaded state makes no difference, whatever it holds by then
            again, resumed = build()
            again.load_state_dict(optimizer.state_dict())
            resumed.load_state_dict(scheduler.state_dict())
            optimizer, scheduler = again, PlanLR(again, plan)  # nor a scheduler made anew
            scheduler.load_state_dict(resumed.state_dict())
        want = plan.at(step)
        first, second, third = optimizer.param_groups
        assert (float(first["momentum"]), float(first["nu"])) == (want["momentum"], want["nu"])
        assert (float(second["momentum"]), float(second["nu"])) == (0.3, want["nu"])
        assert (float(third["momentum"]), float(third["nu"])) == (want["momentum"], 0.25)
        advance(optimizer, scheduler)


# Values


def test_every_step_of_the_papers_plans_has_the_bits_of_the_schedules():
    seen = set()
    for experiment in papers.catalogue().values():
        size = {"cifar100": 50_000, "tiny_imagenet": 100_000, "digits": 1437}[experiment.dataset]
        plan = experiment.plan(experiment.n_train or size)
        if plan.fingerprint in seen:
            continue
        seen.add(plan.fingerprint)
        optimizer = sgd(lr=plan.at(0)["lr"], momentum=plan.at(0)["momentum"])
        scheduler = PlanLR(optimizer, plan)
        optimizer.step()
        for epoch in {0, 1, plan.epochs // 2, plan.epochs - 1} & set(range(plan.epochs)):
            first = plan.first_step(epoch)
            for step in {first, first + int(plan.steps[epoch]) - 1} - {0}:
                scheduler.last_epoch = step - 1  # as after so many steps
                scheduler.step()
                group, want = optimizer.param_groups[0], plan.at(step)
                assert group["lr"] == want["lr"], (plan.lr, step)
                if want["momentum"]:
                    assert group["momentum"] == want["momentum"]
                at = epoch if plan.lr.unit == "epoch" else step
                assert want["lr"] == plan.lr(at) == plan.lr(np.array([float(at)]))[0]
    assert len(seen) > 100


def test_numbers_of_numpy_are_stored_as_floats_and_the_state_is_plain_data():
    lr, momentum = np.geomspace(0.01, 0.1, 3)[2], np.float32(0.5)
    for make in (NSHB, torch.optim.SGD):
        optimizer = make(ones(1), lr=lr, momentum=momentum)
        scheduler = PlanLR(optimizer, TrainingPlan(8, 2, 4, lr=Cosine(float(lr))))
        advance(optimizer, scheduler, 2)
        file = io.BytesIO()
        torch.save([optimizer.state_dict(), scheduler.state_dict()], file)
        file.seek(0)
        group = torch.load(file, weights_only=True)[0]["param_groups"][0]
        for name in ("lr", "momentum", "initial_lr", "initial_momentum"):
            assert type(group[name]) is float
        assert [type(value) for value in scheduler.get_last_lr()] == [float]
        assert type(optimizer.defaults["lr"]) is float


@pytest.mark.parametrize("kind", [BatchSizeScheduler, lambda plan: PlanLR(sgd(), plan)])
def test_things_that_are_no_plan_are_refused(kind):
    for wrong in (None, 0.1, growing):
        with pytest.raises(
            ValueError, match=r"plan must be a TrainingPlan, got .*: build one with"
        ):
            kind(wrong)


# Several processes


def test_a_wrapper_that_steps_once_a_process_is_refused_with_several(monkeypatch):
    plan = TrainingPlan(8, 2, 4, lr=Cosine(0.1))
    optimizer = sgd()
    scheduler = PlanLR(optimizer, plan)

    def step_as_accelerate_does(number):  # accelerate.scheduler.AcceleratedScheduler.step
        for _ in range(number):
            if hasattr(scheduler, "total_steps"):
                if scheduler._step_count <= scheduler.total_steps:
                    scheduler.step()
            else:
                scheduler.step()

    for step in range(plan.total_steps):
        assert scheduler.last_epoch == step
        optimizer.step()
        step_as_accelerate_does(1)
    monkeypatch.setattr(schedulers, "processes", lambda: 2)
    with pytest.raises(ValueError, match=r"several processes, got 2: Accelerate .*prepare\(\)"):
        step_as_accelerate_does(2)


# A whole loop


def train(steps, checkpoint=None):
    """Plain PyTorch with dropout; the model after so many steps, and its checkpoint."""
    plan = TrainingPlan(40, 4, StageGrowth(6, 2, every=2), Cosine(0.2))
    torch.manual_seed(7)
    x, y = torch.randn(40, 6), torch.randint(0, 4, (40,))
    model = nn.Sequential(layer_norm_net(torch.float32), nn.Dropout(0.2), nn.Linear(4, 4))
    optimizer = NSHB(model.parameters(), lr=0.2)
    scheduler = PlanLR(optimizer, plan)
    sampler = PlanBatchSampler(plan, seed=7)
    own = torch.Generator()  # else each iter() takes a seed from the stream that dropout uses
    loader = DataLoader(TensorDataset(x, y), batch_sampler=sampler, generator=own)
    parts = (model, optimizer, scheduler)
    if checkpoint:
        for part, state in zip(parts, checkpoint["parts"], strict=True):
            part.load_state_dict(state)
        torch.set_rng_state(checkpoint["rng"])
        sampler.resume_at(scheduler.last_epoch)
    for _ in range(sampler.epoch, plan.epochs):
        for inputs, labels in loader:
            if scheduler.last_epoch == steps:
                break
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
            scheduler.step()
    state = {"parts": [copy.deepcopy(p.state_dict()) for p in parts], "rng": torch.get_rng_state()}
    return model, state


@pytest.mark.parametrize("stop", [0, 1, 7, 13, 14, 17, 18, 22])
def test_a_loop_resumed_at_any_step_ends_with_the_same_bits(stop):
    total = 7 + 7 + 4 + 4
    uninterrupted, _ = train(total)
    _, state = train(stop)
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    resumed, _ = train(total, torch.load(file, weights_only=True))
    for a, b in zip(uninterrupted.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)
