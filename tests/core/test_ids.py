"""The grammar of ids, and the partition of a key."""

import itertools
from typing import Any

import nats
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.js.api import StorageType, StreamConfig, SubjectTransform

from moonlet.core.errors import InvalidId
from moonlet.core.ids import (
    LANES,
    AgentId,
    check_command_id,
    check_lane,
    check_name,
    check_topic,
    partition_of,
)
from moonlet.streams.server.server_process import ServerProcess

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
NAMES = st.text(ALPHABET, min_size=1, max_size=128)

BAD_NAMES = {
    "empty": "",
    "dot": "a.b",
    "star": "*",
    "inner star": "a*",
    "greater": ">",
    "space": "a b",
    "tab": "a\tb",
    "carriage return": "a\rb",
    "line feed": "a\nb",
    "crlf": "a\r\nb",
    "trailing newline": "alice\n",
    "leading newline": "\nalice",
    "nul": "a\0",
    "slash": "a/b",
    "accent": "zoé",
    "combining accent": "zoe\u0301",
    "full-width letter": "\uff41lice",
    "arabic digit": "\u0661",
    "zero-width space": "a\u200bb",
    "right-to-left mark": "a\u200f",
    "emoji": "🌙",
    "lone surrogate": "\ud800",
    "kelvin sign": "\u212a",
    "129 characters": "a" * 129,
    "a megabyte": "a" * 1_000_000,
}


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES.keys())
def test_a_name_outside_the_grammar_is_refused_wherever_it_stands(name: str) -> None:
    for refused in (
        lambda: check_name(name, "timer"),
        lambda: AgentId.parse(f"account/{name}"),
        lambda: AgentId.parse(f"{name}/alice"),
        lambda: AgentId.parse(AgentId("account", name)),
        lambda: AgentId.parse(AgentId(name, "alice")),
    ):
        with pytest.raises(InvalidId):
            refused()


def test_the_refusal_names_the_part_and_shows_it_in_short_ascii() -> None:
    with pytest.raises(InvalidId, match=r"agent key 'zo\\xe9': use 1 to 128 of the characters"):
        AgentId.parse("account/zoé")
    with pytest.raises(InvalidId, match=r"agent type 'a\.b'"):
        AgentId.parse("a.b/alice")
    with pytest.raises(InvalidId) as long:
        AgentId.parse("account/" + "é" * 1_000_000)
    assert len(str(long.value)) < 200


@pytest.mark.parametrize("text", ["alice", "a/b/c", "/alice", "account/", "/", "", "//"])
def test_an_agent_id_has_exactly_two_parts(text: str) -> None:
    with pytest.raises(InvalidId):
        AgentId.parse(text)


@pytest.mark.parametrize("text", [None, 7, b"account/alice", ["account/alice"], {}])
def test_an_agent_id_that_is_no_text_is_refused(text: object) -> None:
    with pytest.raises(InvalidId, match="type/key"):
        AgentId.parse(text)  # type: ignore[arg-type]


@given(NAMES, NAMES)
def test_an_agent_id_reads_back_what_it_writes(type_: str, key: str) -> None:
    agent = AgentId.parse(f"{type_}/{key}")
    assert (agent.type, agent.key) == (type_, key)
    assert AgentId.parse(str(agent)) == agent
    assert AgentId.parse(agent) is agent
    assert len({agent, AgentId(type_, key)}) == 1


@given(st.text(max_size=6))
def test_only_the_64_characters_are_let_into_a_name(name: str) -> None:
    fits = 1 <= len(name) <= 128 and all(c in ALPHABET for c in name)
    try:
        assert check_name(name, "name") == name
        assert fits
    except InvalidId:
        assert not fits


def test_a_name_may_have_128_characters() -> None:
    assert check_name("a" * 128, "name") == "a" * 128


@pytest.mark.parametrize("topic", ["prices", "prices.usdc", ".".join("abcdefgh"), "a-b._"])
def test_a_topic_is_one_to_eight_names(topic: str) -> None:
    assert check_topic(topic) == topic


@pytest.mark.parametrize(
    "topic", ["", ".", "a.", ".a", "a..b", "a.*", ">", "a.b\n", "é", ".".join("abcdefghi"), None]
)
def test_a_topic_outside_the_grammar_is_refused(topic: str) -> None:
    with pytest.raises(InvalidId):
        check_topic(topic)


@pytest.mark.parametrize("id", ["1", "a" * 400, "order/7:2.1", "~!"])
def test_a_command_id_is_visible_ascii(id: str) -> None:
    assert check_command_id(id) == id


@pytest.mark.parametrize("id", ["", "a" * 401, "a b", "a\n", "a\r\nX: 1", "é", "\x7f", "\0", 7])
def test_a_command_id_that_could_break_a_header_is_refused(id: str) -> None:
    with pytest.raises(InvalidId):
        check_command_id(id)


def test_there_are_four_lanes_and_no_other() -> None:
    assert [check_lane(lane) for lane in LANES] == ["critical", "high", "medium", "low"]
    strange: list[Any] = ["urgent", "", "Medium", "low\n", [], None]
    for lane in strange:
        with pytest.raises(InvalidId, match="choose one of critical, high, medium, low"):
            check_lane(lane)


def test_partitions_are_those_of_the_published_fnv_1a_vectors() -> None:
    # From the reference list of FNV-1a 32 by Landon Curt Noll.
    vectors = {"a": 0xE40C292C, "b": 0xE70C2DE5, "foobar": 0xBF9CF968, "": 0x811C9DC5}
    for key, value in vectors.items():
        assert partition_of(key, 1 << 32) == value


@given(NAMES, st.integers(1, 256))
def test_a_key_has_one_partition_within_the_bounds(key: str, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions
    assert partition_of(key, 1) == 0


async def test_the_server_puts_every_key_into_the_same_partition(
    shared_server: ServerProcess, name: str
) -> None:
    keys = ["a", "alice", "bob", "Z" * 128, "-", "_", "0", *(f"agent-{n}" for n in range(40))]
    client = await nats.connect(shared_server.url)
    try:
        js = client.jetstream()
        for partitions in (1, 4, 7, 64, 256):
            root = f"{name}-{partitions}"
            transform = SubjectTransform(
                src=f"{root}.*",
                dest=f"{root}.{{{{partition({partitions},1)}}}}.{{{{wildcard(1)}}}}",
            )
            await js.add_stream(
                StreamConfig(
                    name=root,
                    subjects=[f"{root}.*"],
                    subject_transform=transform,
                    storage=StorageType.MEMORY,
                )
            )
            for sequence, key in zip(itertools.count(1), keys):
                ack = await js.publish(f"{root}.{key}", b"")
                assert ack.seq == sequence
                stored = await js.get_msg(root, sequence)
                assert stored.subject == f"{root}.{partition_of(key, partitions)}.{key}"
            await js.delete_stream(root)
    finally:
        await client.close()
