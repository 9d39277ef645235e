"""One visit to every page of the built book in a real browser: what a reader meets there."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

DESKTOP, PHONE = {"width": 1300, "height": 900}, {"width": 400, "height": 800}
READY = "async () => { if (window.MathJax?.startup) await MathJax.startup.promise; }"
SEEN = """() => {
    const main = document.querySelector('main');
    const text = main.cloneNode(true);
    text.querySelectorAll('pre, code, script, style, mjx-container').forEach(e => e.remove());
    const all = selector => [...main.querySelectorAll(selector)];
    return {
        'math left as source': all('.math').length > all('mjx-container').length,
        'math errors': all('mjx-merror, [data-mjx-error]').length,
        'images without description': all('img')
            .filter(i => !i.alt || i.alt.includes('_images/')).length,
        'broken images': [...document.images].filter(i => i.src && i.complete && !i.naturalWidth)
            .length,
        'stray dollars': (text.textContent.match(/\\$/g) || []).length,
    }}"""
NARROW = """() => {
    const wide = document.documentElement, main = document.querySelector('main');
    const reached = e => e.closest('[tabindex="0"]')
        || e.querySelector('a[href], button, input, select, summary, [tabindex="0"]');
    return {
        'sideways scrolling': wide.scrollWidth > wide.clientWidth + 1,
        'scrolls by itself, but not by keyboard': [...main.querySelectorAll('*')].filter(e =>
            e.scrollWidth > e.clientWidth + 1
            && /auto|scroll/.test(getComputedStyle(e).overflowX) && !reached(e)).length,
    }}"""
# axe measures every word's contrast, most of them alike: it gets one of each look. Formulas are
# thousands of elements, in the colour of their text.
PREPARE = """() => {
    document.querySelectorAll('mjx-container').forEach(e => e.replaceChildren());
    window.marked = theme => {
        document.documentElement.dataset.theme = theme;
        const grounds = new Map(), seen = new Set();
        const ground = e => {
            if (e && !grounds.has(e)) {
                const colour = getComputedStyle(e).backgroundColor;
                const clear = colour.startsWith('rgba');
                grounds.set(e, clear ? colour + ground(e.parentElement) : colour);
            }
            return e ? grounds.get(e) : '';
        };
        const visit = e => {
            let alike = true;
            for (const child of e.children) alike = visit(child) && alike;
            if (e.matches('body, img, input, select, textarea')) return false;
            if ([...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim())) {
                const s = getComputedStyle(e);
                const look = [s.color, ground(e), s.fontSize, s.fontWeight, s.opacity].join();
                if (!seen.has(look)) { seen.add(look); alike = false; }
            }
            if (!alike) e.dataset.look = '';
            return alike;
        };
        visit(document.body);
    };
    window.marked('dark');
    const glaring = [...document.querySelectorAll('main .cell_output img:not(.photo)')]
        .filter(i => !getComputedStyle(i).filter.startsWith('invert') && i.offsetWidth).length;
    window.marked('light');
    window.thin = document.body.cloneNode(true);
    window.thin.querySelectorAll('*').forEach(e => e.hasAttribute('data-look') || e.remove());
    return glaring; }"""
RULES = """async () => {
    await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    document.querySelectorAll('mjx-container').forEach(e => e.remove());
    document.querySelectorAll('pre').forEach(e => { e.textContent = e.textContent; });
    document.querySelectorAll('dt.sig :is(span, em), code span, dd em')
        .forEach(e => e.replaceWith(...e.childNodes));
    const options = {resultTypes: ['violations'], preload: false};
    const done = await axe.run(document,
        {...options, rules: {'color-contrast': {enabled: false}}});
    const rules = done.violations.flatMap(v => v.nodes.map(n => `${v.id}: ${n.target}: ${v.help}`));
    document.body.replaceWith(window.thin);
    const contrast = [];
    for (const theme of ['light', 'dark']) {
        document.documentElement.dataset.theme = theme;
        const done = await axe.run(document, {...options, runOnly: ['color-contrast']});
        contrast.push(...done.violations.flatMap(v => v.nodes.map(n =>
            `${theme}: ${n.target}: ${n.any.map(a => a.message)}`)));
    }
    return [rules, contrast]; }"""


@dataclass
class Seen:
    """What one page showed."""

    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    faults: dict[str, object] = field(default_factory=dict)
    contrast: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    loaded: set[str] = field(default_factory=set)  # paths of the site's files it asked for


def visit(page, url: str) -> Seen:
    from axe_playwright_python.base import AXE_SCRIPT

    seen, site, asked = Seen(), urlsplit(url).netloc, []
    heard = {
        "console": lambda m: seen.errors.append(told(m)) if m.type == "error" else None,
        "pageerror": lambda e: seen.errors.append(str(e)),
        "request": lambda r: asked.append(r.url),
    }
    for event, listen in heard.items():
        page.on(event, listen)
    page.set_viewport_size(PHONE)
    page.goto(url)
    page.evaluate(READY)
    seen.loaded = {parts.path for parts in map(urlsplit, asked) if parts.netloc == site}
    faults = page.evaluate(SEEN) | page.evaluate(NARROW)
    faults["figures glaring in the dark"] = page.evaluate(PREPARE)
    seen.faults = {what: count for what, count in faults.items() if count}
    page.set_viewport_size(DESKTOP)
    page.evaluate(AXE_SCRIPT)
    seen.rules, seen.contrast = page.evaluate(RULES)
    for event, listen in heard.items():
        page.remove_listener(event, listen)
    seen.outside = [each for each in asked if away(each, site)]
    return seen


def told(message) -> str:
    return f"{message.text} ({message.location.get('url')})"


def away(url: str, site: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != site


def visit_all(chromium: str, site: str, names: list[str], workers: int = 2) -> dict[str, Seen]:
    """Visit the pages, with a browser for each worker; other hosts cannot be reached."""
    from playwright.sync_api import sync_playwright

    def some(mine):
        arguments = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
            page = browser.new_page(color_scheme="light")  # one for all: scripts compile once
            found = {name: visit(page, site + name) for name in mine}
            browser.close()
            return found

    with ThreadPoolExecutor(workers) as pool:
        shares = pool.map(some, [names[i::workers] for i in range(workers)])
        return {name: seen for share in shares for name, seen in share.items()}
