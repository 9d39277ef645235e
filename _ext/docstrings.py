"""Docstrings are written to be read in a terminal; make them read well on a page, too.

An indented block in a docstring's description is a formula or a listing: shown as it is written,
line by line. A bar is a bar: |x| is a norm or a count, never a substitution. An attribute has its
type from its annotation: "By theorem: the bound" is a sentence, not a type and a description. So
is "One row a run: its loss" under "Returns:". ArrayLike has its name, not the union it stands for.
"""

import re

from numpy.typing import ArrayLike
from sphinx.util.typing import stringify_annotation

SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Yields|Example|Examples|Note|Source):$")
INDENT = "    "
BAR = re.compile(r"\|(?=(?:[^`]|`[^`]+`|``[^`]+``)*$)")
PROSE = re.compile(r"(\s+)([A-Z][^:]* [^:]*: )")


ARRAY_LIKE = stringify_annotation(ArrayLike, "smart")


def show_formulas(app, what, name, obj, options, lines):
    """Put ``::`` before each indented block of the description."""
    out, described, literal = [], False, False
    for i, line in enumerate(lines):
        described = described or bool(SECTION.match(line))
        indented = line.startswith(INDENT) and not described
        if indented and not literal and i and not lines[i - 1].strip():
            item = next((before for before in reversed(lines[:i]) if before.strip()), "")
            literal = not re.match(r"\s*([*-]|\d\.) ", item) and not item.endswith("::")
            if literal:
                out += ["::", ""]
        elif line.strip() and not indented:
            literal = False
        out.append(line.replace("``", "") if literal and line.strip() else BAR.sub(r"\\|", line))
    lines[:] = out


def return_sentences(app, what, name, obj, options, lines):
    """A colon before a sentence in "Returns:" says that there is no type to its left."""
    for i, line in enumerate(lines[1:], 1):
        if lines[i - 1].strip() == "Returns:":
            lines[i] = PROSE.sub(r"\1: \2", line, count=1) if PROSE.match(line) else line


def keep_sentences(app, what, name, obj, options, lines):
    """Remember an attribute's docstring, of which napoleon would take the first words as a type."""
    if what in ("attribute", "property"):
        app.env.temp_data["attribute's docstring"] = list(lines)


def restore_sentences(app, what, name, obj, options, lines):
    if what in ("attribute", "property"):
        lines[:] = app.env.temp_data.pop("attribute's docstring")


def name_array_like(app, what, name, obj, options, signature, return_annotation):
    """Change the types that autodoc has noted for the description."""
    noted = app.env.temp_data.get("annotations", {}).get(name, {})
    for parameter, words in noted.items():
        noted[parameter] = words.replace(ARRAY_LIKE, "~numpy.typing.ArrayLike")


def setup(app):
    app.connect("autodoc-process-signature", name_array_like, priority=600)  # noted at 500
    app.connect("autodoc-process-docstring", show_formulas, priority=400)  # before napoleon's 500
    app.connect("autodoc-process-docstring", return_sentences, priority=410)
    app.connect("autodoc-process-docstring", keep_sentences, priority=450)
    app.connect("autodoc-process-docstring", restore_sentences, priority=550)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
