"""The directive ``command-line``: the help of ``sgdm`` and of each command, from the parser."""

import argparse
import os

from docutils import nodes
from docutils.parsers.rst import Directive


class CommandLine(Directive):
    """One section a command: what it does, then its help as the terminal shows it."""

    def run(self):
        from sgdm_lib.cli.arguments import parser

        os.environ["COLUMNS"] = "78"  # argparse wraps to the terminal; the page has this width
        top = parser()
        (commands,) = (a for a in top._actions if isinstance(a, argparse._SubParsersAction))
        about = {choice.dest: choice.help for choice in commands._choices_actions}
        found = [self.block(top.format_help())]
        for name, command in commands.choices.items():
            section = nodes.section(ids=[f"sgdm-{name}"], names=[f"sgdm {name}"])
            section += nodes.title(text=f"sgdm {name}")
            section += nodes.paragraph(text=about[name][0].upper() + about[name][1:] + ".")
            section += self.block(command.format_help())
            found.append(section)
        return found

    @staticmethod
    def block(text):
        return nodes.literal_block(text, text, language="text")


def setup(app):
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
