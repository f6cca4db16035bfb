"""The built page as it is served: its files, in memory, each with a mark of what is in it."""

from hashlib import blake2b
from typing import Final, NamedTuple

from moonlet.web.page.build import BUILT

KINDS: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
}


class PageFile(NamedTuple):
    """A file: its type, what is in it, and its mark (an ETag)."""

    kind: str
    body: bytes
    mark: str


def page_files() -> dict[str, PageFile]:
    """Name → file, read now; raises `OSError` if the page is not built."""
    found = {}
    for path in sorted(BUILT.iterdir()):
        name = path.name
        if path.suffix[1:] not in KINDS:
            continue
        body = path.read_bytes()
        mark = blake2b(body, digest_size=12).hexdigest()
        found[name] = PageFile(KINDS[name.rpartition(".")[2]], body, f'"{mark}"')
    return found
