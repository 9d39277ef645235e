"""One visit to every page of the built book in a real browser: what a reader meets there."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

DESKTOP, PHONE = {"width": 1300, "height": 900}, {"width": 400, "height": 800}
READY = "async () => { if (window.MathJax?.startup) await MathJax.startup.promise; }"
LOADED = """() => ['navigation', 'resource'].flatMap(kind => performance.getEntriesByType(kind))
    .map(entry => [entry.name, entry.encodedBodySize])"""
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
THEME = """theme => {
    document.documentElement.dataset.theme = theme;
    return [...document.querySelectorAll('main .cell_output img:not(.photo)')].filter(i =>
        !getComputedStyle(i).filter.startsWith('invert') && i.offsetWidth).length; }"""
# axe measures every word's contrast, most of them alike: it gets one of each look.
THIN = """theme => {
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
    visit(document.body); }"""
CONTRAST = """async () => {
    const whole = document.body, thin = whole.cloneNode(true), found = [];
    thin.querySelectorAll('*').forEach(e => { if (!e.hasAttribute('data-look')) e.remove(); });
    whole.replaceWith(thin);
    for (const theme of ['light', 'dark']) {
        document.documentElement.dataset.theme = theme;
        const done = await axe.run(document, {runOnly: ['color-contrast'], preload: false});
        found.push(...done.violations.flatMap(v => v.nodes.map(n =>
            `${theme}: ${n.target}: ${n.any.map(a => a.message)}`)));
    }
    thin.replaceWith(whole);
    document.documentElement.dataset.theme = 'light';
    return found; }"""
RULES = """async () => {
    document.querySelectorAll('mjx-container').forEach(e => e.remove());
    document.querySelectorAll('pre').forEach(e => { e.textContent = e.textContent; });
    const done = await axe.run(document,
        {resultTypes: ['violations'], preload: false, rules: {'color-contrast': {enabled: false}}});
    return done.violations.flatMap(v => v.nodes.map(n => `${v.id}: ${n.target}: ${v.help}`)); }"""


@dataclass
class Seen:
    """What one page showed."""

    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    faults: dict[str, object] = field(default_factory=dict)
    contrast: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    loaded: dict[str, int] = field(default_factory=dict)  # path of a file: its bytes

    @property
    def weight(self) -> int:
        return sum(self.loaded.values())


def visit(page, url: str) -> Seen:
    from axe_playwright_python.base import AXE_SCRIPT

    seen, site = Seen(), urlsplit(url).netloc
    page.set_viewport_size(PHONE)
    page.on(
        "console",
        lambda m: (
            seen.errors.append(f"{m.text} {m.location.get('url')}") if m.type == "error" else None
        ),
    )
    page.on("pageerror", lambda e: seen.errors.append(str(e)))
    page.on("request", lambda r: seen.outside.append(r.url) if away(r.url, site) else None)
    page.goto(url)
    page.evaluate(READY)
    seen.loaded = {urlsplit(name).path: size for name, size in page.evaluate(LOADED)}
    faults = page.evaluate(SEEN) | page.evaluate(NARROW)
    page.set_viewport_size(DESKTOP)
    faults["figures glaring in the dark"] = page.evaluate(THEME, "dark")
    seen.faults = {what: count for what, count in faults.items() if count}
    page.evaluate(AXE_SCRIPT)
    for theme in ("dark", "light"):
        page.evaluate(THIN, theme)
    seen.contrast = page.evaluate(CONTRAST)
    seen.rules = page.evaluate(RULES)
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
            context = browser.new_context(color_scheme="light")
            found = {}
            for name in mine:
                page = context.new_page()
                found[name] = visit(page, site + name)
                page.close()
            browser.close()
            return found

    with ThreadPoolExecutor(workers) as pool:
        shares = pool.map(some, [names[i::workers] for i in range(workers)])
        return {name: seen for share in shares for name, seen in share.items()}
