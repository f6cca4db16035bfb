"""`@moonlet/client`: its types, its bytes and its size; what it needs is installed here."""

import base64
import json

import pytest

from moonlet.core import errors
from moonlet.core.codec import Encoding, unpack
from moonlet.core.digest import record_digest
from moonlet.core.fold import body_digest
from moonlet.core.schema import decode_plain
from tests.tools import typescript
from tests.tools.tree import ROOT

pytestmark = pytest.mark.xdist_group("typescript")

VECTORS = json.loads((ROOT / "tests/vectors/codec.json").read_text())
BUNDLE_MAX = 60 * 1024
"""Bytes, gzipped, of the client with all it needs in a page."""


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    typescript.install()


def test_python_gives_the_digests_of_the_vectors() -> None:
    for each in VECTORS["bodies"]:
        body = decode_plain(each["body"].encode(), "json")
        assert body_digest(each["name"], body) == each["digest"], each
    for each in VECTORS["records"]:
        assert record_digest(each["record"].encode()) == each["digest"]


def test_python_reads_and_refuses_the_payloads_of_the_vectors() -> None:
    def read(header: str, payload: str) -> object:
        encoding: Encoding
        data, encoding = unpack(base64.b64decode(payload), header)
        return decode_plain(data, encoding)

    for each in VECTORS["payloads"]:
        assert read(each["header"], each["payload"]) == json.loads(each["json"])
    for each in VECTORS["refused"]:
        with pytest.raises(getattr(errors, each["error"])):
            read(each["header"], each["payload"])


def test_the_types_of_the_package_and_its_tests_hold() -> None:
    typescript.check()


def test_bytes_and_plain_data_are_as_the_vectors_and_rules_say() -> None:
    assert typescript.node_tests("tests/*.test.ts") >= 16


def test_the_bundle_for_a_page_is_small() -> None:
    sizes = typescript.bundle_sizes()
    assert max(sizes.values()) <= BUNDLE_MAX, sizes
