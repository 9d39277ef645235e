"""The notebooks in git, and that the book was built from them."""

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
