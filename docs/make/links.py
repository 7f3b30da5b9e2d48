"""Checks that links inside the built site lead to pages, files and headings that exist.

Usage: python docs/make/links.py SITE
"""

import re
import sys
import urllib.parse
from pathlib import Path

_LINK = re.compile(r'(?:href|src)="([^"]+)"')
_ID = re.compile(r'\bid="([^"]+)"')


def broken(site: Path) -> list[str]:
    """Lines `page: link` for each link that leads nowhere."""
    pages = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    ids = {path: set(_ID.findall(text)) for path, text in pages.items()}
    found = []
    for page, text in pages.items():
        for link in set(_LINK.findall(text)):
            address = urllib.parse.urlsplit(link.replace("&amp;", "&"))
            if address.scheme or address.netloc or link in ("#", ""):
                continue
            target = (page.parent / urllib.parse.unquote(address.path)).resolve() if address.path else page
            anchor = urllib.parse.unquote(address.fragment)
            missing = not target.is_file() or (anchor and target in ids and anchor not in ids[target])
            if missing and "_static" not in link and "search.html" not in link:
                found.append(f"{page.relative_to(site)}: {link}")
    return sorted(found)


if __name__ == "__main__":
    lines = broken(Path(sys.argv[1]).resolve())
    print("\n".join(lines) or "all links inside the site lead somewhere")
    sys.exit(bool(lines))
