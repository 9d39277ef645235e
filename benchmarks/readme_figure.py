"""Draw the figure of README.md from runs made now: ``python benchmarks/readme_figure.py``.

The same experiment as in the book's chapter "The noise floor", quick scale, three seeds.
"""

from pathlib import Path

import matplotlib as mpl

from sgdm_lib import Experiment, figures, fit_many
from sgdm_lib.schedules import StageGrowth

TARGET = Path(__file__).resolve().parents[1] / "_static" / "noise-floor.png"


def main() -> None:
    """Run, draw, write."""
    mpl.use("agg")
    figures.use_style()
    base = Experiment(
        dataset="digits", model="mlp", label_noise=0.2, epochs=60,
        optimizer="nshb", lr=0.05, momentum=0.9, batch_size=8,
    )  # fmt: skip
    batch_sizes = {
        "constant 8": 8,
        "constant 128": 128,
        "from 8, doubled every 10 epochs": StageGrowth(8, 2, every=10),
    }
    runs = {
        label: fit_many([base.replace(batch_size=size, seed=seed) for seed in range(3)])
        for label, size in batch_sizes.items()
    }
    figure = figures.curves(runs, "full_gradient_norm", ["epoch", "step"])
    figure.savefig(TARGET, dpi=130)
    print(f"wrote {TARGET.name}")


if __name__ == "__main__":
    main()
