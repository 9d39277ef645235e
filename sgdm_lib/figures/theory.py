"""Figures of the theory chapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sgdm_lib.figures.style import DASHES, colours

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def momentum_positions(paths: Mapping[str, Sequence[float]]) -> Figure:
    """Positions of several optimizers, step by step, under a constant gradient of 1.

    Args:
        paths: for each optimizer the distance moved after 0, 1, 2... steps.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    figure, panel = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for i, (label, path) in enumerate(paths.items()):
        colour, dash = colours(i + 1)[i], DASHES[i % len(DASHES)]
        panel.plot(range(len(path)), path, color=colour, ls=dash, marker="o", ms=4, label=label)
    panel.set_xlabel("steps")
    panel.set_ylabel("distance moved (lr x gradient)")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.legend()
    return figure
