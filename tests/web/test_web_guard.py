"""Who reaches the console: nobody but a browser that its address was given to."""

import socket
from pathlib import Path

import pytest

from moonlet.core.errors import InvalidSettings
from moonlet.web import WebAddress
from moonlet.web.web_console import listen
from tests.web.support import Opened, here, opened_console

pytestmark = pytest.mark.xdist_group("web")


def test_without_a_cookie_nothing_is_served(console: Opened) -> None:
    for path in ("/", "/app.js", "/history?agent=till/main", "/api/agents", "/api/live"):
        answered = console.request(path, {"Cookie": ""})
        assert answered.status == 401, path
        assert "till" not in answered.body.replace("agent=till", "")


def test_another_cookie_is_none(console: Opened) -> None:
    name = console.cookie.partition("=")[0]
    for cookie in (f"{name}=guessed", f"other={console.cookie.partition('=')[2]}", f"{name}="):
        assert console.request("/api/agents", {"Cookie": cookie}).status == 401


def test_a_foreign_name_is_refused_though_it_leads_here(console: Opened) -> None:
    for host in ("evil.example", f"evil.example:{console.port}", "127.0.0.1", "127.0.0.1:1", ""):
        assert console.request("/api/agents", {"Host": host}).status == 421, host
    assert console.request("/api/agents", {"Host": f"LOCALHOST:{console.port}"}).status == 200


def test_a_page_from_elsewhere_is_refused(console: Opened) -> None:
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://127.0.0.1:{console.port + 1}"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    ):
        assert console.request("/api/agents", headers).status == 403, headers
    assert console.request("/api/agents", {"Origin": console.base}).status == 200


def test_nothing_can_be_sent(console: Opened) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert console.request("/api/agents", {"Origin": console.base}, method).status == 405


def test_every_answer_forbids_what_a_page_could_be_made_to_do(console: Opened) -> None:
    for path in ("/", "/app.js", "/api/agents", "/nowhere"):
        headers = console.request(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "require-trusted-types-for 'script'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


def test_an_address_lets_one_browser_in_and_the_next_is_printed(shop: Path) -> None:
    with opened_console(shop) as opened:
        token = opened.address.rpartition("/")[2]
        assert opened.request("/?token=wrong").status == 401
        answered = opened.request(f"/{token}")
        cookie = answered.headers["set-cookie"]
        assert answered.status == 303 and answered.headers["location"] == "/"
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        assert f"moonlet_{opened.port}=" in cookie
        assert opened.request(f"/{token}").status == 401  # used
        opened.cookie = cookie.partition(";")[0]
        assert opened.request("/api/agents").status == 200
        assert opened.request(f"/{token}").status == 303  # who is in already stays in


def test_what_is_shown_to_a_stranger_holds_no_markup_of_theirs(console: Opened) -> None:
    answered = console.request('/"><script>x</script>?a="><b>', {"Cookie": ""})
    assert answered.status == 401
    assert "<script>" not in answered.body and "<b>" not in answered.body


def test_it_listens_on_this_machine_alone(console: Opened) -> None:
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        probe.connect(("192.0.2.1", 9))  # sends nothing: it only says which address is ours
        outside = probe.getsockname()[0]
    except OSError:
        outside = "127.0.0.2"  # this machine has no other
    finally:
        probe.close()
    with pytest.raises(OSError):
        socket.create_connection((outside, console.port), timeout=2).close()


def test_beyond_this_machine_only_with_tls(tmp_path: Path) -> None:
    for address, why in (
        (WebAddress("0.0.0.0"), "in the open"),
        (WebAddress("::"), "in the open"),
        (WebAddress("console.example"), "in the open"),
        (WebAddress("127.0.0.1", certificate=tmp_path / "c.pem"), "both"),
        (WebAddress("0.0.0.0", certificate=tmp_path / "c", key=tmp_path / "k"), "no file"),
    ):
        with pytest.raises(InvalidSettings, match=why):
            address.check()
    for name in ("c", "k"):
        (tmp_path / name).write_text("")
    given = {"certificate": tmp_path / "c", "key": tmp_path / "k"}
    with pytest.raises(InvalidSettings, match="--name"):
        WebAddress("0.0.0.0", **given).check()  # type: ignore[arg-type]
    WebAddress("0.0.0.0", name="console.example", **given).check()  # type: ignore[arg-type]
    ended = here(tmp_path, "web", "--host", "0.0.0.0")
    assert ended.code == 2 and "in the open" in ended.err and "Traceback" not in ended.err


def test_small_answers_are_not_held_back() -> None:
    listener = listen(WebAddress())
    with listener:
        assert listener.proto == socket.IPPROTO_TCP  # else they wait 40 ms for an acknowledgement


def test_a_taken_port_is_told(console: Opened, shop: Path) -> None:
    ended = here(shop, "web", "--port", str(console.port))
    assert ended.code == 69 and f"port {console.port}" in ended.err
    assert "Traceback" not in ended.err
