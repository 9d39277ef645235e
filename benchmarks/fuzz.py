"""Hostile input, 5,000 cases: each gets one clear line, or the right answer.

    python benchmarks/fuzz.py                       # 5,000 cases, seed 0, about 10 minutes
    python benchmarks/fuzz.py --cases 200 --seed 7 --only records

Four ways in are tried: descriptions of experiments, the authors' JSON files, records on disk, and
arguments of the command line. A case is a good input that has been spoiled once or several times.

* *clear*: refused in one line (a ValueError, or the command's exit status 1 or 2);
* *right*: accepted, and what came out is what went in (an experiment survives the round trip
  through JSON; a record has the content it was written with);
* *raw*: any other exception, a traceback, or a message of several lines;
* *hang*: no answer within ``LIMIT`` seconds;
* *believed*: a spoiled record that was loaded with other content.

The exit status is 1 if there is a case of the last three kinds; these are printed. The same seed
makes the same cases.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

LIMIT = 20
"""Seconds that a case may take."""
LONGEST = 2_000
"""Characters of a line that is still clear."""
HOSTILE: list[Any] = [
    None, True, False, 0, -1, 1, 3, 10**6, 10**20, 2**63, -(2**64), 0.0, -0.5, 1e-320, 1e308,
    float("nan"), float("inf"), float("-inf"), "", " ", "0", "nan", "true", "lr", "cifar100",
    "auto", "\x00", "\x1b[2J", "a\nb", "é✓\u202e", "x" * 5_000, "../../etc/passwd", "/", "*", "[",
    "builtins:exit", "os:system", "sgdm_lib.__main__:main", "..x:y", ":", [], [1, 2], [[]], {},
    {"kind": "Constant"}, {"kind": "UserSchedule", "function": "os:system", "unit": "epoch"},
    {"kind": "StageGrowth", "start": 8, "factor": 2, "every": 0}, {"kind": 3}, {"": None},
    {"kind": "WarmUp", "first": {}, "length": -1, "then": []}, ["exact", "exact"],
]  # fmt: skip
NAMES = [
    "lr", "momentum", "nu", "batch_size", "epochs", "seed", "dataset", "model", "kind", "start",
    "end", "factor", "every", "unit", "function", "estimators", "bs_method", "lr_method", "x", "",
]  # fmt: skip


class Hang(BaseException):
    """A case took too long."""


class Outcome(NamedTuple):
    """What came of a case."""

    kind: str
    detail: str = ""


@contextlib.contextmanager
def alarm(seconds: int) -> Iterator[None]:
    """Raise Hang inside after so many seconds."""

    def ring(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def spoil(value: Any, rng: random.Random, depth: int = 0) -> Any:
    """A copy of a JSON value with one place spoiled."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        new = dict(value)
        how = rng.random()
        if how < 0.15:
            del new[key]
        elif how < 0.25:
            new[rng.choice(NAMES)] = rng.choice(HOSTILE)
        elif how < 0.3:
            new[key + rng.choice(["s", " ", "\x00"])] = new.pop(key)
        else:
            new[key] = spoil(value[key], rng, depth + 1)
        return new
    if isinstance(value, list) and value and rng.random() < 0.6:
        place = rng.randrange(len(value))
        return [spoil(each, rng, depth + 1) if i == place else each for i, each in enumerate(value)]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and rng.random() < 0.4:
        return rng.choice(
            [-value, value * 1e9, value + 0.5, str(value), [value], value * 0, 1 - value]
        )
    if rng.random() < 0.02:
        return nested(rng.choice([50, 300]))
    return rng.choice(HOSTILE)


def nested(levels: int) -> Any:
    """A list in a list in a list."""
    found: Any = []
    for _ in range(levels):
        found = [found]
    return found


def spoil_bytes(raw: bytes, rng: random.Random) -> bytes:
    """The bytes with a bit flipped, cut off, or a part overwritten."""
    how, place = rng.random(), rng.randrange(max(len(raw), 1))
    if how < 0.6:
        return raw[:place] + bytes([raw[place] ^ (1 << rng.randrange(8))]) + raw[place + 1 :]
    if how < 0.8:
        return raw[:place]
    junk = rng.randbytes(rng.randrange(1, 40))
    return raw[:place] + junk + raw[place + len(junk) :]


def judged(work: Callable[[], str]) -> Outcome:
    """What came of a piece of work that says "" if its result is right, or what is wrong."""
    try:
        with alarm(LIMIT):
            wrong = work()
    except ValueError as error:
        return clear(str(error))
    except Hang:
        return Outcome("hang")
    except BaseException as error:  # SystemExit, too: nothing may end the process
        return Outcome("raw", f"{type(error).__name__}: {str(error)[:300]}")
    return Outcome("believed", wrong) if wrong else Outcome("right")


def clear(message: str) -> Outcome:
    """Clear, if the message is one line that a terminal shows."""
    if not message.strip():
        return Outcome("raw", "an empty message")
    if "\n" in message or len(message) > LONGEST:
        return Outcome("raw", f"{message.count(chr(10)) + 1} lines, {len(message)} characters: "
                       f"{message[:200]!r}")  # fmt: skip
    return Outcome("clear", message)


class Cases:
    """Makes the cases of each kind."""

    def __init__(self, folder: Path) -> None:
        from sgdm_lib.engine import Experiment, records
        from sgdm_lib.study import papers

        self.folder, self.catalogue = folder, papers.catalogue()
        self.described = [each.to_dict() for each in self.catalogue.values()]
        self.configs = []
        for name in self.catalogue:
            with contextlib.suppress(ValueError):  # one that their format cannot describe
                self.configs.append(papers.authors_config(name))
        experiment = Experiment(
            dataset="digits", model="mlp", optimizer="nshb", epochs=3, batch_size=512, lr=0.1
        )
        plan = experiment.plan(1_437).table()
        rows = [
            dict.fromkeys(records.COLUMNS, 0.5)
            | {
                "epoch": k + 1,
                "step": int(plan["cumulative_steps"][k]),
                "sfo": int(plan["cumulative_sfo"][k]),
                "batch_size": 512,
                "lr": 0.1,
                "momentum": 0.9,
                "status": "ok",
            }
            for k in range(3)
        ]
        provenance = {
            "experiment": experiment.to_dict(),
            "hash": experiment.hash,
            "seed": 0,
            "status": "finished",
            "versions": {"python": "3"},
            "device": "cpu",
            "data_checksum": "0",
            "code_version": "0",
            "started": "2026-01-01T00:00:00+00:00",
            "seconds": 1.5,
        }
        records.save(records.Run(experiment, records.history(rows), provenance), folder / "good")
        self.good = records.load(folder / "good")

    def experiment(self, rng: random.Random) -> Outcome:
        """Experiment.from_dict, and the plan of what it accepts."""
        from sgdm_lib.engine import Experiment

        data: Any = rng.choice(self.described)
        for _ in range(rng.choice([1, 1, 2, 4])):
            data = spoil(data, rng)

        def work() -> str:
            found = Experiment.from_dict(data)
            again = Experiment.from_json(found.to_json())
            if found.epochs <= 10_000:
                found.plan(50_000)
            return "" if again == found and again.hash == found.hash else "lost on the way"

        return judged(work)

    def authors(self, rng: random.Random) -> Outcome:
        """The authors' files, as mappings and on disk."""
        from sgdm_lib.study import papers

        config: Any = rng.choice(self.configs)
        for _ in range(rng.choice([1, 1, 2, 4])):
            config = spoil(config, rng) if isinstance(config, dict) else config
        path = self.folder / "authors.json"
        as_file = not isinstance(config, dict) or rng.random() < 0.5
        if as_file:
            raw = json.dumps(config).encode()
            path.write_bytes(spoil_bytes(raw, rng) if rng.random() < 0.4 else raw)

        def work() -> str:
            found = papers.read_authors_config(path if as_file else config)
            if found.epochs <= 10_000:
                found.plan(50_000)
            return ""

        return judged(work)

    def records(self, rng: random.Random) -> Outcome:
        """A record with a spoiled file."""
        from sgdm_lib.engine import records

        folder = self.folder / "spoiled"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder / "good", folder)
        how = rng.random()
        path = folder / rng.choice(["run.json", "history.parquet"])
        if how < 0.6:
            path.write_bytes(spoil_bytes(path.read_bytes(), rng))
        elif how < 0.65:
            path.unlink()
            if rng.random() < 0.5:
                path.mkdir()
        else:
            path = folder / "run.json"
            path.write_text(json.dumps(spoil(json.loads(path.read_text("utf8")), rng)), "utf8")

        def work() -> str:
            found = records.load(folder)
            same = found.history.equals(self.good.history)
            if not same or found.experiment != self.good.experiment:
                return f"{path.name}: another history or experiment"
            if found.provenance != self.good.provenance:
                return f"{path.name}: another provenance"
            return ""

        return judged(work)

    def arguments(self, rng: random.Random) -> Outcome:
        """The command line; what is accepted reads, plans or tells, and trains nothing."""
        from sgdm_lib import cli

        words = [str(each) for each in HOSTILE if isinstance(each, (str, int, float))]
        words = [word.replace("\x00", "") for word in words]  # no system passes these
        words += [
            "0-2",
            "3-1",
            "0,1",
            "quick/digits/nshb/x2",
            "kamo2025/*",
            "K3x",
            str(self.folder),
        ]
        word = lambda: rng.choice(words)  # noqa: E731
        name = rng.choice(["quick/digits/nshb/x2", "kamo2025/cifar100/nshb/x2", word()])
        field = f"{rng.choice(NAMES)}={rng.choice([word(), json.dumps(rng.choice(HOSTILE))])}"
        arguments = rng.choice(
            [
                ["list", word()],
                ["list", "quick/digits/nshb/*", "--json"],
                ["plan", name, "--set", field],
                ["plan", name, "--json", "--table", "--set", field],
                ["plan", str(self.folder / "authors.json")],
                ["run", name, "--dry-run", "--seeds", word(), "--out", str(self.folder / "runs")],
                ["run", name, "--dry-run", "--device", word()],
                ["run", name, "--dry-run", "--mode", word(), "--json"],
                ["run", name, "--dry-run", "--set", field, "--set", field],
                ["run", name, "--dry-run", "--out", word()],
                ["status", word()],
                ["status", str(self.folder / "spoiled"), "--json"],
                ["scorecard", word() + "?"],
                ["scorecard", "K3", "--chapters", word() + "?"],
                ["data", word() + "?"],
                ["bench", name, "--batch-sizes", word(), "--seconds", "-1"],
                ["book", "--scale", word()],
                ["book", "-p", rng.choice([*NAMES, "records", "device"]), word(), "--chapter", "?"],
                ["book", "-p", "seeds", word(), "-p", "scale", "x"],
                ["book", "--jobs", word(), "--timeout", word(), "--chapter", "?"],
                [word(), word()],
            ]
        )
        if rng.random() < 0.1:
            arguments.insert(rng.randrange(len(arguments)), word())
        return judged_command(cli.main, arguments)


def judged_command(main: Callable[[list[str]], int], arguments: list[str]) -> Outcome:
    """What came of a command line."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with alarm(LIMIT), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(arguments)
    except Hang:
        return Outcome("hang", str(arguments)[:300])
    except SystemExit as stopped:  # argparse: usage, and what is wrong
        told = err.getvalue().strip().splitlines()
        fine = stopped.code == 0 or (stopped.code == 2 and "error: " in told[-1])
        return Outcome("clear" if fine else "raw", str(arguments)[:300])
    except BaseException as error:
        return Outcome("raw", f"{arguments}: {type(error).__name__}: {error}"[:300])
    told = err.getvalue()
    if status == 0:
        return Outcome("right")
    named = told.removeprefix("sgdm: ").partition(":")[0]
    bare = named.endswith("Error") and " " not in named and named not in ("FileNotFoundError",)
    if told.count("\n") != 1 or "Traceback" in told or bare or status not in (1, 2):
        return Outcome("raw", f"{arguments}: status {status}: {told}"[:400])
    return Outcome("clear", told)


KINDS = ("experiment", "authors", "records", "arguments")


def fuzz(cases: int, seed: int, only: str = "") -> dict[str, list[Outcome]]:
    """Run so many cases, as many of each kind; the outcomes by kind."""
    from sgdm_lib.engine.speed import estimate

    chosen = [kind for kind in KINDS if kind.startswith(only)]
    found: dict[str, list[Outcome]] = {kind: [] for kind in chosen}
    speed, real = estimate.Speed(1e-3, 1e-4), estimate._speed
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = Cases(Path(name).resolve())
        os.chdir(name)  # a relative word is a path in here
        estimate._speed = lambda *about: speed  # type: ignore[assignment]  # what it measures is no input
        try:
            for k in range(cases):
                kind = chosen[k % len(chosen)]
                rng = random.Random(f"{seed} {kind} {k}")
                found[kind].append(getattr(made, kind)(rng))
        finally:
            estimate._speed = real
            os.chdir(before)
    return found


def main() -> int:
    """Run the cases and print the counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="experiment, authors, records or arguments")
    args = parser.parse_args()
    found = fuzz(args.cases, args.seed, args.only)
    order = ("clear", "right", "raw", "hang", "believed")
    print(f"{'':<12}" + "".join(f"{kind:>10}" for kind in order))
    total: Counter[str] = Counter()
    for kind, outcomes in found.items():
        counts = Counter(outcome.kind for outcome in outcomes)
        total += counts
        print(f"{kind:<12}" + "".join(f"{counts[each]:>10}" for each in order))
    print(f"{'all':<12}" + "".join(f"{total[each]:>10}" for each in order))
    for kind, outcomes in found.items():
        seen: Counter[str] = Counter()
        for outcome in outcomes:
            if outcome.kind in order[2:]:
                seen[f"{outcome.kind}: {outcome.detail}"] += 1
        for detail, count in seen.most_common(25):
            print(f"{kind} x{count} {detail!r}")
    return int(any(total[each] for each in order[2:]))


if __name__ == "__main__":
    sys.exit(main())
