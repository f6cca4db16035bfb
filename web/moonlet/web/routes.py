"""The addresses: the page's files, `/api/NAME` for answers, `/api/live` for what happens."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from moonlet.core.errors import (
    Corrupt,
    Invalid,
    LimitExceeded,
    MoonletError,
    PermissionDenied,
    Unavailable,
    Undecodable,
)
from moonlet.telemetry import get_logger
from moonlet.web.answers import ANSWERS, Answer, drawn
from moonlet.web.live import LiveTail, event_stream
from moonlet.web.page import PageFile
from moonlet.web.reading import Parameters, SystemReader
from moonlet.web.shared_answers import SharedAnswers

log = get_logger(__name__)

STATUS: Final[tuple[tuple[type[MoonletError], int], ...]] = (
    (Invalid, 400),
    (PermissionDenied, 403),
    (LimitExceeded, 413),
    (Undecodable, 422),
    (Corrupt, 422),
    (Unavailable, 503),
)

PAGES: Final = (
    "/",
    "/agents",
    "/history",
    "/causes",
    "/waiting",
    "/parked",
    "/views",
    "/logs",
    "/alerts",
    "/search",
    "/whatif",
)
"""The paths that show the page: which part of it, its own script reads there."""

Endpoint = Callable[[Request], Awaitable[Response]]

SHARED: Final = frozenset(
    ("agents", "alerts", "commands", "logs", "metrics", "overview", "parked", "views", "waiting")
)
"""Answers about now, which pages ask for again and again."""

NO_STORE: Final = {"cache-control": "no-store"}


def routes_of(reader: SystemReader, tail: LiveTail, files: Mapping[str, PageFile]) -> Starlette:
    """The application, without its guard."""
    found = [Route(path, _file(files["index.html"])) for path in PAGES]
    found += [Route(f"/{name}", _file(each)) for name, each in files.items()]
    shared = SharedAnswers()
    for name, answer in ANSWERS.items():
        among = shared if name in SHARED else None
        found.append(Route(f"/api/{name}", _answered(reader, answer, among)))

    async def live(request: Request) -> Response:
        last = request.headers.get("last-event-id", request.query_params.get("after", ""))
        stream = event_stream(tail, last[:4_000])
        return StreamingResponse(stream, media_type="text/event-stream", headers=NO_STORE)

    async def svg(request: Request) -> Response:
        try:
            text = await drawn(reader, Parameters(request.query_params))
        except MoonletError as error:
            return _failed(error)
        return Response(text, media_type="image/svg+xml", headers=NO_STORE)

    found += [Route("/api/live", live), Route("/api/causes.svg", svg)]
    return Starlette(routes=found, exception_handlers={404: _nowhere})


def _file(file: PageFile) -> Endpoint:
    async def give(request: Request) -> Response:
        headers = {"etag": file.mark, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == file.mark:
            return Response(status_code=304, headers=headers)
        return Response(file.body, media_type=file.kind, headers=headers)

    return give


def _answered(reader: SystemReader, answer: Answer, shared: SharedAnswers | None) -> Endpoint:
    async def made(request: Request) -> bytes:
        return msgspec.json.encode(await answer(reader, Parameters(request.query_params)))

    async def give(request: Request) -> Response:
        try:
            if shared is None:
                body = await made(request)
            else:
                body = await shared.get(str(request.url), lambda: made(request))
        except MoonletError as error:
            return _failed(error)
        except Exception as error:
            log.error("an answer could not be made", path=request.url.path, exc_info=error)
            return _failed(
                MoonletError(
                    f"unexpected {type(error).__name__}: {error}; this is a bug: see what the"
                    " console printed, and report it"
                )
            )
        return Response(body, media_type="application/json", headers=NO_STORE)

    return give


def _failed(error: MoonletError) -> Response:
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
    body = msgspec.json.encode({"error": type(error).__name__, "message": str(error)})
    return Response(body, status, media_type="application/json", headers=NO_STORE)


async def _nowhere(request: Request, error: Exception) -> Response:
    return Response("there is nothing here\n", 404, media_type="text/plain", headers=NO_STORE)
