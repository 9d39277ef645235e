"""What an epoch ends with: the full gradient norm and the test pass."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sgdm_lib import data
from sgdm_lib.engine.batches import EpochBatches
from sgdm_lib.engine.interrupt import Stopped, StopRequest
from sgdm_lib.engine.steps.autotune import autotuned
from sgdm_lib.gradients.full import logits, norm_on_device
from sgdm_lib.plan import TrainingPlan


def measure(
    model: nn.Module, source: EpochBatches, plan: TrainingPlan, epoch: int, stop: StopRequest
) -> dict[str, Tensor]:
    """The measurements due after that epoch (from 0), as columns of the history.

    They are 0-dim tensors on the device: on a GPU they are still being computed when this returns.
    A full gradient costs as much as an epoch of training, so a stop is heeded inside: BatchNorm's
    statistics are then put back to where they were.

    Raises:
        Stopped: if a stop was asked for; the model is as before.
    """
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    hook = model.register_forward_pre_hook(lambda *_: stop.check())
    try:
        return _gradient_norms(model, source, plan, epoch) | _test(model, source)
    except Stopped:
        for name, buffer in model.named_buffers():
            buffer.copy_(before[name])
        raise
    finally:
        hook.remove()


def _gradient_norms(
    model: nn.Module, source: EpochBatches, plan: TrainingPlan, epoch: int
) -> dict[str, Tensor]:
    experiment, found = source.experiment, dict[str, Tensor]()
    if (epoch + 1) % experiment.gradient_norm_every:
        return {}
    if "exact" in experiment.estimators:
        with autotuned():  # as many images in each pass, every time
            found["full_gradient_norm"] = norm_on_device(model, source.pieces("train"))
    if "authors" in experiment.estimators:
        size = int(plan.batch_sizes[epoch])
        generator = data.generator(experiment.seed, epoch, "measure")
        order = torch.randperm(plan.n_train, generator=generator, device="cpu")
        found["full_gradient_norm_authors"] = norm_on_device(
            model,
            source.blocks(order, size, 0, epoch, "measure_augment"),
            estimator="authors",
            batch_size=size,
        )
    return found


def evaluate(model: nn.Module, source: EpochBatches) -> dict[str, float]:
    """Mean cross-entropy and accuracy on the test images, in eval mode (it stays so)."""
    return {name: float(value) for name, value in _test(model, source).items()}


@torch.no_grad()
def _test(model: nn.Module, source: EpochBatches) -> dict[str, Tensor]:
    model.eval()
    loss = torch.zeros((), device=source.device, dtype=torch.float64)
    correct = torch.zeros((), device=source.device, dtype=torch.int64)
    for x, y in source.pieces("test"):
        out = logits(model, x)
        loss += F.cross_entropy(out, y, reduction="sum")
        correct += (out.argmax(1) == y).sum()
    n = source.dataset.n_test
    return {"test_loss": loss / n, "test_accuracy": correct.double() / n}
