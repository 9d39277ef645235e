"""Put the data that the chapters draw beside the pages, so that each verdict can link to it."""

from pathlib import Path

from sphinx.util.fileutil import copy_asset

FOLDERS = ("chapters/records", "chapters/paper_curves")


def copy_data(app, exception):
    if exception is None and app.builder.format == "html":
        for folder in FOLDERS:
            if (source := Path(app.srcdir, folder)).is_dir():
                copy_asset(source, Path(app.outdir, folder))


def setup(app):
    app.connect("build-finished", copy_data)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
