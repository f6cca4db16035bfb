"""tell, ask, query, agents, history, state: against a host of its own process."""

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonlet.agents import connect
from moonlet.core.commit import plain
from tests.console.support import finish, first_line, invoke, run, start

BANK = ("--module", "bank.py")


def deposit(amount: object, agent: str = "account/alice", *options: str) -> tuple[str, ...]:
    return "ask", agent, "Deposit", json.dumps({"amount": amount}), *BANK, *options


def test_an_ask_prints_the_reply_and_a_query_the_answer(host: Path) -> None:
    asked = invoke(*deposit(5))
    assert (asked.code, asked.out) == (0, "5\n")
    asked = invoke(*deposit(7), "--json")
    assert asked.records == [{"agent": "account/alice", "reply": 12}]
    answered = invoke("query", "account/alice", "GetBalance", *BANK, "--json")
    assert answered.records == [{"agent": "account/alice", "reply": 12}]


def test_a_field_that_would_do_nothing_is_refused(host: Path) -> None:
    body = '{"amount": 5, "amuont": 3}'
    asked = invoke("ask", "account/typo", "Deposit", body, *BANK, "--json")
    assert asked.code == 2
    facts = json.loads(asked.err)
    assert (facts["error"], facts["path"]) == ("InvalidMessage", "$.amuont")
    assert "it has: amount" in facts["message"]


def test_a_tell_prints_the_id_that_its_commit_has(host: Path) -> None:
    told = invoke("tell", "account/bob", "Deposit", '{"amount": 3}', *BANK, "--json")
    assert told.code == 0
    assert invoke("query", "account/bob", "GetBalance", *BANK).code == 0
    [commit] = run("history", "account/bob", "--to", "1", "--follow", "--json", folder=host).records
    assert commit["command"]["id"] == told.records[0]["id"]


def test_a_body_can_come_from_stdin_and_an_own_id_makes_a_retry_harmless(host: Path) -> None:
    for _ in range(2):
        asked = run(
            "ask", "account/carol", "Deposit", "-", "--id", "d-1", *BANK,
            folder=host, stdin='{"amount": 4}',
        )  # fmt: skip
        assert (asked.code, asked.out) == (0, "4\n")
    again = invoke(*deposit(5, "account/carol", "--id", "d-1"))
    assert again.code == 1
    assert "Conflict: " in again.err


def test_a_no_of_the_agent_is_exit_code_1_with_its_reason(host: Path) -> None:
    asked = invoke(*deposit(-5))
    assert (asked.code, asked.out) == (1, "")
    assert asked.err == "Rejected: amount must be positive\n"
    asked = invoke(*deposit(-5), "--json")
    assert asked.out == ""
    assert json.loads(asked.err) == {
        "error": "Rejected",
        "message": "amount must be positive",
        "reason": "amount must be positive",
        "exit": 1,
    }


async def commits_of(agent: str) -> list[Any]:
    async with connect() as moon:
        return [plain(commit) async for commit in moon.history(agent)]


def test_history_has_the_keys_of_the_commit(host: Path) -> None:
    for amount in (5, 6, -1):
        invoke(*deposit(amount, "account/dave"))
    records = invoke("history", "account/dave", "--json").records
    assert records == json.loads(msgspec.json.encode(asyncio.run(commits_of("account/dave"))))
    assert [record["outcome"] for record in records] == ["accepted", "accepted", "rejected"]
    some = invoke("history", "account/dave", "--from", "2", "--to", "2", "--json").records
    assert some == records[1:2]
    text = invoke("history", "account/dave").out
    assert 'accepted  Deposit {"amount":5}' in text
    assert 'event  Deposited {"amount":6}' in text
    assert "why    amount must be positive" in text


def test_following_shows_what_comes_later(host: Path) -> None:
    invoke(*deposit(5, "account/erin"))
    process = start("history", "account/erin", "--follow", "--to", "2", "--json", folder=host)
    try:
        assert json.loads(first_line(process))["revision"] == 1
        invoke(*deposit(6, "account/erin"))
        out, _ = process.communicate(timeout=20)
        assert json.loads(out)["reply"] == 11
        assert process.returncode == 0
    finally:
        finish(process)


def test_state_is_as_of_a_revision_or_a_time(host: Path) -> None:
    for amount in (5, 6):
        invoke(*deposit(amount, "account/frank"))
    first, second = invoke("history", "account/frank", "--json").records
    assert json.loads(invoke("state", "account/frank", *BANK).out) == {"balance": 11}
    [record] = invoke("state", "account/frank", *BANK, "--revision", "1", "--json").records
    assert record["state"] == {"balance": 5}
    assert (record["revision"], record["sequence"]) == (1, first["sequence"])
    at = first["time"]["datetime"]
    assert json.loads(invoke("state", "account/frank", *BANK, "--time", at).out) == {"balance": 5}
    later = second["time"]["datetime"].removesuffix("+00:00")
    assert json.loads(invoke("state", "account/frank", *BANK, "--time", later).out) == {
        "balance": 11
    }
    before = invoke("state", "account/frank", *BANK, "--time", "2001-01-01")
    assert json.loads(before.out) == {"balance": 0}
    assert "no commits by 2001-01-01" in before.err


def test_agents_are_listed_with_their_commits(host: Path) -> None:
    for agent in ("account/b", "account/a", "account/b"):
        invoke(*deposit(1, agent))
    records = invoke("agents", "--json").records
    assert records == sorted(records, key=lambda record: str(record["agent"]))
    assert {"agent": "account/a", "commits": 1, "versions": []} in records
    assert {"agent": "account/b", "commits": 2, "versions": []} in records
    lines = [line.split() for line in invoke("agents").out.splitlines()]
    assert lines[0] == ["AGENT", "COMMITS"]
    assert ["account/b", "2"] in lines


BAD = [
    (("tell", "account", "Deposit"), 2, "write it as type/key"),
    (("tell", "acc ount/a", "Deposit"), 2, "agent type 'acc ount'"),
    (("tell", "account/a.b", "Deposit"), 2, "agent key 'a.b'"),
    (("tell", "account/ä", "Deposit"), 2, "agent key"),
    (("tell", "account/a", "De posit"), 2, "message name 'De posit'"),
    (("tell", "account/a", "Deposit", "{"), 2, "no JSON that can be sent"),
    (("tell", "account/a", "Deposit", '{"amount": NaN}'), 2, "no JSON that can be sent"),
    (("tell", "account/a", "Deposit", "[" * 100 + "]" * 100), 2, "nested deeper than 64"),
    (("tell", "account/a", "Deposit", '{"amount": "x"}', *BANK), 2, "at `$.amount`"),
    (("tell", "account/a", "Deposit", "{}", *BANK), 2, "missing required field `amount`"),
    (("tell", "account/a", "Depost", "{}", *BANK), 2, "no command 'Depost'; it has: Deposit"),
    (("query", "account/a", "Balance", *BANK), 2, "no query 'Balance'; it has: GetBalance"),
    (("tell", "ledger/a", "Deposit", "{}", *BANK), 2, "no agent type 'ledger' is registered"),
    (("tell", "account/a", "Deposit", "{}", "--lane", "fast"), 2, "choose one of critical"),
    (("ask", "account/a", "Deposit", "{}", "--timeout", "0"), 2, "--timeout"),
    (("ask", "account/a", "Deposit", "{}", "--module", "gone"), 2, "no module 'gone'"),
    (("state", "account/a"), 2, "name its module with --module"),
    (("state", "account/a", *BANK, "--revision", "9"), 2, "has no revision 9"),
    (("state", "account/a", *BANK, "--time", "noon"), 2, "--time noon"),
    (("state", "account/a", *BANK, "--time", "2026-01-01", "--revision", "1"), 2, "not both"),
    (("history", "account/a", "--from", "0"), 2, "--from"),
    (("verify", "account/nobody", *BANK), 2, "account/nobody has no commits"),
    (("agents", "--url", "nats://127.0.0.1:1"), 69, "no NATS server at nats://127.0.0.1:1"),
    (("agents", "--url", "http://x"), 2, "no address of a NATS server"),
    (("agents", "--context", "gone"), 2, "no context gone"),
    (("agents", "--data", "gone"), 2, "no such folder"),
]


def test_a_mistake_gets_one_message_and_no_traceback(host: Path) -> None:
    before = invoke("agents", "--json").records
    for arguments, code, words in BAD:
        ended = invoke(*arguments)
        assert (ended.code, words in ended.err) == (code, True), f"{arguments}: {ended}"
        assert ended.out == "" and "Traceback" not in ended.err
    assert invoke("agents", "--json").records == before, "nothing was stored"


def test_a_folder_that_is_named_is_meant_whatever_the_environment_says(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke(*deposit(1, "account/hal"))
    monkeypatch.setenv("MOONLET_NATS_URL", "nats://127.0.0.1:1")
    assert invoke("agents").code == 69
    assert invoke("history", "account/hal", "--data", ".", "--json").records[0]["revision"] == 1
    assert invoke("agents", "--data", ".", "--url", "nats://127.0.0.1:1").code == 69


def test_debug_shows_the_traceback(folder: Path) -> None:
    ended = invoke("agents", "--url", "nats://127.0.0.1:1", "--debug")
    assert ended.code == 69
    assert "Traceback" in ended.err


def test_a_command_that_nobody_decides_is_unknown_and_stored(folder: Path) -> None:
    process = start("run", "bank.py", folder=folder)
    first_line(process)
    process.terminate()
    finish(process)
    ended = invoke(*deposit(5, "account/alice", "--timeout", "1"), "--json")
    assert ended.code == 75
    told = json.loads(ended.err)
    assert (told["error"], told["stored"]) == ("Unknown", "yes")
    ended = invoke("query", "account/alice", "GetBalance", *BANK, "--timeout", "0.5")
    assert ended.code == 69
    assert "no host answered" in ended.err


def test_a_folder_without_anything_is_no_mistake(folder: Path) -> None:
    assert invoke("agents", "--json").records == []
    history = invoke("history", "account/alice")
    assert (history.code, history.out) == (0, "")
    assert "has no commits" in history.err
    assert invoke("state", "account/alice", *BANK, "--json").records[0]["revision"] == 0


def test_a_reader_that_goes_away_is_no_crash(host: Path) -> None:
    for amount in range(1, 4):
        invoke(*deposit(amount, "account/gina"))
    process = start("history", "account/gina", "--follow", folder=host)
    try:
        first_line(process)
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        invoke(*deposit(1, "account/gina"))
        process.wait(20)
        assert "Traceback" not in process.stderr.read()
    except subprocess.TimeoutExpired:
        pytest.fail("it went on without a reader")
    finally:
        process.stdout = None
        finish(process)
