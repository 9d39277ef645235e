"""The workflows are valid and run what a developer runs; nothing here needs the network."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from sgdm_lib.book.build.launch import COPIES

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TESTS, BOOK = (
    yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text("utf8"))
    for name in ("tests", "book")
)


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("custom.github-workflows-require-timeout", WORKFLOWS),
        ("vendor.dependabot", [ROOT / ".github/dependabot.yml"]),
        ("vendor.citation-file-format", [ROOT / "CITATION.cff"]),
    ],
)
def test_schema(schema, files):
    """By the schemas that check-jsonschema carries with it."""
    assert files
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_wrong_workflow_is_found(tmp_path):
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(WORKFLOWS[0].read_text("utf8").replace("runs-on:", "run-on:"))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    done = subprocess.run([*command, "vendor.github-workflows", wrong], capture_output=True)
    assert done.returncode == 1


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("workflow", [TESTS, BOOK], ids=["tests", "book"])
def test_steps_run_what_is_there(workflow):
    makefile = (ROOT / "Makefile").read_text("utf8")
    commands = [step["run"] for step in steps(workflow) if "run" in step]
    assert commands
    for command in commands:
        program, *arguments = command.split()
        if program == "make":
            assert re.search(rf"^{arguments[0]}:.*##", makefile, flags=re.MULTILINE), command
        else:
            assert program.startswith(".ci/")
            assert (ROOT / program).stat().st_mode & 0o111, f"{program} cannot be executed"


def test_tests_run_on_the_oldest_python_and_a_newer_one():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    (job,) = TESTS["jobs"].values()
    oldest, *newer = job["strategy"]["matrix"]["python"]
    assert oldest == project["requires-python"].removeprefix(">=")
    assert newer


@pytest.mark.parametrize("workflow", [TESTS, BOOK], ids=["tests", "book"])
def test_rights_are_the_least_and_runs_repeat_weekly(workflow):
    on = workflow[True]  # YAML 1.1 reads the key "on" as true
    assert on["push"] == {"branches": ["main"]}
    assert all(each["cron"].endswith("* * 1") for each in on["schedule"])
    assert workflow["permissions"] == {"contents": "read"}
    rights = {name: job.get("permissions") for name, job in workflow["jobs"].items()}
    assert {name: right for name, right in rights.items() if right} == (
        {"colab": {"contents": "write"}, "deploy": {"pages": "write", "id-token": "write"}}
        if workflow is BOOK
        else {}
    )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_with_their_version_beside(path):
    """A tag can be moved to other code; Dependabot moves commit and comment together."""
    uses = re.findall(r"uses: (.*)", path.read_text("utf8"))
    assert uses
    for each in uses:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", each)


def test_the_book_is_published_with_its_own_address():
    (make,) = (step for step in steps(BOOK) if step.get("run") == "make pdf")
    assert make["env"] == {
        "BOOK_REPOSITORY": "${{ github.server_url }}/${{ github.repository }}",
        "BOOK_BRANCH": "${{ github.ref_name }}",
    }
    uploads = [step["with"]["path"] for step in steps(BOOK) if "upload" in step.get("uses", "")]
    assert uploads == ["_build/html", f"_build/{COPIES}"]
    assert {"run": f".ci/publish-copies _build/{COPIES} {COPIES}"} in steps(BOOK)
    assert set(BOOK["jobs"]["deploy"]["needs"]) == {"build", "colab"}


def git(folder, *arguments):
    name = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    command = ["git", "-C", folder, *name, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_copies_become_a_branch_of_one_commit(tmp_path):
    origin, checkout, copies = (tmp_path / name for name in ("origin", "checkout", "copies"))
    git(tmp_path, "init", "-q", "--bare", origin)
    git(tmp_path, "clone", "-q", origin, checkout)
    (checkout / "a").write_text("a")
    (checkout / ".gitignore").write_text("*.ipynb")
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "x")
    (copies / "chapters").mkdir(parents=True)
    for text in ("1", "2"):
        (copies / "chapters/x.ipynb").write_text(text)
        command = [ROOT / ".ci/publish-copies", copies, "colab"]
        subprocess.run(command, cwd=checkout, check=True)
    assert git(origin, "ls-tree", "-r", "--name-only", "colab") == "chapters/x.ipynb\n"
    assert git(origin, "show", "colab:chapters/x.ipynb") == "2"
    assert git(origin, "rev-list", "--count", "colab") == "1\n"
    assert git(checkout, "status", "--porcelain") == ""
