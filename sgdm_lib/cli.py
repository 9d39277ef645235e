"""The ``sgdm`` command: list, plan and run experiments, fetch data, build the book.

Exit status: 0 done; 1 a run or chapter failed (and which); 2 bad arguments; 130 and 143 after
Ctrl-C and SIGTERM; 141 where the reader of the output has left (``sgdm list | head``). Errors are
one line; ``--traceback`` shows where they came from.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sgdm_lib import __version__
from sgdm_lib.checks import choice, integer, number

# Before torch is loaded. Its threads otherwise spin while they wait for each other, and where the
# machine has something else to do a small step then takes 100 ms instead of 0.3.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class Failure(Exception):
    """Something was run and failed: exit status 1."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parser().parse_args(arguments)
    try:
        args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has left: sgdm list | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes at its end
        return 141
    except KeyboardInterrupt:
        print("sgdm: stopped; what was done is kept", file=sys.stderr)
        return 130
    except Exception as error:
        if args.traceback:
            raise
        print(f"sgdm: {_one_line(error)}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    return 0


def _one_line(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        extra = "pdf" if error.name in ("playwright", "pypdf", "bs4") else "book"
        return f"the package {error.name} is missing: pip install 'sgdm-lib[{extra}]'"
    if isinstance(error, Failure) or type(error).__name__ == "BookError":
        return str(error)
    text = " ".join(str(error).split()) or type(error).__name__
    return (
        text if isinstance(error, (ValueError, RuntimeError)) else f"{type(error).__name__}: {text}"
    )


def parser() -> argparse.ArgumentParser:
    """The command's arguments; the book's page on the command line is made from it."""
    top = argparse.ArgumentParser(
        prog="sgdm", description="Momentum SGD with growing batch sizes: experiments and book."
    )
    top.add_argument("--version", action="version", version=f"sgdm {__version__}")
    top.add_argument("--traceback", action="store_true", help="show where an error came from")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    each = commands.add_parser("list", help="list the experiments of both papers, and quick ones")
    each.add_argument("pattern", nargs="?", default="*", help="only names that match, like 'kamo*'")
    each.set_defaults(run=_list)

    each = commands.add_parser("plan", help="show an experiment's stages, steps, SFO and time")
    each.add_argument("name", help="a name that 'sgdm list' shows, or a JSON file of the authors")
    each.add_argument("--table", action="store_true", help="one line an epoch")
    each.set_defaults(run=_plan)

    each = commands.add_parser("run", help="run experiments, or go on with them")
    each.add_argument("names", nargs="+", metavar="NAME", help="names or patterns ('sgdm list')")
    each.add_argument("--seeds", default="0", help="such as 0, 0-2 or 0,3,5 (default: 0)")
    each.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: auto)")
    each.add_argument("--mode", default="auto", help="auto, eager, compile, graph (default: auto)")
    each.add_argument("--out", type=Path, default=Path("runs"), help="folder (default: runs)")
    each.add_argument("--fresh", action="store_true", help="start anew instead of going on")
    each.set_defaults(run=_run)

    each = commands.add_parser("scorecard", help="judge the papers' claims on curves and records")
    each.add_argument("ids", nargs="*", metavar="ID", help="claims such as K3 (default: all)")
    each.add_argument("--chapters", type=Path, help="folder with records and paper_curves")
    each.add_argument("--out", type=Path, help="also write the verdicts to this CSV file")
    each.set_defaults(run=_scorecard)

    each = commands.add_parser("data", help="prepare and check a data set")
    each.add_argument("name", help="digits, fashion_mnist, cifar10, cifar100, tiny_imagenet")
    each.add_argument("--root", help="folder of the data sets (default: $SGDM_DATA or the cache)")
    each.set_defaults(run=_data)

    each = commands.add_parser("book", help="execute the chapters and render the book")
    each.add_argument("--scale", default="quick", help="quick or paper (default: quick)")
    each.add_argument("--chapter", default="", help="only chapters so named, like 02 or noise")
    each.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"),
        help="another parameter of the chapters, such as -p seeds 5",
    )  # fmt: skip
    each.add_argument("-j", "--jobs", type=int, default=2, help="chapters at once (default: 2)")
    each.add_argument("--out", type=Path, help="folder that gets _build (default: the checkout)")
    each.add_argument("--timeout", type=int, default=1800, help="seconds a cell may take")
    each.add_argument("--force", action="store_true", help="execute what has not changed, too")
    each.add_argument("--pdf", action="store_true", help="print it as one PDF, too (Chromium)")
    each.set_defaults(run=_book)

    each = commands.add_parser("bench", help="time a training step, and the engine beside a loop")
    each.add_argument("name", nargs="?", help="an experiment (default: ResNet-18 on CIFAR-100)")
    each.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: auto)")
    each.add_argument("--batch-sizes", default="8,32,128,512", help="(default: 8,32,128,512)")
    each.add_argument("--seconds", type=float, default=5.0, help="for each number (default: 5)")
    each.add_argument("--out", type=Path, default=Path("bench"), help="folder (default: bench)")
    each.set_defaults(run=_bench)

    each = commands.add_parser("doctor", help="look at the machine: versions, devices, disk, data")
    each.set_defaults(run=_doctor)
    return top


def _list(args: argparse.Namespace) -> None:
    from sgdm_lib import estimate, papers

    found = papers.find(args.pattern)
    width = max(map(len, found))
    print(f"{'name':<{width}}  epochs      steps          SFO     time  source")
    for name, experiment in found.items():
        plan = estimate.plan_of(experiment)
        time = estimate.duration(estimate.seconds(experiment))
        counts = f"{plan.epochs:>6}  {plan.total_steps:>9,}  {plan.total_sfo:>11,}  {time:>7}"
        print(f"{name:<{width}}  {counts}  {papers.source(name)}")


def _plan(args: argparse.Namespace) -> None:
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


def _run(args: argparse.Namespace) -> None:
    from sgdm_lib import estimate, papers
    from sgdm_lib.steps import choose_mode
    from sgdm_lib.training import choose_device, fit

    choose_mode(args.mode, choose_device(args.device))
    seeds = _numbers("seeds", args.seeds)
    found = {name: run for pattern in args.names for name, run in papers.find(pattern).items()}
    jobs = [(name, run.replace(seed=seed)) for name, run in found.items() for seed in seeds]
    total = sum(estimate.seconds(run, args.device) for _, run in jobs)
    print(f"{len(jobs)} runs, about {estimate.duration(total)} if none is done yet", flush=True)
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
            failed.append(f"{name}, seed {experiment.seed}: {_one_line(error)}")
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
        spans = [range(int(part[0]), int(part[-1]) + 1) for part in parts if len(part) <= 2]
    except ValueError:
        spans = []
    found = [value for span in spans for value in span]
    if not found:
        raise ValueError(f"{name} must be like 0, 0-2 or 0,3,5, got {text!r}")
    return found


def _scorecard(args: argparse.Namespace) -> None:
    from sgdm_lib import claims
    from sgdm_lib.book.notebooks import find_root
    from sgdm_lib.claims.scorecard import COLUMNS

    chapters = args.chapters or find_root() / "chapters"
    if not chapters.is_dir():
        raise ValueError(f"chapters must be a folder, got {str(chapters)!r}: give the checkout's")
    known = claims.everything()
    card = claims.scorecard(chapters, [choice("claim", key, known) for key in args.ids] or None)
    for key, verdicts in card.verdicts.items():
        print(f"{key}  {card.claims[key].statement} ({card.claims[key].where})")
        for column, verdict in verdicts.items():
            if verdict:
                print(f"    {COLUMNS[column]}: {verdict.outcome}. {verdict.evidence}")
    if args.out:
        card.frame().to_csv(args.out, index=False)


def _data(args: argparse.Namespace) -> None:
    from sgdm_lib import data

    dataset = data.load(args.name, args.root, download=True)
    print(
        f"{dataset.name}: {dataset.n_train:,} training and {dataset.n_test:,} test images of shape "
        f"{dataset.shape}, {len(dataset.classes)} classes, checksum {dataset.checksum[:16]}"
    )


def _bench(args: argparse.Namespace) -> None:
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


def _book(args: argparse.Namespace) -> None:
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


def _doctor(args: argparse.Namespace) -> None:
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


if __name__ == "__main__":
    sys.exit(main())
