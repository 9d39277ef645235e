"""The notebooks in git, and that the book was built from them."""

import ast
import builtins
import importlib
import re
from pathlib import Path

import nbformat
import pytest
from links import broken

from sgdm_lib.book.notebooks import PARAMETERS, chapters, clean, defaults

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = chapters(ROOT)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_source_is_in_canonical_form(chapter):
    path = ROOT / chapter
    assert path.read_text("utf8") == clean(path), "clear outputs and editor metadata"
    nb = nbformat.read(path, 4)
    nbformat.validate(nb)
    assert len({cell.id for cell in nb.cells}) == len(nb.cells)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_takes_the_parameters_every_chapter_takes(chapter):
    found = defaults(ROOT / chapter)
    assert tuple(found) == PARAMETERS
    assert (found["scale"], found["device"], found["records"]) == ("quick", "auto", None)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_holds_prose_and_calls_but_no_logic(chapter):
    for cell in nbformat.read(ROOT / chapter, 4).cells:
        if cell.cell_type == "code":
            lines = cell.source.splitlines()
            assert len(lines) <= 25, "move it into sgdm_lib"
            assert max(map(len, lines)) <= 88, "longer lines are cut off on the page"
            assert "class " not in cell.source


def unknown_names(code, known):
    """The names that a piece of Python reads though nobody has set them; of modules, too."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                module = importlib.import_module(alias.name)
                known[alias.asname or alias.name.split(".")[0]] = module if alias.asname else None
        elif isinstance(node, ast.ImportFrom):
            exec(compile(ast.Module([node], []), "import", "exec"), known)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            known[node.id] = None
        elif isinstance(node, ast.arg):
            known[node.arg] = None
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            known[node.name] = None
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in known and not hasattr(builtins, node.id):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = known.get(node.value.id)
            if getattr(module, "__spec__", None) and not hasattr(module, node.attr):
                yield f"{node.value.id}.{node.attr}"


def test_unknown_names_are_found():
    code = (
        "import math\nfrom sgdm_lib.study import criteria\nmath.pi, criteria.x, a, [b for b in c]"
    )
    assert sorted(unknown_names(code, {"c": None})) == ["a", "criteria.x"]
    assert list(unknown_names("criteria.judge(a)", {"a": None})) == ["criteria"]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_code_in_the_text_uses_what_the_page_has(chapter):
    """The solutions of the exercises are not executed; a reader copies them below the cells."""
    cells = nbformat.read(ROOT / chapter, 4).cells
    known, wrong = {"__builtins__": builtins, "display": None}, {}
    for cell in cells:
        if cell.cell_type == "code":
            wrong[cell.id] = list(unknown_names(cell.source, known))
    for cell in cells:
        if cell.cell_type == "markdown":
            for block in re.findall(
                r"^```python\n(.*?)^```", cell.source, re.DOTALL | re.MULTILINE
            ):
                wrong[cell.id, block] = list(unknown_names(block, dict(known)))
    assert {cell: names for cell, names in wrong.items() if names} == {}


def test_every_notebook_is_in_the_table_of_contents():
    there = {path.relative_to(ROOT) for path in (ROOT / "chapters").glob("*.ipynb")}
    assert there == set(CHAPTERS)


@pytest.mark.book
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_ran_and_says_how(book, chapter):
    nb = nbformat.read(book / "executed" / chapter, 4)
    assert nb.metadata.papermill.parameters == {"scale": "quick"}
    assert all(c.execution_count for c in nb.cells if c.cell_type == "code")
    assert "How this page was made" in nb.cells[-1].source
    page = (book / "html" / chapter.with_suffix(".html")).read_text("utf8")
    assert "How this page was made" in page
    assert "scale='quick'" in page


@pytest.mark.book
def test_links(book):
    assert broken(book / "html") == []
