"""An outcome that is too large for a message stands apart, and is read as any other."""

from moonlet.agents import Host
from moonlet.testing import MoonServer
from tests.agents.accounts import Account, Fill, account_type


async def test_an_outcome_over_the_payload_limit_is_committed_and_recovered(
    moon_server: MoonServer,
) -> None:
    async with moon_server.connect() as moon:
        async with Host(moon, [account_type()]):
            receipt = await moon.tell("account/big", Fill(events=30, size=100_000))
            commit = await receipt.committed(timeout=20)
            assert (commit.outcome, len(commit.events)) == ("accepted", 30)
        async with Host(moon, [account_type()]):
            small = await moon.tell("account/big", Fill(events=1, size=10))
            assert (await small.committed()).revision == 2
            state = await moon.state("account/big")
        assert state == Account(balance=0, filled=3_000_010)
        history = [c async for c in moon.history("account/big")]
        assert history[0].digest == commit.digest


async def test_an_outcome_over_sixteen_mebibytes_parks_its_command(
    moon_server: MoonServer,
) -> None:
    async with moon_server.connect() as moon, Host(moon, [account_type()]):
        receipt = await moon.tell("account/big", Fill(events=400, size=100_000))
        commit = await receipt.committed(timeout=30)
        assert commit.outcome == "parked" and commit.error == "PayloadTooLarge"
        assert commit.where == "", "no handler raised it"
        assert "16777216" in commit.reason and not commit.events
