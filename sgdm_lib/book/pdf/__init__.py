"""One PDF of the whole book: Chromium prints all pages as one document and writes its outline."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from sgdm_lib.book.pdf.whole import join

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
    join(root, build / "html", whole)
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
            page.pdf(
                path=partial,
                prefer_css_page_size=True,
                print_background=True,
                outline=True,
                tagged=True,
            )
        finally:
            browser.close()
    os.replace(partial, out)
    print(f"The PDF is ready after {time.perf_counter() - begin:.0f} s: {out}", flush=True)
    return out
