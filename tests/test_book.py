"""The pipeline on a small book of its own: what runs again, what fails, and what is kept."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest

from sgdm_lib.book import BookError, build, find_root, notebooks
from sgdm_lib.book.execute import execute_all, provenance
from sgdm_lib.book.page import Settings, begin, recorded
from sgdm_lib.experiment import Experiment
from sgdm_lib.records import RecordError
from sgdm_lib.training import fit

PARAMETERS = "scale = 'quick'  # help\nseeds = 3\ndevice = 'auto'\nrecords = None"


def notebook(*sources):
    cells = [nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})]
    cells += [nbformat.v4.new_code_cell(source) for source in sources]
    spec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec})


@pytest.fixture
def toy(tmp_path):
    (tmp_path / "chapters").mkdir()
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: chapters/00-one\nchapters:\n- file: chapters/01-two\n"
    )
    nbformat.write(notebook("print(scale, seeds)"), tmp_path / "chapters/00-one.ipynb")
    nbformat.write(notebook("1 / (seeds - 2)"), tmp_path / "chapters/01-two.ipynb")
    return tmp_path


def execute(root, **parameters):
    chosen = notebooks.chapters(root)
    return execute_all(root, root / "_build", chosen, parameters, 2, 60, False)


def test_failure_is_told_and_the_others_go_on(toy, capfd):
    (error,) = execute(toy, scale="quick", seeds=2)
    assert "chapters/01-two.ipynb, cell In [3]: ZeroDivisionError: division by zero" in error
    assert "1 / (seeds - 2)" in error
    partial = toy / "_build/failed/chapters/01-two.ipynb"
    assert str(partial) in error
    assert nbformat.read(partial, 4).cells[2].outputs == []
    done = nbformat.read(toy / "_build/executed/chapters/00-one.ipynb", 4)
    assert "quick 2" in done.cells[2].outputs[0].text
    assert not (toy / "_build/executed/chapters/01-two.ipynb").exists()
    assert "[2/2]" in capfd.readouterr().out

    # a second run executes what failed only; a changed parameter executes both
    execute(toy, scale="quick", seeds=2)
    assert "1 of 2 chapters to execute" in capfd.readouterr().out
    assert execute(toy, scale="quick", seeds=5) == []
    assert "2 of 2 chapters to execute" in capfd.readouterr().out
    assert execute(toy, scale="quick", seeds=5) == []
    assert "0 of 2 chapters to execute" in capfd.readouterr().out


def test_source_stays_clean(toy):
    before = (toy / "chapters/00-one.ipynb").read_bytes()
    chosen = notebooks.chapters(toy)[:1]
    execute_all(toy, toy / "_build", chosen, {"scale": "quick"}, 1, 60, False)
    assert (toy / "chapters/00-one.ipynb").read_bytes() == before
    done = nbformat.read(toy / "_build/executed/chapters/00-one.ipynb", 4)
    injected = [c for c in done.cells if "injected-parameters" in c.metadata.get("tags", [])]
    assert ["remove-cell" in c.metadata.tags for c in injected] == [True], "equal to the default"


def of(toy, code, count):
    """Let the book have so many chapters of that code; their paths."""
    for path in toy.glob("chapters/*.ipynb"):
        path.unlink()
    names = [f"{k:02d}-toy" for k in range(count)]
    for name in names:
        nbformat.write(notebook(code), toy / f"chapters/{name}.ipynb")
    first, *others = names
    files = "".join(f"- file: chapters/{name}\n" for name in others)
    (toy / "_toc.yml").write_text(f"format: jb-book\nroot: chapters/{first}\nchapters:\n{files}")
    (toy / "_config.yml").write_text("title: Toy\n")
    return [f"chapters/{name}.ipynb" for name in names]


@pytest.mark.parametrize(("count", "forked"), [(2, False), (5, sys.platform == "linux")])
def test_a_kernel_runs_beside_its_chapter_with_its_threads_and_figures_inline(toy, count, forked):
    code = (
        "import os, sys\nloaded = 'torch' in sys.modules\nimport matplotlib.pyplot as plt\n"
        "print(os.getcwd(), os.environ['OMP_NUM_THREADS'], loaded, 'ran' in globals())\n"
        "ran = True\nplt.plot([1, 2]);"
    )
    chapters, before = of(toy, code, count), os.environ.copy()
    assert execute(toy, scale="quick") == []
    threads = max(1, (os.cpu_count() or 1) // 2)
    for chapter in chapters:
        text, figure = nbformat.read(toy / "_build/executed" / chapter, 4).cells[2].outputs
        assert text.text == f"{toy / 'chapters'} {threads} {forked} False\n"
        assert "image/png" in figure.data
    assert os.environ == before


def alive(pid):
    """Whether the process is there, and not only waits for its parent to look."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("count", "number", "status"),
    [(2, signal.SIGINT, 130), (2, signal.SIGTERM, -15), (5, signal.SIGKILL, -9)],
)
def test_a_stopped_command_leaves_no_process_behind(toy, count, number, status):
    of(toy, "import os, time\nopen(f'{os.getpid()}.pid', 'w').close()\ntime.sleep(600)", count)
    command = [sys.executable, "-m", "sgdm_lib", "book", "--out", str(toy)]
    build = subprocess.Popen(command, cwd=toy, stderr=subprocess.PIPE, text=True)

    def wait_for(something):
        end = time.monotonic() + 100  # only a failure takes so long
        while not (found := something()) and time.monotonic() < end:
            time.sleep(0.1)
        return found

    def both():
        return len(found := list(toy.glob("chapters/*.pid"))) == 2 and found

    kernels = [int(path.stem) for path in wait_for(both)]
    assert all(alive(pid) for pid in kernels)
    build.send_signal(number)
    _, told = build.communicate(timeout=100)
    assert build.returncode == status
    assert ("what was done is kept" in told) == (number == signal.SIGINT)
    assert wait_for(lambda: not any(alive(pid) for pid in kernels))


def test_unknown_parameter_is_an_error(toy):
    with pytest.raises(ValueError, match=r"got 'sclae': did you mean 'scale'"):
        execute(toy, sclae="quick")
    assert not (toy / "_build").exists()


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (lambda root: None, 0),
        (lambda root: (root / "chapters/records/a.json").write_text("{}"), 2),
        (
            lambda root: nbformat.write(notebook("print(2)"), root / "chapters/00-one.ipynb"),
            1,
        ),
    ],
    ids=["nothing", "a record", "a notebook"],
)
def test_keys_change_with_what_decides_a_page(toy, change, again):
    (toy / "chapters/records").mkdir()

    def keys():
        env = notebooks.environment(toy)
        return [notebooks.key_of(toy / c, {}, env) for c in notebooks.chapters(toy)]

    before = keys()
    change(toy)
    assert sum(a != b for a, b in zip(before, keys(), strict=True)) == again


def test_chapters_are_chosen_by_beginning_or_part(toy):
    paths = notebooks.chapters(toy)
    assert [p.stem for p in notebooks.select(paths, "01")] == ["01-two"]
    assert [p.stem for p in notebooks.select(paths, "one")] == ["00-one"]
    assert len(notebooks.select(paths, "")) == 2
    with pytest.raises(ValueError, match=r"01-two, got .09."):
        notebooks.select(paths, "09")


def test_no_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "__file__", str(tmp_path / "a/b/c.py"))
    with pytest.raises(ValueError, match="run it in a clone"):
        find_root(tmp_path)


def test_a_chapter_needs_one_parameters_cell(tmp_path):
    path = tmp_path / "x.ipynb"
    nbformat.write(nbformat.v4.new_notebook(), path)
    with pytest.raises(ValueError, match="one cell tagged 'parameters', got 0"):
        notebooks.defaults(path)


def test_build_refuses_before_it_executes(toy):
    with pytest.raises(ValueError, match="chapter must be one of"):
        build({}, root=toy, chapter="nosuch")


def test_warnings_are_errors_once_all_chapters_are_executed(toy, monkeypatch, capsys):
    of(toy, "1 + 1", 2)

    def rendered(root, build, pdf):
        (build / "html").mkdir(exist_ok=True)
        (build / "html/index.html").touch()
        return ["a.ipynb: WARNING: undefined label: 'fig-b'"]

    monkeypatch.setattr("sgdm_lib.book.render", rendered)
    build({"scale": "quick"}, root=toy, chapter="01")
    told = capsys.readouterr().out
    assert "1 warnings, not counted: 1 chapters have never been executed" in told
    with pytest.raises(BookError, match=r"undefined label: 'fig-b'\n\n.*count as errors"):
        build({"scale": "quick"}, root=toy)


def test_provenance_names_versions_and_parameters():
    text = provenance({"scale": "quick"}, 12.34)
    assert "`scale='quick'`" in text
    assert re.search(r"executed\n: \d{4}-\d\d-\d\d \d\d:\d\d UTC, in 12\.3 s", text)
    assert "torch" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("huge", 3, "auto", None), "scale must be one of quick, paper, got 'huge'"),
        (("quick", 0, "auto", None), "seeds must be a whole number >= 1, got 0"),
        (("quick", 3, "gpu", None), "device must be auto, cpu or cuda, got 'gpu'"),
    ],
)
def test_bad_settings(arguments, message):
    with pytest.raises(ValueError, match=message):
        begin(*arguments)


def test_settings_pick_by_scale(tmp_path):
    settings = begin("quick", 2, "cpu", str(tmp_path))
    assert settings == Settings("quick", range(2), "cpu", tmp_path)
    assert settings.pick(quick=1, paper=2) == 1
    assert begin("paper", 2, "cpu", None).pick(quick=1, paper=2) == 2


def test_a_mistyped_parameter_of_papermill_is_refused(monkeypatch):
    class Shell:
        user_ns = {"In": ["", "scale = 'quick'", "# Parameters\nsclae = 'paper'\n"]}  # noqa: RUF012

    monkeypatch.setattr("IPython.core.getipython.get_ipython", Shell)
    with pytest.raises(ValueError, match=r"got .sclae."):
        begin("quick", 3, "auto", None)


def test_recorded_runs_are_found_by_name_and_seed(tmp_path):
    run = Experiment(
        dataset="digits", model="mlp", optimizer="nshb", epochs=1, batch_size=512, lr=0.1
    )
    name = "quick/digits/nshb/x2"
    for seed in (10, 2):
        fit(run.replace(seed=seed), out=tmp_path / f"{name}/seed{seed}", progress=False)
    assert [each.experiment.seed for each in recorded(name, tmp_path)] == [2, 10]
    assert recorded("quick/digits/nshb/constant8", tmp_path) == []
    (tmp_path / name / "seed2/run.json").write_text("{")
    with pytest.raises(RecordError, match=r"run\.json"):
        recorded(name, tmp_path)
    with pytest.raises(ValueError, match=r"got 'quick/digits/nshb/x3'"):
        recorded("quick/digits/nshb/x3", tmp_path)


def test_the_pipeline_itself_needs_no_torch():
    """Only the chapters' kernels train; the processes around them stay small."""
    code = "import sys, sgdm_lib.book, sgdm_lib.cli; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_what_is_preloaded_leaves_the_gpu_alone():
    """A fork of a process that has asked for the GPU cannot use it."""
    code = (
        "import torch\n"
        "def refuse(*args): raise SystemExit('asked for the GPU')\n"
        "torch._C._cuda_getDeviceCount = torch.cuda.is_available = refuse\n"
        "torch.cuda.device_count = refuse\n"
        "import sgdm_lib.book.preloaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_counts_are_noted_as_integers(monkeypatch):
    """A format such as ``:d`` in the prose needs one; NumPy's integers are no ``int``."""
    seen = {}
    monkeypatch.setattr("myst_nb.glue", lambda name, value, display: seen.update({name: value}))
    from sgdm_lib.book import page

    for name, value in {"a": np.int64(3), "b": np.float64(3), "c": 3, "d": "3"}.items():
        page.note(name, value)
    assert {name: type(value) for name, value in seen.items()} == {
        "a": int,
        "b": float,
        "c": int,
        "d": str,
    }
