"""Plans and profiles: drawn once, keyed, and each kind of fault sees its day."""

from collections import Counter

import pytest

from moonlet.core.errors import InvalidSettings
from moonlet.simulations import Seed, faults
from moonlet.simulations.durations import nanoseconds, shown
from moonlet.simulations.faults import (
    HANDLERS,
    HOSTS,
    KINDS,
    SERVER,
    UNSAFE,
    WIRE,
    Fault,
    Plan,
    Profile,
    draw_profile,
)

SECOND = 10**9
EVEN = Profile(regime="even", rates=dict.fromkeys(faults.all().kinds, 200_000))


def test_there_are_two_dozen_kinds_and_unsafe_ones_only_by_name() -> None:
    assert len(faults.all().kinds) >= 24
    assert set(KINDS) == {*WIRE, *HOSTS, *SERVER, *HANDLERS, *UNSAFE}
    assert not set(faults.all().kinds) & {*UNSAFE, *HANDLERS}
    assert faults.only("power_loss").kinds == ("power_loss",)
    assert faults.none().kinds == ()


def test_regimes_are_drawn_in_equal_shares_and_every_kind_in_each() -> None:
    profiles = [draw_profile(Seed(n), faults.all(), 3, (1, 3)) for n in range(600)]
    regimes = Counter(profile.regime for profile in profiles)
    assert all(150 < regimes[name] < 250 for name in ("swarm", "even", "calm"))
    for regime in regimes:
        drawn = {kind for p in profiles if p.regime == regime for kind in p.rates}
        assert drawn == set(faults.all().kinds)
    assert {profile.servers for profile in profiles} == {1, 3}
    assert {profile.core for profile in profiles} == {0, 1, 2}
    assert all(len(p.rates) <= 2 for p in profiles if p.regime == "calm")


def test_without_kinds_there_is_nothing_to_fire() -> None:
    for n in range(50):
        profile = draw_profile(Seed(n), faults.none(), 3, (1,))
        plan = Plan(Seed(n), profile)
        assert plan.begin(0, 20 * SECOND, ["h1"]) == [] and not profile.core
        assert plan.verdict(("drop_reply",), "h1", "re x", 0, 12345, 0) is None


def test_a_verdict_depends_on_its_own_message_alone() -> None:
    def verdicts(skipped: int) -> list[Fault | None]:
        plan = Plan(Seed(4), EVEN)
        plan.begin(0, 20 * SECOND, ["h1", "h2"])
        found = []
        for n in range(300):
            chance = Seed(4).keyed("h1>", f"cmd {n}")
            if n != skipped:
                found.append(plan.verdict(("drop_request",), "h1", f"cmd {n}", 0, chance, 0))
        return found

    whole = verdicts(-1)
    assert 30 < sum(fault is not None for fault in whole) < 90
    assert verdicts(7) == whole[:7] + whole[8:]


def test_a_given_plan_fires_as_given_and_nothing_else() -> None:
    given = [
        Fault(at=SECOND, kind="crash", target="h2", lasts=SECOND),
        Fault(kind="drop_reply", target="h1", key="re evt a/b after 3", attempt=1),
    ]
    plan = Plan(Seed(1), EVEN, given)
    assert plan.verdict(("drop_reply",), "h1", "re evt a/b after 3", 1, 0, 0) is None  # not yet
    assert plan.begin(0, 20 * SECOND, ["h1", "h2"]) == given[:1]
    assert plan.verdict(("drop_reply",), "h1", "re evt a/b after 3", 0, 0, 0) is None
    assert plan.verdict(("drop_reply",), "h2", "re evt a/b after 3", 1, 0, 0) is None
    assert plan.verdict(("drop_reply",), "h1", "re evt a/b after 3", 1, 0, 0) == given[1]
    plan.note(given[0], hit=False)
    assert plan.hits == [given[1], given[0]] and plan.fired == {"drop_reply": 1}
    plan.over = True
    assert plan.verdict(("drop_reply",), "h1", "re evt a/b after 3", 1, 0, 0) is None


def test_faults_of_hosts_and_server_fall_within_the_horizon() -> None:
    planned = Plan(Seed(9), EVEN).begin(5 * SECOND, 20 * SECOND, ["h1", "h2", "h3"])
    assert planned == sorted(planned) and len(planned) > 20
    assert all(0 <= fault.at < 20 * SECOND for fault in planned)
    assert {fault.target for fault in planned} == {"h1", "h2", "h3", "nats"}


def test_faults_read_as_sentences() -> None:
    assert str(Fault(at=4_486 * 10**6, kind="crash", target="h1", lasts=1_500 * 10**6)) == (
        "crash 1.5s   h1   t=4.486s"
    )
    assert str(Fault(kind="delay_request", target="h2", lasts=600 * 10**6, key="evt a/b")) == (
        "delay_request 600ms   h2 -> nats   evt a/b   first try"
    )
    assert str(Fault(kind="drop_reply", target="h2", key="re evt a/b", attempt=2)) == (
        "drop_reply   h2 <- nats   re evt a/b   try 3"
    )


def test_durations_are_text_with_a_unit_or_seconds() -> None:
    assert [nanoseconds(d) for d in ("1.5s", "600ms", "-40s", "+2h", "3m", "7us", 2, 0.25)] == [
        1_500_000_000, 600_000_000, -40 * SECOND, 7_200 * SECOND, 180 * SECOND, 7_000,
        2 * SECOND, SECOND // 4,
    ]  # fmt: skip
    for wrong in ("", "5", "s", "1.5 parsecs", "1e3s"):
        with pytest.raises(InvalidSettings, match="is no duration"):
            nanoseconds(wrong)
    assert [shown(ns) for ns in (0, 20_000_000, 1_500_000_000, 50_000)] == [
        "0ms", "20ms", "1.5s", "0.05ms",
    ]  # fmt: skip
