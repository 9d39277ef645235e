"""Trained weights beside a record, in safetensors, which holds numbers and no code."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from torch import nn

from sgdm_lib import data, models
from sgdm_lib.data.files import atomic_write
from sgdm_lib.engine import records
from sgdm_lib.engine.experiment import Experiment

__all__ = ["NAME", "load_model", "save_weights"]

NAME = "weights.safetensors"


def save_weights(folder: Path, model: nn.Module) -> str:
    """Write the model's weights and buffers; returns the file's SHA-256 (hex).

    Raises:
        OSError: if the folder cannot be written; the message names the file.
    """
    from safetensors.torch import save

    content = save({name: t.cpu().contiguous() for name, t in model.state_dict().items()})
    atomic_write(folder / NAME, lambda path: path.write_bytes(content))
    return hashlib.sha256(content).hexdigest()


def load_model(folder: str | os.PathLike[str]) -> nn.Module:
    """The trained network of a record that was made with ``fit(..., weights=True)``.

    Args:
        folder: of the record.

    Returns:
        The network on the CPU, in eval mode, as it was at the end of the run.

    Raises:
        sgdm_lib.engine.records.RecordError: if there is no record, it keeps no weights, or they are
            damaged.
    """
    from safetensors.torch import load

    run, path = records.load(folder), Path(folder) / NAME
    if "weights_sha256" not in run.provenance:
        raise records.RecordError(
            f"{folder} keeps no weights: they are kept by fit(..., out=FOLDER, weights=True)"
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise records.RecordError(f"{path} cannot be read ({error}): restore it") from error
    if hashlib.sha256(content).hexdigest() != run.provenance["weights_sha256"]:
        raise records.RecordError(f"{path} is damaged (its checksum does not agree): restore it")
    net = _untrained(run.experiment)
    net.load_state_dict(load(content))
    return net.eval()


def _untrained(experiment: Experiment) -> nn.Module:
    size = data.size(experiment.dataset)
    return models.build(experiment.model, size.shape, size.n_classes, seed=experiment.seed)
