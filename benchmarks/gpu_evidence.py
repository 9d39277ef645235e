"""A few minutes of a GPU turned into figures: what it does (``probe``), and runs (``records``).

    python benchmarks/gpu_evidence.py probe --out OUT --keep /tmp/probe.json --seconds 95
    python benchmarks/gpu_evidence.py records --probe /tmp/probe.json --out OUT --seconds 540

Everything is written as it comes: whatever ends the process leaves in OUT what was known then. An
error costs the row or the run that it befell and nothing else. ``--device cpu --tiny`` rehearses
all of it on digits. What was predicted beforehand is in ``gpu_notes.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tarfile
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import gpu_begin
import gpu_cases
import pandas as pd

from sgdm_lib.engine import Experiment, fit_many, run_state, speed
from sgdm_lib.study import papers

BEGIN = gpu_begin.BEGIN
PAIR = ("kamo2025/cifar100/nshb/x2", "kamo2025/cifar100/nshb/constant")
FURTHER = (
    "kamo2025/cifar100/nshb/x4",
    "kamo2025/cifar100/shb/constant",
    "kamo2025/cifar100/shb/x2",
    "kamo2025/cifar100/shb/x4",
)
TINY = ("quick/digits/nshb/x2_from128", "quick/digits/nshb/constant128")
# Milliseconds of a step and seconds of a norm, if nothing was measured: gpu_notes.md
EXPECTED_MS = {8: 0.88, 32: 0.98, 64: 1.53, 128: 2.7, 1024: 20.0, 4096: 80.0}
EXPECTED_NORM = {"exact": 2.1, "authors": 2.2}
LEAVING = 15.0  # seconds that saving and packing may take
EVERY = (10, 20)  # epochs between two norms: the first one for which the run fits
SIDE_BY_SIDE = 0.9  # of the time one after the other, for runs whose batch sizes differ


class Results:
    """Rows in a JSON and a Markdown file, rewritten and printed with each new one."""

    def __init__(self, out: Path, name: str, keep: Path | None) -> None:
        self.out, self.name, self.keep = out, name, keep
        self.rows = list[dict[str, Any]]()
        out.mkdir(parents=True, exist_ok=True)

    def add(self, case: str, **values: Any) -> None:
        """Add a row; prints it, too: the end of what is printed comes back in any case."""
        row = {"case": case, "at": round(time.perf_counter() - BEGIN, 1)} | values
        self.rows.append(row)
        shown = {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()}
        print(" ".join(f"{name}={value}" for name, value in shown.items()), flush=True)
        text = json.dumps({"machine": speed.machine(), "rows": self.rows}, indent=1, default=str)
        for path in filter(None, (self.out / f"{self.name}.json", self.keep)):
            whole(path, text)
        lines = [f"- {', '.join(f'{k} {v}' for k, v in each.items())}" for each in self.rows]
        whole(self.out / f"{self.name}.md", "\n".join(lines) + "\n")


def whole(path: Path, text: str) -> None:
    """Write a file that is there completely or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, "utf8")
    os.replace(temporary, path)


def left(seconds: float) -> float:
    """Of so many seconds since the start."""
    return seconds - (time.perf_counter() - BEGIN)


# Phase 1: what the machine does


def probe(results: Results, options: argparse.Namespace) -> None:
    """Measure each case once, until the time is up."""
    gpu_cases.use_stand_in()
    for name, case in gpu_cases.cases(options):
        if left(options.seconds) < 2:
            results.add(name, skipped="no time left")
            continue
        try:
            for row in case():
                results.add(name, **row)
        except Exception as error:
            traceback.print_exc()
            results.add(name, error=f"{type(error).__name__}: {error}"[:300])


# Phase 2: runs


def measured(path: Path | None) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    """The precision to take, and in it the times of steps and norms: probed, else expected."""
    found: list[dict[str, Any]] = []
    try:
        if path is not None:
            found = json.loads(path.read_text("utf8"))["rows"]
    except (OSError, ValueError, KeyError) as error:
        print(f"no probe ({error}): times as expected")
    steps = [r for r in found if str(r.get("case")).startswith("step") and "median_ms" in r]
    steps = [r for r in steps if r.get("mode") in ("graph", "eager")]
    by = {p: [r for r in steps if r["precision"] == p] for p in ("bf16", "tf32")}
    rates = {p: sum(r["images_per_second"] for r in each) for p, each in by.items()}
    precision = "tf32" if rates["tf32"] and rates["bf16"] < 1.3 * rates["tf32"] else "bf16"
    expected = [{"batch_size": b, "median_ms": ms} for b, ms in EXPECTED_MS.items()]
    times = pd.DataFrame(by[precision] or expected)
    times = times.sort_values("median_ms").drop_duplicates("batch_size")
    norms = pd.DataFrame(
        [r for r in found if r.get("case") == "norms tf32" and "seconds" in r]
        or [{"estimator": e, "batch_size": 0, "seconds": t} for e, t in EXPECTED_NORM.items()]
    )
    return precision, times, norms


def predicted(run: Experiment, times: pd.DataFrame, norms: pd.DataFrame) -> float:
    """Seconds of a run alone."""
    whole_run = speed.projection(run, times, norms[norms["estimator"].isin(run.estimators)])
    return float(whole_run[["train_seconds", "norm_seconds"]].to_numpy().sum())


def choose(
    names: tuple[str, ...], seconds: float, precision: str, times: pd.DataFrame, norms: pd.DataFrame
) -> dict[str, Experiment]:
    """Of two runs those that fit into the time: both side by side, or the second, or the first."""
    catalogue = papers.catalogue()
    for wanted in (names, names[1:], names[:1]):
        for every in EVERY:
            group = {
                n: catalogue[n].replace(precision=precision, gradient_norm_every=every)
                for n in wanted
            }
            need = sum(predicted(run, times, norms) for run in group.values())
            need *= SIDE_BY_SIDE if len(group) > 1 else 1.0
            if need < seconds:
                print(f"{', '.join(group)}: {need:.0f} s predicted of {seconds:.0f}", flush=True)
                return group
    return {}


def records(results: Results, options: argparse.Namespace) -> None:
    """Run what fits, most wanted first, and pack what there is every few seconds."""
    run_state.CHECKPOINT_SECONDS, run_state.RECORD_SECONDS = 1e9, 1.0 if options.tiny else 10.0
    folder = Path(tempfile.mkdtemp(prefix="runs"))
    ended = threading.Event()
    threading.Thread(target=keep_packing, args=(folder, options, ended), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # between runs; inside, they save
    limit = max(left(options.seconds) - (1.0 if options.tiny else LEAVING), 0.1)
    alarm = threading.Timer(limit, os.kill, (os.getpid(), signal.SIGTERM))
    alarm.daemon = True
    alarm.start()
    try:
        precision, times, passes = measured(options.probe)
        precision = "fp32" if options.tiny else precision
        waiting = [TINY] if options.tiny else [PAIR, FURTHER[:2], FURTHER[2:]]
        for names in waiting:
            group = choose(names, left(options.seconds) - LEAVING, precision, times, passes)
            if options.tiny:
                group = {n: papers.catalogue()[n] for n in names}
            out = {run: folder / n / f"seed{run.seed}" for n, run in group.items()}
            try:
                runs = fit_many(list(out), out=out, device=options.device, at_once=2)
                for run in runs:  # near a minimum: is a norm in bf16 still the norm?
                    if run.model is not None and left(options.seconds) > 2 * LEAVING:
                        norms = gpu_cases.precisions(run.model, run.experiment, options.device)
                        results.add("norms at the end", run=run.experiment.hash, **norms)
            except Exception:  # the run beside it has ended, and its record is there
                traceback.print_exc()
    except SystemExit:
        print("the time is up: what there is has been saved", flush=True)
    finally:
        alarm.cancel()
        ended.set()
        pack(folder, options.out)
        shutil.rmtree(folder, ignore_errors=True)


def keep_packing(folder: Path, options: argparse.Namespace, ended: threading.Event) -> None:
    """Pack what there is every few seconds, until all has ended."""
    while not ended.wait(0.5 if options.tiny else 20.0):
        pack(folder, options.out)
        print(f"{left(options.seconds):.0f} s left", flush=True)


LOCK = threading.Lock()


def pack(folder: Path, out: Path) -> None:
    """Put every run's two small files into ``OUT/records.tgz``, which is whole at any time."""
    with LOCK:
        temporary = out / ".records.tmp"
        with tarfile.open(temporary, "w:gz") as tar:
            for name in ("run.json", "history.parquet"):
                for path in sorted(folder.rglob(name)):
                    tar.add(path, path.relative_to(folder))
        os.replace(temporary, out / "records.tgz")


def main(arguments: list[str] | None = None) -> None:
    """Run the phases that were asked for; an error in one never stops the next."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("phases", nargs="*", help="probe, records (default: both)")
    parser.add_argument("--out", type=Path, required=True, help="folder for all results")
    parser.add_argument("--keep", type=Path, help="another copy of probe.json")
    parser.add_argument("--probe", type=Path, help="probe.json of the first phase")
    parser.add_argument("--seconds", type=float, default=540.0, help="from the start (540)")
    parser.add_argument("--device", default="cuda", help="(default: cuda)")
    parser.add_argument("--tiny", action="store_true", help="rehearse, on digits")
    options = parser.parse_args(arguments)
    options.probe = options.probe or options.out / "probe.json"
    for phase in options.phases or ("probe", "records"):
        results = Results(options.out, phase, options.keep if phase == "probe" else None)
        try:
            (probe if phase == "probe" else records)(results, options)
        except Exception as error:
            traceback.print_exc()
            results.add(phase, error=f"{type(error).__name__}: {error}"[:300])


if __name__ == "__main__":
    main()
