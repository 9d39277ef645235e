"""The package as others get it: built, installed on its own, used outside the checkout."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from sgdm_lib import __version__

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.xdist_group("package")  # what the module makes once is not made twice
TOP = ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CITATION.cff", "CHANGELOG.md")


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """Wheel and source archive, built from a copy: the checkout gets no build folder."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in TOP:
        shutil.copy(ROOT / name, source)
    for name in ("sgdm_lib", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return out


@pytest.fixture(scope="module")
def installed(dist, tmp_path_factory):
    """The wheel alone in a folder; its dependencies come from this environment."""
    folder = tmp_path_factory.mktemp("installed")
    (wheel,) = dist.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", folder, wheel], check=True)
    return folder


def run(installed, cwd, *command):
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def test_wheel_has_the_library_and_nothing_else(dist):
    (wheel,) = dist.glob("*.whl")
    assert wheel.name == f"sgdm_lib-{__version__}-py3-none-any.whl"
    names = set(zipfile.ZipFile(wheel).namelist())
    here = {p.relative_to(ROOT).as_posix() for p in (ROOT / "sgdm_lib").rglob("*") if p.is_file()}
    wanted = {name for name in here if "__pycache__" not in name}
    assert {name for name in names if ".dist-info/" not in name} == wanted
    assert "sgdm_lib/py.typed" in names
    assert "sgdm_lib/book/play/momentum.js" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_source_archive_has_what_a_build_needs(dist):
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {*TOP, "sgdm_lib/py.typed", "sgdm_lib/book/pdf/print.css"} <= names
    assert not [name for name in names if name.startswith("tests")]


def test_installed_library_works_outside_the_checkout(installed, tmp_path):
    code = "import sgdm_lib, sgdm_lib.optim as o; print(sgdm_lib.__file__, o.shb_to_nshb_lr(1, 0))"
    done = run(installed, tmp_path, sys.executable, "-c", code)
    assert done.stdout == f"{installed / 'sgdm_lib/__init__.py'} 1.0\n", done.stderr
    done = run(installed, tmp_path, sys.executable, installed / "bin/sgdm", "--version")
    assert done.stdout == f"sgdm {__version__}\n", done.stderr


def test_the_book_needs_the_checkout_and_says_so(installed, tmp_path):
    done = run(installed, tmp_path, sys.executable, "-m", "sgdm_lib", "book")
    assert done.returncode == 2
    assert "the book needs its checkout" in done.stderr
    assert "run it in a clone" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_library_runs_from_a_bare_tree(tmp_path):
    """As on a rented machine: the source, and no metadata of the library or of anything else."""
    code = (
        "from importlib import metadata\n"
        "def version(name): raise metadata.PackageNotFoundError(name)\n"
        "metadata.version = version\n"
        "import sgdm_lib\n"
        "from sgdm_lib.engine.versions import code_version, versions\n"
        "from sgdm_lib.engine.training import fit\n"
        "print(sgdm_lib.__version__, code_version(), versions()['torch'], sep='|')\n"
    )
    shutil.copytree(ROOT / "sgdm_lib", tmp_path / "sgdm_lib")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    command = [sys.executable, "-c", code]
    done = run(tmp_path, tmp_path, *command)
    assert done.returncode == 0, done.stderr
    version, code_version, torch = done.stdout.strip().split("|")
    assert version == __version__
    assert code_version.startswith(f"{__version__}+installed (source ")
    assert torch == "unknown"
    (tmp_path / "pyproject.toml").unlink()
    done = run(tmp_path, tmp_path, *command)
    assert done.stdout.startswith("unknown|unknown+")
