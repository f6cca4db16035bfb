"""Which versions of the protocol are understood."""

import pytest

from moonlet.core.errors import InvalidMessage
from moonlet.core.protocol import PROTOCOL, check_protocol


@pytest.mark.parametrize("header", [None, "1.0", "1.7", "1.9999"])
def test_no_version_and_every_minor_one_is_understood(header: str | None) -> None:
    check_protocol(header)
    assert PROTOCOL[0] == 1


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("2.0", "where the reader of it runs, or have the sender speak 1.x"),
        ("99.1", "where the reader of it runs, or have the sender speak 1.x"),
        ("0.9", "where the sender of it runs, or have the reader speak 0.x"),
    ],
)
def test_another_major_one_is_refused_with_what_to_upgrade(header: str, told: str) -> None:
    with pytest.raises(InvalidMessage, match=told) as caught:
        check_protocol(header)
    assert caught.value.path == "Moonlet-Protocol" and header in str(caught.value)


@pytest.mark.parametrize("header", ["", "1", "1.0.0", "one", "1.0 ", "².0", "9" * 5000, "1.-1"])
def test_what_is_no_version_is_refused_in_words(header: str) -> None:
    with pytest.raises(InvalidMessage, match="it is two numbers") as caught:
        check_protocol(header)
    assert len(str(caught.value)) < 200
