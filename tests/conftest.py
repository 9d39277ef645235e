"""Shared fixtures: the built book, a browser, and one thread per test process."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
torch.set_num_threads(1)  # tiny tensors: threads would only wait for each other
# The same code gets the same answer; `pytest --hypothesis-profile=default` looks for new examples.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _order_does_not_matter():
    """torch's global generator and matplotlib's settings are the same for every test."""
    torch.manual_seed(0)
    yield
    if "matplotlib" in sys.modules:
        sys.modules["matplotlib"].rcdefaults()


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """The book's tests first and all in one process; GPU tests are skipped without one."""

    def needs_the_book(item):
        return "book" in getattr(item, "fixturenames", ())

    items.sort(key=needs_the_book, reverse=True)  # the longest work begins first
    for item in items:
        if needs_the_book(item):
            item.add_marker(pytest.mark.xdist_group("book"))
        if "gpu" in item.keywords and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session")
def book(tmp_path_factory):
    """The whole book, executed at quick scale and rendered with warnings as errors; once.

    What ``make book`` has executed before and is still current is taken over.
    """
    out = tmp_path_factory.mktemp("book")
    if (executed := ROOT / "_build" / "executed").is_dir():
        shutil.copytree(executed, out / "_build" / "executed")
    command = [sys.executable, "-m", "sgdm_lib", "book", "--scale", "quick", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    return out / "_build"


@pytest.fixture(scope="session")
def chromium():
    """Chromium's path; required where SGDM_BROWSER says so, else skipped if it is missing."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        message = "no Chromium found: install Debian's chromium, or set CHROMIUM to its path"
        if os.environ.get("SGDM_BROWSER") == "required":
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def browser(chromium):
    """Headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()
