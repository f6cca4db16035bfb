"""Accounts and servers as hosting gives them: what lacks is named, with the way out."""

from collections.abc import Callable

import pytest

from moonlet.agents import Host, connect
from moonlet.core.errors import LimitExceeded, MailboxFull
from moonlet.core.ids import AgentId
from moonlet.streams import ServerRefused, explain_refusal
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import account_type

ACCOUNT = "accounts { A { jetstream: { %s }, users: [ { user: a, password: a } ] } }"


@pytest.mark.parametrize(
    ("limits", "said", "made"),
    [
        ("max_mem: 10MB, max_file: 200MB", r"topics.*reserves 256 MiB.*max_file", False),
        ("max_file: 5GB, max_bytes_required: true", r"max_bytes_required.*take that off", False),
        ("max_file: 5GB, max_streams: 8", r"maximum number of streams.*max_streams", True),
    ],
)
async def test_what_an_account_has_no_room_for_is_named(
    new_server: Callable[..., ServerProcess], limits: str, said: str, made: bool
) -> None:
    server = new_server(extra=ACCOUNT % limits)
    async with connect(server.url.replace("://", "://a:a@")) as moon:
        with pytest.raises(LimitExceeded, match=said) as refused:
            await Host(moon, [account_type()]).start()
        assert "start again" in str(refused.value)
        journal = moon.bus.topology.journal_of("account")
        assert (await moon.bus._js.stream_info(journal) is not None) is made


def test_a_full_server_is_not_taken_for_a_full_mailbox() -> None:
    agent = AgentId("account", "a")
    mailbox = ServerRefused(400, 10077, "maximum messages per subject exceeded")
    assert isinstance(explain_refusal(mailbox, agent, 10), MailboxFull)
    for code, text in ((10077, "maximum bytes exceeded"), (10047, "insufficient storage")):
        error = explain_refusal(ServerRefused(500, code, text), agent, 10)
        assert isinstance(error, LimitExceeded) and not isinstance(error, MailboxFull)
        assert "nothing was stored" in str(error) and text in str(error)
