"""Render the papermill-executed copy of a chapter in place of its source.

jupyter-book reads the clean notebook's path, so warnings name the real file and the reader's
download is the clean notebook; only the content is swapped.
"""

import os
import re
from pathlib import Path


def swap(app, docname, source):
    executed = os.environ.get("BOOK_EXECUTED", str(Path(app.srcdir, "_build", "executed")))
    done = Path(executed, docname + ".ipynb")
    if done.is_file():
        source[0] = done.read_text("utf8")
        app.env.note_dependency(str(done))
    else:  # not executed in this build (sgdm book --chapter): its numbers are not known
        source[0] = re.sub(r"\{glue:text\}`[^`]*`", "(not executed)", source[0])


def setup(app):
    app.connect("source-read", swap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
