"""Render the papermill-executed copy of a chapter in place of its source, long code folded.

jupyter-book reads the clean notebook's path, so warnings name the real file and the reader's
download is the clean notebook; only the content is swapped.
"""

import json
import os
import re
from pathlib import Path

from sgdm_lib.book.notebooks import MISSING

SHORT = 8
"""A cell with more lines is folded on the page, unless it is tagged ``show-input``."""


def swap(app, docname, source):
    executed = os.environ.get("BOOK_EXECUTED", str(Path(app.srcdir, "_build", "executed")))
    done = Path(executed, docname + ".ipynb")
    if done.is_file():
        source[0] = show_missing(done.read_text("utf8"))
        app.env.note_dependency(str(done))
    else:  # not executed in this build (sgdm book --chapter): its numbers are not known
        source[0] = re.sub(r"\{glue:text\}`[^`]*`", "(not executed)", source[0])
    if Path(app.env.doc2path(docname)).suffix == ".ipynb":
        source[0] = fold(source[0])


def show_missing(text):
    """An ellipsis for each number noted as missing, whatever format the prose asks for."""
    outputs = [out for cell in json.loads(text)["cells"] for out in cell.get("outputs", [])]
    missing = {
        out["metadata"]["scrapbook"]["name"]
        for out in outputs
        if repr(MISSING) in out.get("data", {}).values() and "scrapbook" in out["metadata"]
    }
    number = r"\{glue:text\}`([^`:]*)[^`]*`"
    return re.sub(number, lambda found: MISSING if found[1] in missing else found[0], text)


def fold(text):
    """The notebook with its settings, imports and long cells folded; one click opens them."""
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        tags = cell["metadata"].setdefault("tags", [])
        code = "".join(cell["source"])
        if cell["cell_type"] != "code" or {"show-input", "remove-input"} & set(tags):
            continue
        what = "code"
        if "parameters" in tags:
            what = "parameters"
        elif "page.begin(" in code:
            what = "imports"
        if what != "code" or len(code.splitlines()) > SHORT or "hide-input" in tags:
            cell["metadata"]["tags"] = [*tags, "hide-input"]
            prompt = {"code_prompt_show": f"Show the {what}", "code_prompt_hide": "Hide"}
            cell["metadata"]["mystnb"] = {**prompt, **cell["metadata"].get("mystnb", {})}
    return json.dumps(notebook)


def setup(app):
    app.connect("source-read", swap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
