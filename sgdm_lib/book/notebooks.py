"""The notebooks of the book: which there are, what they take, when they must run again."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from sgdm_lib.checks import choice, integer
from sgdm_lib.engine import inputs

SCALES = ("quick", "paper")
PARAMETERS = ("scale", "seeds", "device", "records")
"""Every chapter takes these."""
MISSING = "…"
"""What a page shows in place of a number whose data are missing."""
KEPT = {"tags", "mystnb"}  # cell metadata with a meaning for the book
VERSIONED = (
    *("torch", "torchvision", "numpy", "pandas", "scipy", "scikit-learn"),
    *("matplotlib", "seaborn", "papermill", "myst-nb", "ipykernel"),
)
CURVES = "chapters/paper_curves"
SEEN = (".py", ".js", ".css", ".mplstyle")
UNSEEN = ("cli/", "book/pdf.py", "book/whole.py", "book/render.py", "book/print.css")
"""Files of the library that have no part in a chapter's execution."""


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

    def files(node: Any) -> Any:
        if isinstance(node, dict):
            yield from (node[key] for key in ("root", "file") if key in node)
            node = list(node.values())
        for item in node if isinstance(node, list) else ():
            yield from files(item)

    names = [name for name in files(read_yaml(root / "_toc.yml")) if isinstance(name, str)]
    paths = (Path(name.removesuffix(".ipynb") + ".ipynb") for name in names)
    return [path for path in paths if (root / path).is_file()]


def read_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        ValueError: if it cannot be read; the message names the file and the line.
    """
    import yaml

    try:
        return yaml.safe_load(path.read_text("utf8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        at = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        where = f", line {at.line + 1}" if at else ""
        raise ValueError(f"{path.name}{where} cannot be read: {reason}") from None


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
    cells = [
        cell["source"] for cell in read(path)["cells"] if "parameters" in cell["metadata"]["tags"]
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
    """A hash of what decides every page: the library's code, versions that matter, paper curves.

    Comments and docstrings do not count, nor do the rooms that no chapter can see. Records are no
    part of it: each chapter depends on those that it has looked for (:func:`is_current`).
    """
    found = hashlib.sha256(repr(sys.version_info[:2]).encode())
    package = Path(__file__).resolve().parents[1]
    for path in sorted(package.rglob("*")):
        place = path.relative_to(package).as_posix()
        if path.suffix not in SEEN or place.startswith(UNSEEN) or not path.is_file():
            continue
        text = path.read_text("utf8")
        found.update(f"{place} {code(text) if path.suffix == '.py' else text}\n".encode())
    found.update(inputs.digest(root / CURVES).encode())
    for name in VERSIONED:
        found.update(f"{name} {_version(name)}".encode())
    return found.hexdigest()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


def code(source: str) -> str:
    r"""What a piece of Python does, without its comments and docstrings.

    >>> code("'Words.'\na = 1  # one") == code("a=1")
    True
    >>> code("a = 1") == code("a = 2")
    False
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):  # that of a lambda is an expression
            body[:] = [each for each in body if not _is_words(each)]
    return ast.dump(tree)


def _is_words(node: ast.AST) -> bool:
    """Whether a statement is a string by itself: a docstring, of whatever it stands below."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def key_of(path: Path, parameters: dict[str, Any], environment: str) -> str:
    """A hash of everything but records that decides what an executed chapter looks like."""
    cells = [(c["cell_type"], c["source"], c["metadata"]) for c in read(path)["cells"]]
    text = json.dumps([cells, parameters, environment], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def is_current(executed: Path, key: str) -> bool:
    """Whether an executed chapter is there, was made with this key, and its records are as then."""
    try:
        about = json.loads(executed.read_text("utf8"))["metadata"]["book"]
        return about["key"] == key and all(
            inputs.digest(Path(folder)) == seen for folder, seen in about["inputs"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False  # not there, cut off, or of an earlier version


def read(path: Path) -> dict[str, Any]:
    """A notebook as it lies in git, the source of each cell as one string.

    Raises:
        ValueError: if it is none; the message names the file.
    """
    try:
        content = json.loads(path.read_text("utf8"))
        for cell in content["cells"]:
            cell["source"] = "".join(cell["source"])
            cell["metadata"].setdefault("tags", [])
            str(cell["cell_type"])  # every cell has one
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): restore it") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no notebook ({error}): restore it") from None
    except (KeyError, TypeError, AttributeError):
        raise ValueError(f"{path} is no notebook of format 4: restore it") from None
    return dict(content)


def check_parameters(parameters: Mapping[str, Any], folder: Path | None = None) -> None:
    """Refuse values that no chapter takes, before anything is executed.

    Args:
        parameters: as papermill gets them; those that are not given are not looked at.
        folder: the chapters' folder, from where ``records`` is seen; by default the working folder.

    Raises:
        ValueError: if a value is out of range.
    """
    if "scale" in parameters:
        choice("scale", parameters["scale"], SCALES)
    if "seeds" in parameters:
        fix = "the number of seeds, such as 3"
        integer("seeds", parameters["seeds"], at_least=1, fix=fix)
    device = parameters.get("device", "auto")
    if not isinstance(device, str) or not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", device):
        raise ValueError(f"device must be auto, cpu or cuda, got {device!r}: auto finds a GPU")
    if device.startswith("cuda"):
        from sgdm_lib.engine.device import choose_device  # imports torch

        choose_device(device)
    records = parameters.get("records")
    if records is None:
        return
    if not isinstance(records, (str, Path)) or not str(records) or "\0" in str(records):
        raise ValueError(f"records must be a folder or None, got {records!r}: such as runs")
    place = (folder or Path()) / records
    if file := next((each for each in (place, *place.parents) if each.is_file()), None):
        raise ValueError(
            f"records must be a folder or None, got {str(records)!r}: {file.name} is a file"
        )


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
