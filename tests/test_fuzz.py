"""A slice of the hostile cases of ``benchmarks/fuzz.py``: each one clear line, or right."""

import importlib.util
import json
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[1] / "benchmarks/fuzz.py"


@pytest.fixture(scope="module")
def fuzz():
    spec = importlib.util.spec_from_file_location("fuzz", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_hostile_input_gets_one_clear_line_or_the_right_answer(fuzz):
    found = fuzz.fuzz(200, seed=0)
    assert {kind: len(outcomes) for kind, outcomes in found.items()} == dict.fromkeys(
        fuzz.KINDS, 50
    )
    outcomes = [(kind, each) for kind, outcomes in found.items() for each in outcomes]
    assert [each for each in outcomes if each[1].kind not in ("clear", "right")] == []
    assert {each.kind for _, each in outcomes} == {"clear", "right"}


def test_the_script_sees_what_is_bad(fuzz):
    """Otherwise the counts of zero would mean nothing."""
    assert fuzz.judged(lambda: {}["x"]).kind == "raw"
    assert fuzz.judged(lambda: "another number").kind == "believed"
    assert fuzz.judged(lambda: "").kind == "right"
    assert fuzz.clear("two\nlines").kind == "raw"
    assert fuzz.clear("").kind == "raw"
    assert fuzz.judged_command(lambda arguments: 1 / 0, []).kind == "raw"
    assert fuzz.judged_command(lambda arguments: 2, []).kind == "raw", "a status without a word"


def test_a_hang_is_seen(fuzz, monkeypatch):
    monkeypatch.setattr(fuzz, "LIMIT", 1)

    def forever():
        while True:
            pass

    assert fuzz.judged(forever).kind == "hang"


def test_a_record_with_other_content_is_seen(fuzz, tmp_path, monkeypatch):
    from sgdm_lib.engine import records

    made = fuzz.Cases(tmp_path)
    real = records.load

    def gullible(folder):
        """Believes whatever run.json says of the device."""
        run = real(tmp_path / "good")
        said = json.loads((folder / "run.json").read_text("utf8", "replace"))
        return records.Run(run.experiment, run.history, run.provenance | said)

    monkeypatch.setattr(records, "load", gullible)
    import random

    kinds = {made.records(random.Random(k)).kind for k in range(60)}
    assert "believed" in kinds
