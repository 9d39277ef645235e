"""Where a run comes from: what its record says besides the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch

from sgdm_lib.data.files import owner
from sgdm_lib.engine.device import arithmetic
from sgdm_lib.engine.versions import code_version, versions

if TYPE_CHECKING:
    import pandas as pd

    from sgdm_lib.engine.batches import EpochBatches
    from sgdm_lib.engine.experiment import Experiment
    from sgdm_lib.engine.steps import EagerStep


class InProgress(Protocol):
    """What of a run in progress its record tells."""

    experiment: Experiment
    source: EpochBatches
    train_step: EagerStep
    status: str
    mode: str
    at_once: int
    started: str
    sessions: list[dict[str, str]]
    stacked: bool
    weights_sha256: str
    error: Exception | None


def provenance(state: InProgress, rows: pd.DataFrame) -> dict[str, Any]:
    """The fields of a record: experiment, versions, machine, data, code, time, and how it ended.

    Args:
        state: the run in progress, or over.
        rows: its history so far.
    """
    about = {
        "experiment": state.experiment.to_dict(),
        "hash": state.experiment.hash,
        "seed": state.experiment.seed,
        "status": state.status,
        "versions": versions(),
        "device": device_name(state.source.device),
        "mode": state.mode + state.train_step.note,
        **arithmetic(state.experiment.precision, state.source.device),
        "at_once": state.at_once,
        "data_checksum": state.source.dataset.checksum,
        "code_version": code_version(),
        "started": state.started,
        "seconds": float(rows["seconds"].sum()),
    }
    if state.status == "running":
        about["owner"] = owner()
    if len(state.sessions) > 1:
        about["sessions"] = state.sessions
    if state.stacked:
        about["stacked"] = True
    if state.weights_sha256:
        about["weights_sha256"] = state.weights_sha256
    if state.error is not None:
        text = " ".join(str(state.error).split())
        about["error"] = f"{type(state.error).__name__}: {text}"[:500]
    return about


def device_name(device: torch.device) -> str:
    """The name of a GPU, or "cpu" with the number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({torch.get_num_threads()} threads)"
