"""The walls of the house: who may import whom, and what may not cross a module."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from sgdm_lib.book import architecture
from sgdm_lib.book.architecture import WINGS, floors, imports, rooms, wing

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "sgdm_lib"
LONGEST = 330  # lines of a module


def test_each_wing_imports_only_to_its_left():
    wrong = [
        f"{name} imports {other}"
        for name, found in imports().items()
        for other in found
        if name != "sgdm_lib" and other != "sgdm_lib"
        if WINGS.index(wing(other)) > WINGS.index(wing(name))
    ]
    assert not wrong


def test_the_house_is_small_and_has_no_circle():
    graph = rooms()
    assert len(graph) <= 24
    assert max(floors(graph).values()) + 1 <= 10
    for inside in ("engine", "study.claims", "study.criteria", "study.pages", "book", "theory"):
        floors(rooms(inside))


def test_a_circle_is_found_and_named():
    with pytest.raises(ValueError, match="a -> b -> a"):
        floors({"a": frozenset("b"), "b": frozenset("a")})


def test_no_name_with_an_underscore_crosses_a_module():
    found = []
    for path in [*LIBRARY.rglob("*.py"), *(ROOT / "_ext").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom):
                continue
            ours = node.level > 0 or (node.module or "").startswith("sgdm_lib")
            for alias in node.names if ours else []:
                if alias.name.startswith("_") and not alias.name.startswith("__"):
                    found.append(f"{path.relative_to(ROOT)}: {node.module}.{alias.name}")
    assert not found


def test_modules_are_short():
    lengths = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in LIBRARY.rglob("*.py")}
    assert {str(p.relative_to(LIBRARY)): n for p, n in lengths.items() if n > LONGEST} == {}


def doors() -> set[str]:
    """What a chapter may import from: packages with a list of names, and single modules."""
    single = {m for m in imports() if m.count(".") == 1}
    packages = {
        m for m in imports() if (LIBRARY / "/".join(m.split(".")[1:]) / "__init__.py").exists()
    }
    return single | packages | {"sgdm_lib.book.page"}


def chapter_imports() -> list[tuple[str, str]]:
    found = []
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        for cell in cells:
            if cell["cell_type"] != "code":
                continue
            for node in ast.walk(ast.parse("".join(cell["source"]))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sgdm_lib"):
                    found.append((path.name, node.module or ""))
    return found


def test_chapters_import_through_doors_only():
    open_doors = doors()
    below = [(page, name) for page, name in chapter_imports() if name not in open_doors]
    assert chapter_imports()
    assert not below


@pytest.mark.parametrize(
    "code",
    [
        "import sgdm_lib; sgdm_lib.TrainingPlan(64, 2, 8, lr=0.1).table()",
        "from sgdm_lib import TrainingPlan, plots; "
        "plots.plan_panels({'plan': TrainingPlan(64, 2, 8, lr=0.1)})",
        "import sgdm_lib.optim, sgdm_lib.schedules, sgdm_lib.loaders, sgdm_lib.recommend, "
        "sgdm_lib.theory, sgdm_lib.gradients, sgdm_lib.models, sgdm_lib.augment, sgdm_lib.data",
    ],
    ids=["plan", "picture", "rooms"],
)
def test_practitioners_load_no_other_wing(code):
    program = (
        f"{code}\nimport sys\n"
        "print([m for m in sys.modules if m.startswith(tuple("
        "f'sgdm_lib.{w}' for w in ('engine', 'study', 'book', 'cli')))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_the_map_shows_every_room():
    labels = {text.get_text() for text in architecture.draw().axes[0].texts}
    assert {name.removeprefix("study.") for name in rooms()} <= labels
    assert set(WINGS) <= labels


def test_the_catalogue_needs_no_torch():
    """``sgdm list`` is quick: names, plans and sizes are tables."""
    program = (
        "import sys; from sgdm_lib.study import papers; "
        "[run.plan().total_steps for run in papers.find('quick/*').values()]; "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "False"
