"""The desk's views: sums that agree with the agents, alerts closed apart, opinions that differ."""

import asyncio
from random import Random
from typing import Any

import msgspec
import pytest

from moonlet.core.commit import Commit
from moonlet.projections import JournalId, Observed, View, ViewState, apply_delta, make_delta
from moonlet.satellites import SATELLITES, TOPOLOGY, VIEWS, alerts, exposure, risk
from moonlet.satellites.aegis.messages import (
    AcknowledgeAlert,
    AddPosition,
    SetCapital,
    UpdatePosition,
)
from moonlet.satellites.aegis.positions import booked
from moonlet.satellites.common import MICRO
from moonlet.satellites.messages import CloseAlert
from moonlet.satellites.night import depeg, drive
from tests.satellites.bus import Bus

EACH = pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)


class Replica:
    """A view's state that reads a bus's commits as three journals, each as far as it is let."""

    def __init__(self, view: View, bus: Bus) -> None:
        self._bus = bus
        self.state = ViewState(view, [JournalId(name, "1") for name in TOPOLOGY.journals])

    def journal(self, name: str) -> list[Commit[Any]]:
        commits = [
            commit
            for agent, found in self._bus.commits.items()
            if agent.partition("/")[0] in TOPOLOGY.journals[name]
            for commit in found
        ]
        commits.sort(key=lambda commit: commit.time.micros)
        return [msgspec.structs.replace(c, sequence=n) for n, c in enumerate(commits, 1)]

    def read(self, *names: str) -> "Replica":
        """Fold these journals, or all, to their ends."""
        for name in names or TOPOLOGY.journals:
            for commit in self.journal(name):
                self.state.fold(commit, name)
        return self

    def token(self, alert: str) -> Observed:
        """What an operator who looks at this replica has seen of an alert."""
        return self.state.read("open", alert)[1] | self.state.read("acknowledged", alert)[1]

    @property
    def value(self) -> dict[str, Any]:
        return self.state.value


@pytest.fixture(scope="module")
def night() -> Bus:
    bus = Bus()
    asyncio.run(drive(bus, depeg(), speed=1_000.0))
    return bus


def tell(bus: Bus, agent: str, command: Any) -> None:
    """Tell a command that is accepted."""

    async def told() -> Commit[Any]:
        return await (await bus.tell(agent, command)).committed()

    assert asyncio.run(told()).outcome == "accepted"


def test_every_satellite_has_one_home_among_three_journals() -> None:
    homes = [name for types in TOPOLOGY.journals.values() for name in types]
    assert sorted(homes) == sorted(each.name for each in SATELLITES)
    assert len(TOPOLOGY.journals) == 3


@EACH
def test_a_view_draws_on_several_journals_and_its_handlers_fit_the_satellites(view: View) -> None:
    view.check(SATELLITES)
    plans = view.explain(TOPOLOGY, SATELLITES)
    assert all(plan.journals for plan in plans), "no handler waits for what nobody records"
    assert any(plan.needs_crdt for plan in plans)


def test_exposure_agrees_with_what_aegis_and_fuel_believe(night: Bus) -> None:
    value = Replica(exposure, night).read().value
    aegis, fuel = night.state("aegis/main"), night.state("fuel/main")
    wanted = booked(aegis.positions.values(), {})
    wanted |= {
        account: balance
        for account, balance in fuel.balances.items()
        if account.startswith(("cash:", "transit:"))
    }
    found = {place: amount for place, amount in value["by_place"].items() if amount}
    assert found == {place: amount for place, amount in wanted.items() if amount}
    assert value["total"] == sum(wanted.values()) > 0
    executed = [event.body for event in night.events("forge/main", "TxExecuted")]
    assert sum(value["sold"].values()) == sum(body["proceeds"] for body in executed) > 0


def test_the_open_alerts_are_those_of_aegis_and_of_all_others(night: Bus) -> None:
    value = Replica(alerts, night).read().value
    own = {name for name in value["open"] if name.startswith("aegis/")}
    assert own == {f"aegis/main {number}" for number in night.state("aegis/main").alerts} != set()
    assert any(name.startswith("pulse/main ") for name in value["open"])
    assert set(value["open"]) <= set(value["about"])
    closed = night.events("aegis/main", "AlertAcknowledged")
    assert value["acknowledged"] == {
        f"aegis/main {event.body['alert']}": [event.body["by"]] for event in closed
    }


def test_a_breach_that_is_over_is_no_open_alert(night: Bus) -> None:
    breaches = night.events("oracle/main", "ThresholdBreach", "ThresholdRestored")
    assert {event.name for event in breaches} == {"ThresholdBreach", "ThresholdRestored"}
    is_open = "oracle/main USDC-USD" in Replica(alerts, night).read().value["open"]
    assert is_open == (breaches[-1].name == "ThresholdBreach")


def test_opinions_that_differ_both_stand(night: Bus) -> None:
    found = Replica(risk, night).read().value["by_protocol"]
    sage, pulse = night.state("sage/main").analyses, night.state("pulse/main").categories
    word = {"sustainable": "low", "watch": "medium", "unsustainable": "high"}
    assert set(found) == set(sage) | set(pulse)
    for protocol, opinions in found.items():
        assert {opinion["by"]: opinion["risk"] for opinion in opinions} == {
            "sage/main": sage[protocol].risk,
            "pulse/main": word[pulse[protocol]],
        }
    conflicts = [p for p, each in found.items() if len({opinion["risk"] for opinion in each}) > 1]
    assert conflicts


@EACH
def test_replicas_that_read_the_journals_in_any_order_hold_equal_bytes(
    night: Bus, view: View
) -> None:
    digests = set()
    for seed in range(6):
        random, replica = Random(seed), Replica(view, night)
        left = {name: replica.journal(name)[::-1] for name in TOPOLOGY.journals}
        while any(left.values()):
            name = random.choice([name for name, commits in left.items() if commits])
            for _ in range(min(random.randint(1, 40), len(left[name]))):
                replica.state.fold(left[name].pop(), name)
        digests.add(replica.state.digest)
    first, second = Replica(view, night).read("risk"), Replica(view, night).read("growth", "money")
    for giver, taker in ((first, second), (second, first)):
        apply_delta(taker.state, make_delta(giver.state, taker.state.frontier))
    assert digests == {first.state.digest} == {second.state.digest}


@pytest.fixture
def fallen() -> Bus:
    """Position p fell through all four levels: alerts 1 to 4."""
    bus = Bus()
    tell(bus, "aegis/main", SetCapital(1_000 * MICRO))
    tell(bus, "aegis/main", AddPosition("p", "aave", "USDC", 200 * MICRO, 0, 8_500, MICRO))
    tell(bus, "aegis/main", UpdatePosition("p", 200 * MICRO, 170 * MICRO))
    return bus


def test_two_operators_apart_close_an_alert_and_both_are_seen(fallen: Bus) -> None:
    near, far = Replica(alerts, fallen).read(), Replica(alerts, fallen).read()
    assert near.value["open"] == [f"aegis/main {number}" for number in (1, 2, 3, 4)]
    first, second = "aegis/main 1", "aegis/main 2"
    tell(fallen, "aegis/main", CloseAlert(first, "ann", near.token(first)))
    tell(fallen, "pulse/main", CloseAlert(first, "bob", far.token(first)))
    tell(fallen, "pulse/main", CloseAlert(second, "bob", far.token(second)))
    near.read("risk").read("growth", "money")
    far.read("growth").read("risk", "money")
    assert near.value == far.value
    assert near.state.digest == far.state.digest
    assert near.value["open"] == ["aegis/main 3", "aegis/main 4"]
    assert near.value["acknowledged"] == {first: ["bob", "ann"], second: ["bob"]}
    assert set(fallen.state("aegis/main").alerts) == {2, 3, 4}, "bob could not reach Aegis"


def test_a_second_acknowledgement_that_knew_of_the_first_replaces_it(fallen: Bus) -> None:
    replica = Replica(alerts, fallen).read()
    name = "aegis/main 1"
    tell(fallen, "aegis/main", CloseAlert(name, "ann", replica.token(name)))
    replica.read()
    tell(fallen, "pulse/main", CloseAlert(name, "bob", replica.token(name)))
    assert replica.read().value["acknowledged"] == {name: ["bob"]}


def test_what_was_raised_unseen_stays_open(fallen: Bus) -> None:
    blind = Replica(alerts, fallen)
    name = "aegis/main 4"
    tell(fallen, "pulse/main", CloseAlert(name, "bob", blind.token(name)))
    assert name in blind.read().value["open"]


def test_aegis_closes_its_own_alert_as_its_state_does(fallen: Bus) -> None:
    tell(fallen, "aegis/main", AcknowledgeAlert(1, "ann"))
    tell(fallen, "aegis/main", CloseAlert("aegis/main 9", "ann", Observed("alerts")))
    tell(fallen, "aegis/main", CloseAlert("pulse/main aave", "ann", Observed("alerts")))
    tell(fallen, "aegis/main", CloseAlert("aegis/other 2", "ann", Observed("alerts")))
    assert set(fallen.state("aegis/main").alerts) == {2, 3, 4}
    value = Replica(alerts, fallen).read().value
    assert value["open"] == ["aegis/main 2", "aegis/main 3", "aegis/main 4"]
    assert value["acknowledged"]["aegis/main 1"] == ["ann"]
