import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from moonlet.core.errors import InvalidSettings
from moonlet.streams.settings import Settings, from_url, resolve

SECRET = "s3cr3t-word"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of the `nats` CLI, in a configuration folder of its own."""
    folder = tmp_path / "config" / "nats"
    (folder / "context").mkdir(parents=True)
    return folder


def environment(home: Path, **more: str) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(home.parent), **more}


def write(home: Path, name: str, /, selected: bool = False, **fields: Any) -> Path:
    file = home / "context" / f"{name}.json"
    file.write_text(json.dumps(fields))
    if selected:
        (home / "context.txt").write_text(name + "\n")
    return file


def test_without_anything_it_is_the_embedded_server(home: Path) -> None:
    assert resolve(environment=environment(home)) is None
    assert resolve(environment={"HOME": str(home / "nobody")}) is None


def test_the_order_is_url_variable_context_selection(home: Path) -> None:
    write(home, "named", url="nats://named:4222")
    write(home, "chosen", selected=True, url="nats://chosen:4222")
    without = environment(home)
    with_variable = environment(home, MOONLET_NATS_URL="nats://variable:4222")

    def servers(settings: Settings | None) -> tuple[str, ...]:
        assert settings is not None
        return settings.servers

    assert servers(resolve("nats://given:4222", context="named", environment=with_variable)) == (
        "nats://given:4222",
    )
    assert servers(resolve(context="named", environment=with_variable)) == ("nats://variable:4222",)
    assert servers(resolve(context="named", environment=without)) == ("nats://named:4222",)
    assert servers(resolve(environment=without)) == ("nats://chosen:4222",)


def test_contexts_are_found_below_the_home_folder(tmp_path: Path) -> None:
    home = tmp_path / ".config" / "nats"
    (home / "context").mkdir(parents=True)
    write(home, "chosen", selected=True, url="nats://chosen:4222")
    settings = resolve(environment={"HOME": str(tmp_path)})
    assert settings is not None
    assert settings.servers == ("nats://chosen:4222",)
    assert settings.source == "selected context chosen"


def test_a_context_gives_all_its_fields(home: Path) -> None:
    files: dict[str, Any] = {}
    for field in ("creds", "nkey", "cert", "key", "ca"):
        file = home / f"my.{field}"
        file.write_text("x")
        files[field] = str(file)
    write(
        home,
        "full",
        description="all of it",
        url="nats://a:4222,nats://b:4223",
        user="me",
        password=SECRET,
        token=SECRET,
        inbox_prefix="_INBOX.me",
        tls_first=True,
        nsc="",
        jetstream_domain="",
        color_scheme="",
        **files,
    )
    settings = resolve(context="full", environment=environment(home))
    assert settings is not None
    assert settings.servers == ("nats://a:4222", "nats://b:4223")
    assert (settings.user, settings.password, settings.token) == ("me", SECRET, SECRET)
    assert settings.credentials_file == files["creds"]
    assert settings.nkey_file == files["nkey"]
    assert settings.certificate_file == files["cert"]
    assert settings.key_file == files["key"]
    assert settings.authority_file == files["ca"]
    assert settings.inbox_prefix == "_INBOX.me"
    assert settings.tls_first


def test_a_url_may_hold_user_password_or_token() -> None:
    settings = from_url("nats://me:p%40ss%2Fword@host:4222,nats://other", "test")
    assert settings.servers == ("nats://host:4222", "nats://other")
    assert (settings.user, settings.password) == ("me", "p@ss/word")
    settings = from_url(f"tls://{SECRET}@host", "test")
    assert settings.token == SECRET
    assert settings.servers == ("tls://host",)
    assert from_url("host:4333", "test").servers == ("nats://host:4333",)
    assert from_url("[::1]:4222", "test").servers == ("nats://[::1]:4222",)
    with pytest.raises(InvalidSettings, match="different users"):
        from_url("nats://a:b@host,nats://c:d@host", "test")


def test_no_secret_is_shown_anywhere(home: Path) -> None:
    write(home, "full", url=f"nats://me:{SECRET}@a:4222", token=SECRET, password=SECRET)
    with capture_logs() as logs:
        settings = resolve(context="full", environment=environment(home))
    assert settings is not None
    for text in (repr(settings), str(settings), settings.description, str(logs)):
        assert SECRET not in text
        assert "nats://a:4222" in text or text == "[]"


@pytest.mark.parametrize(
    "url",
    [
        f"http://me:{SECRET}@host",
        f"nats://me:{SECRET}@host:port",
        f"nats://me:{SECRET}@",
        f"nats://me:{SECRET}@ho st",
        f"nats://me:{SECRET}@host:99999",
        f"nats://me:a/{SECRET}@host:0",
        f"nats://me:{SECRET}@host/path",
        " , ",
        "ws://host:80",
    ],
)
def test_what_is_no_server_is_refused_without_showing_secrets(url: str) -> None:
    with pytest.raises(InvalidSettings, match="MOONLET_NATS_URL") as refusal:
        resolve(environment={"MOONLET_NATS_URL": url})
    assert SECRET not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


@pytest.mark.parametrize(
    "url",
    ["nats://a:1,tls://b:2,", "NATS://a:1,TLS://b:2", " a:1 ,\n tls://b:2\n", ",a:1,,Tls://b:2/"],
)
def test_lists_are_taken_as_configuration_files_have_them(url: str) -> None:
    settings = resolve(environment={"MOONLET_NATS_URL": url})
    assert settings is not None
    assert settings.servers == ("nats://a:1", "tls://b:2")


def test_an_unknown_context_names_those_there_are(home: Path) -> None:
    write(home, "first")
    write(home, "second")
    with pytest.raises(InvalidSettings, match=r"no context third .*third\.json.*first, second"):
        resolve(context="third", environment=environment(home))
    for name in ("../other", "a b", ".hidden"):
        with pytest.raises(InvalidSettings):
            resolve(context=name, environment=environment(home))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"url": 5}, "url"),
        ({"url": "nats://"}, "url"),
        ({"user": ["x"]}, "user"),
        ({"creds": "/no/such/file"}, "creds"),
        ({"nkey": "/no/such/file"}, "nkey"),
        ({"ca": "/no/such/file"}, "ca"),
        ({"cert": __file__}, "key"),
        ({"inbox_prefix": "a.>"}, "inbox_prefix"),
        ({"inbox_prefix": "a..b"}, "inbox_prefix"),
        ({"tls_first": "yes"}, "tls_first"),
        ({"nsc": "nsc://operator"}, "nsc"),
        ({"jetstream_domain": "hub"}, "jetstream_domain"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(
    home: Path, fields: dict[str, Any], named: str
) -> None:
    file = write(home, "wrong", **{"password": SECRET, **fields})
    with pytest.raises(InvalidSettings) as refusal:
        resolve(context="wrong", environment=environment(home))
    assert str(file) in str(refusal.value)
    assert named in str(refusal.value)
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize("content", [f'{{"password": "{SECRET}', f'"{SECRET}"', "\xff\xfe", ""])
def test_a_damaged_context_is_named(home: Path, content: str) -> None:
    file = home / "context" / "broken.json"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(InvalidSettings) as refusal:
        resolve(context="broken", environment=environment(home))
    assert str(file) in str(refusal.value)
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize("url", ["", "  ", 7, ["nats://a:1"]])
def test_a_url_that_is_none_is_refused_and_starts_no_server(url: Any) -> None:
    """Of a variable that is not set, say: nobody meant the embedded server by that."""
    with pytest.raises(InvalidSettings, match="write nats://host:port"):
        resolve(url, environment={})
