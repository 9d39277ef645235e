"""Correct the theme's markup where a screen reader would stumble, and drop what pages do not need.

Every page also gets a description, its first paragraph, for those who find it by a search.

Each correction names the fault. One that should be on every page and is on none is a warning, so a
newer theme that has mended (or renamed) it does not go unnoticed.
"""

import re
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.util import logging

logger = logging.getLogger(__name__)

LONGEST = 155
"""Characters of a description that searches show."""
EVERY_PAGE = {
    "the sidebar is in no landmark": (
        re.compile(r'<div id="pst-primary-sidebar" class='),
        '<div id="pst-primary-sidebar" role="region" aria-label="Title and contents" class=',
    ),
    # 1.5 MB of script that draws the icons the theme's own font has, too
    "every icon comes twice": (
        re.compile(r'\s*<script src="[^"]*scripts/fontawesome\.js[^"]*"></script>'),
        "",
    ),
    "icons are read out": (
        re.compile(r'<(i|span) class="((?:theme-switch )?fa[srb]? |(?:theme-switch )?fa-solid )'),
        r'<\1 aria-hidden="true" class="\2',
    ),
}
SOME_PAGES = {
    "the arrow that unfolds a part of the contents has no name": (
        re.compile(r'<summary>(?=<span class="toctree-toggle")'),
        '<summary aria-label="Pages of this part">',
    ),
    "a button is called something else than it says": (
        re.compile(r'<summary aria-label="Toggle hidden content">'),
        "<summary>",
    ),
    "a column's heading is empty": (
        re.compile(r"<th( [^>]*)?>(?:&nbsp;|\s)*</th>"),
        r"<td\1></td>",
    ),
    "a link begins with a space": (
        re.compile(r"(Solution to)(<a [^>]*>) "),
        r"\1 \2",
    ),
    "a list's entries are no list items": (
        re.compile(r'role="doc-biblioentry"'),
        'role="listitem"',
    ),
}


def correct(text):
    """The page's text corrected, and the faults found in it."""
    found = set()
    for fault, (pattern, replacement) in {**EVERY_PAGE, **SOME_PAGES}.items():
        text, count = pattern.subn(replacement, text)
        found |= {fault} if count else set()
    return text, found


def correct_all(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    found = set()
    for path in Path(app.outdir).rglob("*.html"):
        if "_static" not in path.parts:
            text, faults = correct(path.read_text("utf8"))
            path.write_text(text, "utf8")
            found |= faults
    for fault in EVERY_PAGE.keys() - found if found else ():  # none: no page was written anew
        logger.warning("no page has the theme's fault %r any more: drop its correction", fault)


def describe(app, pagename, templatename, context, doctree):
    """Add the beginning of the page's first paragraph to its head."""
    if paragraph := doctree and doctree.next_node(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        if len(text) > LONGEST:
            text = text[:LONGEST].rsplit(" ", 1)[0] + " ..."
        context["metatags"] += f'<meta name="description" content="{escape(text)}"/>\n'


def setup(app):
    app.connect("html-page-context", describe)
    app.connect("build-finished", correct_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
