"""What the command line takes."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sgdm_lib import __version__
from sgdm_lib.cli import commands

EXAMPLES = {
    "sgdm": """
        sgdm list 'quick/*'                          the runs that take seconds
        sgdm plan quick/digits/nshb/x2               what one of them would do
        sgdm run 'quick/digits/*/x2' --seeds 0-2     run several, or go on with them
        sgdm status runs                             what became of them
        sgdm scorecard K3                            a claim, judged""",
    "list": """
        sgdm list
        sgdm list 'kamo2025/cifar100/*'
        sgdm list 'quick/*' --json""",
    "plan": """
        sgdm plan kamo2025/cifar100/nshb/x2
        sgdm plan my-run.json --table
        sgdm plan quick/digits/nshb/x2 --set epochs=5""",
    "run": """
        sgdm run quick/digits/nshb/x2
        sgdm run 'quick/digits/*/x4' --seeds 0-2,7 --out runs
        sgdm run quick/digits/nshb/x2 --set lr=0.05 --set epochs=5
        sgdm run my-run.json --dry-run

      The same command in a second terminal, or on a second machine with the same folder, shares
      the work. FILE.json is a file of the authors, or what Experiment.to_json() writes.""",
    "status": """
        sgdm status runs
        sgdm status chapters/records --json""",
    "scorecard": """
        sgdm scorecard
        sgdm scorecard K3 L4 --json""",
    "data": """
        sgdm data cifar100""",
    "book": """
        sgdm book
        sgdm book --chapter 02 -p seeds 5
        sgdm book --scale paper -p records runs -j 1""",
    "bench": """
        sgdm bench quick/digits/nshb/x2 --batch-sizes 8,64 --seconds 1
        sgdm bench kamo2025/cifar100/nshb/x2 --precision bf16 --every 10 --at-once 3""",
    "records": """
        sgdm records add records.tgz""",
}


def _examples(name: str) -> str:
    """The end of a command's help."""
    return "examples:\n" + textwrap.dedent(EXAMPLES[name].strip("\n")) if name in EXAMPLES else ""


def parser() -> argparse.ArgumentParser:
    """The command's arguments; the book's page on the command line is made from it."""
    top = argparse.ArgumentParser(
        prog="sgdm",
        description="Momentum SGD with growing batch sizes: experiments and book.",
        epilog=_examples("sgdm"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"sgdm {__version__}")
    top.add_argument("--traceback", action="store_true", help="show where an error came from")
    known = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, about: str, run: Callable[..., None], **reads: bool) -> Any:
        each = known.add_parser(
            name,
            help=about,
            description=about[0].upper() + about[1:] + ".",
            epilog=_examples(name),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        where = "show where an error came from"
        each.add_argument("--traceback", action="store_true", default=argparse.SUPPRESS, help=where)
        if reads.get("json"):
            each.add_argument("--json", action="store_true", help="print JSON, for scripts")
        if reads.get("set"):
            each.add_argument(
                "--set", action="append", default=[], metavar="FIELD=VALUE",
                help="change a field of the experiment, such as lr=0.05",
            )  # fmt: skip
        each.set_defaults(run=run)
        return each

    each = command(
        "list", "list the experiments of both papers, and quick ones", commands.list_runs, json=True
    )
    each.add_argument("pattern", nargs="?", default="*", help="only names that match, like 'kamo*'")
    each.add_argument("--time", action="store_true", help="how long each takes (measures first)")

    each = command(
        "plan",
        "show an experiment's stages, steps, SFO and time",
        commands.show_plan,
        json=True,
        set=True,
    )
    each.add_argument("name", help="a name that 'sgdm list' shows, or a JSON file")
    each.add_argument("--table", action="store_true", help="one line an epoch")

    each = command(
        "run", "run experiments, or go on with them", commands.run_each, json=True, set=True
    )
    each.add_argument(
        "names", nargs="+", metavar="NAME", help="names, patterns ('sgdm list') or JSON files"
    )
    each.add_argument("--seeds", default="0", help="such as 0, 0-2 or 0,3,5 (default: 0)")
    each.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: auto)")
    each.add_argument("--mode", default="auto", help="auto, eager, compile, graph, graph+compile")
    each.add_argument("--precision", help="fp32, tf32 or bf16; short for --set precision=...")
    each.add_argument(
        "--every", type=int, metavar="EPOCHS",
        help="measure full gradient norms so often; short for --set gradient_norm_every=...",
    )  # fmt: skip
    each.add_argument(
        "--at-once", type=int, default=1, metavar="N", help="runs side by side (default: 1)"
    )
    each.add_argument("--out", type=Path, default=Path("runs"), help="folder (default: runs)")
    each.add_argument("--fresh", action="store_true", help="start anew instead of going on")
    each.add_argument(
        "--dry-run", action="store_true", help="say what would be run, and run nothing"
    )

    each = command(
        "status", "say what became of the runs below a folder", commands.show_status, json=True
    )
    each.add_argument("out", type=Path, metavar="OUT", help="folder of runs, as for run --out")

    each = command(
        "scorecard", "judge the papers' claims on curves and records", commands.judge, json=True
    )
    each.add_argument("ids", nargs="*", metavar="ID", help="claims such as K3 (default: all)")
    each.add_argument("--chapters", type=Path, help="folder with records and paper_curves")
    each.add_argument("--out", type=Path, help="also write the verdicts to this CSV file")

    each = command("data", "prepare and check a data set", commands.prepare_data)
    each.add_argument("name", help="digits, fashion_mnist, cifar10, cifar100, tiny_imagenet")
    each.add_argument("--root", help="folder of the data sets (default: $SGDM_DATA or the cache)")

    each = command("book", "execute the chapters and render the book", commands.build_book)
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

    each = command(
        "bench", "time a training step, and the engine beside a loop", commands.time_steps
    )
    each.add_argument("name", nargs="?", help="an experiment (default: ResNet-18 on CIFAR-100)")
    each.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: auto)")
    each.add_argument("--batch-sizes", default="8,32,128,512", help="(default: 8,32,128,512)")
    each.add_argument("--seconds", type=float, default=5.0, help="for each number (default: 5)")
    each.add_argument("--precision", help="fp32, tf32 or bf16 (default: the experiment's)")
    each.add_argument(
        "--every", type=int, metavar="EPOCHS",
        help="time full gradient norms, too, and predict the whole run with norms so often",
    )  # fmt: skip
    each.add_argument(
        "--at-once", type=int, default=1, metavar="N", help="time up to N runs side by side, too"
    )
    each.add_argument("--out", type=Path, default=Path("bench"), help="folder (default: bench)")

    each = command("records", "check and file records that were made elsewhere", commands.file_away)
    each.add_argument("what", choices=["add"], help="add: take over finished runs")
    each.add_argument("archive", type=Path, metavar="ARCHIVE", help="a .tgz or a folder of runs")
    each.add_argument("--chapters", type=Path, help="folder with records (default: the checkout's)")

    each = command(
        "doctor", "look at the machine: versions, devices, disk, data", commands.look_around
    )
    return top
