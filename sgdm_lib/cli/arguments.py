"""What the command line takes."""

from __future__ import annotations

import argparse
from pathlib import Path

from sgdm_lib import __version__
from sgdm_lib.cli import commands


def parser() -> argparse.ArgumentParser:
    """The command's arguments; the book's page on the command line is made from it."""
    top = argparse.ArgumentParser(
        prog="sgdm", description="Momentum SGD with growing batch sizes: experiments and book."
    )
    top.add_argument("--version", action="version", version=f"sgdm {__version__}")
    top.add_argument("--traceback", action="store_true", help="show where an error came from")
    known = top.add_subparsers(required=True, metavar="COMMAND")

    each = known.add_parser("list", help="list the experiments of both papers, and quick ones")
    each.add_argument("pattern", nargs="?", default="*", help="only names that match, like 'kamo*'")
    each.set_defaults(run=commands.list_runs)

    each = known.add_parser("plan", help="show an experiment's stages, steps, SFO and time")
    each.add_argument("name", help="a name that 'sgdm list' shows, or a JSON file of the authors")
    each.add_argument("--table", action="store_true", help="one line an epoch")
    each.set_defaults(run=commands.show_plan)

    each = known.add_parser("run", help="run experiments, or go on with them")
    each.add_argument("names", nargs="+", metavar="NAME", help="names or patterns ('sgdm list')")
    each.add_argument("--seeds", default="0", help="such as 0, 0-2 or 0,3,5 (default: 0)")
    each.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: auto)")
    each.add_argument("--mode", default="auto", help="auto, eager, compile, graph (default: auto)")
    each.add_argument("--out", type=Path, default=Path("runs"), help="folder (default: runs)")
    each.add_argument("--fresh", action="store_true", help="start anew instead of going on")
    each.set_defaults(run=commands.run_each)

    each = known.add_parser("scorecard", help="judge the papers' claims on curves and records")
    each.add_argument("ids", nargs="*", metavar="ID", help="claims such as K3 (default: all)")
    each.add_argument("--chapters", type=Path, help="folder with records and paper_curves")
    each.add_argument("--out", type=Path, help="also write the verdicts to this CSV file")
    each.set_defaults(run=commands.judge)

    each = known.add_parser("data", help="prepare and check a data set")
    each.add_argument("name", help="digits, fashion_mnist, cifar10, cifar100, tiny_imagenet")
    each.add_argument("--root", help="folder of the data sets (default: $SGDM_DATA or the cache)")
    each.set_defaults(run=commands.prepare_data)

    each = known.add_parser("book", help="execute the chapters and render the book")
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
    each.set_defaults(run=commands.build_book)

    each = known.add_parser("bench", help="time a training step, and the engine beside a loop")
    each.add_argument("name", nargs="?", help="an experiment (default: ResNet-18 on CIFAR-100)")
    each.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: auto)")
    each.add_argument("--batch-sizes", default="8,32,128,512", help="(default: 8,32,128,512)")
    each.add_argument("--seconds", type=float, default=5.0, help="for each number (default: 5)")
    each.add_argument("--out", type=Path, default=Path("bench"), help="folder (default: bench)")
    each.set_defaults(run=commands.time_steps)

    each = known.add_parser("doctor", help="look at the machine: versions, devices, disk, data")
    each.set_defaults(run=commands.look_around)
    return top
