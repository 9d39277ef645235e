"""``sgdm run``: it executes many runs; one that fails does not stop the others.

Several processes can share the work: each takes the runs that no other process executes, and ends
when all runs are done.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from sgdm_lib import data
from sgdm_lib.book.terminal import printable
from sgdm_lib.checks import integer
from sgdm_lib.cli.errors import Failure, one_line
from sgdm_lib.cli.jobs import Job, jobs
from sgdm_lib.engine import records, speed
from sgdm_lib.engine.device import choose_device
from sgdm_lib.engine.experiment import Experiment
from sgdm_lib.engine.records import Run
from sgdm_lib.engine.steps import choose_mode
from sgdm_lib.engine.training import fit, fit_many

WAIT = 2.0
"""Seconds between two looks at the runs of other processes."""
NAMED = 3
"""Runs named of those that failed for one cause."""

Say = Callable[[str], None]


def run_each(args: argparse.Namespace) -> None:
    """Run each experiment with each seed; a failed run does not stop the others.

    Raises:
        ValueError: if an argument is wrong; nothing has been run then.
        Failure: if runs failed; each cause is told once.
    """
    choose_mode(args.mode, choose_device(args.device))
    at_once = integer("at-once", args.at_once, at_least=1)
    shortcuts = {"precision": args.precision, "gradient_norm_every": args.every}
    changes = [f"{name}={value}" for name, value in shortcuts.items() if value is not None]
    wanted = jobs(args.names, [*args.set, *changes], args.seeds, args.out)
    say: Say = partial(print, file=sys.stderr if args.json else sys.stdout, flush=True)
    done, failed = ({}, {}) if args.fresh else _look(wanted)
    left = [job for job in wanted if job not in done and job not in failed]
    say(_headline(wanted, done, left, args.device))
    if args.dry_run:
        for job in wanted:
            state = "done" if job in done else failed.get(job) or "to be run"
            say(f"{job}, in {job.folder}: {printable(state)}")
        return _report(wanted, done, failed if args.json else {}, args.json)
    missing = _missing_data(job.experiment.dataset for job in left)
    failed |= {job: cause for job in left if (cause := missing[job.experiment.dataset])}
    train = partial(
        fit, device=args.device, resume=not args.fresh, mode=args.mode, progress=not args.json
    )
    left = [job for job in left if job not in failed]
    if at_once > 1:
        many = partial(fit_many, **train.keywords, at_once=at_once)
        left = _side_by_side(left, at_once, many, done, failed, say)
    _work(left, train, done, failed, say)
    return _report(wanted, done, failed, args.json)


def _look(wanted: Iterable[Job]) -> tuple[dict[Job, Run], dict[Job, str]]:
    """Find the runs that are done, and why others cannot be continued; nothing is written."""
    done: dict[Job, Run] = {}
    failed: dict[Job, str] = {}
    for job in wanted:
        try:
            if not (job.folder / "run.json").exists():
                continue
            run = records.load(job.folder)
        except Exception as error:
            failed[job] = one_line(error)
            continue
        if run.status in ("finished", "diverged") and not run.experiment.differences(
            job.experiment
        ):
            done[job] = run
    return done, failed


def _headline(wanted: list[Job], done: dict[Job, Run], left: list[Job], device: str) -> str:
    count = f"{len(wanted)} runs" if len(wanted) > 1 else "1 run"
    before = f", {len(done)} done before" if done else ""
    if not left:
        return f"{count}{before}"
    return f"{count}{before}; {speed.in_words((job.experiment for job in left), device)}"


def _missing_data(names: Iterable[str]) -> dict[str, str]:
    """Load each data set once; return why it cannot be loaded, "" if it can."""
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        try:
            data.load(name)
            found[name] = ""
        except (data.DataError, OSError) as error:
            found[name] = one_line(error)
    return found


def _outcome(run: Run) -> str:
    """Describe how a run ended, also if its record is incomplete."""
    spent = run.provenance.get("seconds")
    time_taken = speed.duration(spent) if isinstance(spent, (int, float)) else "unknown time"
    if run.history.empty:
        return f"{run.status} before the end of its first epoch, {time_taken}"
    last = run.history.iloc[-1]
    return (
        f"{run.status}: test accuracy {last.test_accuracy:.1%}, full gradient norm "
        f"{last.full_gradient_norm:.3g}, {time_taken}"
    )


def _work(
    left: list[Job],
    train: Callable[..., Run],
    done: dict[Job, Run],
    failed: dict[Job, str],
    say: Say,
) -> None:
    """Execute the runs that no other process executes; wait until the others are done, too."""
    count, turn, told = len(left), 0, set[Job]()
    while left:
        busy = []
        for job in left:
            if job not in told:
                say(f"[{(turn := turn + 1)}/{count}] {job}, in {printable(str(job.folder))}")
            try:
                done[job] = train(job.experiment, out=job.folder)
                say(f"    {_outcome(done[job])}")
            except records.Busy:
                if job not in told:
                    say("    another process is at it; later again")
                told.add(job)
                busy.append(job)
            except Exception as error:
                failed[job] = one_line(error)
                say(f"    failed: {failed[job]}")
        if busy:
            time.sleep(WAIT)
        left = busy


def _side_by_side(
    left: list[Job],
    at_once: int,
    train: Callable[..., list[Run]],
    done: dict[Job, Run],
    failed: dict[Job, str],
    say: Say,
) -> list[Job]:
    """Run several at a time; returns those that another process was at, with their fellows."""
    waiting, later = list(left), []
    while waiting:
        group: dict[Experiment, Job] = {}  # two names of one experiment do not go together
        for job in waiting[:at_once]:
            group.setdefault(job.experiment, job)
        members = list(group.values())
        waiting = [job for job in waiting if job not in members]
        say("side by side: " + "; ".join(map(str, members)))
        try:
            runs = train(list(group), out={job.experiment: job.folder for job in members})
        except records.Busy:
            later += members
            continue
        except Exception as error:
            over, _ = _look(members)
            done |= over
            failed |= {job: one_line(error) for job in members if job not in over}
        else:
            done |= dict(zip(members, runs, strict=True))
        for job in members:
            say(f"    {job}: {_outcome(done[job]) if job in done else 'failed: ' + failed[job]}")
    return later


def _report(wanted: list[Job], done: dict[Job, Run], failed: dict[Job, str], as_json: bool) -> None:
    if as_json:
        print(json.dumps([_row(job, done.get(job), failed.get(job)) for job in wanted], indent=2))
    if failed:
        raise Failure(f"{len(failed)} of {len(wanted)} runs failed: {causes(failed)}")


def _row(job: Job, run: Run | None, error: str | None) -> dict[str, Any]:
    """Describe a run for ``--json``; numbers that are not finite become null."""
    row: dict[str, Any] = {
        "name": job.name,
        "seed": job.experiment.seed,
        "folder": str(job.folder),
        "hash": job.experiment.hash,
        "status": "failed" if error else run.status if run else "to be run",
        "error": error,
    }
    if run and not run.history.empty:
        last = run.history.iloc[-1]
        row["seconds"] = run.provenance.get("seconds")
        for name in ("epoch", "step", "sfo", "train_loss", "test_accuracy", "full_gradient_norm"):
            value = float(last[name])
            row[name] = None if value != value or abs(value) == float("inf") else value
    return row


def causes(failed: dict[Job, str]) -> str:
    """List each cause of a failure once, with the runs that failed for it."""
    grouped: dict[str, list[Job]] = {}
    for job, cause in failed.items():
        grouped.setdefault(cause.replace(str(job.folder), "its folder"), []).append(job)
    lines = []
    for cause, members in grouped.items():
        shown = "; ".join(map(str, members[:NAMED]))
        more = f" and {len(members) - NAMED} others" if len(members) > NAMED else ""
        lines.append(f"{shown}{more}: {failed[members[0]] if len(members) == 1 else cause}")
    return lines[0] if len(lines) == 1 else "\n  " + "\n  ".join(lines)
