"""What commands print: whatever it holds, a terminal obeys none of it."""

import json

import pytest

from moonlet.console.common import Output
from moonlet.core.errors import Rejected

HOSTILE = "a\x1b]0;owned\x07\x1b[2J\x1b[1A\r\x9b2J\u202egpj\u2028\ud800 b"
SHOWN = "a\\x1b]0;owned\\x07\\x1b[2J\\x1b[1A\\r\\x9b2J\\u202egpj\\u2028\\ud800 b"


def test_text_from_outside_is_not_obeyed_by_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    people = Output(json=False)
    people.result({}, f"{HOSTILE}\n\tand more")
    people.remark(HOSTILE)
    people.failure(Rejected(HOSTILE), debug=False)
    told = capsys.readouterr()
    assert told.out == f"{SHOWN}\n\tand more\n"
    assert told.err.splitlines() == [SHOWN, f"Rejected: {SHOWN}"]


def test_colours_are_ours_and_json_is_exact(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typer.echo", print)
    Output(json=False).result({}, "\x1b[31mred\x1b[0m, zero\u200bwidth, ☂")
    assert capsys.readouterr().out == "\x1b[31mred\x1b[0m, zero\u200bwidth, ☂\n"
    Output(json=True).result({"said": "\u202e\x9b\x1b"}, "")
    assert json.loads(capsys.readouterr().out) == {"said": "\u202e\x9b\x1b"}
