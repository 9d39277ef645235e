"""Buttons that lead to the repository, and the copies of the chapters that Colab opens."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from sgdm_lib.book import notebooks
from sgdm_lib.book.build.launch import COPIES, Repository, repository, setup_cell, write_copies
from sgdm_lib.book.build.render import render

ROOT = Path(__file__).resolve().parents[2]
ONCE = pytest.mark.xdist_group("launch")  # the small book is built in one process only
WHERE = Repository("https://github.com/some-one/a.book", "trunk")
FACE = ("_config.yml", "_ext", "_static", "references.bib", "CITATION.cff")


def with_address(root, text=""):
    (root / "_config.yml").write_text(text)
    return root


def test_the_address_comes_from_the_configuration_or_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("BOOK_REPOSITORY", raising=False)
    monkeypatch.delenv("BOOK_BRANCH", raising=False)
    assert repository(with_address(tmp_path, "title: x")) is None
    assert repository(with_address(tmp_path, "repository: {url: '', branch: main}")) is None
    text = "repository: {url: 'https://github.com/a/b.git/', branch: dev}"
    assert repository(with_address(tmp_path, text)) == ("https://github.com/a/b", "dev")
    monkeypatch.setenv("BOOK_REPOSITORY", WHERE.url)
    assert repository(tmp_path) == (WHERE.url, "dev")
    monkeypatch.setenv("BOOK_BRANCH", "trunk")
    assert repository(tmp_path) == WHERE


@pytest.mark.parametrize(
    "url", ["github.com/a/b", "https://github.com/a", "https://example.org/a/b", "x y"]
)
def test_an_address_that_is_none_is_refused(tmp_path, monkeypatch, url):
    monkeypatch.setenv("BOOK_REPOSITORY", url)
    with pytest.raises(ValueError, match=rf"OWNER/NAME, got '{re.escape(url)}': correct"):
        repository(with_address(tmp_path, "title: x"))


@pytest.mark.parametrize("branch", ['x"; import os', "-q", "a..b", "a b", "{url}"])
def test_a_branch_that_is_no_name_does_not_reach_a_cell(tmp_path, monkeypatch, branch):
    monkeypatch.setenv("BOOK_REPOSITORY", WHERE.url)
    monkeypatch.setenv("BOOK_BRANCH", branch)
    with pytest.raises(ValueError, match=r"branch must be a name .*: correct BOOK_BRANCH"):
        repository(with_address(tmp_path, "title: x"))


def test_a_broken_configuration_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"_config\.yml, line 2 cannot be read"):
        repository(with_address(tmp_path, "a: [\nb: }"))


@pytest.fixture(scope="module")
def small_book(tmp_path_factory):
    """The real configuration over a chapter and a page of text, with a repository."""
    root = tmp_path_factory.mktemp("small")
    for name in FACE:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, root / name)
    (root / "chapters").mkdir()
    cells = [nbformat.v4.new_markdown_cell("# One"), nbformat.v4.new_code_cell("1 + 1")]
    spec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nb = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec})
    nbformat.write(nb, root / "chapters/one.ipynb")
    (root / "chapters/two.md").write_text("# Two\n\nText.\n")
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: chapters/one\nchapters:\n- file: chapters/two\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOOK_REPOSITORY", WHERE.url)
        patch.setenv("BOOK_BRANCH", WHERE.branch)
        assert render(root, root / "_build", "whole.pdf") == []
    return root


def links(path):
    return set(re.findall(r'href="(https://[^"]+)"', path.read_text("utf8").replace("&amp;", "&")))


@ONCE
def test_buttons_lead_to_the_chapter(small_book):
    found = links(small_book / "_build/html/chapters/one.html")
    here = "some-one/a.book"
    assert found >= {
        f"https://colab.research.google.com/github/{here}/blob/{COPIES}/chapters/one.ipynb",
        f"https://mybinder.org/v2/gh/{here}/trunk?urlpath=lab/tree/chapters/one.ipynb",
        f"{WHERE.url}/edit/trunk/chapters/one.ipynb",
        WHERE.url,
    }
    (issue,) = (link for link in found if link.startswith(f"{WHERE.url}/issues/new"))
    assert "chapters/one.html" in issue


@ONCE
def test_a_page_of_text_has_no_launch_button(small_book):
    found = links(small_book / "_build/html/chapters/two.html")
    assert f"{WHERE.url}/edit/trunk/chapters/two.md" in found
    assert not [link for link in found if "colab" in link or "mybinder" in link]


@ONCE
def test_the_pdf_is_linked_where_there_is_one(small_book):
    for name in ("one", "two"):
        text = (small_book / f"_build/html/chapters/{name}.html").read_text("utf8")
        assert 'href="../whole.pdf"' in text


@pytest.mark.book
@pytest.mark.skipif(repository(ROOT) is not None, reason="the repository's address is known")
def test_without_an_address_no_button_needs_one(book):
    page = (book / "html/chapters/01-momentum.html").read_text("utf8")
    assert "colab.research" not in page
    assert "mybinder.org" not in page
    assert "source-repository-button" not in page
    assert "one PDF" not in page
    assert not (book / COPIES).exists()


def test_copies_differ_from_the_chapters_by_their_setup_only(tmp_path):
    written = write_copies(ROOT, tmp_path, WHERE)
    chapters = notebooks.chapters(ROOT)
    assert [path.relative_to(tmp_path) for path in written] == chapters
    for chapter, path in zip(chapters, written, strict=True):
        nb, source = nbformat.read(path, 4), nbformat.read(ROOT / chapter, 4)
        nbformat.validate(nb)
        code = [cell for cell in nb.cells if cell.cell_type == "code"]
        assert WHERE.url in code[0].source, "what fetches the library comes first"
        nb.cells = [cell for cell in nb.cells if not cell.id.startswith("colab-")]
        assert nb.cells == source.cells


def git(folder, *arguments):
    name = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", "-C", folder, *name, *arguments], check=True, capture_output=True)


def test_setup_fetches_the_book_and_installs_it(tmp_path, monkeypatch):
    """In a stand-in for Colab: a library that is not there, a real clone, pip's call kept back."""
    source = tmp_path / "source"
    (source / "chapters").mkdir(parents=True)
    (source / "chapters/x.ipynb").write_text("{}")
    git(tmp_path, "init", "-q", "-b", "trunk", str(source))
    git(source, "add", ".")
    git(source, "commit", "-q", "-m", "x")
    session = tmp_path / "session"
    session.mkdir()
    monkeypatch.chdir(session)
    cell = setup_cell(Repository(source.as_uri(), "trunk"))

    exec(cell, {})
    assert Path.cwd() == session, "elsewhere nothing happens"
    assert not list(session.iterdir())

    commands, run = [], subprocess.run
    monkeypatch.setitem(sys.modules, "google.colab", object())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(
        "subprocess.run",
        lambda command, **k: run(command, **k) if command[0] == "git" else commands.append(command),
    )
    exec(cell, {})
    assert Path.cwd() == session / "book/chapters"
    assert (session / "book/chapters/x.ipynb").is_file()
    assert [command[1:5] for command in commands] == [["-m", "pip", "install", "--quiet"]]
    assert "./book" in commands[0]


def test_a_clone_that_fails_stops_the_session(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "google.colab", object())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(subprocess.CalledProcessError):
        exec(setup_cell(Repository((tmp_path / "nowhere").as_uri(), "main")), {})
    assert Path.cwd() == tmp_path


def test_numbers_for_the_prose_need_no_book(monkeypatch):
    """Colab has the library, not the book's packages."""
    from sgdm_lib.book import page

    monkeypatch.setitem(sys.modules, "myst_nb", None)
    assert page.note("x", 1.5) is None
