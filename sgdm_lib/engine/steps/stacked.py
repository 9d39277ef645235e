"""One step of several runs at once: their networks stacked, one kernel for all of them.

For runs of one net without BatchNorm, at one batch size. With small batches a CPU spends most of a
step on calling kernels; here gradients of all runs come from the same calls. They are traced once
for each batch size into a plain list of kernel calls, so that neither autograd nor ``vmap`` costs
anything afterwards. Runs that differ in their seeds alone, a family, are also updated by the same
calls; families may have their own optimizer, learning rate or momentum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, fx
from torch.func import functional_call, grad_and_value, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F

from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.steps.eager import EagerStep
from sgdm_lib.engine.steps.optimizers import make_optimizer, set_hyperparameters

aten = torch.ops.aten
Compute = Callable[..., tuple[Tensor, ...]]
TRACE_AT = 10  # tracing takes as long as some twenty untraced steps
_TRACED: dict[tuple[Any, ...], Compute] = {}  # by network, shapes of its stacks and of the batch


class _Family:
    """Runs that differ in their seeds alone, with their slices of the stacks and one optimizer."""

    def __init__(self, members: list[EagerStep], slices: list[Tensor]) -> None:
        self.members, self.slices = members, slices
        self.optimizer = make_optimizer(members[0].experiment, slices)
        for index, each in enumerate(slices):
            states = [m.optimizer.state[list(m.model.parameters())[index]] for m in members]
            self.optimizer.state[each] = {name: _joined(states, name) for name in states[0]}
        self.values: dict[str, float] = {}

    def set(self, values: dict[str, float]) -> None:
        if values != self.values:
            set_hyperparameters(self.optimizer, values)
            self.values = values

    def sync_back(self) -> None:
        for k, member in enumerate(self.members):
            for p, each in zip(member.model.parameters(), self.slices, strict=True):
                state = self.optimizer.state[each]
                member.optimizer.state[p] = {n: _part(v, each, k) for n, v in state.items()}


class StackedStep:
    """The training step of several runs of one net.

    Each run's step keeps its model, whose parameters become views of the stacks, so that it can be
    measured at any time; :meth:`sync_back` brings the rest of its state up to date.

    Args:
        members: the runs' eager steps, a family after the other (:func:`family`).

    Attributes:
        families: how many runs each family has.
        loss_sum: for each run, the sum over steps of the batch's mean cross-entropy, float64.
        correct: for each run, correctly classified images in this epoch, int64.
    """

    def __init__(self, members: Sequence[EagerStep]) -> None:
        self.members, self.calls = list(members), Counter[torch.Size]()
        self.names = [name for name, _ in members[0].model.named_parameters()]
        each = [list(member.model.parameters()) for member in members]
        self.stacks = [torch.stack([p.detach() for p in same]) for same in zip(*each, strict=True)]
        for k, parameters in enumerate(each):
            for p, stack in zip(parameters, self.stacks, strict=True):
                p.data = stack[k]
        groups = [
            list(group) for _, group in groupby(members, lambda m: same_but_seed(m.experiment))
        ]
        self.families = [len(group) for group in groups]
        slices = zip(*(stack.split(self.families) for stack in self.stacks), strict=True)
        self._families = [
            _Family(group, list(mine)) for group, mine in zip(groups, slices, strict=True)
        ]
        self.start_epoch()

    def start_epoch(self) -> None:
        """Take the members' running sums over."""
        self.loss_sum = torch.stack([member.loss_sum for member in self.members])
        self.correct = torch.stack([member.correct for member in self.members])

    def set(self, values: Sequence[dict[str, float]]) -> None:
        """Set lr, momentum and nu of the steps to come, for each family."""
        for each, mine in zip(self._families, values, strict=True):
            each.set(mine)

    def __call__(self, x: Tensor, y: Tensor) -> None:
        """One step of each run on its images ``x`` (runs, b, C, H, W), labels ``y`` (runs, b)."""
        *gradients, losses, correct = self._compute(x.shape)(*self.stacks, x, y)
        parts = zip(*(gradient.split(self.families) for gradient in gradients), strict=True)
        for each, mine in zip(self._families, parts, strict=True):
            for part, gradient in zip(each.slices, mine, strict=True):
                part.grad = gradient
            each.optimizer.step()
        self.loss_sum += losses
        self.correct += correct

    def _compute(self, shape: torch.Size) -> Compute:
        """Gradients, losses and correct answers of a step; traced once it has come up often."""
        key = (self.members[0].experiment.model, *(stack.shape for stack in self.stacks), shape)
        if key not in _TRACED:
            self.calls[shape] += 1
            if self.calls[shape] < TRACE_AT:
                return self._untraced
            _TRACED[key] = _traced(self._untraced, self.stacks, shape)
        return _TRACED[key]

    def _untraced(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        *stacks, x, y = tensors
        model = self.members[0].model

        def loss(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            logits = functional_call(model, parameters, (x,))
            mean = -F.log_softmax(logits, 1).gather(1, y[:, None]).mean()
            return mean, (logits.detach().argmax(1) == y).sum()

        named = dict(zip(self.names, stacks, strict=True))
        gradients, (losses, correct) = vmap(grad_and_value(loss, has_aux=True))(named, x, y)
        return *(gradients[name] for name in self.names), losses, correct

    def sync_back(self) -> None:
        """Bring the members' optimizers and running sums up to date."""
        for each in self._families:
            each.sync_back()
        for k, member in enumerate(self.members):
            member.loss_sum.copy_(self.loss_sum[k])
            member.correct.copy_(self.correct[k])

    def unstack(self) -> None:
        """Give the members parameters of their own again; to be called after a hand-over."""
        for member in self.members:
            for p in member.model.parameters():
                p.data = p.data.clone()


def same_but_seed(experiment: Experiment) -> Experiment:
    """The same for experiments that differ in their seeds alone."""
    return experiment.replace(seed=0)


def _joined(states: list[dict[str, Any]], name: str) -> Any:
    """The members' buffers stacked; what counts steps is the same in all."""
    values = [state[name] for state in states]
    if isinstance(values[0], Tensor):
        return values[0].clone() if values[0].ndim == 0 else torch.stack(values)
    return values[0]


def _part(value: Any, stack: Tensor, k: int) -> Any:
    if not isinstance(value, Tensor):
        return value
    return (value[k] if value.shape == stack.shape else value).clone()


def _traced(compute: Compute, stacks: list[Tensor], shape: torch.Size) -> Compute:
    x, y = torch.zeros(shape), torch.zeros(shape[:2], dtype=torch.int64)
    with torch.no_grad():
        return _without_idle_calls(make_fx(compute, tracing_mode="fake")(*stacks, x, y))


def _without_idle_calls(traced: fx.GraphModule) -> fx.GraphModule:
    """Drop calls that change nothing: half of what ``vmap`` leaves behind."""
    for node in traced.graph.nodes:
        if node.op == "call_function" and node.args and isinstance(node.args[0], fx.Node):
            source, shape = node.args[0], getattr(node.meta.get("val"), "shape", None)
            same_shape = shape is not None and shape == getattr(
                source.meta.get("val"), "shape", None
            )
            views = (aten.view.default, aten._unsafe_view.default, aten.expand.default)
            if (
                (node.target in views and same_shape)
                or node.target in (aten.alias.default, aten.detach.default)
                or (node.target is aten.mul.Scalar and node.args[1] == 1)
            ):
                node.replace_all_uses_with(source)
            twice = node.target is source.target is aten.transpose.int
            if twice and node.args[1:] == source.args[1:]:
                node.replace_all_uses_with(source.args[0])
    traced.graph.eliminate_dead_code()
    traced.recompile()
    return traced
