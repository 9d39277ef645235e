"""What the engine's tests share: small experiments, a small BatchNorm net, equality of runs."""

import os
import signal
import sys

import torch
from pandas.testing import assert_frame_equal
from torch import nn

from sgdm_lib import engine, models
from sgdm_lib.engine import Experiment, checkpoint, records, run_state
from sgdm_lib.engine.steps import EagerStep
from sgdm_lib.schedules import StageGrowth

STEPS = 2 * 25 + 2 * 13  # of small(): 200 images in batches of 8 (2 epochs), then 16 (2 epochs)


class TinyBatchNorm(nn.Module):
    """A convolution, BatchNorm, a linear layer: the smallest net with everything in it."""

    def __init__(self, shape, classes):
        super().__init__()
        self.conv = nn.Conv2d(shape[0], 4, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4 * shape[1] * shape[2], classes)

    def forward(self, x):
        return self.fc(self.bn(self.conv(x)).relu().flatten(1))


def small(**changes):
    """Digits, 200 images, 4 epochs, the batch size doubling after two."""
    fields = {
        "dataset": "digits",
        "model": "mlp",
        "optimizer": "nshb",
        "epochs": 4,
        "batch_size": StageGrowth(8, 2, every=2),
        "lr": 0.1,
        "n_train": 200,
    }
    return Experiment(**(fields | changes))


def assert_same_history(one, other):
    """Equal but for the clock."""
    assert_frame_equal(one.drop(columns="seconds"), other.drop(columns="seconds"), rtol=0, atol=0)


def use_batch_norm_net():
    """Let the name "mlp" mean the net with BatchNorm, in this process."""
    models._MAKERS["mlp"] = TinyBatchNorm


def keep_last_state(folder):
    """Leave weights, momentum and BatchNorm of a finished run in ``folder / last.pt``."""
    finish = run_state.RunState.finish

    def keep(self):
        torch.save(self.state(), folder / "last.pt")
        finish(self)

    run_state.RunState.finish = keep


def run_and_die(experiment, folder, moment, count):
    """Run in a child process until the ``count``-th time ``moment`` comes, and die by SIGKILL."""
    torch.set_num_threads(1)
    use_batch_norm_net()
    run_state.CHECKPOINT_SECONDS = run_state.RECORD_SECONDS = 0.0
    seen = 0

    def die():
        nonlocal seen
        seen += 1
        if seen == count:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(owner, name):
        original = getattr(owner, name)

        def wrapped(*args, **kwargs):
            die()
            return original(*args, **kwargs)

        setattr(owner, name, wrapped)

    if moment == "step":
        before(EagerStep, "__call__")
    elif moment == "measuring":
        before(run_state, "measure")
    elif moment == "half a checkpoint":
        write = checkpoint.write_payload

        def half(payload, path):
            write(payload, path)
            if seen == count - 1:
                os.truncate(path, os.path.getsize(path) // 2)
            die()

        checkpoint.write_payload = half
    elif moment == "renaming":  # two for a checkpoint: the old one aside, the new one in place
        before(os, "replace")
    elif moment == "record":
        before(records, "save")
    elif moment == "deleting":
        before(checkpoint, "delete")
    else:
        raise AssertionError(moment)
    engine.fit(experiment, out=folder, device="cpu", progress=False)
    os._exit(0)  # the moment never came


def run_to_the_end(experiment, folder):
    """Run, or go on, in a child process."""
    torch.set_num_threads(1)
    use_batch_norm_net()
    keep_last_state(folder)
    engine.fit(experiment, out=folder, device="cpu", progress=False)


def run_until_told(experiment, folder):
    """Run in a child process that a signal will end, as the command line does."""
    torch.set_num_threads(1)
    use_batch_norm_net()
    run_state.RECORD_SECONDS = 0.0
    try:
        engine.fit(experiment, out=folder, device="cpu", progress=False)
    except KeyboardInterrupt:
        sys.exit(130)
