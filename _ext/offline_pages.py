"""Keep the rendered book free of requests to other hosts and of console errors."""

from importlib.util import find_spec
from pathlib import Path

from sphinx.util import logging
from sphinx.util.fileutil import copy_asset

logger = logging.getLogger(__name__)
# Of MathJax 3, without the parts no page needs: half the weight of its combined files. No menu, so
# a reader who walks through a page by keyboard does not stop at every formula.
PARTS = ["input/tex", "output/chtml", "a11y/assistive-mml"]
FILES = ["core.js", "startup.js", "input/tex.js", "input/tex/extensions", "output/chtml.js"]
FILES += ["output/chtml/fonts/tex.js", "output/chtml/fonts/woff-v2", "a11y/assistive-mml.js"]


def mathjax():
    """MathJax's files in the package sphinx-mathjax-offline; the name's hyphens forbid import."""
    spec = find_spec("sphinx-mathjax-offline")
    return spec and Path(spec.origin).parent / "static" / "mathjax"


def use_local_mathjax(app, config):
    if mathjax():
        # Not below _static: jupyter-book would load every script there on every page.
        config.mathjax_path = "mathjax/startup.js"
        config.mathjax3_config = {**(config.mathjax3_config or {}), "loader": {"load": PARTS}}
    else:
        logger.warning("sphinx-mathjax-offline is not installed: math would need the network")


def copy_mathjax(app, exception):
    if exception is None and app.builder.format == "html" and (source := mathjax()):
        target = Path(app.outdir, "_static", "mathjax")
        for name in FILES:
            folder = (source / name).is_dir()
            copy_asset(source / name, target / name if folder else (target / name).parent)


def drop_thebe(app, pagename, templatename, context, doctree):
    """Sphinx 7.4 emits sphinx-thebe's inline script twice: a console error on every page."""
    context["script_files"] = [
        js
        for js in context.get("script_files", [])
        if "thebe" not in str(js.filename or "") and "THEBE" not in js.attributes.get("body", "")
    ]


def setup(app):
    app.connect("config-inited", use_local_mathjax, priority=900)
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
