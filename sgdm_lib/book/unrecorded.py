"""A checkout without any recorded run: what rests on records is left out, all else is shown.

Chapters compute numbers for their prose from recorded runs. Where there is none at all, a statement
that fails for want of them is passed over, and the book shows an ellipsis in place of its numbers.
With a single record nothing here is at work: every error is an error.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHOWN = "_unless_unrecorded"


class Lenient(ast.NodeTransformer):
    """Rewrites a cell so that each statement by itself may fail; assertions may not.

    >>> names = {SHOWN: unless_unrecorded}
    >>> cell = Lenient().visit(ast.parse("a = 1; b = [][0]; c = a + 1"))
    >>> exec(compile(cell, "cell", "exec"), names)
    >>> names["c"], "b" in names
    (2, False)
    """

    def visit_Module(self, node: ast.Module) -> ast.Module:
        """The same statements, each guarded; the last expression remains the cell's output."""
        last = len(node.body) - 1
        node.body = [
            _shown(stmt) if place == last and isinstance(stmt, ast.Expr) else _guarded(stmt)
            for place, stmt in enumerate(node.body)
        ]
        return ast.fix_missing_locations(node)


def _guarded(stmt: ast.stmt) -> ast.stmt:
    passed_over = ast.parse("try: pass\nexcept AssertionError: raise\nexcept Exception: pass")
    guard = passed_over.body[0]
    assert isinstance(guard, ast.Try)
    guard.body = [stmt]
    return ast.copy_location(guard, stmt)


def _shown(stmt: ast.Expr) -> ast.stmt:
    call = ast.parse(f"{SHOWN}(lambda: None)").body[0]
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    assert isinstance(call.value.args[0], ast.Lambda)
    call.value.args[0].body = stmt.value
    return ast.copy_location(call, stmt)


def unless_unrecorded(shown: Callable[[], Any]) -> Any:
    """What the expression gives; words in its place if it fails."""
    try:
        return shown()
    except AssertionError:
        raise
    except Exception:
        from IPython.display import Markdown

        return Markdown("*Not yet run.*")


def allow(shell: Any, chapters: Path) -> bool:
    """Make a notebook's further cells lenient if nothing has been recorded; say whether it was so.

    Args:
        shell: IPython's shell; None outside a notebook.
        chapters: the checkout's folder ``chapters``.
    """
    if shell is None or any((chapters / "records").rglob("run.json")):
        return False
    shell.user_ns[SHOWN] = unless_unrecorded
    shell.ast_transformers.append(Lenient())
    return True
