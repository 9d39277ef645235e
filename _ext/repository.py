"""Buttons to launch, edit and report, and a link to the PDF: each where its target exists.

The buttons are the theme's; this decides whether they appear, and sends Colab to the branch whose
notebooks install the library first. See sgdm_lib.book.build.launch for the setting.
"""

import os
from pathlib import Path

from sgdm_lib.book.build.launch import COPIES, repository

BUTTONS = ("use_repository_button", "use_edit_page_button", "use_issues_button")


def configure(app, config):
    options = config.html_theme_options
    where = repository(Path(app.srcdir))
    options |= dict.fromkeys(BUTTONS, where is not None)
    if where is None:
        options.pop("launch_buttons", None)
    else:
        options |= {"repository_url": where.url, "repository_branch": where.branch}


def colab_opens_the_copies(app, pagename, templatename, context, doctree):
    branch = app.config.html_theme_options.get("repository_branch")
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button["text"] == "Colab":
                button["url"] = button["url"].replace(f"/blob/{branch}/", f"/blob/{COPIES}/", 1)


def link_the_pdf(app, pagename, templatename, context, doctree):
    if name := os.environ.get("BOOK_PDF"):
        link = f' <a href="{context["pathto"](name, 1)}">The whole book as one PDF.</a>'
        context["theme_extra_footer"] = context.get("theme_extra_footer", "") + link


def setup(app):
    app.connect("config-inited", configure)
    app.connect("html-page-context", colab_opens_the_copies, priority=900)
    app.connect("html-page-context", link_the_pdf)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
