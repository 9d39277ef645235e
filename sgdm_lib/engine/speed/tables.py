"""A table of measurements as Markdown for people and Parquet for programs."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path

import pandas as pd
import torch

from sgdm_lib.engine import records


def machine() -> dict[str, str]:
    """What the numbers were taken on."""
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": f"{os.cpu_count()} cores ({platform.machine()}), {torch.get_num_threads()} threads",
        "load": f"{os.getloadavg()[0]:.1f}",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "code": records.code_version(),
    }


def write(table: pd.DataFrame, title: str, path: str | os.PathLike[str]) -> list[Path]:
    """Write ``<path>.md`` and ``<path>.parquet``, each complete or absent; returns both.

    What is the same in all rows stands above the Markdown table.

    Raises:
        OSError: if the folder cannot be written.
    """
    path, about = Path(path), machine()
    path.parent.mkdir(parents=True, exist_ok=True)
    same = [name for name in table if table[name].nunique(dropna=False) == 1 and len(table) > 1]
    shown = table.drop(columns=same)
    lines = [
        f"# {title}, {about['date']}",
        "",
        "; ".join(f"{name} {table[name].iloc[0]}" for name in same if table[name].notna().all()),
        "",
        "; ".join(f"{name} {value}" for name, value in about.items() if name != "date"),
        "",
        "| " + " | ".join(shown) + " |",
        "|---" * len(shown.columns) + "|",
        *(
            "| " + " | ".join(_shown(v) for v in row) + " |"
            for row in shown.itertuples(index=False)
        ),
        "",
    ]
    files = [path.with_suffix(".md"), path.with_suffix(".parquet")]
    records.atomic_write(files[0], lambda p: p.write_text("\n".join(lines), "utf8"))
    records.atomic_write(files[1], table.assign(**about).to_parquet)
    return files


def _shown(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    if value != value:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
