"""Without any recorded run the chapters go on; with one, every error is an error."""

import ast
import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from sgdm_lib.book import unrecorded

ROOT = Path(__file__).resolve().parents[2]


def run(code):
    """Execute a lenient cell; its names, and what its last expression shows."""
    cell = unrecorded.Lenient().visit(ast.parse(code))
    names = {unrecorded.SHOWN: unrecorded.unless_unrecorded}
    shown = None
    last = [cell.body.pop()] if isinstance(cell.body[-1], ast.Expr) else []
    exec(compile(cell, "cell", "exec"), names)
    for expression in last:
        shown = eval(compile(ast.Expression(expression.value), "cell", "eval"), names)
    return names, shown


def test_what_needs_no_record_is_computed_and_shown():
    names, shown = run("a = 2\nb = None.last\nc, d = zip(*{}, strict=True)\ne = a + 1\ne * 2")
    assert names["e"] == 3
    assert "b" not in names
    assert shown == 6


def test_a_table_that_cannot_be_made_says_so():
    _, shown = run("nothing['SHB']")
    assert shown.data == "*Not yet run.*"


@pytest.mark.parametrize("code", ["assert 1 > 2", "f = lambda: 1\nassert f() > 2\nf()"])
def test_assertions_still_fail(code):
    with pytest.raises(AssertionError):
        run(code)


def test_one_record_makes_every_error_an_error(tmp_path):
    shell = SimpleNamespace(user_ns={}, ast_transformers=[])
    assert unrecorded.allow(None, tmp_path) is False
    assert unrecorded.allow(shell, tmp_path) is True
    assert len(shell.ast_transformers) == 1
    (tmp_path / "records/a/seed0").mkdir(parents=True)
    (tmp_path / "records/a/seed0/run.json").write_text("{}")
    assert unrecorded.allow(shell, tmp_path) is False
    assert len(shell.ast_transformers) == 1


def test_numbers_that_are_missing_become_an_ellipsis():
    path = ROOT / "_ext" / "executed_notebooks.py"
    spec = importlib.util.spec_from_file_location("executed_notebooks", path)
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    prose = "{glue:text}`a:.2f` and {glue:text}`b:.1f`, {x}`b`"
    made = {
        "metadata": {"scrapbook": {"name": "a", "mime_prefix": "application/papermill.record/"}}
    }
    cells = [{"source": prose}, {"source": "", "outputs": [made, {"name": "stdout"}]}]
    found = json.loads(pages.without_records(json.dumps({"cells": cells})))
    assert found["cells"][0]["source"] == "{glue:text}`a:.2f` and …, {x}`b`"
