"""The built book in a real browser: legible, light, within reach of a keyboard, and alive."""

import functools
import gzip
import http.server
import importlib.util
import statistics
import threading
from pathlib import Path

import nbformat
import pytest
from visits import visit, visit_all

MEGABYTE = 1e6


@pytest.fixture(scope="module")
def serve():
    """Serves folders over http as long as the tests of this file run."""
    servers = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def end_headers(self):  # every visit is a first one: nothing comes out of a cache
            self.send_header("Cache-Control", "no-store")
            super().end_headers()

    def start(folder):
        handler = functools.partial(Quiet, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def site(book, serve):
    return serve(book / "html")


@pytest.fixture(scope="module")
def pages(book, site, chromium):
    """What each page of the book showed; index.html only leads to the first chapter."""
    root = book / "html"
    paths = (path.relative_to(root) for path in sorted(root.rglob("*.html")))
    names = [path.as_posix() for path in paths if "_static" not in path.parts]
    return visit_all(chromium, site, [name for name in names if name != "index.html"])


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    yield context.new_page()
    context.close()


def found(pages, what):
    """The pages that have something to complain of, with the complaints."""
    return {name: getattr(seen, what) for name, seen in pages.items() if getattr(seen, what)}


@pytest.mark.book
def test_no_errors_and_no_requests_to_other_hosts(pages):
    assert len(pages) > 30
    assert found(pages, "errors") == {}
    assert found(pages, "outside") == {}


@pytest.mark.book
def test_math_is_typeset_figures_are_described_and_a_phone_needs_no_sideways_scrolling(pages):
    assert found(pages, "faults") == {}


@pytest.mark.book
def test_every_text_has_contrast_in_light_and_dark(pages):
    assert found(pages, "contrast") == {}


@pytest.mark.book
def test_accessibility_rules_hold(pages):
    assert found(pages, "rules") == {}


@pytest.mark.book
def test_pages_are_light(book, pages):
    """Everything a first visit loads: as it lies on disk, and as servers send it, compressed."""

    @functools.cache
    def sizes(name):
        file = (book / "html" / name.lstrip("/")).read_bytes()
        text = name.endswith((".html", ".css", ".js", ".svg"))
        return len(file), len(gzip.compress(file, compresslevel=6)) if text else len(file)

    heavy, compressed = {}, []
    for page, seen in pages.items():
        disk, sent = (sum(each) / MEGABYTE for each in zip(*map(sizes, seen.loaded), strict=True))
        assert sent > 0.1, f"{page}: the theme alone weighs more: something was not counted"
        compressed.append(sent)
        if disk > 3:
            heavy[page] = disk
    assert heavy == {}
    assert statistics.median(compressed) < 1.5
    assert max(compressed) < 2


BAD = """<!doctype html><html lang="en"><head><title>Bad</title><script>
    console.error('oops'); fetch('http://example.invalid/x');</script></head><body><main>
    <h1>Bad</h1><p style="color: #bbb">pale</p><p style="color: #aaa">$5</p>
    <span class="math"></span><img src="x.png"><div style="width: 600px">wide</div>
    <div style="width: 100px; overflow-x: auto"><div style="width: 300px">far</div></div>
    <div class="cell_output"><img width="5" height="5" alt="glaring" src="x.png"></div>
    </main></body></html>"""


def test_the_visit_sees_what_is_bad(browser, page, serve, tmp_path):
    (tmp_path / "bad.html").write_text(BAD)
    seen = visit(page, serve(tmp_path) + "bad.html")
    assert any("oops" in error for error in seen.errors)
    assert seen.outside == ["http://example.invalid/x"]
    assert set(seen.faults) == {
        "math left as source",
        "images without description",
        "broken images",
        "stray dollars",
        "figures glaring in the dark",
        "sideways scrolling",
        "scrolls by itself, but not by keyboard",
    }
    assert len([each for each in seen.contrast if each.startswith("light")]) == 2
    assert any(rule.startswith("image-alt") for rule in seen.rules)


def test_a_second_visit_counts_what_a_first_one_does(page, serve, tmp_path):
    for name in ("one.html", "two.html"):
        script = '<script src="s.js"></script>'
        (tmp_path / name).write_text(f'<!doctype html><html lang="en"><main>{script}</main></html>')
    (tmp_path / "s.js").write_text("0")
    site = serve(tmp_path)
    for name in ("one.html", "two.html", "two.html"):
        assert visit(page, site + name).loaded >= {f"/{name}", "/s.js"}


@pytest.mark.book
def test_dark_where_the_reader_likes_it(site, browser):
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(site + "chapters/02-noise-floor.html")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    shade = [int(v) for v in background.removeprefix("rgb(").removesuffix(")").split(",")]
    assert max(shade) < 80, f"not dark: {background}"
    context.close()


@pytest.mark.book
def test_the_download_is_the_clean_notebook(site, page):
    page.goto(site + "chapters/02-noise-floor.html")
    assert page.locator("a[href$='02-noise-floor.ipynb']").count() >= 1, "no download button"
    response = page.request.get(site + "_sources/chapters/02-noise-floor.ipynb")
    nb = nbformat.reads(response.text(), 4)
    assert not any(cell.get("outputs") for cell in nb.cells)


@pytest.mark.book
@pytest.mark.parametrize(
    ("word", "chapter"), [("dampening", "01-momentum"), ("Lyapunov", "04-schedules-lyapunov")]
)
def test_search_finds_a_term(site, page, word, chapter):
    page.goto(site + f"search.html?q={word}")
    page.wait_for_selector("ul.search li a", timeout=30_000)
    hits = page.locator("ul.search li a").evaluate_all("all => all.map(a => a.href)")
    assert any(chapter in hit for hit in hits[:5]), hits


@pytest.mark.book
@pytest.mark.parametrize("chapter", ["01-momentum", "04-schedules-lyapunov"])
def test_figures_to_play_with_answer(site, page, chapter):
    page.goto(site + f"chapters/{chapter}.html")
    figure = page.locator(".sgdm-play").first
    panels = figure.locator(".panels")
    before = panels.inner_html()
    slider = figure.locator("input[type=range]").first
    for _ in range(9):
        slider.press("ArrowLeft")
    assert panels.inner_html() != before


@pytest.mark.book
def test_keyboard_skips_to_the_text_and_shows_where_it_is(site, page):
    page.goto(site + "chapters/02-noise-floor.html")
    page.keyboard.press("Tab")
    link = page.locator(":focus")
    assert link.inner_text() == "Skip to main content"
    page.wait_for_function(  # it slides into view; a link that does not is an error
        "() => document.activeElement.getBoundingClientRect().top >= 0"
    )
    page.keyboard.press("Enter")
    assert page.url.endswith("#main-content")
    shown = """() => { const s = getComputedStyle(document.activeElement);
        return [document.activeElement.outerHTML.slice(0, 80),
            s.outlineStyle !== 'none' || s.boxShadow !== 'none']; }"""
    for _ in range(12):
        page.keyboard.press("Tab")
        what, visible = page.evaluate(shown)
        assert visible, f"no mark of the focus on {what}"


@pytest.mark.book
def test_code_is_folded_and_one_button_opens_all(site, page):
    page.goto(site + "chapters/03-growing-batches.html")
    folded = page.locator("details.above-input")
    assert folded.count() >= 5
    assert page.locator("details.above-input[open]").count() == 0
    button = page.get_by_role("button", name="Show all code")
    button.click()
    assert page.locator("details.above-input[open]").count() == folded.count()
    page.get_by_role("button", name="Fold all code").click()
    assert page.locator("details.above-input[open]").count() == 0


@pytest.mark.book
def test_the_first_page_is_the_first_chapter(site, page):
    page.goto(site)
    page.wait_for_url("**/00-preface.html")
    page.get_by_role("link", name="next").click()
    page.wait_for_url("**/01-momentum.html")


def test_corrections_of_the_themes_markup_are_made_once():
    path = Path(__file__).resolve().parents[2] / "_ext" / "accessible_pages.py"
    spec = importlib.util.spec_from_file_location("accessible_pages", path)
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    page = '<div id="pst-primary-sidebar" class="a"><i class="fas x"></i><th id="c">&nbsp;</th>'
    once, faults = pages.correct(page)
    assert len(faults) == 3
    assert 'role="region"' in once
    assert '<td id="c"></td>' in once
    assert pages.correct(once) == (once, set())
