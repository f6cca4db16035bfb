"""Old bodies become today's: by pure functions, one version at a time, before typed decoding."""

import dataclasses
import sys
from typing import Any

import msgspec
import pydantic
import pytest

from moonlet.core.codec import Encoding
from moonlet.core.errors import InvalidAgentType, InvalidId, InvalidMessage
from moonlet.core.schema import (
    MessageType,
    decode_plain,
    encode_plain,
    find_upcasts,
    schema,
    upcast,
)

ENCODINGS: tuple[Encoding, ...] = ("json", "msgpack")


@schema("Deposited", version=3)
class Deposited(msgspec.Struct, frozen=True):
    cents: int
    currency: str


@schema("Deposited", version=3)
@dataclasses.dataclass(frozen=True)
class DepositedDataclass:
    cents: int
    currency: str


@schema("Deposited", version=3)
class DepositedModel(pydantic.BaseModel):
    cents: int
    currency: str


@upcast("Deposited", 1)
def deposited_in_cents(body: dict[str, Any]) -> dict[str, Any]:
    return {"cents": body["amount"] * 100}


@upcast("Deposited", 2)
def deposited_in_dollars(body: dict[str, Any]) -> dict[str, Any]:
    body["currency"] = "USD"  # in place: a careless one, and no harm must come of it
    return body


UPCASTS = find_upcasts([deposited_in_cents, deposited_in_dollars])
KINDS = pytest.mark.parametrize("kind", [Deposited, DepositedDataclass, DepositedModel])
BOTH = pytest.mark.parametrize("encoding", ENCODINGS)


@KINDS
@BOTH
def test_each_old_version_is_read_as_todays_class(kind: Any, encoding: Encoding) -> None:
    known = MessageType[Any](kind, UPCASTS)
    assert known.missing_upcasts == []
    for version, body in (
        (1, {"amount": 5}),
        (2, {"cents": 500}),
        (3, {"cents": 500, "currency": "USD"}),
    ):
        expected = kind(cents=500, currency="USD")
        assert known.decode(encode_plain(body, encoding), version, encoding) == expected
        for _ in "twice":
            assert known.convert(body, version) == expected
    assert known.settle(kind(cents=1, currency="EUR"), encoding)[1] == kind(cents=1, currency="EUR")


def test_an_upcast_that_changes_its_argument_leaves_the_commit_it_came_from_alone() -> None:
    body = {"cents": 500}
    MessageType(Deposited, UPCASTS).convert(body, 2)
    assert body == {"cents": 500}


@KINDS
@BOTH
def test_a_missing_upcast_says_what_to_write(kind: Any, encoding: Encoding) -> None:
    known = MessageType[Any](kind, find_upcasts([deposited_in_cents]))
    assert known.missing_upcasts == [2]
    assert MessageType[Any](kind).missing_upcasts == [1, 2]
    with pytest.raises(InvalidMessage, match=r"write @upcast\('Deposited', 2\)"):
        known.decode(encode_plain({"amount": 1}, encoding), 1, encoding)


@KINDS
@BOTH
def test_a_newer_version_than_the_code_knows_asks_for_newer_code(
    kind: Any, encoding: Encoding
) -> None:
    known = MessageType[Any](kind, UPCASTS)
    for version in (4, 10**9):
        with pytest.raises(InvalidMessage, match="knows up to 3: run the newer code"):
            known.decode(encode_plain({"cents": 1}, encoding), version, encoding)


@pytest.mark.parametrize("version", [0, -1, -(10**9)])
def test_a_version_below_1_is_no_version(version: int) -> None:
    with pytest.raises(InvalidMessage, match="versions count from 1"):
        MessageType(Deposited, UPCASTS).convert({"cents": 1}, version)


@KINDS
@BOTH
def test_an_upcast_that_fails_on_a_body_is_named(kind: Any, encoding: Encoding) -> None:
    known = MessageType[Any](kind, UPCASTS)
    bodies: list[Any] = [{}, {"amount": None}, [], None, 7]
    for body in bodies:
        with pytest.raises(InvalidMessage, match=r"upcast of Deposited from version 1.*Error"):
            known.decode(encode_plain(body, encoding), 1, encoding)


@KINDS
def test_what_an_upcast_makes_must_fit_the_class(kind: Any) -> None:
    @upcast("Deposited", 2)
    def wrong(body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "currency": 7}

    known = MessageType[Any](kind, find_upcasts([wrong]))
    with pytest.raises(InvalidMessage) as misfit:
        known.convert({"cents": 1}, 2)
    assert misfit.value.path == "$.currency"


def test_upcasts_of_other_names_and_other_versions_are_left_alone() -> None:
    @upcast("Withdrawn", 1)
    def other(body: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError

    @upcast("Deposited", 3)
    def later(body: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError

    known = MessageType(Deposited, {**UPCASTS, **find_upcasts([other, later])})
    assert known.convert({"amount": 5}, 1) == Deposited(500, "USD")


def test_a_mark_changes_nothing_of_the_function_and_is_found_in_its_module() -> None:
    assert deposited_in_cents({"amount": 1}) == {"cents": 100}
    found = find_upcasts(vars(sys.modules[__name__]).values())
    assert found == {
        ("Deposited", 1): deposited_in_cents,
        ("Deposited", 2): deposited_in_dollars,
    }


@pytest.mark.parametrize("version", [0, -1, 1.5, "2", None, True, 2**31])
def test_the_version_of_an_upcast_counts_from_1(version: Any) -> None:
    with pytest.raises(InvalidAgentType, match="versions count from 1"):
        upcast("Deposited", version)
    with pytest.raises(InvalidId, match="schema name"):
        upcast("De posited", 1)


def test_the_path_of_a_body_is_kept_through_upcasts_and_encodings() -> None:
    known = MessageType(Deposited, UPCASTS)
    for encoding in ENCODINGS:
        body = encode_plain({"cents": "many", "currency": "USD"}, encoding)
        with pytest.raises(InvalidMessage) as misfit:
            known.convert(decode_plain(body, encoding), 3)
        assert misfit.value.path == "$.cents"
