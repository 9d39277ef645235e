"""The notebooks in git, and what the book looks like when built from them."""

import functools
import http.server
import threading
from pathlib import Path

import nbformat
import pytest
from links import broken

from sgdm_lib.book.notebooks import PARAMETERS, chapters, clean, defaults

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = chapters(ROOT)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_source_is_in_canonical_form(chapter):
    path = ROOT / chapter
    assert path.read_text("utf8") == clean(path), "clear outputs and editor metadata"
    nb = nbformat.read(path, 4)
    nbformat.validate(nb)
    assert len({cell.id for cell in nb.cells}) == len(nb.cells)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_takes_the_parameters_every_chapter_takes(chapter):
    found = defaults(ROOT / chapter)
    assert tuple(found) == PARAMETERS
    assert (found["scale"], found["device"], found["records"]) == ("quick", "auto", None)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_holds_prose_and_calls_but_no_logic(chapter):
    for cell in nbformat.read(ROOT / chapter, 4).cells:
        if cell.cell_type == "code":
            lines = cell.source.splitlines()
            assert len(lines) <= 25, "move it into sgdm_lib"
            assert max(map(len, lines)) <= 88, "longer lines are cut off on the page"
            assert "class " not in cell.source


def test_every_notebook_is_in_the_table_of_contents():
    there = {path.relative_to(ROOT) for path in (ROOT / "chapters").glob("*.ipynb")}
    assert there == set(CHAPTERS)


@pytest.mark.book
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_ran_and_says_how(book, chapter):
    nb = nbformat.read(book / "executed" / chapter, 4)
    assert nb.metadata.papermill.parameters == {"scale": "quick"}
    assert all(c.execution_count for c in nb.cells if c.cell_type == "code")
    assert "How this page was made" in nb.cells[-1].source
    page = (book / "html" / chapter.with_suffix(".html")).read_text("utf8")
    assert "How this page was made" in page
    assert "scale='quick'" in page


@pytest.mark.book
def test_links(book):
    assert broken(book / "html") == []


@pytest.fixture(scope="session")
def site(book):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(book / "html"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


SEEN = """() => {
    const main = document.querySelector('main');
    const text = main.cloneNode(true);
    text.querySelectorAll('pre, code, script, style, mjx-container').forEach(e => e.remove());
    const wide = document.documentElement;
    return {
        'math left as source': main.querySelectorAll('.math').length
            > main.querySelectorAll('mjx-container').length,
        'math errors': main.querySelectorAll('mjx-merror, [data-mjx-error]').length,
        'images without description': [...main.querySelectorAll('img')]
            .filter(i => !i.alt || i.alt.includes('_images/')).length,
        'broken images': [...document.images].filter(i => i.src && i.complete && !i.naturalWidth)
            .length,
        'stray dollars': (text.textContent.match(/\\$/g) || []).length,
        'sideways scrolling': wide.scrollWidth > wide.clientWidth + 1,
    }}"""


@pytest.mark.book
@pytest.mark.parametrize("width", [1300, 400], ids=["desktop", "phone"])
def test_pages_in_a_browser(book, site, browser, width):
    """No console error, no request to another host, math typeset, figures described."""
    context = browser.new_context(viewport={"width": width, "height": 900})
    outside = []

    def gate(route):
        if route.request.url.startswith((site, "data:")):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    context.route("**/*", gate)
    problems = {}
    for path in sorted((book / "html").rglob("*.html")):
        name = path.relative_to(book / "html").as_posix()
        if name.startswith("_static"):
            continue
        errors, page = [], context.new_page()
        page.on("console", lambda m, to=errors: to.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e, to=errors: to.append(str(e)))
        page.goto(site + name)
        if name == "index.html":  # it only leads to the first chapter
            page.wait_for_url("**/00-preface.html")
        page.evaluate("async () => { if (window.MathJax?.startup) await MathJax.startup.promise; }")
        seen = {what: found for what, found in page.evaluate(SEEN).items() if found}
        page.close()
        if errors or seen:
            problems[name] = errors, seen
    context.close()
    assert not problems
    assert not outside


@pytest.mark.book
def test_dark_mode_search_and_download(book, site, browser):
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(site + "chapters/02-noise-floor.html")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    shade = [int(v) for v in background.removeprefix("rgb(").removesuffix(")").split(",")]
    assert max(shade) < 80, f"not dark: {background}"
    sources = page.locator("a[href$='02-noise-floor.ipynb']")
    assert sources.count() >= 1, "no download button for the notebook"
    response = context.request.get(site + "_sources/chapters/02-noise-floor.ipynb")
    nb = nbformat.reads(response.text(), 4)
    assert not any(c.get("outputs") for c in nb.cells), "the download must be the clean notebook"
    page.goto(site + "search.html?q=dampening")
    page.wait_for_selector("ul.search li a", timeout=10_000)
    assert "01-momentum" in page.locator("ul.search li a").first.get_attribute("href")
    context.close()
