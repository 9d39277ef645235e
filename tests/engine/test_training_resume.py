"""Killed at any moment and run again, a run ends with the same bits."""

import multiprocessing
import os
import signal
import time

import pytest
import torch
from engine_helpers import (
    STEPS,
    assert_same_history,
    run_and_die,
    run_to_the_end,
    run_until_told,
    small,
)

from sgdm_lib.engine import records

EXPERIMENT = small(augment=True, estimators=("exact", "authors"), seed=3)
FIRST_STEP_OF_A_NEW_BATCH_SIZE = 2 * 25 + 1
MOMENTS = [
    ("step", 5),
    ("step", FIRST_STEP_OF_A_NEW_BATCH_SIZE),
    ("step", STEPS),
    ("measuring", 2),
    ("half a checkpoint", 30),
    ("renaming", 60),
    ("renaming", 61),
    ("renaming", 62),
    ("record", 3),
    ("deleting", 1),
]


@pytest.fixture(scope="module")
def processes():
    """Children forked from a server that has imported torch once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "sgdm_lib.engine.training",
            "torch._dynamo",
            "sklearn.datasets",
            "pandas",
            "pyarrow.parquet",
        ]
    )
    return context


def in_child(processes, target, *args):
    child = processes.Process(target=target, args=args)
    child.start()
    child.join()
    return child.exitcode


@pytest.fixture(scope="module")
def undisturbed(processes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    assert in_child(processes, run_to_the_end, EXPERIMENT, folder) == 0
    return folder


def assert_same_state(one, other):
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same_state(one[key], other[key])
    else:
        assert one == other


@pytest.mark.parametrize(("moment", "count"), MOMENTS)
def test_killed_and_resumed_is_the_same_run(processes, undisturbed, tmp_path, moment, count):
    assert in_child(processes, run_and_die, EXPERIMENT, tmp_path, moment, count) == -signal.SIGKILL
    assert in_child(processes, run_to_the_end, EXPERIMENT, tmp_path) == 0
    assert_same_history(records.load(undisturbed).history, records.load(tmp_path).history)
    if moment != "deleting":  # there the run was over
        expected, found = (torch.load(f / "last.pt") for f in (undisturbed, tmp_path))
        for name in ("model", "optimizer", "step"):
            assert_same_state(expected[name], found[name])
    left = {path.name for path in tmp_path.iterdir()} - {".lock", "last.pt"}
    assert left == {"history.parquet", "run.json"}


def test_killed_again_and_again(processes, undisturbed, tmp_path):
    for count in (3, 20, 1, 40):
        code = in_child(processes, run_and_die, EXPERIMENT, tmp_path, "step", count)
        assert code == -signal.SIGKILL
    assert in_child(processes, run_to_the_end, EXPERIMENT, tmp_path) == 0
    assert_same_history(records.load(undisturbed).history, records.load(tmp_path).history)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_program_saves_and_leaves_with_the_status_of_its_signal(
    processes, undisturbed, tmp_path, number, status
):
    child = processes.Process(target=run_until_told, args=(EXPERIMENT, tmp_path))
    child.start()
    while not (tmp_path / "run.json").exists() and child.is_alive():
        time.sleep(0.001)
    os.kill(child.pid, number)
    child.join()
    assert child.exitcode == status
    assert records.load(tmp_path).status == "interrupted"
    assert (tmp_path / "checkpoint.pt").exists()
    assert in_child(processes, run_to_the_end, EXPERIMENT, tmp_path) == 0
    assert_same_history(records.load(undisturbed).history, records.load(tmp_path).history)


@pytest.mark.parametrize("count", [30, 60])
def test_a_damaged_newest_checkpoint_costs_some_steps_and_no_bit(
    processes, undisturbed, tmp_path, count
):
    in_child(processes, run_and_die, EXPERIMENT, tmp_path, "step", count)
    newest = tmp_path / "checkpoint.pt"
    newest.write_bytes(newest.read_bytes()[:1000])
    assert in_child(processes, run_to_the_end, EXPERIMENT, tmp_path) == 0
    assert_same_history(records.load(undisturbed).history, records.load(tmp_path).history)
    assert_same_state(
        *(torch.load(folder / "last.pt")["model"] for folder in (undisturbed, tmp_path))
    )
