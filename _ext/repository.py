"""Launch, edit, issue and repository buttons, where it is known where the repository lives.

The buttons are the theme's; this decides whether they appear, and sends Colab to the branch whose
notebooks install the library first. See sgdm_lib.book.launch for the setting.
"""

from pathlib import Path

from sgdm_lib.book.launch import COPIES, repository

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


def setup(app):
    app.connect("config-inited", configure)
    app.connect("html-page-context", colab_opens_the_copies, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
