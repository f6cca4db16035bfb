"""The night on a real server with a real host: the same story, nothing lost, nothing doubled."""

from moonlet.agents import Host, connect
from moonlet.satellites import SATELLITES
from moonlet.satellites.night import depeg, drive, report
from moonlet.streams.server.server_process import ServerProcess


async def test_the_first_hours_of_the_night_on_a_real_server(own_server: ServerProcess) -> None:
    async with connect(own_server.url) as moon, Host(moon, list(SATELLITES)):
        done = await drive(moon, depeg()[:16], speed=6.0)
    told = report(done.commits, done.sent)
    assert told.audit.lost == told.audit.doubled == told.audit.strays == ()
    assert set(told.outcomes) == {"accepted", "rejected"}
    assert told.events["OracleValidated"] == 16
    assert told.ledger.balance == told.ledger.unbalanced == 0
    assert told.trades and all(line.approved_by for line in told.trades)
    assert all(line.worst_ms is None or line.worst_ms > 0 for line in told.alerts)
    assert sum(line.count for line in told.alerts) > 5
