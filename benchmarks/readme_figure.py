"""Make the numbers and the figure of README.md and of the book's cover.

``python benchmarks/readme_figure.py`` trains the three schedules of the chapter "The noise floor"
(quick scale, three seeds), writes the norms to ``chapters/noise-floor.csv``, from which the cover
draws its figure, and draws the same figure for README.md.
"""

from pathlib import Path

import matplotlib as mpl
import pandas as pd

from sgdm_lib import Experiment, fit_seeds, plots
from sgdm_lib.schedules import StageGrowth
from sgdm_lib.study import figures

ROOT = Path(__file__).resolve().parents[1]
NUMBERS = ROOT / "chapters" / "noise-floor.csv"
PICTURE = ROOT / "_static" / "noise-floor.png"
BATCH_SIZES = {
    "constant 8": 8,
    "constant 128": 128,
    "from 8, doubled every 10 epochs": StageGrowth(8, 2, every=10),
}


def measured(seeds: int = 3, epochs: int = 60) -> pd.DataFrame:
    """Train, and return the mean, smallest and largest full gradient norm after each epoch."""
    base = Experiment(
        dataset="digits", model="mlp", label_noise=0.2, epochs=epochs,
        optimizer="nshb", lr=0.05, momentum=0.9, batch_size=8,
    )  # fmt: skip
    experiments = {name: base.replace(batch_size=size) for name, size in BATCH_SIZES.items()}
    tables = []
    for name, runs in fit_seeds(experiments, range(seeds)).items():
        rows = pd.concat(run.history for run in runs)
        found = rows.groupby("epoch").agg(
            step=("step", "first"),
            batch_size=("batch_size", "first"),
            mean=("full_gradient_norm", "mean"),
            low=("full_gradient_norm", "min"),
            high=("full_gradient_norm", "max"),
        )
        tables.append(found.reset_index().assign(schedule=name))
    return pd.concat(tables)[["schedule", "epoch", "step", "batch_size", "mean", "low", "high"]]


def main() -> None:
    """Run, write, draw."""
    mpl.use("agg")
    plots.use_style()
    measured().to_csv(NUMBERS, index=False, float_format="%.6g", lineterminator="\n")
    figures.cover(pd.read_csv(NUMBERS)).savefig(PICTURE, dpi=130)
    print(f"wrote {NUMBERS.name} and {PICTURE.name}")


if __name__ == "__main__":
    main()
