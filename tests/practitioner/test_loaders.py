"""PlanBatchSampler: order, resumption, replicas, a DataLoader with workers."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loader_helpers import forks, growing, plans, written_out_batches
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sgdm_lib.data import epoch_permutation
from sgdm_lib.loaders import PlanBatchSampler, accumulate
from sgdm_lib.plan import TrainingPlan

# The order


@settings(deadline=None, max_examples=50)
@given(plans(), st.integers(0, 2**32 - 1))
def test_iterations_go_through_the_plans_epochs(plan, seed):
    sampler = PlanBatchSampler(plan, seed=seed)
    seen = []
    for epoch in range(plan.epochs):
        assert sampler.epoch == epoch
        length = len(sampler)
        batches = list(sampler)
        assert length == len(batches) == plan.steps[epoch]
        seen += batches
    assert seen == written_out_batches(plan, seed)
    assert sampler.epoch == plan.epochs
    assert len(sampler) == 0


@settings(deadline=None, max_examples=50)
@given(plans(), st.integers(0, 9), st.data())
def test_resuming_at_any_step_equals_the_uninterrupted_run(plan, seed, data):
    everything = written_out_batches(plan, seed)
    step = data.draw(st.integers(0, plan.total_steps - 1))
    sampler = PlanBatchSampler(plan, seed=seed)
    for _ in range(data.draw(st.integers(0, plan.epochs))):
        list(sampler)  # whatever the sampler did before
    sampler.resume_at(step)
    assert sampler.next_step == step
    rest, lengths = [], 0
    for _ in range(sampler.epoch, plan.epochs):
        lengths += len(sampler)
        rest += list(sampler)
    assert rest == everything[step:]
    assert lengths == len(rest)


def test_the_order_depends_on_seed_and_epoch_alone():
    coarse, fine = TrainingPlan(50, 3, 10, lr=0.1), TrainingPlan(50, 3, 5, lr=0.5)
    for epoch in (2, 0, 1):  # in any order
        rows = []
        for plan in (coarse, fine):
            torch.manual_seed(epoch)  # the global state does not matter
            sampler = PlanBatchSampler(plan, seed=3)
            sampler.set_epoch(epoch)
            rows.append(list(chain.from_iterable(sampler)))
        assert rows[0] == rows[1] == epoch_permutation(50, 3, epoch).tolist()
    assert list(PlanBatchSampler(coarse, seed=4)) != list(PlanBatchSampler(coarse, seed=3))


def test_unshuffled_is_the_data_sets_order():
    assert list(chain.from_iterable(PlanBatchSampler(growing(), shuffle=False))) == list(range(100))


def test_set_epoch_chooses_and_then_iterations_go_on():
    plan = growing()
    everything = written_out_batches(plan, 0)
    sampler = PlanBatchSampler(plan)
    sampler.set_epoch(3)
    assert list(sampler) == everything[plan.first_step(3) : plan.first_step(4)]
    assert list(sampler) == everything[plan.first_step(4) : plan.first_step(5)]
    sampler.set_epoch(3)
    assert list(sampler) == everything[plan.first_step(3) : plan.first_step(4)]


def test_set_epoch_keeps_a_start_within_that_epoch_and_drops_another():
    plan = growing()
    everything, step = written_out_batches(plan, 0), growing().first_step(2) + 3
    sampler = PlanBatchSampler(plan)
    sampler.resume_at(step)
    sampler.set_epoch(2)
    sampler.set_epoch(2)
    assert list(sampler) == everything[step : plan.first_step(3)]
    sampler.set_epoch(2)  # a replay starts at the epoch's beginning
    assert list(sampler) == everything[plan.first_step(2) : plan.first_step(3)]
    sampler.resume_at(step)
    sampler.set_epoch(4)
    assert list(sampler) == everything[plan.first_step(4) : plan.first_step(5)]


@pytest.mark.parametrize("announce", [False, True])
def test_length_before_and_within_an_epoch_is_that_epochs(announce):
    plan = growing()  # 13, 13, 7, 7, 4, 4 steps
    sampler = PlanBatchSampler(plan, micro_batch_size=8)  # in pieces: 13, 13, 13, 13, 13, 13
    fine = PlanBatchSampler(plan)
    for each, lengths in ((sampler, [13] * 6), (fine, [13, 13, 7, 7, 4, 4])):
        for epoch in range(plan.epochs):
            if announce:
                each.set_epoch(epoch)
            assert len(each) == lengths[epoch]  # as a progress bar asks before the loop
            assert [len(each) for _ in each] == [lengths[epoch]] * lengths[epoch]
            if announce:  # as an average after the loop does
                assert len(each) == lengths[epoch]


def test_length_after_a_broken_off_epoch_is_the_next_ones_unless_announced():
    plan = growing()
    sampler = PlanBatchSampler(plan)
    list(sampler)
    next(iter(sampler))
    assert len(sampler) == 7
    sampler.set_epoch(1)
    next(iter(sampler))
    assert len(sampler) == 13
    sampler.set_epoch(4)
    assert len(sampler) == 4


def test_length_of_a_rest_is_that_of_the_rest():
    sampler = PlanBatchSampler(growing(), micro_batch_size=5)  # steps of 8 in 2 pieces
    sampler.resume_at(11)
    assert [len(sampler) for _ in sampler] == [3, 3, 3]  # 8 and the last 4


@settings(deadline=None, max_examples=50)
@given(plans(), st.data())
def test_a_whole_run_is_one_iteration(plan, data):
    everything = written_out_batches(plan, 2)
    step = data.draw(st.integers(0, plan.total_steps - 1))
    sampler = PlanBatchSampler(plan, seed=2, whole_run=True)
    sampler.resume_at(step)
    sampler.set_epoch(0)  # a trainer's own count of epochs says nothing here
    assert list(sampler) == everything[step:]
    assert len(sampler) == plan.total_steps
    pieces = PlanBatchSampler(plan, seed=2, whole_run=True, micro_batch_size=3)
    assert len(pieces) == len(list(pieces))


# In a DataLoader


@forks
@pytest.mark.parametrize("persistent", [False, True])
def test_dataloader_with_workers_sees_every_batch_also_after_a_break(persistent):
    plan = growing(60, 5)
    everything = written_out_batches(plan, 1)
    sampler = PlanBatchSampler(plan, seed=1)
    loader = DataLoader(
        range(60), batch_sampler=sampler, num_workers=2, persistent_workers=persistent
    )
    seen = []
    for epoch in range(3):
        assert len(loader) == plan.steps[epoch]
        for i, batch in enumerate(loader):
            seen.append(batch.tolist())
            if epoch == 2 and i == 1:
                break  # workers have been sent more than that
    assert seen == everything[: len(seen)]
    sampler.resume_at(len(seen))
    for _ in range(sampler.epoch, plan.epochs):
        seen += [batch.tolist() for batch in loader]
    assert seen == everything
    with pytest.raises(ValueError, match="the plan ends there"):
        next(iter(loader))


def test_iter_that_is_never_used_does_not_count():
    sampler = PlanBatchSampler(growing())
    iter(sampler)
    assert sampler.epoch == 0
    next(iter(sampler))
    assert sampler.epoch == 1


# Replicas


@settings(deadline=None, max_examples=50)
@given(plans(), st.integers(1, 7), st.one_of(st.none(), st.integers(1, 9)))
def test_shares_partition_each_global_batch_and_weights_restore_the_mean(plan, replicas, size):
    values = torch.rand(plan.n_train, dtype=torch.float64)
    each = [
        PlanBatchSampler(plan, seed=5, micro_batch_size=size, num_replicas=replicas, rank=r)
        for r in range(replicas)
    ]
    whole = iter(written_out_batches(plan, 5))
    for epoch in range(plan.epochs):
        loads = [iter(list(sampler)) for sampler in each]
        for step in range(plan.first_step(epoch), plan.first_step(epoch) + int(plan.steps[epoch])):
            batch, mean, seen = next(whole), 0.0, []
            weights = [sampler.loss_weights(step) for sampler in each]
            assert len({len(w) for w in weights}) == 1  # as many pieces in every replica
            for load, its_weights in zip(loads, weights, strict=True):
                sizes = 0
                for weight in its_weights:
                    piece = next(load)
                    assert size is None or len(piece) <= size
                    mean += weight * values[piece].mean().item() / replicas  # as DDP averages
                    if weight > 0:
                        seen += piece
                        sizes += len(piece)
                assert sizes in (len(batch) // replicas, -(-len(batch) // replicas))
            assert sorted(seen) == sorted(batch)
            assert mean == pytest.approx(values[batch].mean().item(), rel=1e-12)
        assert all(next(load, None) is None for load in loads)


def test_weights_are_one_where_the_replicas_divide_the_batch():
    plan = TrainingPlan(20, 1, 8, lr=0.1)  # batches of 8, 8, 4
    for rank in range(4):
        sampler = PlanBatchSampler(plan, num_replicas=4, rank=rank)
        assert [sampler.loss_weights(step) for step in range(3)] == [[1.0]] * 3


def _ddp_worker(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=2
    )
    plan, x, y, model = _regression()
    model = nn.parallel.DistributedDataParallel(model)
    sampler = PlanBatchSampler(plan, num_replicas=2, rank=rank)
    loader = DataLoader(TensorDataset(x, y), batch_sampler=sampler)
    gradients = []
    for pieces in accumulate(loader, sampler):
        model.zero_grad()
        for (inputs, labels), weight in pieces:
            (weight * nn.functional.mse_loss(model(inputs), labels)).backward()
        gradients.append([p.grad.clone() for p in model.parameters()])
    torch.save(gradients, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def _regression():
    torch.manual_seed(0)
    x, y = torch.randn(23, 3, dtype=torch.float64), torch.randn(23, 2, dtype=torch.float64)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    return TrainingPlan(23, 1, 11, lr=0.1), x, y, model  # batches of 11, 11, 1


@forks
def test_distributed_data_parallel_gets_the_mean_gradient_of_each_global_batch(tmp_path):
    process = torch.multiprocessing.get_context("fork").Process
    workers = [process(target=_ddp_worker, args=(r, tmp_path), daemon=True) for r in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    plan, x, y, model = _regression()
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    assert [len(gradients) for gradients in found] == [plan.total_steps] * 2
    for step, batch in enumerate(written_out_batches(plan, 0)):
        model.zero_grad()
        nn.functional.mse_loss(model(x[batch]), y[batch]).backward()
        for gradients in found:
            torch.testing.assert_close(gradients[step], [p.grad for p in model.parameters()])


# Bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed must be a whole number >= 0"),
        ({"seed": 2**32}, "seed must be a whole number"),
        ({"micro_batch_size": 0}, "micro_batch_size .* >= 1, got 0: give the number of samples"),
        ({"micro_batch_size": 2.5}, "micro_batch_size .* got 2.5"),
        ({"num_replicas": 0}, "num_replicas must be a whole number >= 1, got 0"),
        ({"num_replicas": 2, "rank": 2}, "rank .* <= 1, got 2: replicas are numbered from 0"),
        ({"rank": -1}, "rank must be a whole number >= 0 and <= 0, got -1"),
    ],
)
def test_sampler_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        PlanBatchSampler(growing(), **options)


def test_sampler_refuses_epochs_and_steps_outside_the_plan():
    sampler = PlanBatchSampler(growing())
    with pytest.raises(ValueError, match=r"epoch .* <= 5, got 6: the plan has 6 epochs"):
        sampler.set_epoch(6)
    with pytest.raises(ValueError, match=r"step .* <= 48, got 49: give the number of optimizer"):
        sampler.resume_at(49)
    sampler.resume_at(48)
    assert (sampler.epoch, len(sampler)) == (6, 0)
    with pytest.raises(ValueError, match=r"epoch must be < 6, .* plan more epochs"):
        next(iter(sampler))
