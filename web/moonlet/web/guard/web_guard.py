"""Stands before everything that is served: who doesn't pass reaches no page and no answer.

Plain ASGI, since Starlette's own middleware would break the end of streams. A browser that a
foreign page leads here is told apart by what it can't forge: the Host it called (a name that was
rebound to this address), the Origin of the page that asks, and a cookie that only a visit of ours
is given with.
"""

from collections.abc import Callable
from html import escape
from typing import Any, Final
from urllib.parse import parse_qs

from moonlet.web.guard.access import Access

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'"
)
"""What a page of ours may do: run and load what came from here, and make no code of texts."""

HEADERS: Final = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)

Receive = Callable[[], Any]
Send = Callable[[Any], Any]
Application = Callable[[Any, Receive, Send], Any]


class WebGuard:
    """Lets requests through to `app` that `access` allows. Only GET and HEAD: nothing is written.

    `entered` is called when a browser was let in.
    """

    def __init__(
        self, app: Application, access: Access, entered: Callable[[], None] = lambda: None
    ) -> None:
        self._app = app
        self._access = access
        self._entered = entered

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in headers and name in (b"host", b"origin", b"cookie"):
                await _refuse(send, 400, f"two headers {name.decode('latin-1')}")
                return
            headers[name] = value
        refused = self._foreign(scope, headers)
        if refused is not None:
            await _refuse(send, *refused)
            return
        token = _token(scope)
        session = self._access.enter(token) if token is not None else None
        if session is not None:
            await self._let_in(send, session)
            self._entered()
        elif not self._access.knows(self._session(headers)):
            await _refuse(send, 401, "", page=_closed(scope, token is not None))
        elif token is not None:
            await _answer(send, 303, "text/plain", b"", ((b"location", b"/"),))
        else:
            await self._app(scope, receive, _with_headers(send))

    def _foreign(self, scope: Any, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if host not in self._access.hosts:
            return 421, "this console is not called by that name: open the address it printed"
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower() not in self._access.origins:
            return 403, "a page from elsewhere asked"
        site = headers.get(b"sec-fetch-site", b"none")
        navigates = headers.get(b"sec-fetch-mode", b"navigate") == b"navigate"
        if site not in (b"none", b"same-origin") and not navigates:
            return 403, "a page from elsewhere asked"
        if scope["method"] not in ("GET", "HEAD"):
            return 405, "this console only shows"
        return None

    async def _let_in(self, send: Send, session: str) -> None:
        secure = "; Secure" if self._access.tls else ""
        cookie = f"{self._access.cookie}={session}; HttpOnly; SameSite=Strict; Path=/{secure}"
        there = ((b"location", b"/"), (b"set-cookie", cookie.encode()))
        await _answer(send, 303, "text/plain", b"", there)

    def _session(self, headers: dict[bytes, bytes]) -> str:
        for part in headers.get(b"cookie", b"").decode("latin-1").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._access.cookie:
                return value
        return ""


def _token(scope: Any) -> str | None:
    if scope["path"] != "/" or b"token=" not in scope["query_string"]:
        return None
    given = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=10)
    token: str = given.get("token", [""])[0]
    return token


def _closed(scope: Any, had_token: bool) -> str:
    """What is shown to a browser that is not let in.

    One that is known, but was led here by a link elsewhere, sent no cookie: its next click does.
    """
    path = scope["path"].encode("utf-8", "replace").decode()
    query = "" if had_token else scope["query_string"].decode("latin-1")
    there = escape(f"{path}?{query}" if query else path)
    again = "That address was used already, or is of another run. " if had_token else ""
    return (
        '<!doctype html><meta charset="utf-8"><title>Moonlet</title>'
        f"<p>{again}Open the address that <code>moonlet web</code> printed last.</p>"
        f'<p>A link led you here? <a href="{there}">Go on</a>.</p>'
    )


async def _refuse(send: Send, status: int, text: str, page: str | None = None) -> None:
    body = (text + "\n" if page is None else page).encode()
    kind = "text/plain" if page is None else "text/html"
    await _answer(send, status, f"{kind}; charset=utf-8", body)


async def _answer(
    send: Send, status: int, kind: str, body: bytes, more: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    headers = [*HEADERS, (b"content-type", kind.encode()), (b"cache-control", b"no-store")]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *more]})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send) -> Send:
    async def passed(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
        await send(message)

    return passed
