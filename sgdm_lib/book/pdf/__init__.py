"""One PDF of the whole book: Chromium prints all pages as one document, with bookmarks."""

from __future__ import annotations

import io
import logging
import os
import shutil
import time
from pathlib import Path
from typing import Any

from sgdm_lib.book.pdf.whole import Heading, join

__all__ = ["PDF", "find_chromium", "make_pdf"]

PDF = "momentum-sgd-with-growing-batch-sizes.pdf"
PRINTED_WIDTH = 658  # pixels of 1/96 inch between the margins of print.css, 174 mm
FIGURES = 0.62  # printed size of a figure over its own
TYPESET = """async () => {
    await MathJax.startup.promise;
    await document.fonts.ready;
    await Promise.all([...document.images].map(image => image.decode()));
}"""
FIT = r"""SCALE => {
    // Tables and formulas that are wider than the page become smaller; all else wraps.
    // Figures have one scale, so that their letters have one size.
    const width = document.documentElement.clientWidth;
    for (const image of document.querySelectorAll('figure img, .cell_output img')) {
        // pixels to an inch: of an SVG, of a figure to play with, of a figure of many dots
        const inch = /\.svg$/.test(image.src) ? 96 : image.src.startsWith('data:') ? 110 : 150;
        const wide = SCALE * 96 / inch * image.naturalWidth;
        image.style.width = `${Math.min(wide, image.parentElement.clientWidth)}px`;
    }
    for (const e of document.querySelectorAll('table, mjx-container[display]')) {
        const room = e.parentElement.clientWidth;
        const wide = (e.matches('table') ? e : e.firstElementChild).scrollWidth;
        if (room && wide > room + 1) e.style.zoom = 0.98 * room / wide;
    }
    return [...document.querySelectorAll('body *')]
        .filter(e => e.getBoundingClientRect().right > width + 8 && !e.closest('mjx-container'))
        .map(e => `${e.tagName} ${e.textContent.trim().slice(0, 60)}`);
}"""
NUMBER = """pages => document.querySelectorAll('[data-page-of]').forEach(
    e => { e.textContent = pages[e.dataset.pageOf]; })"""


def find_chromium() -> str:
    """The path of Chromium or Chrome: ``$CHROMIUM``, else what the command line would find.

    Raises:
        RuntimeError: if there is none.
    """
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise RuntimeError(
            "the PDF needs Chromium, and there is none: install it (Debian: apt install chromium), "
            "or set CHROMIUM to its path"
        )
    if shutil.which(found) is None:
        raise RuntimeError(
            f"CHROMIUM must be the path of a program that can be run, got {found!r}: correct it, "
            "or unset it to use the installed Chromium"
        )
    return found


def make_pdf(root: Path, build: Path) -> Path:
    """Print the rendered book.

    Args:
        root: the checkout.
        build: its ``_build``, with ``html`` in it.

    Returns:
        The PDF, in ``build``/pdf. It is written whole or not at all.

    Raises:
        RuntimeError: if there is no Chromium, a formula cannot be typeset, or something does not
            fit the width of the page.
    """
    from playwright.sync_api import sync_playwright

    begin, chromium = time.perf_counter(), find_chromium()
    print("Printing the PDF", flush=True)
    whole, out = build / "pdf" / "book.html", build / "pdf" / PDF
    headings = join(root, build / "html", whole)
    partial = out.with_suffix(".partial")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        try:
            page = browser.new_page(viewport={"width": PRINTED_WIDTH, "height": 900})
            page.set_default_timeout(600_000)
            page.emulate_media(media="print", color_scheme="light")
            page.goto(whole.as_uri())
            page.evaluate(TYPESET)
            if wrong := page.locator("mjx-merror, [data-mjx-error]").count():
                raise RuntimeError(f"{wrong} formulas cannot be typeset: see {whole}")
            if wide := page.evaluate(FIT, FIGURES):
                raise RuntimeError(f"{len(wide)} things are wider than the page, first: {wide[0]}")
            page.pdf(path=partial, prefer_css_page_size=True, print_background=True)
            numbers = _page_numbers(partial)
            page.evaluate(NUMBER, numbers)
            contents = page.pdf(  # once more, with the numbers that are known now
                page_ranges=f"2-{numbers['p0'] - 1}",
                prefer_css_page_size=True,
                print_background=True,
            )
        finally:
            browser.close()
    pages = _finish(partial, headings, numbers, contents)
    os.replace(partial, out)
    seconds = time.perf_counter() - begin
    print(f"The PDF is ready after {seconds:.0f} s, {pages} pages: {out}", flush=True)
    return out


def _destinations(reader: Any) -> dict[str, Any]:
    found = reader.named_destinations
    return {name.removeprefix("/"): target for name, target in found.items()}


def _page_numbers(path: Path) -> dict[str, int]:
    """The page, from 1, of each named place."""
    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # of Chromium's files it says what is fine
    reader = PdfReader(path)
    numbers = {
        name: reader.get_destination_page_number(target)
        for name, target in _destinations(reader).items()
    }
    return {name: number + 1 for name, number in numbers.items() if number is not None}


def _finish(path: Path, headings: list[Heading], numbers: dict[str, int], contents: bytes) -> int:
    """Put in the table of contents, an outline and a title; returns the number of pages."""
    from pypdf import PdfReader, PdfWriter
    from pypdf.generic import Fit, NameObject

    writer = PdfWriter(clone_from=path)
    for i, numbered in enumerate(PdfReader(io.BytesIO(contents)).pages, 1):
        again = numbered.clone(writer)
        for what in map(NameObject, ("/Contents", "/Resources")):  # links stay where they are
            writer.pages[i][what] = again.raw_get(what)
    tops = {name: target.top for name, target in _destinations(writer).items()}
    above: list[Any] = []  # the last bookmark of each level
    for level, title, anchor in headings:
        fit = Fit.xyz(top=tops[anchor])
        parent = above[level - 1] if level else None
        item = writer.add_outline_item(
            title=title, page_number=numbers[anchor] - 1, parent=parent, fit=fit
        )
        above[level:] = [item]
    writer.page_mode = "/UseOutlines"
    writer.add_metadata({"/Creator": "sgdm book --pdf"})
    writer.write(path)
    return len(writer.pages)
