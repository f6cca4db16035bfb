"""`moonlet run --metrics-port`: a host's own pages, from outside."""

import json
import urllib.request
from pathlib import Path

from tests.console.support import BANK, finish, first_line, run, start


def test_a_host_started_by_command_tells_its_metrics_and_that_it_is_ready(tmp_path: Path) -> None:
    (tmp_path / "bank.py").write_text(BANK)
    server = start("up", folder=tmp_path)
    host = None
    try:
        first_line(server)
        host = start("run", "bank", "--metrics-port", "0", "--json", folder=tmp_path)
        address = json.loads(first_line(host))["metrics"]
        assert address.startswith("http://127.0.0.1:")
        asked = run("ask", "account/a", "Deposit", '{"amount": 5}', folder=tmp_path)
        assert asked.code == 0, asked.err
        with urllib.request.urlopen(address, timeout=30) as page:
            assert page.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            text = page.read().decode()
        assert 'moonlet_commits_total{type="account",outcome="accepted"} 1\n' in text
        with urllib.request.urlopen(address.replace("metrics", "ready"), timeout=30) as page:
            assert json.load(page)["reasons"] == []
    finally:
        for process in (host, server):
            if process is not None:
                finish(process)
