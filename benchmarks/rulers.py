"""Reads the gradient norm at the end of every stage of recorded runs with several estimators.

    python benchmarks/rulers.py cnn10k/cifar100/nshb/x4 [--seed 0] [--out chapters/records/rulers]

Trains the run anew, keeping its network at the end of every stage, and reads the norm there with
the batch sizes of all stages, with both kinds of weights, on augmented and on plain images, and in
eval mode. Writes <out>/<name>/seed<K>.csv, which the chapter "The estimator" draws.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from sgdm_lib.study import estimators, papers

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Train, read, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="a run of the catalogue whose batch size grows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "chapters" / "records" / "rulers")
    given = parser.parse_args()
    (experiment,) = papers.find(given.name).values()
    begin = time.perf_counter()
    _, table, _ = estimators.stage_estimates(
        experiment.replace(seed=given.seed, estimators=()),
        every_size=True,
        augmented=(True, False),
    )
    path = given.out / given.name / f"seed{given.seed}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format="%.6g")
    print(f"{path}: {len(table)} estimates after {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
