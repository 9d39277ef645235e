"""Every internal link, anchor and asset of a built book must exist. Standard library only."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.ids, self.refs = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.ids.update(named[key] for key in ("id", "name") if named.get(key))
        self.refs += [named[key] for key in ("href", "src") if named.get(key)]


def broken(root: Path) -> list[str]:
    paths = [path for path in root.rglob("*.html") if "_static" not in path.parts]
    pages = {path: Page(path.read_text("utf8")) for path in paths}
    out = set()
    for path, page in pages.items():
        for ref in page.refs:
            url = urlsplit(ref)
            if url.scheme or url.netloc:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            if target.is_dir():
                target = target / "index.html"
            if not target.exists():
                out.add(f"{path.relative_to(root)}: {ref} does not exist")
            elif target in pages and unquote(url.fragment) not in {"", *pages[target].ids}:
                out.add(f"{path.relative_to(root)}: {ref} has no such anchor")
    return sorted(out)
