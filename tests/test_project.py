"""The project's own files agree with each other."""

import ast
import json
import os
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from sgdm_lib import __version__

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]


def test_conda_environment_has_the_same_dependencies():
    optional = PROJECT["optional-dependencies"]
    extras = [d for name, each in optional.items() if name != "recipes" for d in each]
    wanted = {d for d in [*PROJECT["dependencies"], *extras] if not d.startswith("sgdm-lib")}
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf8"))["dependencies"]
    (pip,) = (each["pip"] for each in environment if isinstance(each, dict))
    assert set(pip) - {"--editable ."} == wanted
    assert f"python{PROJECT['requires-python']}" in environment


def test_binder_has_what_the_chapters_need():
    binder = yaml.safe_load((ROOT / "binder/environment.yml").read_text("utf8"))["dependencies"]
    (pip,) = (each["pip"] for each in binder if isinstance(each, dict))
    conda = [each.replace("pytorch-cpu", "torch") for each in binder if isinstance(each, str)]
    wanted = {*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["book"]}
    assert set(pip) | set(conda[1:3]) == wanted
    assert conda[0] == f"python={PROJECT['requires-python'].removeprefix('>=')}"
    assert os.access(ROOT / "binder/postBuild", os.X_OK), "Binder runs it"


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf8"))
    assert citation["version"] == PROJECT["version"] == __version__


def test_changelog_is_versioned():
    """Sections in Keep a Changelog's form, newest first; those below "Unreleased" have a date."""
    text = (ROOT / "CHANGELOG.md").read_text("utf8")
    first, *versions = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    assert first == "[Unreleased]"
    dated = [re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d)", v) for v in versions]
    assert all(dated), versions
    numbers = [tuple(map(int, each.groups()[:3])) for each in dated]
    assert numbers == sorted(numbers, reverse=True)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, flags=re.MULTILINE)) <= kinds


def test_release_checklist_names_files_and_commands_that_exist():
    text = (ROOT / "RELEASING.md").read_text("utf8")
    makefile = (ROOT / "Makefile").read_text("utf8")
    for target in re.findall(r"\bmake (\w+)", text):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    for name in re.findall(r"`([\w./-]*\.(?:md|toml|yml|cff)|\.ci/[\w-]+)`", text):
        assert (ROOT / name).is_file(), name
    assert f"sgdm_lib-{PROJECT['version']}-py3-none-any.whl" in text


DISTRIBUTIONS = {
    "IPython": "ipython",
    "PIL": "pillow",
    "axe_playwright_python": "axe-playwright-python",
    "bs4": "beautifulsoup4",
    "jupyter_client": "jupyter-client",
    "matplotlib_inline": "matplotlib-inline",
    "myst_nb": "myst-nb",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Packages to install that are not called like the modules they bring."""
CORE, BOOK, PDF, TEST, RECIPES = (
    {re.split(r"[<>=\[]", each)[0] for each in requirements}
    for requirements in (
        PROJECT["dependencies"],
        *(PROJECT["optional-dependencies"][x] for x in ("book", "pdf", "test", "recipes")),
    )
)


def imported(path):
    """The packages that a file imports, wherever in it, but for Python's and our own."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf8"))):
        if isinstance(node, ast.Import):
            names |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.partition(".")[0])
    ours = {"sgdm_lib"} | {each.stem for each in path.parent.glob("*.py")}
    ours |= {each.stem for each in (ROOT / "tests").glob("*.py")}
    return {DISTRIBUTIONS.get(name, name) for name in names - sys.stdlib_module_names - ours}


@pytest.mark.parametrize(
    ("folder", "declared"),
    [
        ("sgdm_lib", CORE | BOOK | PDF),
        ("_ext", CORE | BOOK),
        ("tests", CORE | BOOK | PDF | TEST | RECIPES),
        ("benchmarks", CORE | BOOK | PDF | TEST),
    ],
)
def test_what_is_imported_is_declared(folder, declared):
    """Not left to come with something else, which may drop it one day."""
    paths = [path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts]
    missing = {
        f"{name} ({path.relative_to(ROOT)})" for path in paths for name in imported(path) - declared
    }
    assert not missing


def test_the_library_without_the_book_needs_core_packages_only():
    """Rooms that are not the book's import its packages inside functions, if at all."""
    for path in (ROOT / "sgdm_lib").rglob("*.py"):
        if path.relative_to(ROOT / "sgdm_lib").parts[0] in ("book", "figures", "interactive"):
            continue
        tree = ast.parse(path.read_text("utf8"))
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {a.name for n in top if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module for n in top if isinstance(n, ast.ImportFrom) and n.level == 0}
        packages = {each.partition(".")[0] for each in names} - sys.stdlib_module_names
        needed = {DISTRIBUTIONS.get(each, each) for each in packages - {"sgdm_lib"}}
        assert needed <= CORE, path


def test_floors_leave_out_versions_with_known_holes():
    assert {"pyarrow>=14.0.1", "tqdm>=4.66.3"} <= set(PROJECT["dependencies"])


@pytest.mark.parametrize("name", ["torch", "torchvision"])
def test_torch_has_lower_bounds_only(name):
    (requirement,) = (d for d in PROJECT["dependencies"] if re.match(rf"{name}\W", d))
    assert re.fullmatch(rf"{name}>=[\d.]+", requirement)


def test_bibliography_has_every_citation():
    keys = set(re.findall(r"@\w+\{(\w+),", (ROOT / "references.bib").read_text("utf8")))
    cited = set()
    for path in (ROOT / "chapters").glob("*.ipynb"):
        for cell in json.loads(path.read_text("utf8"))["cells"]:
            cited |= set(re.findall(r"\{cite(?::\w+)?\}`(\w+)`", "".join(cell["source"])))
    assert cited == keys, "each entry is cited, each citation has an entry"


def test_readme_names_commands_that_exist():
    text = (ROOT / "README.md").read_text("utf8")
    makefile = (ROOT / "Makefile").read_text("utf8")
    for target in re.findall(r"^ *make (\w+)", text, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    for chapter in re.findall(r"chapters/[\w-]+\.ipynb", text):
        assert (ROOT / chapter).is_file(), chapter


def test_readme_example_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf8"), re.S)
    assert len([line for line in example.splitlines() if line]) <= 20
    names = {}
    exec(example, names)
    assert "10 epochs" in capsys.readouterr().out
    digits, model = names["digits"], names["model"]
    correct = model(digits.x_test / 255).argmax(1) == digits.y_test
    assert correct.float().mean() > 0.9
    assert names["scheduler"].last_epoch == names["plan"].total_steps
