"""The pages' files: read once, served with a policy that lets nothing in from anywhere else."""

from pathlib import Path
from typing import Any, Final

from litestar import get
from litestar.params import FromPath
from litestar.types import ASGIApp

from coordinator.api.answers import Answer
from coordinator.api.errors import no_route

_HERE: Final = Path(__file__).with_name("pages")
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PAGE_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
_FILES: Final = {
    file.name: Answer(file.read_bytes(), _TYPES[file.suffix], headers=PAGE_HEADERS) for file in sorted(_HERE.iterdir())
}


@get("/", name="status_page")
async def status_page() -> ASGIApp:
    """The public status page."""
    return _FILES["index.html"]


@get("/web/{name:str}", name="page_file")
async def page_file(name: FromPath[str]) -> ASGIApp:
    """A file of the pages; NotFound if there is none of that name."""
    if name not in _FILES:
        raise no_route(f"/web/{name}")
    return _FILES[name]


ROUTES: Final[list[Any]] = [status_page, page_file]
