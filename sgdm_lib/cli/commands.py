"""What each command does. A room is imported by the command that needs it, to start quickly."""

from __future__ import annotations

import argparse
import ast
import os
from pathlib import Path
from typing import Any

from sgdm_lib.checks import choice, integer, number
from sgdm_lib.cli.errors import Failure, one_line


def list_runs(args: argparse.Namespace) -> None:
    """List the experiments that match."""
    from sgdm_lib import estimate, papers

    found = papers.find(args.pattern)
    width = max(map(len, found))
    print(f"{'name':<{width}}  epochs      steps          SFO     time  source")
    for name, experiment in found.items():
        plan = estimate.plan_of(experiment)
        time = estimate.duration(estimate.seconds(experiment))
        counts = f"{plan.epochs:>6}  {plan.total_steps:>9,}  {plan.total_sfo:>11,}  {time:>7}"
        print(f"{name:<{width}}  {counts}  {papers.source(name)}")


def show_plan(args: argparse.Namespace) -> None:
    """Show an experiment's plan."""
    from sgdm_lib import estimate, papers

    if args.name.endswith(".json"):
        experiment = papers.read_authors_config(args.name)
    else:
        experiment = papers.catalogue()[_one_name(args.name)]
    plan = estimate.plan_of(experiment)
    print(f"{args.name}: {experiment.optimizer}, {experiment.model} on {experiment.dataset}")
    print(plan.preview())
    print(estimate.describe(experiment))
    if args.table:
        print(plan.table().to_string(index=False))


def _one_name(pattern: str) -> str:
    from sgdm_lib import papers

    found = list(papers.find(pattern))
    if len(found) > 1:
        shown = ", ".join(found[:3])
        raise ValueError(f"name must mean one run, got {pattern!r} for {len(found)}: {shown}, ...")
    return found[0]


def run_each(args: argparse.Namespace) -> None:
    """Run experiments with each seed; one that fails does not keep the others from running."""
    from sgdm_lib import estimate, papers
    from sgdm_lib.steps import choose_mode
    from sgdm_lib.training import choose_device, fit

    choose_mode(args.mode, choose_device(args.device))
    seeds = _numbers("seeds", args.seeds)
    found = {name: run for pattern in args.names for name, run in papers.find(pattern).items()}
    jobs = [(name, run.replace(seed=seed)) for name, run in found.items() for seed in seeds]
    total = sum(estimate.seconds(run, args.device) for _, run in jobs)
    count = f"{len(jobs)} runs" if len(jobs) > 1 else "1 run"
    print(f"{count}, about {estimate.duration(total)} if none is done yet", flush=True)
    failed = []
    for i, (name, experiment) in enumerate(jobs, 1):
        folder = args.out / name / f"seed{experiment.seed}"
        print(f"[{i}/{len(jobs)}] {name}, seed {experiment.seed}, in {folder}", flush=True)
        try:
            run = fit(
                experiment,
                out=folder,
                device=args.device,
                resume=not args.fresh,
                mode=args.mode,
            )
        except (ValueError, RuntimeError, OSError) as error:
            failed.append(f"{name}, seed {experiment.seed}: {one_line(error)}")
            continue
        last = run.history.iloc[-1]
        print(
            f"    {run.status}: test accuracy {last.test_accuracy:.1%}, full gradient norm "
            f"{last.full_gradient_norm:.3g}, {estimate.duration(run.provenance['seconds'])}",
            flush=True,
        )
    if failed:
        raise Failure(f"{len(failed)} of {len(jobs)} runs failed: " + "; ".join(failed))


def _numbers(name: str, text: str) -> list[int]:
    """Whole numbers and spans of them: "0,3,5" or "0-2"."""
    try:
        parts = [part.split("-") for part in text.split(",")]
        spans = [range(int(part[0]), int(part[-1]) + 1) for part in parts]
    except ValueError:
        parts, spans = [], []
    found = [value for span in spans for value in span]
    if not found or not all(spans) or max(map(len, parts)) > 2:
        raise ValueError(f"{name} must be like 0, 0-2 or 0,3,5, got {text!r}")
    return found


def judge(args: argparse.Namespace) -> None:
    """Judge the claims."""
    from sgdm_lib import claims
    from sgdm_lib.book.notebooks import find_root

    chapters = args.chapters or find_root() / "chapters"
    if not chapters.is_dir():
        raise ValueError(f"chapters must be a folder, got {str(chapters)!r}: give the checkout's")
    known = claims.everything()
    card = claims.scorecard(chapters, [choice("claim", key, known) for key in args.ids] or None)
    titles = claims.COLUMNS | {"theory": "computed"}
    for key, verdicts in card.verdicts.items():
        print(f"{key}  {card.claims[key].statement} ({card.claims[key].where})")
        for column, verdict in verdicts.items():
            if verdict:
                print(f"    {titles[column]}: {verdict.label}. {verdict.details}")
    if args.out:
        card.frame().to_csv(args.out, index=False)


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
    from sgdm_lib import bench, papers

    sizes = _numbers("batch-sizes", args.batch_sizes)
    files = bench.run(
        args.out,
        experiment=papers.catalogue()[_one_name(args.name)] if args.name else None,
        device=args.device,
        batch_sizes=tuple(sizes),
        seconds=number("seconds", args.seconds, above=0),
    )
    for file in files:
        if file.suffix == ".md":
            print(file.read_text("utf8"))
    print("written: " + ", ".join(str(file) for file in files))


def build_book(args: argparse.Namespace) -> None:
    """Execute the chapters and render the book."""
    from sgdm_lib.book import build
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
    import shutil
    from importlib.util import find_spec

    import torch

    from sgdm_lib import data
    from sgdm_lib.versions import code_version, versions

    print(f"code      {code_version()}")
    print(f"versions  {', '.join(f'{k} {v}' for k, v in versions().items())}")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    print(f"devices   {os.cpu_count()} CPU cores, {', '.join(gpus) or 'no GPU'}")
    print(f"disk      {shutil.disk_usage(Path.cwd()).free / 1e9:.0f} GB free here")
    root = data.data_root(None)
    for name in data.NAMES:
        there = name == "digits" or (root / f"{name}.npz").is_file()
        print(f"data      {name}: {'there' if there else f'not there; sgdm data {name}'}")
    for extra, package in {"book": "jupyter_book", "pdf": "pypdf", "test": "pytest"}.items():
        there = find_spec(package) is not None
        advice = f"not installed; pip install 'sgdm-lib[{extra}]'"
        print(f"extra     {extra}: {'installed' if there else advice}")
