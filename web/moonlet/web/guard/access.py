"""Who may look: the names this console answers to, a token used once, and sessions made of it."""

import secrets
from hmac import compare_digest
from typing import Final

SESSIONS_MAX: Final = 64
"""Browsers that are let in at a time; the one let in first goes first."""


class Access:
    """Of one running console. Tokens and sessions are in memory: another run knows none of them.

    `names` are those that a browser may call it by, `host:port` as its address shows it.
    """

    def __init__(self, names: list[str], port: int, *, tls: bool = False) -> None:
        scheme = "https" if tls else "http"
        self.hosts = frozenset(name.lower() for name in names)
        self.origins = frozenset(f"{scheme}://{name}" for name in self.hosts)
        self.cookie = f"moonlet_{port}"
        """Cookies don't tell ports apart, so the name does."""
        self.tls = tls
        self.base = f"{scheme}://{names[0]}"
        """The address without a token."""
        self._token = secrets.token_urlsafe(24)
        self._sessions: list[str] = []

    @property
    def address(self) -> str:
        """The address that lets one browser in."""
        return f"{self.base}/?token={self._token}"

    def enter(self, token: str) -> str | None:
        """A new session if that is the token, which is another one from then on."""
        if not compare_digest(token.encode(), self._token.encode()):
            return None
        self._token = secrets.token_urlsafe(24)
        session = secrets.token_urlsafe(24)
        self._sessions = [*self._sessions[-SESSIONS_MAX + 1 :], session]
        return session

    def knows(self, session: str) -> bool:
        """Whether the session was made here."""
        known = [compare_digest(session.encode(), each.encode()) for each in self._sessions]
        return any(known)
