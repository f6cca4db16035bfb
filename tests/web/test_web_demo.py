"""`moonlet demo --web`: the console is there while the night passes."""

import json
from pathlib import Path

import pytest

from tests.console.support import finish, start
from tests.web.support import Opened, built

pytestmark = pytest.mark.xdist_group("web")


def test_the_demo_is_shown_while_it_passes(tmp_path: Path) -> None:
    built()
    process = start("demo", "--web", "--json", folder=tmp_path)
    try:
        assert process.stdout is not None
        opened = Opened(process, json.loads(process.stdout.readline())["address"]).enter()
        assert opened.api("overview")["live"]
        assert {each["name"] for each in opened.api("views")["views"]} >= {"exposure", "risk"}
        process.terminate()
        assert process.wait(timeout=30) == 130
    finally:
        finish(process)
