"""Curves and records made up so that the outcome of a claim is known."""

from dataclasses import replace

import numpy as np

from sgdm_lib.engine import Run, records
from sgdm_lib.study import criteria, papers


def curve(values, spread=0.0, seeds=3, **changes):
    """A curve with a value an epoch, 10 steps and 1,000 gradients an epoch.

    Its runs are evenly spread, from ``-spread`` to ``+spread`` beside the values.
    """
    mean = np.asarray(values, dtype=float)
    epoch = np.arange(1, len(mean) + 1)
    beside = spread * np.linspace(-1, 1, seeds) if seeds > 1 else np.zeros(1)
    made = criteria.Curve(
        epoch, 10 * epoch, 1000 * epoch, mean + beside[:, None],
        seconds=2.0 * epoch, epochs=len(mean), seed_ids=tuple(range(seeds)),
    )  # fmt: skip
    return replace(made, **changes)


def given(quantity="gradient_norm", **curves):
    """A source that knows these runs; ``a__b`` is the run ``a/b``."""
    return criteria.InMemory({(name.replace("__", "/"), quantity): c for name, c in curves.items()})


def record(name, seed=0, status="finished", **columns):
    """A finished run of the catalogue whose history has these columns."""
    experiment = papers.catalogue()[name].replace(seed=seed)
    plan = experiment.plan().table()
    length = len(next(iter(columns.values()))) if columns else experiment.epochs
    rows = []
    for i in range(length):
        row = dict.fromkeys(records.COLUMNS, 0) | {"status": "ok", "seconds": 1.0}
        row |= {"epoch": i + 1, "batch_size": int(plan["batch_size"][i])}
        row |= {"lr": float(plan["lr_last"][i])}
        row |= {"step": int(plan["cumulative_steps"][i]), "sfo": int(plan["cumulative_sfo"][i])}
        row |= {key: values[i] for key, values in columns.items()}
        rows.append(row)
    about = {
        "experiment": experiment.to_dict(),
        "seed": seed,
        "status": status,
    }
    return Run(experiment, records.history(rows), about)
