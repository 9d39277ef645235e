"""Records with a flipped bit: none of them may load with other content.

    python benchmarks/flips.py [--flips 1000] [--seed 0] [--record chapters/records/...]

Copies a record, flips one random bit of ``run.json`` or ``history.parquet``, and loads it: it must
be refused, or load as it was. Says how many of each, and exits with 1 if one loads with other
content.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from sgdm_lib.engine import records

RECORD = Path("chapters/records/cnn10k/cifar100/nshb/x2/seed0")
FILES = ("run.json", "history.parquet")


def outcome(folder: Path, original: records.Run) -> str:
    """What loading the record comes to: "refused", "as it was" or "other content"."""
    try:
        read = records.load(folder)
    except records.RecordError:
        return "refused"
    same = (
        read.provenance == original.provenance
        and read.experiment == original.experiment
        and read.history.equals(original.history)
        and list(read.history.columns) == list(original.history.columns)
    )
    return "as it was" if same else "other content"


def flips(record: Path, name: str, count: int, rng: random.Random) -> Counter[str]:
    """How often each outcome comes when one bit of that file of a copy is flipped."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "copy"
        shutil.copytree(record, folder)
        original, path = records.load(folder), folder / name
        content = path.read_bytes()
        for _ in range(count):
            changed, bit = bytearray(content), rng.randrange(8 * len(content))
            changed[bit // 8] ^= 1 << bit % 8
            path.write_bytes(bytes(changed))
            found[outcome(folder, original)] += 1
    return found


def main() -> None:
    """Flip, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", type=Path, default=RECORD)
    options = parser.parse_args()
    rng, wrong = random.Random(options.seed), 0
    for name in FILES:
        found = flips(options.record, name, options.flips, rng)
        wrong += found["other content"]
        print(
            f"{name}: " + ", ".join(f"{n} {word}" for word, n in sorted(found.items())), flush=True
        )
    raise SystemExit(wrong > 0)


if __name__ == "__main__":
    main()
