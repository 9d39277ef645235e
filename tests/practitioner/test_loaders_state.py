"""A sampler's state, loaders that save it by themselves, other devices, and other processes."""

from __future__ import annotations

import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loader_helpers import growing, plans, written_out_batches
from torch.utils.data import DataLoader, TensorDataset

from sgdm_lib.data import epoch_permutation
from sgdm_lib.loaders import PlanBatchSampler, sampler, state
from sgdm_lib.plan import TrainingPlan
from sgdm_lib.schedules import StageGrowth

# The state


@settings(deadline=None, max_examples=60)
@given(plans(), st.integers(1, 4), st.sampled_from([None, 1, 3]), st.booleans(), st.data())
def test_a_state_taken_anywhere_goes_on_with_the_batches_that_are_left(
    plan, replicas, micro, whole, data
):
    options = {"seed": 3, "num_replicas": replicas, "micro_batch_size": micro, "whole_run": whole}
    batches = list(PlanBatchSampler(plan, **{**options, "whole_run": True}))
    first = PlanBatchSampler(plan, **options)
    stop, drawn = data.draw(st.integers(0, len(batches))), 0
    iterations = 1 if whole else plan.epochs
    for _ in range(iterations):
        if drawn == stop:
            break
        for batch in first:
            assert batch == batches[drawn]
            drawn += 1
            if drawn == stop:
                break
    file = io.BytesIO()
    torch.save(first.state_dict(), file)  # plain data
    file.seek(0)
    again = PlanBatchSampler(plan, **options)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert again.state_dict() == first.state_dict()
    rest, lengths = [], 0
    # the loop that every caller writes; an epoch whose batches are all drawn comes as an empty one
    for _ in range(again.epoch, again.epoch + 1 if whole else plan.epochs):
        if again.epoch < plan.epochs:
            lengths += len(again)
            rest += list(again)
    assert rest == batches[stop:]
    assert whole or lengths == len(rest)


def test_the_end_of_an_epoch_is_kept_apart_from_the_start_of_the_next():
    plan = growing()  # 13, 13, 7, ... steps
    first = PlanBatchSampler(plan)
    batches = iter(first)
    for _ in range(13):
        next(batches)
    last_drawn = first.state_dict()
    assert next(batches, None) is None
    ended = first.state_dict()
    iter(first)  # a loader that has been asked for the next epoch, but not for a batch
    assert first.state_dict() == ended
    for state_dict, epoch, length in ((last_drawn, 0, 0), (ended, 1, 13)):
        again = PlanBatchSampler(plan)
        again.load_state_dict(state_dict)
        assert (again.epoch, len(again)) == (epoch, length)
        again.set_epoch(epoch)  # as loops announce the epoch they resume in
        assert len(list(again)) == length
        assert again.epoch == epoch + 1


def test_once_another_iteration_is_asked_for_the_state_is_its_start():
    first = PlanBatchSampler(growing())
    broken_off = iter(first)
    next(broken_off)
    assert first.state_dict()["step"] == 1  # a state saved after a break goes on within the epoch
    iter(first)
    assert first.state_dict()["step"] == 13


def test_a_state_within_an_epoch_survives_its_announcement_but_not_another_ones():
    plan, everything = growing(), written_out_batches(growing(), 0)
    first = PlanBatchSampler(plan)
    first.resume_at(16)
    next(iter(first))
    again = PlanBatchSampler(plan)
    again.load_state_dict(first.state_dict())
    again.set_epoch(1)
    assert list(again) == everything[17:26]
    again.load_state_dict(first.state_dict())
    again.set_epoch(3)
    assert list(again) == everything[33:40]


def test_a_state_may_be_loaded_with_another_number_of_replicas_between_steps_only():
    plan = TrainingPlan(40, 1, 8, lr=0.1)
    two = PlanBatchSampler(plan, num_replicas=2, rank=1, micro_batch_size=2)
    batches = iter(two)
    for _ in range(2):
        next(batches)
    whole = PlanBatchSampler(plan)
    whole.load_state_dict(two.state_dict())
    assert list(whole) == written_out_batches(plan, 0)[1:]
    next(batches)
    with pytest.raises(
        ValueError, match=r"step 1 must come in 1 pieces, got .* between pieces of 2"
    ):
        whole.load_state_dict(two.state_dict())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"plan": "0" * 16}, "must belong to its plan, .* got one of plan 0000"),
        ({"seed": 1}, "seed of the state must be 0, the sampler's, got 1"),
        ({"shuffle": False}, "shuffle of the state must be True, the sampler's, got False"),
        ({"step": 49}, "step of the state .* <= 48, got 49"),
        ({"piece": 1}, "piece of the state .* <= 0, got 1"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(changes, message):
    good = PlanBatchSampler(growing()).state_dict()
    with pytest.raises(ValueError, match=message):
        PlanBatchSampler(growing()).load_state_dict({**good, **changes})
    for wrong in ({}, {"step": 1}, None, {"yielded": 3}):
        with pytest.raises(
            ValueError, match=r"must have step, piece, pieces, at_end, .* shuffle, "
        ):
            PlanBatchSampler(growing()).load_state_dict(wrong)


# Loaders that save and load it by themselves


class StatefulLoader:
    """What torchdata's ``StatefulDataLoader`` does with a stateful batch sampler.

    Its single-process iterator saves the sampler's state and whether it has ended; loading is put
    off to the next ``iter()``, which loads the state, takes an iterator, and another one if the
    saved one had ended (torchdata 0.11, ``_StatefulSingleProcessDataLoaderIter``). With
    ``ahead`` it draws so many batches beforehand, as its workers do.
    """

    def __init__(self, data, *, batch_sampler, ahead=0):
        self.data, self.batch_sampler, self.ahead = data, batch_sampler, ahead
        self.saved, self.ended, self.snapshot = None, False, batch_sampler.state_dict()

    def state_dict(self):
        return {"sampler": self.snapshot, "ended": self.ended}

    def load_state_dict(self, saved):
        self.saved = saved

    def __iter__(self):
        saved, self.saved = self.saved, None
        if saved is not None:
            self.batch_sampler.load_state_dict(saved["sampler"])
        batches = iter(self.batch_sampler)
        if saved is not None and saved["ended"]:
            if self.ahead:  # workers are sent what the ended iterator has left: nothing
                assert not list(batches)
            batches = iter(self.batch_sampler)
        self.snapshot, self.ended = self.batch_sampler.state_dict(), False
        return self._load(batches)

    def _load(self, batches):
        drawn = []
        while True:
            while len(drawn) <= self.ahead:
                batch = next(batches, None)
                if batch is None:
                    break
                drawn.append((batch, self.batch_sampler.state_dict()))
            if not drawn:
                break
            batch, self.snapshot = drawn.pop(0)
            yield [self.data[i] for i in batch]
        if not self.ahead:
            self.snapshot = self.batch_sampler.state_dict()
        self.ended = True


def stand_in(plan, ahead):
    return StatefulLoader(
        range(plan.n_train), batch_sampler=PlanBatchSampler(plan, seed=1), ahead=ahead
    )


def torchdatas(plan, workers):
    from torchdata.stateful_dataloader import StatefulDataLoader

    order = PlanBatchSampler(plan, seed=1)
    data = TensorDataset(torch.arange(plan.n_train))
    return StatefulDataLoader(data, batch_sampler=order, num_workers=workers)


def numbers(batch):
    return batch[0].tolist() if torch.is_tensor(batch[0]) else list(batch)


PLAN = TrainingPlan(64, 4, StageGrowth(8, 2, every=2), lr=0.1)  # 8, 8, 4, 4 steps
PLACES = [0, 1, 7, 8, 11, 15, 16, 19, 20, 23, 24]


def check_that_loaders_go_on(make, steps, ended):
    """Stop after so many steps, ``ended``: having seen the end of the epoch; go on in another."""
    everything, loader, seen = written_out_batches(PLAN, 1), make(), []
    for _ in range(PLAN.epochs):
        if len(seen) == steps:
            break
        for batch in loader:
            seen.append(numbers(batch))
            if len(seen) == steps and not ended:
                break
    saved = loader.state_dict()
    steps = len(seen)  # with ended the end of the epoch
    again, rest = make(), []
    again.load_state_dict(saved)
    while len(rest) < PLAN.total_steps - steps:
        rest += [numbers(batch) for batch in again]
    assert seen + rest == everything


@pytest.mark.parametrize("ahead", [0, 4])
@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("steps", PLACES)
def test_a_stateful_loader_goes_on_where_it_was(steps, ended, ahead):
    check_that_loaders_go_on(lambda: stand_in(PLAN, ahead), steps, ended)


@pytest.mark.filterwarnings("ignore")  # torchdata's own, and those of forks
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 8, 11, 23, 24])
def test_torchdatas_stateful_loader_goes_on_where_it_was(steps, ended, workers):
    pytest.importorskip("torchdata", reason="torchdata is not installed")
    check_that_loaders_go_on(lambda: torchdatas(PLAN, workers), steps, ended)


# Other devices


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_order_is_made_on_the_cpu_whatever_the_default_device(shuffle):
    want = list(PlanBatchSampler(PLAN, shuffle=shuffle))
    with torch.device("meta"):  # as torch.set_default_device("cuda") on a machine with a GPU
        assert epoch_permutation(5, 0, 0).device.type == "cpu"
        assert list(PlanBatchSampler(PLAN, shuffle=shuffle)) == want


# Several processes


@pytest.fixture
def two_processes(monkeypatch):
    for module in (sampler, state):
        monkeypatch.setattr(module, "processes", lambda: 2)


def test_without_num_replicas_several_processes_are_refused(two_processes):
    message = r"runs 2 processes, got None: pass num_replicas=.*or num_replicas=1 if"
    with pytest.raises(ValueError, match=message):
        PlanBatchSampler(PLAN)
    assert list(PlanBatchSampler(PLAN, num_replicas=1)) == written_out_batches(PLAN, 0)[:8]
    assert len(next(iter(PlanBatchSampler(PLAN, num_replicas=2, rank=1)))) == 4


def test_processes_that_come_up_after_the_sampler_are_refused_at_the_first_batch(monkeypatch):
    early = PlanBatchSampler(PLAN)
    monkeypatch.setattr(sampler, "processes", lambda: 3)
    with pytest.raises(ValueError, match="runs 3 processes, got None"):
        next(iter(early))


def test_a_framework_that_shares_out_batches_a_second_time_is_refused(monkeypatch):
    shares = PlanBatchSampler(PLAN, num_replicas=2, rank=0)
    assert getattr(shares, "batch_size", None) is None  # one process: harmless
    monkeypatch.setattr(sampler, "processes", lambda: 2)
    with pytest.raises(
        ValueError, match=r"share out batches .* not pass the loader to prepare\(\)"
    ):
        getattr(shares, "batch_size", None)  # what Accelerate's BatchSamplerShard asks for


def test_the_number_of_processes_is_that_of_torch_distributed(tmp_path):
    assert state.processes() == 1
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_gloo_available()):
        pytest.skip("torch was built without gloo")
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'rendezvous'}", rank=0, world_size=1
    )
    try:
        assert state.processes() == 1
        assert list(PlanBatchSampler(PLAN)) == written_out_batches(PLAN, 0)[:8]
    finally:
        distributed.destroy_process_group()


# Data of another length, things that are no plan


@pytest.mark.parametrize("samples", [63, 65])
def test_data_of_another_length_than_the_plan_are_refused(samples):
    with pytest.raises(
        ValueError, match=rf"data must have 64 samples, .* got {samples}: build the"
    ):
        PlanBatchSampler(PLAN, data=range(samples))
    PlanBatchSampler(PLAN, data=range(64))


def test_what_is_no_plan_is_refused():
    with pytest.raises(ValueError, match=r"plan must be a TrainingPlan, got None: build one with"):
        PlanBatchSampler(None)


def test_a_plain_loader_still_takes_the_sampler_in_its_stride():
    loader = DataLoader(range(64), batch_sampler=PlanBatchSampler(PLAN, data=range(64)))
    assert [batch.tolist() for batch in loader] == written_out_batches(PLAN, 0)[:8]
