"""Opening a connection: in under two seconds it is there, or the error says what to do."""

import asyncio
import base64
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nkeys  # type: ignore[import-untyped]
import pytest
from structlog.testing import capture_logs

from moonlet.core.errors import InvalidSettings, MoonletError, PermissionDenied, Unavailable
from moonlet.streams.api import Disconnected
from moonlet.streams.nats import connection
from moonlet.streams.server.server_process import ServerProcess, find_server
from moonlet.streams.settings import Settings, from_url, resolve
from tests.streams.support import eventually

SECRET = "s3cr3t-word"
USERS = """
authorization { users: [
    { user: me, password: right }
    { nkey: %s }
] }
"""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


def new_nkey(file: Path, prefix: int) -> str:
    """Write a new seed to `file`; its public key."""
    seed = nkeys.encode_seed(os.urandom(32), prefix)
    file.write_bytes(seed + b"\n")
    return str(nkeys.from_seed(bytearray(seed)).public_key.decode())


@pytest.fixture
def server(new_server: Callable[..., ServerProcess], tmp_path: Path) -> ServerProcess:
    return new_server(extra=USERS % new_nkey(tmp_path / "me.nk", nkeys.PREFIX_BYTE_USER))


def context(tmp_path: Path, **fields: Any) -> Settings:
    """The settings of a context named `mine`."""
    folder = tmp_path / "nats" / "context"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.json").write_text(json.dumps(fields))
    settings = resolve(context="mine", environment={"XDG_CONFIG_HOME": str(tmp_path)})
    assert settings is not None
    return settings


async def check(settings: Settings) -> None:
    """Open a connection and use it."""
    js = await connection.open(settings)
    try:
        await js.create_stream({"name": "S", "subjects": ["s.>"]})
        assert (await js.publish("s.a", b"x", timeout=5)).stream == "S"
    finally:
        await js.close()


async def test_the_right_password_opens(server: ServerProcess, tmp_path: Path) -> None:
    await check(from_url(server.url.replace("://", "://me:right@"), "test"))
    await check(context(tmp_path, url=server.url, user="me", password="right"))


async def test_the_right_key_opens(server: ServerProcess, tmp_path: Path) -> None:
    await check(context(tmp_path, url=server.url, nkey=str(tmp_path / "me.nk")))


@pytest.mark.parametrize("credentials", ["password", "nkey", "none", "token"])
async def test_wrong_credentials_fail_at_once_and_name_the_context(
    server: ServerProcess, tmp_path: Path, credentials: str
) -> None:
    new_nkey(tmp_path / "other.nk", nkeys.PREFIX_BYTE_USER)
    fields: dict[str, Any] = {
        "password": {"user": "me", "password": SECRET},
        "nkey": {"nkey": str(tmp_path / "other.nk")},
        "token": {"token": SECRET},
        "none": {},
    }[credentials]
    settings = context(tmp_path, url=server.url, **fields)
    with within(2), capture_logs() as logs, pytest.raises(PermissionDenied) as denial:
        await connection.open(settings)
    assert "context mine" in str(denial.value)
    named = {"nkey": "other.nk", "password": "user me"}.get(credentials, "")
    assert named in str(denial.value)
    assert SECRET not in str(denial.value) + str(logs)


@pytest.mark.parametrize("field", ["nkey", "creds"])
async def test_a_file_without_a_key_is_named(tmp_path: Path, field: str) -> None:
    file = tmp_path / "empty.key"
    file.write_text("nothing")
    settings = context(tmp_path, url="nats://127.0.0.1:1", **{field: str(file)})
    with pytest.raises(InvalidSettings, match=r"empty\.key"):
        await connection.open(settings)


async def test_an_absent_server_says_what_to_start(tmp_path: Path) -> None:
    with socket.socket() as bound:  # bound but not listening: nobody else takes the port
        bound.bind(("127.0.0.1", 0))
        url = f"nats://127.0.0.1:{bound.getsockname()[1]}"
        with within(2), pytest.raises(Unavailable) as absent:
            await connection.open(from_url(url, "MOONLET_NATS_URL"))
    assert url in str(absent.value)
    assert "MOONLET_NATS_URL" in str(absent.value)
    assert "nats-server --jetstream" in str(absent.value)


async def test_an_unknown_host_is_told() -> None:
    with within(2), pytest.raises(Unavailable, match=r"no-such-host\.invalid"):
        await connection.open(from_url("nats://no-such-host.invalid", "test"))


async def test_of_several_servers_one_suffices(shared_server: ServerProcess) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        absent = f"nats://127.0.0.1:{bound.getsockname()[1]}"
        for _ in range(4):  # the order is drawn
            js = await connection.open(from_url(f"{absent},{shared_server.url}", "test"))
            await js.close()


@contextmanager
def silent(count: int) -> Iterator[list[str]]:
    """Addresses at which somebody listens and says nothing."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        yield [f"nats://127.0.0.1:{listening.getsockname()[1]}" for listening in sockets]
    finally:
        for listening in sockets:
            listening.close()


async def test_the_one_server_that_answers_is_found_among_many(
    shared_server: ServerProcess,
) -> None:
    with silent(5) as addresses:
        dead = ["nats://127.0.0.1:1", "nats://nobody.invalid:4222"]
        for place in (0, 3, 7):
            urls = [*addresses, *dead]
            urls.insert(place, shared_server.url)
            with within(1.8):
                js = await connection.open(from_url(",".join(urls), "test"))
            await js.close()
        with within(2.5), pytest.raises(Unavailable, match="no answer within"):
            await connection.open(from_url(",".join(addresses), "test"))


async def pretend(answer: bytes) -> tuple[asyncio.Server, str]:
    """A server that greets with `answer` and answers pings."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        try:
            while line := await reader.readline():
                if line.startswith(b"PING"):
                    writer.write(b"PONG\r\n")
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not answer as a NATS server"),
        (b"INFO nonsense\r\n", "does not answer as a NATS server"),
        (b"", "no answer within"),
        (b'INFO {"version":"2.10.7","jetstream":true,"headers":true}\r\n', "2.12 or later"),
        (b'INFO {"version":"2.14.0","headers":true}\r\n', "without JetStream"),
    ],
)
async def test_what_can_not_serve_us_is_told(answer: bytes, said: str) -> None:
    server, url = await pretend(answer)
    try:
        with within(2.5), pytest.raises(Unavailable, match=said) as error:
            await connection.open(from_url(url, "test"))
        assert url in str(error.value)
    finally:
        server.close()
        await server.wait_closed()


async def test_a_server_without_jetstream_is_told(tmp_path: Path) -> None:
    server = ServerProcess(find_server(), tmp_path, "")
    server.start()
    try:
        with pytest.raises(Unavailable, match="--jetstream"):
            await connection.open(from_url(server.url, "test"))
    finally:
        server.stop()


async def test_the_jetstream_of_another_server_of_the_cluster_is_used() -> None:
    """A server without JetStream, behind which another one answers."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"version":"2.14.0","headers":true,"max_payload":1048576}\r\n')
        while words := (await reader.readline()).split():
            if words[0] == b"PING":
                writer.write(b"PONG\r\n")
            if words[0] == b"SUB":
                number = words[-1]
            if words[0] == b"PUB" and words[1] == b"$JS.API.INFO":
                writer.write(b"MSG %b %b 2\r\n{}\r\n" % (words[2], number))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    js = await connection.open(from_url(url, "test"))
    await js.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("domain", ["", 'domain: "hub"'])
async def test_the_jetstream_behind_a_leaf_node_is_named(
    new_server: Callable[..., ServerProcess], tmp_path: Path, domain: str
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hub = new_server(extra=f'leafnodes {{ listen: "127.0.0.1:{port}" }}\n')
    hub.stop()
    hub._config = hub._config.replace("jetstream {", f"jetstream {{ {domain}", 1)
    hub.start()
    remote = f'leafnodes {{ remotes: [ {{ url: "nats://127.0.0.1:{port}" }} ] }}\n'
    leaf = ServerProcess(find_server(), tmp_path / "leaf", remote)
    leaf.start()
    try:
        with within(3), pytest.raises(Unavailable, match=r"domain.*leaf node itself"):
            await connection.open(from_url(leaf.url, "test"))
    finally:
        leaf.stop()


async def test_credentials_that_are_changed_are_named_until_they_are_right_again(
    new_server: Callable[..., ServerProcess],
) -> None:
    user = "authorization {{ user: me, password: {} }}\n"
    server = new_server(extra=user.format("old"))
    settings = from_url(server.url.replace("://", "://me:old@"), "test")
    js = await connection.open(settings)
    wrong = server._config.replace("password: old", "password: new")
    server.stop()
    server._config = wrong
    server.start()

    def said() -> bool:
        try:
            js.post("a", b"x")
        except Disconnected as error:
            return "refused the credentials" in str(error) and "user me" in str(error)
        return False

    await eventually(said)
    server.stop()
    server._config = wrong.replace("password: new", "password: old")
    server.start()
    await eventually(lambda: js.connected)
    js.post("a", b"x")
    await js.close()


async def test_an_account_without_jetstream_is_told(
    new_server: Callable[..., ServerProcess],
) -> None:
    server = new_server(
        extra="""
        accounts {
            A: { jetstream: enabled, users: [{ user: a, password: a }] }
            B: { users: [{ user: b, password: b }] }
        }
        """
    )
    await check(from_url(server.url.replace("://", "://a:a@"), "test"))
    with pytest.raises(Unavailable, match="account"):
        await connection.open(from_url(server.url.replace("://", "://b:b@"), "test"))


async def test_an_opening_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    server, url = await pretend(b"")
    try:
        opening = asyncio.ensure_future(connection.open(from_url(url, "test")))
        await asyncio.sleep(0.05)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert [task for task in others if "pretend" not in repr(task)] == []
    finally:
        server.close()
        await server.wait_closed()


# credentials files (JWT): an operator, its account and a user, made here


def token(claims: dict[str, Any], issuer: nkeys.KeyPair) -> str:
    """A signed JWT of the kind that nsc writes."""

    def encode(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    claims = {"iss": issuer.public_key.decode(), "iat": int(time.time()), **claims}
    digest = hashlib.sha512(json.dumps(claims).encode()).digest()[:32]
    claims["jti"] = base64.b32encode(digest).rstrip(b"=").decode()
    head = encode(b'{"typ":"JWT","alg":"ed25519-nkey"}') + "." + encode(json.dumps(claims).encode())
    return f"{head}.{encode(issuer.sign(head.encode()))}"


def pair(prefix: int) -> tuple[nkeys.KeyPair, str]:
    seed = nkeys.encode_seed(os.urandom(32), prefix)
    return nkeys.from_seed(bytearray(seed)), seed.decode()


async def test_a_credentials_file_opens(
    new_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    operator, _ = pair(nkeys.PREFIX_BYTE_OPERATOR)
    system, _ = pair(nkeys.PREFIX_BYTE_ACCOUNT)
    account, _ = pair(nkeys.PREFIX_BYTE_ACCOUNT)
    user, user_seed = pair(nkeys.PREFIX_BYTE_USER)
    system_id, account_id = system.public_key.decode(), account.public_key.decode()
    operator_claims = {"type": "operator", "version": 2, "system_account": system_id}
    operator_token = token(
        {"sub": operator.public_key.decode(), "name": "O", "nats": operator_claims}, operator
    )
    limits = {"subs": -1, "data": -1, "payload": -1, "conn": -1, "leaf": -1, "imports": -1}
    limits |= {"exports": -1, "wildcards": True}
    system_claims = {"type": "account", "version": 2, "limits": limits}
    system_token = token({"sub": system_id, "name": "SYS", "nats": system_claims}, operator)
    limits = {**limits, "disk_storage": -1, "mem_storage": -1, "streams": -1, "consumer": -1}
    account_claims = {"type": "account", "version": 2, "limits": limits}
    account_token = token({"sub": account_id, "name": "A", "nats": account_claims}, operator)
    user_claims = {"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1}
    user_token = token({"sub": user.public_key.decode(), "name": "U", "nats": user_claims}, account)
    server = new_server(
        extra=f"""
        operator: "{operator_token}"
        resolver: MEMORY
        resolver_preload: {{
            {system_id}: "{system_token}", {account_id}: "{account_token}"
        }}
        """
    )
    file = tmp_path / "user.creds"
    file.write_text(
        f"-----BEGIN NATS USER JWT-----\n{user_token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user_seed}\n------END USER NKEY SEED------\n"
    )
    await check(context(tmp_path, url=server.url, creds=str(file)))
    file.write_text(file.read_text().replace(user_token[-20:], "A" * 20))
    with pytest.raises(PermissionDenied, match=r"user\.creds"):
        await connection.open(context(tmp_path, url=server.url, creds=str(file)))


# TLS


def certificates(folder: Path) -> dict[str, str]:
    """An authority, and certificates of a server and a client, made with openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")

    def run(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    # What a strict verifier asks for, as Python's is from 3.13 on.
    may_sign = ("-addext", "keyUsage=critical,keyCertSign")
    name = ("-subj", "/CN=test authority")
    run("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", *name, *may_sign)
    (folder / "san").write_text(
        "subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
    )
    for who in ("server", "client"):
        keys = ("-keyout", f"{who}.key", "-out", f"{who}.csr")
        run("req", *new[:-2], *keys, "-subj", f"/CN={who}")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "san")
        run("x509", "-req", "-in", f"{who}.csr", *signed, "-days", "2", "-out", f"{who}.pem")
    return {file.name: str(file) for file in folder.iterdir()}


@pytest.mark.parametrize("first", [False, True])
async def test_certificates_open(
    new_server: Callable[..., ServerProcess], tmp_path: Path, first: bool
) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    files = certificates(folder)
    server = new_server(
        extra=f"""
        tls {{
            cert_file: "{files["server.pem"]}", key_file: "{files["server.key"]}"
            ca_file: "{files["ca.pem"]}", verify: true, handshake_first: {str(first).lower()}
        }}
        """
    )
    good: dict[str, Any] = {
        "url": server.url.replace("nats://", "tls://"),
        "ca": files["ca.pem"],
        "cert": files["client.pem"],
        "key": files["client.key"],
        "tls_first": first,
    }
    await check(context(tmp_path, **good))
    wrong: list[tuple[type[MoonletError], dict[str, Any]]] = [
        (Unavailable, {**good, "ca": ""}),
        (Unavailable, {**good, "cert": "", "key": ""}),
        (Unavailable, {**good, "tls_first": not first}),
        (InvalidSettings, {**good, "key": files["server.key"]}),
        (InvalidSettings, {**good, "ca": files["san"]}),
    ]
    for expected, fields in wrong:
        with within(3), pytest.raises(expected):
            await connection.open(context(tmp_path, **fields))


@pytest.mark.parametrize("url", ["tls://u:secret@127.0.0.1", "nats://u:secret@127.0.0.1"])
async def test_no_password_goes_to_a_server_that_speaks_no_tls_where_tls_is_asked_for(
    url: str,
) -> None:
    told = bytearray()

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"a","version":"2.12.1","max_payload":1048576}\r\n')
        while data := await reader.read(4_096):
            told.extend(data)
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = from_url(f"{url}:{port}", "test")
        says = "asks for no TLS" if url.startswith("tls") else "no answer within"
        with within(3), pytest.raises(Unavailable, match=says):
            await connection.open(settings)
    assert (b"secret" in told) is url.startswith("nats://")
