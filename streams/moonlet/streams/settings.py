"""Where the server is and who we are: from a URL, the environment, or the `nats` CLI's context.

The order: an explicit URL, `MOONLET_NATS_URL`, the context named by `--context`, else the one
selected with `nats context select` (ADR-21), else none: the embedded server. No secret stands in
a representation, an error or a log.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from moonlet.core.errors import InvalidSettings

URL_VARIABLE = "MOONLET_NATS_URL"
PREFIX_VARIABLE = "MOONLET_PREFIX"
SCHEMES = ("nats", "tls")

# What the context has that changes who we are, and that we can't honour: better refused.
_UNSUPPORTED = {
    "nsc": "write the credentials to a file (nsc generate creds) and set creds",
    "jetstream_domain": "connect to the domain's own servers",
    "jetstream_api_prefix": "connect with an account that has JetStream itself",
    "socks_proxy": "connect without a proxy",
    "windows_cert_store": "set cert, key and ca",
}


class Settings(msgspec.Struct, frozen=True):
    """How to connect. `source` says in words where this comes from, `servers` are URLs.

    The URLs hold no secret: what they had of user, password or token stands in the fields.
    """

    servers: tuple[str, ...]
    source: str
    user: str = ""
    password: str = ""
    token: str = ""
    credentials_file: str = ""
    nkey_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    authority_file: str = ""
    tls_first: bool = False
    inbox_prefix: str = "_INBOX"

    def __repr__(self) -> str:
        return f"Settings({self.description})"

    @property
    def description(self) -> str:
        """The servers, and where they were named."""
        return f"{', '.join(self.servers)} ({self.source})"


def resolve(
    url: str | None = None,
    *,
    context: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings | None:
    """What to connect to; None for the embedded server. Raises `InvalidSettings`.

    `url` may be several, separated by commas; `environment` is the process's by default.
    """
    environment = os.environ if environment is None else environment
    if url is not None:
        if not isinstance(url, str) or not url.strip():
            raise InvalidSettings(
                f"given as URL: {url!r:.100}; write nats://host:port, several with commas between"
                " them, or give no URL (None): then the environment says it, or a context"
            )
        return from_url(url, "given as URL")
    if variable := environment.get(URL_VARIABLE, "").strip():
        return from_url(variable, URL_VARIABLE)
    if context:
        return _from_context(context, environment, f"context {context}")
    if selected := _selected(environment):
        return _from_context(selected, environment, f"selected context {selected}")
    return None


def prefix(environment: Mapping[str, str] | None = None) -> str:
    """Under which prefix to look where none is given: MOONLET_PREFIX, else `moon`."""
    environment = os.environ if environment is None else environment
    return environment.get(PREFIX_VARIABLE, "").strip() or "moon"


def from_url(urls: str, source: str) -> Settings:
    """Settings for one URL or several of one cluster, separated by commas.

    What lists in configuration files are like is taken: a comma at the end, spaces, lines.
    """
    servers: list[str] = []
    identities: set[tuple[str, str, str]] = set()
    texts = [text.strip() for text in urls.split(",")]
    for text in [text for text in texts if text] or texts[:1]:
        server, identity = _split(text, source)
        servers.append(server)
        identities.add(identity)
    identities.discard(("", "", ""))
    if len(identities) > 1:
        raise InvalidSettings(f"{source}: the servers have different users; give them one")
    user, password, token = identities.pop() if identities else ("", "", "")
    return Settings(tuple(servers), source, user=user, password=password, token=token)


def _split(text: str, source: str) -> tuple[str, tuple[str, str, str]]:
    """One server's URL without user and password, and these (user, password, token)."""
    scheme, separator, rest = text.rpartition("://")
    userinfo, _, place = rest.rpartition("@")
    server = f"{scheme.lower() if separator else 'nats'}://{place}"
    try:
        parts = urlsplit(server)
        usable = parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0
        usable = usable and parts.path in ("", "/") and not any(c.isspace() for c in server)
    except ValueError:
        usable = False
    if not usable:
        raise InvalidSettings(
            f"{source}: {server!r} is no address of a NATS server; write nats://host:port "
            "(or tls://host:port)"
        )
    user, colon, password = userinfo.partition(":")
    if not colon:
        return server.rstrip("/"), ("", "", unquote(user))
    return server.rstrip("/"), (unquote(user), unquote(password), "")


def _directory(environment: Mapping[str, str]) -> Path:
    base = environment.get("XDG_CONFIG_HOME", "")
    if base:
        return Path(base) / "nats"
    home = environment.get("HOME", "")
    return (Path(home) if home else Path.home()) / ".config" / "nats"


def _selected(environment: Mapping[str, str]) -> str:
    file = _directory(environment) / "context.txt"
    try:
        return file.read_text("utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{file} can't be read: {_reason(error)}") from None


def _from_context(name: str, environment: Mapping[str, str], source: str) -> Settings:
    if not name or any(c in "/\\" or c.isspace() for c in name) or name.startswith("."):
        raise InvalidSettings(f"{name!r} can't name a context: see 'nats context ls'")
    file = _directory(environment) / "context" / f"{name}.json"
    fields = _read_context(file, name)
    for field, instead in _UNSUPPORTED.items():
        if fields.get(field):
            raise InvalidSettings(f"{file}: {field} is not supported here; {instead}")
    text = {field: _text(fields, field, file) for field in _TEXT_FIELDS}
    tls_first = fields.get("tls_first", False)
    if not isinstance(tls_first, bool):
        raise InvalidSettings(f"{file}: tls_first must be true or false")
    if bool(text["cert"]) != bool(text["key"]):
        raise InvalidSettings(f"{file}: cert and key belong together, and one of them is missing")
    prefix = text["inbox_prefix"] or "_INBOX"
    if any(c in "*>" or c.isspace() for c in prefix) or not all(prefix.split(".")):
        raise InvalidSettings(f"{file}: inbox_prefix must be a subject without wildcards")
    there = from_url(text["url"] or "nats://127.0.0.1:4222", f"{file}: url")
    return Settings(
        servers=there.servers,
        source=source,
        user=text["user"] or there.user,
        password=text["password"] or there.password,
        token=text["token"] or there.token,
        credentials_file=_file(text, "creds", file),
        nkey_file=_file(text, "nkey", file),
        certificate_file=_file(text, "cert", file),
        key_file=_file(text, "key", file),
        authority_file=_file(text, "ca", file),
        tls_first=tls_first,
        inbox_prefix=prefix,
    )


_TEXT_FIELDS = (
    "url",
    "user",
    "password",
    "token",
    "creds",
    "nkey",
    "cert",
    "key",
    "ca",
    "inbox_prefix",
)


def _read_context(file: Path, name: str) -> dict[str, Any]:
    try:
        fields = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        known = sorted(other.stem for other in file.parent.glob("*.json"))
        raise InvalidSettings(
            f"there is no context {name} ({file}); "
            + (f"there are: {', '.join(known)}" if known else "'nats context add' makes one")
        ) from None
    except (OSError, ValueError) as error:
        raise InvalidSettings(f"{file} can't be read: {_reason(error)}") from None
    if not isinstance(fields, dict):
        raise InvalidSettings(f"{file} is no context: it must hold a JSON object")
    return fields


def _text(fields: dict[str, Any], field: str, file: Path) -> str:
    value = fields.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidSettings(f"{file}: {field} must be a text")
    return value.strip() if field != "password" else value


def _file(text: dict[str, str], field: str, context: Path) -> str:
    if not text[field]:
        return ""
    path = Path(text[field]).expanduser()
    if not os.access(path, os.R_OK) or not path.is_file():
        raise InvalidSettings(f"{context}: {field} names {path}, which is no readable file")
    return str(path)


def _reason(error: Exception) -> str:
    """What went wrong, without the text that was read: it may hold a secret."""
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON at line {error.lineno}, column {error.colno}"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return type(error).__name__
