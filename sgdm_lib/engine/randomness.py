"""Torch's global random state as a run's own: what dropout draws from."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import torch

from sgdm_lib import data


class OwnRandomness:
    """Inside, torch's global generators hold this run's state; after it, the caller's again.

    Other threads that draw from them meanwhile share them, so only a run whose network draws
    random numbers should be inside.

    Args:
        seed: of the run.
        device: of the run.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        start = data.generator(seed, stream="dropout")
        self.kept = {"cpu": start.get_state()}
        if device.type == "cuda":
            own = torch.Generator(device).manual_seed(start.initial_seed())
            self.kept["cuda"] = own.get_state()
        self.callers: dict[str, torch.Tensor] | None = None

    def __enter__(self) -> OwnRandomness:
        self.callers = self._read()
        self._write(self.kept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.kept = self._read()
        if self.callers is not None:
            self._write(self.callers)
        self.callers = None

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return dict(self.kept if self.callers is None else self._read())

    def load(self, state: dict[str, torch.Tensor]) -> None:
        """Put back what :meth:`state` gave; on another kind of device as far as it goes."""
        for name, value in state.items():
            if name in self.kept:
                self.kept[name] = value.cpu()

    def _read(self) -> dict[str, torch.Tensor]:
        found = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            found["cuda"] = torch.cuda.get_rng_state(self.device)
        return found

    def _write(self, state: dict[str, torch.Tensor]) -> None:
        torch.set_rng_state(state["cpu"])
        if "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"], self.device)
