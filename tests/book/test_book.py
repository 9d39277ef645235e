"""The pipeline on a small book of its own: what runs again, what fails, and what is kept."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import papermill
import pytest

from sgdm_lib.book import find_root, notebooks, page
from sgdm_lib.book.build import BookError, build
from sgdm_lib.book.build.execute import execute_all, provenance
from sgdm_lib.book.page import Settings, begin, recorded
from sgdm_lib.data.files import locked
from sgdm_lib.engine import Experiment, RecordError, fit

EXTENSIONS = Path(__file__).resolve().parents[2] / "_ext"
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


def append(name, text):
    """A change of a file of the library or the checkout."""

    def change(root):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((path.read_text("utf8") if path.exists() else "") + text, "utf8")

    return change


CHANGES = {
    "nothing": (lambda root: None, 0),
    "a notebook": (
        lambda root: nbformat.write(notebook("print(2)"), root / "chapters/00-one.ipynb"),
        1,
    ),
    "a curve of the papers": (append("chapters/paper_curves/a.csv", "1"), 2),
    "a record that nobody looked for": (append("chapters/records/a/seed0/run.json", "{}"), 0),
    "a stray file": (append("chapters/paper_curves/.DS_Store", "x"), 0),
    "a stray file in the library": (append("sgdm_lib/.DS_Store", "x"), 0),
    "a script of a figure": (append("sgdm_lib/book/play/momentum.js", "// x"), 2),
    "a style of a figure": (append("sgdm_lib/book/play/style.css", "a {}"), 2),
    "a style of matplotlib": (append("sgdm_lib/plots/x.mplstyle", "x"), 2),
    "code": (append("sgdm_lib/checks.py", "\nx = 1\n"), 2),
    "a comment": (append("sgdm_lib/checks.py", "\n# x\n"), 0),
    "a docstring": (append("sgdm_lib/checks.py", '\n"""Words about the last name."""\n'), 0),
    "a docstring of a module": (
        lambda root: (root / "sgdm_lib/checks.py").write_text(
            (root / "sgdm_lib/checks.py").read_text("utf8").replace('"""', '"""More: ', 1),
            "utf8",
        ),
        0,
    ),
    "the command line": (append("sgdm_lib/cli/commands.py", "\nx = 1\n"), 0),
}


@pytest.mark.parametrize("what", CHANGES)
def test_keys_change_with_what_decides_a_page(toy, what, monkeypatch):
    change, again = CHANGES[what]
    package = Path(notebooks.__file__).parents[1]
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(package, toy / "sgdm_lib", ignore=ignored)
    monkeypatch.setattr(notebooks, "__file__", str(toy / "sgdm_lib/book/notebooks.py"))

    def keys():
        env = notebooks.environment(toy)
        return [notebooks.key_of(toy / c, {}, env) for c in notebooks.chapters(toy)]

    before = keys()
    change(toy)
    assert sum(a != b for a, b in zip(before, keys(), strict=True)) == again


def test_keys_change_with_the_version_that_brings_the_digits(toy, monkeypatch):
    before, real = notebooks.environment(toy), notebooks.metadata.version
    monkeypatch.setattr(
        notebooks.metadata, "version", lambda name: "9" if name == "scikit-learn" else real(name)
    )
    assert notebooks.environment(toy) != before


def test_a_chapter_runs_again_when_records_that_it_looked_for_change(toy, capfd):
    look = (
        "from pathlib import Path\nfrom sgdm_lib.engine.inputs import note\n"
        "print(sorted(map(str, note(Path('records/a')).glob('*'))))"
    )
    nbformat.write(notebook(look), toy / "chapters/00-one.ipynb")
    nbformat.write(notebook("1 + 1"), toy / "chapters/01-two.ipynb")

    def executed():
        assert execute(toy, scale="quick") == []
        return int(capfd.readouterr().out.split(" of 2 chapters")[0].split()[-1])

    assert executed() == 2
    append("chapters/records/b/seed0/run.json", "{}")(toy)
    append("chapters/records/a/.DS_Store", "x")(toy)
    assert executed() == 0
    append("chapters/records/a/seed0/run.json", "{}")(toy)
    assert executed() == 1
    assert executed() == 0
    append("chapters/records/a/seed0/run.json", " ")(toy)
    assert executed() == 1


def test_the_folder_of_kept_runs_is_an_input_as_the_build_leaves_it(toy, capfd):
    keep = "from pathlib import Path\nPath(records).mkdir(exist_ok=True)\n"
    for name in ("00-one", "01-two"):
        code = keep + f"(Path(records) / '{name}').write_text('kept')"
        nbformat.write(notebook(code), toy / f"chapters/{name}.ipynb")
    assert execute(toy, scale="quick", records="../runs") == []
    capfd.readouterr()
    assert execute(toy, scale="quick", records="../runs") == []
    assert "0 of 2 chapters" in capfd.readouterr().out
    append("runs/00-one", "changed")(toy)
    assert execute(toy, scale="quick", records="../runs") == []
    assert "2 of 2 chapters" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"seeds": "abc"}, "seeds must be a whole number >= 1, got 'abc'"),
        ({"device": "gpu"}, "device must be auto, cpu or cuda, got 'gpu'"),
        ({"device": "meta"}, "device must be auto, cpu or cuda, got 'meta'"),
        ({"scale": "huge"}, "scale must be one of quick, paper, got 'huge'"),
        ({"records": "../_toc.yml"}, r"got '../_toc.yml': _toc.yml is a file"),
        ({"records": 5}, "records must be a folder or None, got 5"),
    ],
)
def test_bad_values_are_refused_before_anything_is_executed_or_removed(toy, parameters, message):
    of(toy, "1", 2)
    executed = toy / "_build/executed/chapters/00-toy.ipynb"
    executed.parent.mkdir(parents=True)
    executed.write_text("the last one")
    with pytest.raises(ValueError, match=message):
        build(parameters, root=toy)
    assert executed.read_text() == "the last one"
    assert not (toy / "_build/failed").exists()


def test_the_executed_copy_stays_until_the_new_one_is_there(toy):
    execute(toy, scale="quick", seeds=3)
    executed = toy / "_build/executed/chapters/01-two.ipynb"
    before = executed.read_bytes()
    (error,) = execute(toy, scale="quick", seeds=2)
    assert "ZeroDivisionError" in error
    assert executed.read_bytes() == before


def test_a_second_build_of_the_same_folder_is_refused(toy, monkeypatch):
    of(toy, "1 + 1", 2)
    monkeypatch.setattr("sgdm_lib.book.build.render", lambda *about: [])
    (toy / "_build").mkdir()
    with locked(toy / "_build/.lock"), pytest.raises(BookError, match="another 'sgdm book' is"):
        build({"scale": "quick"}, root=toy)
    assert not (toy / "_build/executed").exists()
    build({"scale": "quick"}, root=toy)


def test_a_broken_notebook_and_a_broken_contents_are_named(toy):
    (toy / "chapters/01-two.ipynb").write_text("{\n")
    with pytest.raises(ValueError, match=r"01-two\.ipynb is no notebook \(Expecting"):
        execute(toy, scale="quick")
    (toy / "chapters/01-two.ipynb").write_text("[1]")
    with pytest.raises(ValueError, match=r"01-two\.ipynb is no notebook of format 4"):
        execute(toy, scale="quick")
    (toy / "_toc.yml").write_text("root: a\nchapters: [")
    with pytest.raises(ValueError, match=r"_toc\.yml, line \d cannot be read: .*\w"):
        notebooks.chapters(toy)


def test_control_characters_of_a_notebook_do_not_reach_the_terminal(toy):
    nbformat.write(notebook("1"), toy / "chapters/00-one.ipynb")
    nbformat.write(notebook("raise ValueError('a\\x1b[2Jb')"), toy / "chapters/01-two.ipynb")
    (error,) = execute(toy, scale="quick")
    assert "\x1b" not in error
    assert r"a\x1b[2Jb" in error


def test_pages_are_rendered_again_only_if_something_changed(toy, monkeypatch):
    of(toy, "1 + 1", 2)
    runs, build_folder = [], toy / "_build"
    outcome = subprocess.CompletedProcess([], 1, "a WARNING \x1b[2J", "")

    def jupyter_book(command, **options):
        runs.append(command)
        (build_folder / "html").mkdir(parents=True)
        return outcome

    render = sys.modules["sgdm_lib.book.build.render"]  # the package has its function by that name
    monkeypatch.setattr(render.subprocess, "run", jupyter_book)
    assert render.render(toy, build_folder) == [r"a WARNING \x1b[2J"]
    assert render.render(toy, build_folder) == [r"a WARNING \x1b[2J"]
    assert len(runs) == 2, "what has warnings is rendered until it has none"
    outcome = subprocess.CompletedProcess([], 0, "", "")
    assert render.render(toy, build_folder) == []
    assert render.render(toy, build_folder) == []
    assert len(runs) == 3
    append("chapters/page.md", "x")(toy)
    assert render.render(toy, build_folder) == []
    assert render.render(toy, build_folder, "book.pdf") == []
    assert len(runs) == 5


def test_a_bad_parameter_shows_as_one_line_in_a_notebook(toy):
    code = "from sgdm_lib.book import page\npage.begin(scale, seeds, device, records)"
    path = toy / "chapters/00-one.ipynb"
    nbformat.write(notebook(code), path)
    with pytest.raises(papermill.PapermillExecutionError) as raised:
        papermill.execute_notebook(
            path, toy / "out.ipynb", {"device": "gpu"}, progress_bar=False, cwd=str(toy)
        )
    (shown,) = (out for out in nbformat.read(toy / "out.ipynb", 4).cells[-1].outputs)
    assert shown.traceback == [
        "ValueError: device must be auto, cpu or cuda, got 'gpu': auto finds a GPU"
    ]
    assert "got 'gpu'" in str(raised.value)


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

    monkeypatch.setattr("sgdm_lib.book.build.render", rendered)
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
        "import sgdm_lib.book.build.preloaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def noted(monkeypatch):
    """The numbers noted on the page so far."""
    seen = {}
    monkeypatch.setattr("myst_nb.glue", lambda name, value, display: seen.update({name: value}))
    return seen


def test_counts_are_noted_as_integers(noted):
    """A format such as ``:d`` in the prose needs one; NumPy's integers are no ``int``."""
    page.note_all("a", {"count": np.int64(3), "float": np.float64(3), "int": 3, "text": "3"})
    assert noted == {"a_count": 3, "a_float": 3.0, "a_int": 3, "a_text": "3"}
    assert [type(value) for value in noted.values()] == [int, float, int, str]


def test_a_number_without_data_is_an_ellipsis_on_the_page(toy):
    """A number keeps its format; one that is None has none; one that nobody noted is an error."""
    code = "from sgdm_lib.book import page\npage.note_all('n', {'a': 1.5, 'b': None, 'c': 'None'})"
    nbformat.write(notebook(code), toy / "chapters/01-two.ipynb")
    assert execute(toy, scale="quick") == []
    done = nbformat.read(toy / "_build/executed/chapters/01-two.ipynb", 4)
    prose = "{glue:text}`n_a:.2f`, {glue:text}`n_b:.1f`, {glue:text}`n_b`, {glue:text}`n_%s`"
    done.cells = [nbformat.v4.new_markdown_cell(prose % name) for name in "cd"] + done.cells
    spec = importlib.util.spec_from_file_location("ext", EXTENSIONS / "executed_notebooks.py")
    extension = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(extension)
    shown = nbformat.reads(extension.show_missing(nbformat.writes(done)), 4)
    words = "{glue:text}`n_a:.2f`, …, …, {glue:text}`n_"
    assert [cell.source for cell in shown.cells[:2]] == [f"{words}c`", f"{words}d`"]
