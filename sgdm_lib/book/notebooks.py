"""The notebooks of the book: which there are, what they take, when they must run again."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from sgdm_lib.checks import choice

SCALES = ("quick", "paper")
PARAMETERS = ("scale", "seeds", "device", "records")
"""Every chapter takes these."""
KEPT = {"tags", "mystnb"}  # cell metadata with a meaning for the book
VERSIONED = ("torch", "numpy", "pandas", "matplotlib", "seaborn", "papermill")
INPUTS = ("chapters/records", "chapters/paper_curves")


def find_root(start: Path | None = None) -> Path:
    """The checkout: the nearest folder from ``start`` upwards with a ``_toc.yml``.

    Raises:
        ValueError: if there is none.
    """
    here = (start or Path.cwd()).resolve()
    package = Path(__file__).resolve().parents[2]
    for folder in (here, *here.parents, package):
        if (folder / "_toc.yml").is_file() and (folder / "chapters").is_dir():
            return folder
    raise ValueError(f"the book needs its checkout, got {here} without _toc.yml: run it in a clone")


def chapters(root: Path) -> list[Path]:
    """The notebooks that the table of contents names, in its order, relative to the root."""
    import yaml

    def files(node: Any) -> Any:
        if isinstance(node, dict):
            yield from (node[key] for key in ("root", "file") if key in node)
            node = list(node.values())
        for item in node if isinstance(node, list) else ():
            yield from files(item)

    names = files(yaml.safe_load((root / "_toc.yml").read_text("utf8")))
    paths = (Path(name.removesuffix(".ipynb") + ".ipynb") for name in names)
    return [path for path in paths if (root / path).is_file()]


def select(paths: list[Path], wanted: str) -> list[Path]:
    """The chapters whose name begins with or contains ``wanted``; all for "".

    Raises:
        ValueError: if there is no such chapter.
    """
    names = [path.stem for path in paths]
    begin = [path for path in paths if path.stem.startswith(wanted)]
    found = begin or [path for path in paths if wanted in path.stem]
    if not found:
        choice("chapter", wanted, names)
    return found


def defaults(path: Path) -> dict[str, Any]:
    """The parameters of a chapter with their default values.

    Raises:
        ValueError: if the chapter has no cell tagged ``parameters``, or several.
    """
    import nbformat

    cells = [
        cell.source
        for cell in nbformat.read(path, 4).cells
        if "parameters" in cell.metadata.get("tags", [])
    ]
    if len(cells) != 1:
        raise ValueError(f"{path} must have one cell tagged 'parameters', got {len(cells)}")
    return assignments(cells[0])


def assignments(source: str) -> dict[str, Any]:
    """Names and literal values assigned at the top level of a piece of Python."""
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def environment(root: Path) -> str:
    """Changes with library code, versions that matter, or records; not with comments."""
    digest = hashlib.sha256(repr(sys.version_info[:2]).encode())
    package = Path(__file__).resolve().parents[1]
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(ast.dump(ast.parse(path.read_text("utf8"))).encode())
    for folder in INPUTS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file():
                digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    for name in VERSIONED:
        digest.update(f"{name} {metadata.version(name)}".encode())
    return digest.hexdigest()


def key_of(path: Path, parameters: dict[str, Any], environment: str) -> str:
    """A hash of everything that decides what an executed chapter looks like."""
    import nbformat

    cells = [(c.cell_type, c.source, c.metadata) for c in nbformat.read(path, 4).cells]
    text = json.dumps([cells, parameters, environment], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def is_current(executed: Path, key: str) -> bool:
    """Whether an executed chapter is there and was made with this key."""
    import nbformat

    if not executed.is_file():
        return False
    return nbformat.read(executed, 4).metadata.get("book", {}).get("key") == key


def clean(path: Path) -> str:
    """The notebook in the one form that git keeps: no outputs, no editor's metadata."""
    import nbformat

    nb = nbformat.read(path, 4)
    spec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nb.metadata = nbformat.from_dict({"kernelspec": spec})
    nb.cells = [c for c in nb.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    for cell in nb.cells:
        kept = {k: v for k, v in cell.metadata.items() if k in KEPT and v}
        cell.metadata = nbformat.from_dict(kept)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nb.nbformat_minor = 5
    return nbformat.writes(nb) + "\n"
