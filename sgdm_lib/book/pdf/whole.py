"""All pages of the rendered book in one HTML file, in reading order, for printing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

STYLE = Path(__file__).with_name("print.css")
MATH_SIZE = "<script>MathJax.chtml = {matchFontHeight: false, scale: 1.12};</script>"

BOILERPLATE = ("Show the parameters", "Show the imports")
"""Cells that every chapter has; the box at its end tells its parameters."""

DEEPEST = 2
"""The rank of the headings below which the outline does not go."""

CONTENTS = '<nav class="print-contents"><p class="print-title">Contents</p><ol>{}</ol></nav>'

SHORT = 3
"""Lines of code that move to the next page with their result, rather than stand alone."""


class Entry(NamedTuple):
    """A page of the book."""

    part: str
    """The caption of its part; "" for pages before the first."""
    page: str
    """Its file's path below the book, without suffix."""
    depth: int
    """0 for a chapter, 1 for a page below one, and so on."""


def entries(root: Path) -> list[Entry]:
    """The pages that ``_toc.yml`` names, in reading order."""
    import yaml

    toc = yaml.safe_load((root / "_toc.yml").read_text("utf8"))

    def walk(node: dict[str, Any], part: str, depth: int) -> Iterator[Entry]:
        for each in [*node.get("chapters", []), *node.get("sections", [])]:
            if "file" in each:
                yield Entry(part, each["file"].removesuffix(".md").removesuffix(".ipynb"), depth)
                yield from walk(each, part, depth + 1)

    found = [Entry("", toc["root"], 0), *walk(toc, "", 0)]
    for part in toc.get("parts", []):
        found += walk(part, part.get("caption", ""), 0)
    return found


def join(root: Path, html: Path, out: Path) -> None:
    """Write one file with a cover, a table of contents and the articles of all pages.

    Ids get the number of their page in front, and links between pages become links inside the
    file. What folds is open. Scripts go, MathJax stays; a figure to play with becomes its picture.

    Args:
        root: the checkout.
        html: the rendered book.
        out: the file to write; it loads style and images from ``html``.
    """
    import yaml
    from bs4 import BeautifulSoup

    toc = entries(root)
    files = [(html / entry.page).with_suffix(".html") for entry in toc]
    pages = [BeautifulSoup(file.read_text("utf8"), "html.parser") for file in files]
    numbers = {file.resolve(): i for i, file in enumerate(files)}
    config = yaml.safe_load((root / "_config.yml").read_text("utf8"))
    body, contents = [], []
    for i, (entry, page, file) in enumerate(zip(toc, pages, files, strict=True)):
        article = page.select_one("article.bd-article")
        assert article is not None, f"{file} is no page of this book"
        _simplify(article)
        _localise(article, file, i, numbers, out.parent)
        article["id"] = f"p{i}"
        if entry.depth:
            article["class"] = "bd-article print-reference"
        if entry.part and entry.part != toc[i - 1].part:
            caption = {"class": "print-part", "role": "heading", "aria-level": "1"}
            part = page.new_tag("p", attrs=caption)
            part.string = entry.part
            article.insert(0, part)
            contents.append(f'<li class="print-caption">{escape(entry.part)}</li>')
        _set_levels(article, entry.depth + bool(entry.part))
        contents.append(_line(_text(article.h1), f"p{i}", entry.depth + bool(entry.part)))
        body.append(str(article))
    out.parent.mkdir(parents=True, exist_ok=True)
    head = _head(config["title"], pages[0], files[0], out.parent)
    parts = [head, _cover(config), CONTENTS.format("".join(contents)), *body, "</body></html>"]
    out.write_text("".join(parts), "utf8")


def _simplify(article: Any) -> None:
    """Keep what paper can show."""
    for play in article.select(".sgdm-play"):
        play.replace_with(play.select_one("noscript img").extract())
    for useless in article.select("script, style, button, noscript, .sd-tab-set > input"):
        useless.decompose()
    for link in article.select("a.headerlink"):
        link.clear()  # stays as a target: Chromium names only places that something links to
    for folded in article.select("details"):
        folded["open"] = ""
        if "hide" in folded.get("class", []):
            if folded.summary.get_text().strip().startswith(BOILERPLATE):
                folded.decompose()
            else:  # code; on paper there is nothing to show or to hide
                folded.summary.decompose()
                folded.unwrap()
    for code in article.select(".cell_input"):
        if len(code.get_text().strip().splitlines()) <= SHORT:
            code["class"].append("print-short")


def _localise(article: Any, file: Path, i: int, numbers: dict[Path, int], base: Path) -> None:
    """Make ids unique in the file, and links and images right from where the file lies."""
    for each in article.select("[id]"):
        each["id"] = f"p{i}-{each['id']}"
    for link in article.select("a[href]"):
        url = urlsplit(link["href"])
        if url.scheme or url.netloc:
            continue
        target = (file.parent / unquote(url.path)).resolve() if url.path else file.resolve()
        if target in numbers:
            link["href"] = f"#p{numbers[target]}" + (f"-{url.fragment}" if url.fragment else "")
        else:  # an index, a download: not in print
            del link["href"]
    for image in article.select("img[src]"):
        if not urlsplit(image["src"]).scheme:
            image["src"] = _relative(file, image["src"], base)
        image["loading"] = "eager"


def _relative(file: Path, reference: str, base: Path) -> str:
    path, mark, rest = reference.partition("?")
    return Path(os.path.relpath(file.parent / path, base)).as_posix() + mark + rest


def _set_levels(article: Any, level: int) -> None:
    """Tell Chromium, which makes the outline from headings, how deep each one lies in the book.

    The outline has parts, chapters and their sections; smaller headings are not in it.
    """
    for heading in article.select("h1, h2, h3, h4, h5, h6"):
        rank = int(heading.name[1])
        if rank <= DEEPEST:
            heading["aria-level"] = str(level + rank)
        else:
            heading["role"] = "paragraph"


def _text(heading: Any) -> str:
    words = " ".join(heading.get_text().split())
    return words.replace(r"\(", "").replace(r"\)", "")


def _head(title: str, page: Any, file: Path, base: Path) -> str:
    styles = [_relative(file, link["href"], base) for link in page.select("link[rel=stylesheet]")]
    links = "".join(f'<link rel="stylesheet" href="{style}">' for style in styles)
    scripts = [str(s) for s in page.select("script") if "window.MathJax" in (s.string or "")]
    mathjax = next(s["src"] for s in page.select("script[src]") if "mathjax/" in s["src"])
    return (
        '<!doctype html><html lang="en" data-theme="light" data-mode="light"><head>'
        f'<meta charset="utf-8"><title>{escape(title)}</title>{links}'
        f"<style>{STYLE.read_text('utf8')}</style>{''.join(scripts)}{MATH_SIZE}"
        f'<script defer src="{_relative(file, mathjax, base)}"></script></head><body>'
    )


def _cover(config: dict[str, Any]) -> str:
    from sgdm_lib.engine.versions import code_version

    return (
        f'<section class="print-cover"><p class="print-title">{escape(config["title"])}</p>'
        f"<p>{escape(config['author'])}</p>"
        f"<p>Version {code_version()}<br>Printed on {datetime.now(UTC):%Y-%m-%d}</p>"
        "<p>Each chapter ends with when and how it was made. A figure to play with is a picture "
        "of its first state here.</p></section>"
    )


def _line(title: str, anchor: str, level: int) -> str:
    """A line of the table of contents: a link."""
    return f'<li class="print-level{level}"><a href="#{anchor}">{escape(title)}</a></li>'
