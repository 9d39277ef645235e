"""How the library is built: its rooms and their imports, read from the code, drawn and checked.

A *wing* is one of ``practitioner <- engine <- study <- book <- cli``; each imports only from those
to its left. A *room* is a module or package that others import as one: the children of
``sgdm_lib``, and those of ``sgdm_lib.study``. The *floor* of a room is the length of the longest
chain of imports below it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["WINGS", "draw", "floors", "imports", "rooms", "wing"]

PACKAGE = "sgdm_lib"
WINGS = ("practitioner", "engine", "study", "book", "cli")
"""From left to right: a wing imports only from itself and from those before it."""
LIBRARY = Path(__file__).resolve().parents[1]


@lru_cache(maxsize=1)
def imports() -> Mapping[str, frozenset[str]]:
    """For each module of the library the modules of the library that it imports.

    Imports inside functions count, imports for type checkers count as well.
    """
    paths = {_dotted(path): path for path in sorted(LIBRARY.rglob("*.py"))}
    return {name: frozenset(_imported(name, path, paths)) for name, path in paths.items()}


def _dotted(path: Path) -> str:
    name = ".".join([PACKAGE, *path.relative_to(LIBRARY).with_suffix("").parts])
    return name.removesuffix(".__init__")


def _imported(name: str, path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            for alias in node.names:
                full = f"{base}.{alias.name}"
                if full in known or base in known:
                    yield full if full in known else base


def wing(module: str) -> str:
    """The wing of a module.

    >>> wing("sgdm_lib.theory.cost"), wing("sgdm_lib.engine.records")
    ('practitioner', 'engine')
    """
    first = module.split(".")[1] if "." in module else ""
    return {"__main__": "cli"}.get(first, first if first in WINGS else "practitioner")


def room(module: str) -> str:
    """The room of a module, without the package's name; the package itself is no room.

    >>> room("sgdm_lib.theory.cost"), room("sgdm_lib.study.claims.claim"), room("sgdm_lib")
    ('theory', 'study.claims', '')
    """
    parts = module.split(".")[1:]
    deep = parts[:1] == ["study"] and len(parts) > 1
    return ".".join(parts[: 2 if deep else 1])


def rooms(inside: str = "") -> Mapping[str, frozenset[str]]:
    """For each room the rooms that it imports.

    Args:
        inside: "" for the whole library, or a package such as "engine" or "study.claims", whose
            modules are then the rooms.
    """
    if not inside:
        pairs = ((room(a), {room(b) for b in found}) for a, found in imports().items())
    else:
        begin = f"{PACKAGE}.{inside}."
        pairs = (
            (
                a.removeprefix(begin).split(".")[0],
                {b.removeprefix(begin).split(".")[0] for b in found if b.startswith(begin)},
            )
            for a, found in imports().items()
            if a.startswith(begin)
        )
    merged: dict[str, set[str]] = {}
    for name, found in pairs:
        merged.setdefault(name, set()).update(found)
    left_out = {"", "study", "__main__"}
    return {
        name: frozenset(found - {name} - left_out)
        for name, found in merged.items()
        if name not in left_out
    }


def floors(graph: Mapping[str, frozenset[str]]) -> dict[str, int]:
    """The floor of each room, from 0; raises if imports run in a circle.

    Args:
        graph: as :func:`rooms` makes it.

    Raises:
        ValueError: if there is a circle; the message names the rooms on it.

    >>> floors({"a": frozenset(), "b": frozenset({"a"}), "c": frozenset({"a", "b"})})
    {'a': 0, 'b': 1, 'c': 2}
    """
    found: dict[str, int] = {}

    def floor(name: str, path: tuple[str, ...]) -> int:
        if name in path:
            circle = " -> ".join([*path[path.index(name) :], name])
            raise ValueError(f"imports must not run in a circle, got {circle}")
        if name not in found:
            below = [floor(other, (*path, name)) for other in sorted(graph[name])]
            found[name] = 1 + max(below, default=-1)
        return found[name]

    for name in graph:
        floor(name, ())
    return found


def draw() -> Figure:
    """The map of the library: rooms by wing and floor, and an arrow for each import.

    An import that other imports imply already (a imports b, b imports c: a -> c) has no arrow.
    """
    import matplotlib.pyplot as plt

    graph = rooms()
    height = floors(graph)
    columns = {name: WINGS.index(wing(f"{PACKAGE}.{name}")) for name in graph}
    place: dict[str, tuple[float, float]] = {}
    for (column, floor), names in _cells(columns, height).items():
        for k, name in enumerate(sorted(names)):
            place[name] = (column + (k + 0.5) / len(names) - 0.5, floor)
    widths = [
        max(len(n) for (c, _), n in _cells(columns, height).items() if c == i) for i in range(5)
    ]
    edges = [sum(widths[:i]) for i in range(6)]
    x = {
        n: edges[columns[n]] + (place[n][0] - columns[n] + 0.5) * widths[columns[n]] for n in graph
    }
    figure, axes = plt.subplots(figsize=(9.6, 6.4), layout="constrained")
    for i, name in enumerate(WINGS):
        axes.axvspan(edges[i], edges[i + 1], alpha=0.12 if i % 2 else 0.04, color="0.5", lw=0)
        axes.text((edges[i] + edges[i + 1]) / 2, max(height.values()) + 0.7, name, ha="center")
    for name, below in graph.items():
        for other in below - {far for near in below for far in _reach(graph, near)}:
            axes.annotate(
                "",
                xy=(x[other], height[other] + 0.18),
                xytext=(x[name], height[name] - 0.18),
                arrowprops={"arrowstyle": "->", "color": "0.6", "lw": 0.8},
            )
    for name in graph:
        label = name.removeprefix("study.")
        box = {"boxstyle": "round,pad=0.25", "fc": "white", "ec": "0.3", "lw": 0.8}
        axes.text(x[name], height[name], label, ha="center", va="center", fontsize=8, bbox=box)
    axes.set(xlim=(0, edges[-1]), ylim=(-0.6, max(height.values()) + 1.2), xticks=[])
    axes.set_ylabel("floor: longest chain of imports below")
    axes.set_yticks(range(max(height.values()) + 1))
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    return figure


def _cells(
    columns: Mapping[str, int], height: Mapping[str, int]
) -> dict[tuple[int, int], list[str]]:
    cells: dict[tuple[int, int], list[str]] = {}
    for name in columns:
        cells.setdefault((columns[name], height[name]), []).append(name)
    return cells


def _reach(graph: Mapping[str, frozenset[str]], name: str) -> set[str]:
    """All rooms that a room imports, directly or not."""
    return set(graph[name]) | {far for near in graph[name] for far in _reach(graph, near)}
