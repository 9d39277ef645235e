"""What each command does. A room is imported by the command that needs it, to start quickly."""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import textwrap
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from sgdm_lib.book.terminal import printable
from sgdm_lib.checks import choice, integer, number

T = TypeVar("T")


def list_runs(args: argparse.Namespace) -> None:
    """List the experiments that match."""
    if args.time:
        from sgdm_lib.engine import speed
    from sgdm_lib.study import papers

    found = papers.find(args.pattern)
    plans = {name: experiment.plan() for name, experiment in found.items()}
    if args.json:
        rows = [
            {
                "name": name,
                "dataset": experiment.dataset,
                "model": experiment.model,
                "optimizer": experiment.optimizer,
                "epochs": experiment.epochs,
                "steps": plans[name].total_steps,
                "sfo": plans[name].total_sfo,
                "hash": experiment.hash,
                "source": papers.citation(name),
            }
            | ({"seconds": speed.seconds(experiment)} if args.time else {})
            for name, experiment in found.items()
        ]
        print(json.dumps(rows, indent=2))
        return
    width = max(map(len, found))
    head = f"{'time':>9}  " if args.time else ""
    print(f"{'name':<{width}}  epochs      steps          SFO  {head}source")
    for name, experiment in found.items():
        plan = plans[name]
        time = f"{speed.duration(speed.seconds(experiment)):>9}  " if args.time else ""
        counts = f"{plan.epochs:>6}  {plan.total_steps:>9,}  {plan.total_sfo:>11,}"
        print(f"{name:<{width}}  {counts}  {time}{papers.citation(name)}")


def show_plan(args: argparse.Namespace) -> None:
    """Show an experiment's plan."""
    from sgdm_lib.cli.jobs import MOST, changed, named
    from sgdm_lib.engine import speed

    name, experiment = _one(args.name, named(args.name))
    experiment, _ = changed(experiment, args.set)
    integer("epochs", experiment.epochs, at_most=MOST, fix="a plan has a row for each")
    plan = experiment.plan()
    if args.json:
        total = speed.seconds(experiment)
        content = {
            "name": name,
            "experiment": experiment.to_dict(),
            "hash": experiment.hash,
            "n_train": plan.n_train,
            "steps": plan.total_steps,
            "sfo": plan.total_sfo,
            "stages": [stage._asdict() for stage in plan.stages],
            "seconds": {"expected": total, "range": [total * each for each in speed.RANGE]},
        }
        if args.table:
            content["table"] = plan.table().to_dict("records")
        print(json.dumps(content, indent=2))
        return
    print(f"{args.name}: {experiment.optimizer}, {experiment.model} on {experiment.dataset}")
    print(plan.preview())
    print(speed.describe(experiment))
    if args.table:
        print(plan.table().to_string(index=False))


def _one(pattern: str, found: Mapping[str, T]) -> tuple[str, T]:
    """The only one that was found."""
    if len(found) > 1:
        shown = ", ".join(list(found)[:3])
        raise ValueError(f"name must mean one run, got {pattern!r} for {len(found)}: {shown}, ...")
    return next(iter(found.items()))


def run_each(args: argparse.Namespace) -> None:
    """Run experiments."""
    from sgdm_lib.cli import run

    run.run_each(args)


def show_status(args: argparse.Namespace) -> None:
    """Show what became of the runs below a folder."""
    from sgdm_lib.cli import status

    status.show_status(args)


def judge(args: argparse.Namespace) -> None:
    """Judge the claims."""
    from sgdm_lib.book.notebooks import find_root
    from sgdm_lib.cli.jobs import existing_folder
    from sgdm_lib.study import pages

    known = pages.everything()
    ids = [_claim(key, known) for key in args.ids] or None
    chapters = args.chapters or find_root() / "chapters"
    existing_folder("chapters", chapters, "give the checkout's")
    card = pages.scorecard(chapters, ids)
    frame = card.frame()
    if args.out:
        frame.to_csv(args.out, index=False)
    if args.json:
        print(frame.to_json(orient="records", indent=2))
        return
    titles = pages.COLUMNS | {"theory": "computed"}
    for key, verdicts in card.verdicts.items():
        print(_wrapped(f"{key}  {card.claims[key].statement} ({card.claims[key].where})", ""))
        for column, verdict in verdicts.items():
            if verdict:
                print(_wrapped(f"{titles[column]}: {verdict.label}. {verdict.details}", "    "))


def _claim(key: str, known: Iterable[str]) -> str:
    """The claim of that id, small letters or not; else the ids that come nearest are named."""
    folded = {name.casefold(): name for name in known}
    if key.casefold() in folded:
        return key if key in folded.values() else folded[key.casefold()]
    near = get_close_matches(key.casefold(), folded, n=3, cutoff=0.4)
    nearest = ", ".join(folded[each] for each in near)
    fix = f"the nearest are {nearest}" if near else f"they are {', '.join(folded.values())}"
    raise ValueError(f"claim must be one of the {len(folded)} known ids, got {key!r}: {fix}")


def _wrapped(text: str, indent: str) -> str:
    """The text in lines that a terminal shows whole."""
    width = max(40, min(100, shutil.get_terminal_size((88, 24)).columns))
    further = indent + "    "
    text = printable(text)
    return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=further)


def file_away(args: argparse.Namespace) -> None:
    """Check and file records."""
    from sgdm_lib.cli import filing

    filing.add(args.archive, args.chapters)


def prepare_data(args: argparse.Namespace) -> None:
    """Prepare and check a data set."""
    from sgdm_lib import data

    dataset = data.load(args.name, args.root, download=True)
    print(
        f"{dataset.name}: {dataset.n_train:,} training and {dataset.n_test:,} test images of shape "
        f"{dataset.shape}, {len(dataset.classes)} classes, checksum {dataset.checksum[:16]}"
    )


def time_steps(args: argparse.Namespace) -> None:
    """Time an experiment's steps."""
    from sgdm_lib.cli.jobs import named, numbers
    from sgdm_lib.engine import speed

    sizes = numbers("batch-sizes", args.batch_sizes)
    files = speed.run(
        args.out,
        experiment=_one(args.name, named(args.name))[1] if args.name else None,
        device=args.device,
        batch_sizes=tuple(sizes),
        seconds=number("seconds", args.seconds, above=0),
        precision=args.precision,
        every=args.every,
        at_once=args.at_once,
    )
    for file in files:
        if file.suffix == ".md":
            print(file.read_text("utf8"))
    print("written: " + ", ".join(str(file) for file in files))


def build_book(args: argparse.Namespace) -> None:
    """Execute the chapters and render the book."""
    from sgdm_lib.book.build import build
    from sgdm_lib.book.notebooks import SCALES

    choice("scale", args.scale, SCALES)
    integer("jobs", args.jobs, at_least=1)
    integer("timeout", args.timeout, at_least=1)
    parameters = {"scale": args.scale} | {name: _literal(v) for name, v in args.parameter}
    build(
        parameters,
        out=args.out,
        chapter=args.chapter,
        jobs=args.jobs,
        timeout=args.timeout,
        force=args.force,
        pdf=args.pdf,
    )


def _literal(text: str) -> Any:
    """A number, None or a list as Python reads it; anything else is text, as papermill does."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def look_around(args: argparse.Namespace) -> None:
    """Show what the machine has."""
    from importlib.util import find_spec

    import torch

    from sgdm_lib import data
    from sgdm_lib.engine.versions import code_version, versions

    print(f"code      {code_version()}")
    print(f"versions  {', '.join(f'{k} {v}' for k, v in versions().items())}")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    print(f"devices   {os.cpu_count()} CPU cores, {', '.join(gpus) or 'no GPU'}")
    print(f"disk      {shutil.disk_usage(Path.cwd()).free / 1e9:.0f} GB free here")
    root = data.data_root(None)
    for name in data.NAMES:
        there = name == "digits" or (root / f"{name}.npz").is_file()
        print(f"data      {name}: {'there' if there else f'not there; sgdm data {name}'}")
    for extra, package in {"book": "jupyter_book", "pdf": "playwright", "test": "pytest"}.items():
        there = find_spec(package) is not None
        advice = f"not installed; pip install 'sgdm-lib[{extra}]'"
        print(f"extra     {extra}: {'installed' if there else advice}")
