"""Opening a connection: within two seconds it is there, or the error says what to do."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nats import errors as nats_errors

from moonlet.core.errors import InvalidSettings, MoonletError, PermissionDenied, Unavailable
from moonlet.streams.api import NoResponders, ServerRefused
from moonlet.streams.nats.jetstream import NatsJetStream
from moonlet.streams.nats.reachable import answering_first
from moonlet.streams.nats.wire import NatsWire
from moonlet.streams.server import MINIMUM_VERSION, parse_version
from moonlet.streams.settings import Settings
from moonlet.telemetry.log import get_logger

OPEN_SECONDS = 1.8
OTHERS_SECONDS = 1.0  # for the JetStream of another server, where this one has none
PING_INTERVAL_SECONDS = 5  # a server that hangs is noticed after 15 s: at the third ping
PINGS_OUTSTANDING_MAX = 2

log = get_logger(__name__)


async def open(
    settings: Settings, *, name: str = "moonlet", why_gone: Callable[[], str] | None = None
) -> NatsJetStream:
    """Connect to one of the servers and make sure that it offers what we need.

    Raises `Unavailable` (no server, one too old, or without JetStream), `PermissionDenied` (wrong
    credentials, no inbox) or `InvalidSettings` (a certificate or key file that can't be used).
    A connection that was opened reconnects by itself, for ever; `why_gone` says, where it knows,
    why that is in vain.
    """
    begun = asyncio.get_running_loop().time()
    servers = await answering_first(settings.servers, hello=not settings.tls_first)
    wire = NatsWire()
    attempt = _Attempt(settings, wire, why_gone)
    jetstream: NatsJetStream | None = None

    async def reconnected() -> None:
        assert jetstream is not None
        jetstream.take_reconnect()

    async def closed() -> None:
        if jetstream is not None:
            jetstream.take_closed()

    connecting = asyncio.ensure_future(
        wire.connect(
            servers,
            name=name,
            dont_randomize=True,
            error_cb=attempt.take_error,
            reconnected_cb=reconnected,
            closed_cb=closed,
            pending_size=-1,
            ping_interval=PING_INTERVAL_SECONDS,
            max_outstanding_pings=PINGS_OUTSTANDING_MAX,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            reconnect_to_server_handler=wire.select_server,
            connect_timeout=1,
            **_identity(settings),
        )
    )
    try:
        await asyncio.wait(
            {connecting, attempt.failed},
            timeout=begun + OPEN_SECONDS - asyncio.get_running_loop().time(),
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not connecting.done():
            raise attempt.error()
        connecting.result()
        jetstream = NatsJetStream(wire, settings.description)
        async with asyncio.timeout(OPEN_SECONDS):
            await jetstream.begin()
            await _check(jetstream, settings)
    except BaseException as error:
        await _abandon(wire, connecting)
        if isinstance(error, MoonletError | asyncio.CancelledError):
            raise
        raise attempt.error(error) from None
    attempt.opened = True
    return jetstream


class _Attempt:
    """What went wrong while connecting; afterwards, only the log hears of errors."""

    def __init__(
        self, settings: Settings, wire: NatsWire, why_gone: Callable[[], str] | None
    ) -> None:
        self._settings = settings
        self._wire = wire
        self._why_gone = why_gone
        self._errors: list[Exception] = []
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.opened = False

    async def take_error(self, error: Exception) -> None:
        """nats-py's `error_cb`."""
        if self.opened:
            before, trouble = self._wire.trouble, ""
            if _is_refusal(error):
                trouble = str(self.error(error))
            elif self._why_gone is not None and not self._wire.ready:
                trouble = self._why_gone()
            if trouble and trouble != before:
                log.warning("nats_connection_in_vain", reason=trouble)
            self._wire.trouble = trouble
            log.debug("nats_error", error=f"{type(error).__name__}: {error}")
            return
        self._errors.append(error)
        # One refusal is final, but of several servers each has its turn.
        final = _is_refusal(error) or len(self._errors) >= len(self._settings.servers)
        if final and not self.failed.done():
            self.failed.set_result(None)

    def error(self, cause: BaseException | None = None) -> MoonletError:
        """The error to raise, from what nats-py reported."""
        where = self._settings.description
        for error in [*self._errors, *([cause] if isinstance(cause, Exception) else [])]:
            if _is_refusal(error):
                return PermissionDenied(
                    f"the server refused the credentials for {where}: correct them "
                    f"({_credentials(self._settings)})"
                )
        last = cause or (self._errors[-1] if self._errors else None)
        if isinstance(last, ssl.SSLError):
            return Unavailable(
                f"no TLS connection to {where}: {last.reason or last}; check the certificate "
                "files, and whether the server speaks TLS (tls_first: before its first word)"
            )
        if isinstance(last, nats_errors.SecureConnWantedError):
            return Unavailable(
                f"{where} asks for no TLS, and TLS was asked for here: nothing was sent to it; give"
                " the server a certificate (tls, without allow_non_tls), or write nats://"
            )
        if isinstance(last, nats_errors.Error | ValueError):
            return Unavailable(f"{where} does not answer as a NATS server: {last}")
        if last is None or isinstance(last, TimeoutError):
            reason = f"no answer within {OPEN_SECONDS} s"
        else:
            reason = getattr(last, "strerror", None) or str(last) or type(last).__name__
        return Unavailable(
            f"there is no NATS server at {where}: {reason}; start it (nats-server --jetstream), "
            "or give no address to use the embedded one"
        )


def _is_refusal(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, nats_errors.AuthorizationError) or (
        isinstance(error, nats_errors.Error)
        and ("authorization" in text or "authentication" in text)
    )


def _credentials(settings: Settings) -> str:
    """Which credentials were used, by name and file, never by value."""
    if settings.credentials_file:
        return f"credentials file {settings.credentials_file}"
    if settings.nkey_file:
        return f"nkey file {settings.nkey_file}"
    if settings.user:
        return f"user {settings.user} and its password"
    if settings.token:
        return "the token"
    if settings.certificate_file:
        return f"certificate {settings.certificate_file}"
    return "none were given"


def _identity(settings: Settings) -> dict[str, Any]:
    """nats-py's options for who we are."""
    options: dict[str, Any] = {"inbox_prefix": settings.inbox_prefix}
    if settings.credentials_file:
        _check_key(settings.credentials_file, b"USER NKEY SEED")
        options["user_credentials"] = settings.credentials_file
    elif settings.nkey_file:
        _check_key(settings.nkey_file, b"SU")
        options["nkeys_seed"] = settings.nkey_file
    if settings.user:
        options["user"] = settings.user
        options["password"] = settings.password
    elif settings.token:
        options["token"] = settings.token
    encrypted = any(server.startswith("tls://") for server in settings.servers)
    if settings.authority_file or settings.certificate_file or settings.tls_first or encrypted:
        options["tls"] = _tls_context(settings)
        options["tls_handshake_first"] = settings.tls_first
    return options


def _check_key(file: str, mark: bytes) -> None:
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(64 * 1024)
    except OSError as error:
        raise InvalidSettings(f"{file} can't be read: {error.strerror}") from None
    if mark not in content:
        raise InvalidSettings(f"{file} holds no user's key: write a new one with nsc or nk")


def _tls_context(settings: Settings) -> ssl.SSLContext:
    file = settings.authority_file
    try:
        context = ssl.create_default_context(cafile=file or None)
        if settings.certificate_file:
            file = settings.certificate_file
            context.load_cert_chain(settings.certificate_file, settings.key_file or None)
    except (ssl.SSLError, OSError) as error:
        raise InvalidSettings(
            f"{settings.source}: {file} (key {settings.key_file or 'in it'}) can't be used: "
            f"{error.strerror or type(error).__name__}"
        ) from None
    return context


async def _check(jetstream: NatsJetStream, settings: Settings) -> None:
    """Refuse a server that is too old or has no JetStream for us."""
    info = await jetstream.server_info()
    where = settings.description
    domain = str(info.get("domain", ""))
    version = str(info.get("version", ""))
    if parse_version(version) < MINIMUM_VERSION:
        raise Unavailable(
            f"the server at {where} is nats-server {version}; 2.12 or later is needed"
        )
    try:
        async with asyncio.timeout(None if info["jetstream"] else OTHERS_SECONDS):
            await jetstream.account_info()
    except (NoResponders, ServerRefused, TimeoutError) as error:
        if not info["jetstream"]:  # one without may have neighbours in its cluster that serve it
            raise Unavailable(
                f"the server at {where} runs without JetStream, and reaches none: start it with"
                " --jetstream, or connect to a server that has it (if it is in a domain of a leaf"
                " node: to the leaf node itself)"
            ) from None
        raise Unavailable(
            f"the user's account on {where} has no JetStream"
            f"{f' in the domain {domain}' if domain else ''}: enable it for the account"
            f"{_said(error)}"
        ) from None
    except PermissionDenied:  # it may be allowed all the same to use its streams
        log.debug("nats_account_info_denied", server=where)


def _said(error: Exception) -> str:
    if isinstance(error, ServerRefused):
        return f" (the server says: {error.description})"
    return ""


async def _abandon(wire: NatsWire, connecting: "asyncio.Future[None]") -> None:
    """Leave no task and no socket behind."""
    connecting.cancel()
    await asyncio.wait({connecting}, timeout=1)
    if connecting.done() and not connecting.cancelled():
        connecting.exception()
    wire.abort()
    await wire.close()
