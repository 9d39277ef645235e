"""CUDA graphs without a GPU: a capture writes ATen calls down, a replay runs them again.

As on a GPU, a replay knows nothing of Python: it repeats the same calls on the same tensors, with
the floats of the time of the capture. What a capture refuses is an error here, too: calls that make
the host wait for a value, and random numbers.
"""

import importlib
from contextlib import contextmanager
from types import SimpleNamespace

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sgdm_lib.engine import steps, training
from sgdm_lib.engine.steps import eager
from sgdm_lib.optim import base

aten = torch.ops.aten
WAITING = {
    aten._local_scalar_dense.default,
    aten.nonzero.default,
    aten.masked_select.default,
    aten.is_nonzero.default,
    aten.equal.default,
}


class IllegalCapture(RuntimeError):
    """What CUDA would not capture."""


def tensors(tree):
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def place(tensor):
    return tensor.untyped_storage().data_ptr()


class Tape(TorchDispatchMode):
    """Writes calls down while they run, and keeps what they overwrite outside of it."""

    def __init__(self):
        super().__init__()
        self.calls, self.made, self.overwritten = [], set(), []

    def __torch_dispatch__(self, call, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if call in WAITING or torch.Tag.nondeterministic_seeded in call.tags:
            raise IllegalCapture(f"illegal while capturing: {call}")
        for value, argument in zip(args, call._schema.arguments, strict=False):
            writes = argument.alias_info is not None and argument.alias_info.is_write
            # BatchNorm moves its running statistics, and its signature does not say so
            if writes or argument.name in ("running_mean", "running_var"):
                outside = [t for t in tensors(value) if place(t) not in self.made]
                self.overwritten += [(t, t.detach().clone()) for t in outside]
        out = call(*args, **kwargs)
        self.calls.append((call, args, kwargs, out))
        given = set(map(place, tensors((args, kwargs))))
        self.made |= {place(t) for t in tensors(out)} - given
        return out

    def put_back(self):
        """A capture does not run: undo what the calls did to tensors from outside."""
        with torch.no_grad():
            for tensor, before in reversed(self.overwritten):
                tensor.detach().copy_(before)


class Graph:
    """In place of ``torch.cuda.CUDAGraph``."""

    captures = 0

    def replay(self):
        with torch.no_grad():
            for call, args, kwargs, out in self.calls:
                given = set(map(place, tensors((args, kwargs))))
                for old, new in zip(tensors(out), tensors(call(*args, **kwargs)), strict=True):
                    if old is not new and place(old) not in given:
                        old.detach().copy_(new)


@contextmanager
def capture(graph, pool=None, stream=None):
    """In place of ``torch.cuda.graph``."""
    Graph.captures += 1
    tape = Tape()
    try:
        with tape:
            yield
    finally:
        tape.put_back()
    graph.calls = tape.calls


def install(monkeypatch):
    """Let mode "graph" run on a CPU, with the optimizers' code for a GPU."""
    make = eager.make_optimizer

    def as_on_a_gpu(experiment, params, *, fixed=False):
        optimizer = make(experiment, params, fixed=fixed)
        for group in optimizer.param_groups:
            if fixed and "capturable" in group:
                group["capturable"] = group["foreach"] = True
        return optimizer

    monkeypatch.setattr(Graph, "captures", 0)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    stream = SimpleNamespace(synchronize=lambda: None)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(base, "_host_number", lambda value: value)
    monkeypatch.setattr(eager, "make_optimizer", as_on_a_gpu)
    for owner in (steps, training):
        monkeypatch.setattr(owner, "choose_mode", lambda mode, device: mode)
    for name in ("adam", "rmsprop"):
        module = importlib.import_module(f"torch.optim.{name}")
        if hasattr(module, "_get_capturable_supported_devices"):
            monkeypatch.setattr(
                module, "_get_capturable_supported_devices", lambda *a, **k: ["cpu", "cuda"]
            )
