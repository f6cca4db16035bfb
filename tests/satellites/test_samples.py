"""House rule 6: every message of the satellites ever stored is read by today's code."""

from typing import Any

import pytest

from moonlet.agents import AgentType
from moonlet.core.schema import decode_plain
from moonlet.satellites import SATELLITES
from tests.satellites.samples import KINDS, handlers, load

SAMPLES = load()
EVERY = pytest.mark.parametrize("agent_type", SATELLITES, ids=lambda each: each.name)


@EVERY
@pytest.mark.parametrize("kind", KINDS)
def test_today_s_code_reads_every_sample(agent_type: AgentType[Any], kind: str) -> None:
    table = handlers(agent_type, kind)
    for stored, body in SAMPLES[agent_type.name][kind].items():
        name, version = stored.split(".")
        message = table[name].message
        typed = message.convert(body, int(version))
        if int(version) == message.version:
            assert decode_plain(message.encode(typed, "json"), "json") == body, stored


@EVERY
@pytest.mark.parametrize("kind", KINDS)
def test_every_message_has_a_sample(agent_type: AgentType[Any], kind: str) -> None:
    """If not: `python -m tests.satellites.samples` adds it, and git shows what was added."""
    wanted = {
        f"{name}.{handler.message.version}" for name, handler in handlers(agent_type, kind).items()
    }
    assert wanted <= set(SAMPLES[agent_type.name][kind])
