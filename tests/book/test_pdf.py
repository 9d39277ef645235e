"""The printed book: real pages joined, printed by Chromium, read again."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from sgdm_lib.book.build import build
from sgdm_lib.book.pdf import PDF, find_chromium
from sgdm_lib.book.pdf.whole import Entry, entries, join

ROOT = Path(__file__).resolve().parents[2]
TOC = """
format: jb-book
root: chapters/00-preface
parts:
- caption: Theory
  chapters:
  - file: chapters/01-momentum
- caption: Appendix
  chapters:
  - file: chapters/notation
  - file: chapters/api/index
    sections:
    - file: chapters/api/optim
"""


def test_entries_follow_the_table_of_contents(tmp_path):
    (tmp_path / "_toc.yml").write_text(TOC)
    assert entries(tmp_path) == [
        Entry("", "chapters/00-preface", 0),
        Entry("Theory", "chapters/01-momentum", 0),
        Entry("Appendix", "chapters/notation", 0),
        Entry("Appendix", "chapters/api/index", 0),
        Entry("Appendix", "chapters/api/optim", 1),
    ]


PAGE = """<html><head><link rel="stylesheet" href="../s.css"><script>window.MathJax = {{}}</script>
<script src="../mathjax/x.js"></script></head><body><article class="bd-article">
<section id="a"><h1>{title}<a class="headerlink" href="#a">#</a></h1>
<p><a href="#a">here</a> <a href="two.html#a">there</a> <a href="../genindex.html">index</a>
<a href="https://example.org/">out</a> <img src="../x.png"></p>
<section id="b"><h2>Part \\(b\\)<a class="headerlink" href="#b">#</a></h2></section>
<div class="sgdm-play"><svg></svg><noscript><img alt="first" src="data:,"></noscript></div>
<details class="sd-dropdown"><summary>Proof</summary>it is so</details>
<details class="hide"><summary>Show the imports</summary>import x</details>
<details class="hide"><summary>Show the code</summary>x = 1</details>
<div class="cell_input">claim()</div><div class="cell_input">a
b
c
d</div>
<script>alert()</script></section></article></body></html>"""


@pytest.fixture
def joined(tmp_path):
    (tmp_path / "_config.yml").write_text("title: A & B\nauthor: C")
    (tmp_path / "_toc.yml").write_text(
        "root: c/one\nparts:\n- caption: P\n  chapters:\n  - file: c/two\n"
    )
    (tmp_path / "html/c").mkdir(parents=True)
    for name in ("one", "two"):
        (tmp_path / f"html/c/{name}.html").write_text(PAGE.format(title=name.title()))
    join(tmp_path, tmp_path / "html", tmp_path / "pdf/book.html")
    return (tmp_path / "pdf/book.html").read_text()


def levels(text):
    """The headings that the outline is made from, with their levels in it."""
    soup = BeautifulSoup(text, "html.parser")
    for link in soup.select("a.headerlink"):
        link.clear()
    return [(int(h["aria-level"]), h.get_text()) for h in soup.select("[aria-level]")]


def test_links_lead_into_the_one_file(joined):
    text = joined
    found = [(level, " ".join(title.split())) for level, title in levels(text)]
    assert found == [(1, "One"), (2, r"Part \(b\)"), (1, "P"), (2, "Two"), (3, r"Part \(b\)")]
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(set(ids)) == len(ids)
    inside = set(re.findall(r'href="#([^"]+)"', text))
    assert {"p0", "p1", "p0-a", "p1-a", "p1-b"} <= inside <= set(ids)
    assert text.count('href="https://example.org/"') == 2
    assert "genindex" not in text
    assert text.count('src="../html/x.png"') == 2
    assert 'href="../html/s.css"' in text
    assert "<title>A &amp; B</title>" in text


def test_only_what_paper_can_show_is_kept(joined):
    text = joined
    assert "alert()" not in text
    assert "import x" not in text
    assert "Show the" not in text
    assert text.count("x = 1") == 2
    assert text.count('alt="first"') == 2
    assert "sgdm-play" not in text.split("</style>")[1]
    assert len(re.findall(r"<details[^>]* open", text)) == 2


def test_short_code_is_marked_to_stay_with_its_result(joined):
    text = joined
    assert text.count('<div class="cell_input print-short">claim()') == 2
    assert text.count('<div class="cell_input">a\n') == 2
    assert ".print-short { break-after: avoid; }" in text


@pytest.mark.book
def test_every_page_of_the_book_is_joined(book, tmp_path):
    join(ROOT, book / "html", tmp_path / "book.html")
    text = (tmp_path / "book.html").read_text("utf8")
    chapters = set(re.findall(r'<li class="print-level\d"><a href="#(p\d+)">[^<]', text))
    assert chapters == {f"p{i}" for i in range(len(entries(ROOT)))}
    assert all(title for _, title in levels(text))
    missing = set(re.findall(r'href="#([^"]+)"', text)) - set(re.findall(r' id="([^"]+)"', text))
    assert not missing
    for image in set(re.findall(r'<img[^>]* src="([^":]+)"', text)):
        assert (tmp_path / image).is_file(), image


@pytest.mark.book
def test_printed_pages(book, browser, tmp_path):
    """A theory chapter, tables and a page of the reference, printed and read again."""
    from pypdf import PdfReader

    (tmp_path / "_toc.yml").write_text(TOC)
    (tmp_path / "_config.yml").write_text((ROOT / "_config.yml").read_text("utf8"))
    (tmp_path / "_build").mkdir()
    (tmp_path / "_build/html").symlink_to(book / "html")
    code = (
        "import sys; from pathlib import Path; from sgdm_lib.book.pdf import make_pdf;"
        "make_pdf(*map(Path, sys.argv[1:]))"
    )
    command = [sys.executable, "-W", "error", "-c", code, tmp_path, tmp_path / "_build"]
    subprocess.run(command, check=True)  # a process of its own: playwright allows one browser
    reader = PdfReader(tmp_path / "_build/pdf" / PDF)
    texts = [page.extract_text() for page in reader.pages]
    assert len(texts) > 12
    bare = [i for i, page in enumerate(reader.pages) if len(texts[i]) < 30 and not page.images]
    assert not bare, "an empty page: its number alone"
    sizes = {tuple(round(float(side)) for side in page.mediabox[2:]) for page in reader.pages}
    assert sizes == {(595, 842)}, "A4"

    preface, theory, parts, appendix, reference = reader.outline[0], *reader.outline[2:]
    assert preface.title.startswith("Momentum SGD")
    assert (theory.title, appendix.title) == ("Theory", "Appendix")
    names = {item.title: item for item in [*parts, *reference] if not isinstance(item, list)}
    assert list(names) == ["1. Momentum", "Notation", "The library"]
    for title, item in names.items():
        assert title in texts[reader.get_destination_page_number(item)]
        assert title in texts[1], "table of contents"
    momentum = "".join(texts)
    assert "β" in momentum or "𝛽" in momentum, "math is text, not a picture"
    assert "class sgdm_lib.optim.NSHB" in re.sub(r"\s+", " ", momentum)


def test_without_chromium_one_line_says_what_to_do(monkeypatch):
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(RuntimeError, match=r"install it \(Debian: apt install chromium\)"):
        find_chromium()
    with pytest.raises(RuntimeError, match="the PDF needs Chromium"):
        build({}, pdf=True)


def test_a_chromium_that_cannot_be_run_is_told_before_anything_is_built(monkeypatch, tmp_path):
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "chromium"))
    with pytest.raises(RuntimeError, match="CHROMIUM must be the path of a program"):
        find_chromium()
