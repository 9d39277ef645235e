"""Something computed on the device that is read later, when it is there."""

from __future__ import annotations

import torch
from torch import Tensor


class Look:
    """A value on its way from the device to the host; the program goes on meanwhile.

    Args:
        value: 0-dim, on any device; on a GPU its copy begins now, on the current stream.
    """

    def __init__(self, value: Tensor) -> None:
        self.value, self.arrived = value, None
        if value.device.type == "cuda":
            self.value = torch.empty((), dtype=value.dtype, pin_memory=True)
            self.value.copy_(value, non_blocking=True)
            self.arrived = torch.cuda.Event()
            self.arrived.record()

    def ready(self) -> bool:
        """Whether the value has arrived; never waits."""
        return self.arrived is None or bool(self.arrived.query())

    def true(self) -> bool:
        """The value as a truth value; waits for it if it has not arrived."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return bool(self.value)
