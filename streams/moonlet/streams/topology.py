"""The streams and buckets as data, and the plan from what is to what should be.

A stream's configuration is read, compared and updated as the server's raw JSON. A difference that
we did not ask for is refused, never overwritten: an operator may have meant it.
"""

from typing import Any, Final

import msgspec

from moonlet.core.errors import InvalidSettings, UnknownAgentType
from moonlet.core.ids import check_name
from moonlet.streams.api import JetStream, ServerRefused

DAY: Final = 86_400 * 10**9

CATCH_ALL: Final = "*"


class Topology(msgspec.Struct, frozen=True):
    """Which journals there are, and which agent types live in each.

    `journals` maps a journal's name to agent types, or to `["*"]`, which must be the only one.
    `mailbox` bounds an agent's waiting commands per lane, `internal` all waiting internal
    messages together (both messages). `replicas` is 1 to 5.
    """

    journals: dict[str, list[str]] = msgspec.field(default_factory=lambda: {"main": [CATCH_ALL]})
    prefix: str = "moon"
    replicas: int = 1
    mailbox: int = 10_000
    internal: int = 1_000_000

    def __post_init__(self) -> None:
        check_name(self.prefix, "prefix")
        seen: dict[str, str] = {}
        for journal, types in self.journals.items():
            check_name(journal, "journal")
            for type_ in types:
                if type_ != CATCH_ALL:
                    check_name(type_, "agent type")
                if type_ in seen:
                    raise InvalidSettings(
                        f"agent type {type_} is in the journals {seen[type_]} and {journal}:"
                        " an agent has one home journal"
                    )
                seen[type_] = journal
        if not seen or (CATCH_ALL in seen and len(seen) > 1):
            raise InvalidSettings(
                "journals: give one journal ['*'], or name the agent types of each of several"
            )

    def journal_of(self, type: str) -> str:
        """The stream that holds the journal of an agent type; raises `UnknownAgentType`."""
        for journal, types in self.journals.items():
            if type in types or CATCH_ALL in types:
                return self.journal_stream(journal)
        raise UnknownAgentType(
            f"agent type {type} is in no journal of the topology: add it to one of"
            f" {', '.join(self.journals)}"
        )

    def journal_stream(self, journal: str) -> str:
        """The stream's name of a journal."""
        return f"{self.prefix}-journal-{journal}"

    @property
    def journal_streams(self) -> list[str]:
        """The streams' names of all journals, in the order given."""
        return [self.journal_stream(journal) for journal in self.journals]

    def stream(self, name: str) -> str:
        """The name of one of the other streams: mailboxes, internal, timers, …"""
        return f"{self.prefix}-{name}"

    def bucket(self, name: str) -> str:
        """The stream's name of a key-value bucket."""
        return f"KV_{self.prefix}-{name}"

    def configs(self) -> list[dict[str, Any]]:
        """The configuration of every stream, as the server's JSON."""
        p = self.prefix
        configs = [
            self._stream(
                self.journal_stream(journal),
                [f"{p}.evt.>"]
                if CATCH_ALL in types
                else [f"{p}.evt.{type_}.*" for type_ in sorted(types)],
                allow_atomic=True,
                allow_direct=True,
                deny_delete=True,
                deny_purge=True,
                compression="s2",
            )
            for journal, types in self.journals.items()
        ]
        configs += [
            self._stream(
                self.stream("mailboxes"),
                [f"{p}.cmd.>"],
                retention="workqueue",
                discard="new",
                discard_new_per_subject=True,
                max_msgs_per_subject=self.mailbox,
            ),
            self._stream(
                self.stream("internal"),
                [f"{p}.in.>", f"{p}.call.>"],
                retention="workqueue",
                discard="new",
                max_msgs=self.internal,
            ),
            self._stream(
                self.stream("timers"),
                [f"{p}.timer.>", f"{p}.fire.>"],
                retention="workqueue",
                allow_msg_schedules=True,
                allow_rollup_hdrs=True,  # the server sets it with schedules, asked or not
            ),
            self._stream(self.stream("snapshots"), [f"{p}.snap.>"], max_msgs_per_subject=1),
            self._stream(self.stream("parked"), [f"{p}.parked.>"]),
            self._stream(self.stream("topics"), [f"{p}.pub.>"], max_bytes=2**28, max_age=7 * DAY),
            self._stream(self.stream("outcomes"), [f"{p}.blob.>"]),
            self._bucket("leases", allow_msg_ttl=True),
            self._bucket("registry"),
        ]
        return configs

    def _stream(self, name: str, subjects: list[str], **settings: Any) -> dict[str, Any]:
        return {
            "name": name,
            "subjects": subjects,
            "storage": "file",
            "retention": "limits",
            "discard": "old",
            "num_replicas": self.replicas,
            "duplicate_window": 120 * 10**9,
            **settings,
        }

    def _bucket(self, name: str, **settings: Any) -> dict[str, Any]:
        return self._stream(
            self.bucket(name),
            [f"$KV.{self.prefix}-{name}.>"],
            max_msgs_per_subject=1,
            discard="new",
            allow_direct=True,
            **settings,
        )


class Step(msgspec.Struct, frozen=True):
    """One step of a plan. `create` and `update` carry the whole configuration to send."""

    stream: str
    action: str
    config: dict[str, Any] = {}
    differences: tuple[str, ...] = ()


GROWING: Final = frozenset({"subjects", "max_msgs_per_subject", "max_msgs", "num_replicas"})
"""The settings that a newer topology may change on a stream that exists."""


async def plan_topology(js: JetStream, topology: Topology) -> list[Step]:
    """What must be done; nothing is changed. `refuse` marks differences nobody asked for."""
    steps: list[Step] = []
    for wanted in topology.configs():
        info = await js.stream_info(wanted["name"])
        if info is None:
            steps.append(Step(wanted["name"], "create", wanted))
            continue
        found: dict[str, Any] = info["config"]
        different = {key for key, value in wanted.items() if not _equal(found.get(key), value)} | {
            key for key in _PROTECTED if key not in wanted and found.get(key)
        }
        if not different:
            continue
        told = tuple(
            f"{key} is {found.get(key)!r}, not {wanted.get(key)!r}" for key in sorted(different)
        )
        action = "update" if different <= GROWING else "refuse"
        merged = {**found, **{key: wanted[key] for key in different if key in wanted}}
        steps.append(Step(wanted["name"], action, merged, told))
    return steps


_PROTECTED: Final = frozenset(
    {
        "allow_msg_ttl",
        "allow_rollup_hdrs",
        "allow_msg_schedules",
        "max_age",
        "sealed",
        "mirror",
        "sources",
        "subject_transform",
    }
)
"""Settings that would change what a stream promises, so their presence is a difference."""


def _equal(found: Any, wanted: Any) -> bool:
    return found == wanted or (not found and not wanted)


async def apply_topology(js: JetStream, topology: Topology) -> list[Step]:
    """Carry out the plan; returns it. Raises `InvalidSettings` before anything is changed.

    Two that apply at once are harmless: creating an equal stream is confirmed by the server.
    """
    steps = await plan_topology(js, topology)
    refused = [step for step in steps if step.action == "refuse"]
    if refused:
        raise InvalidSettings(
            "; ".join(f"stream {step.stream}: {', '.join(step.differences)}" for step in refused)
            + ": set it back with the `nats` tool, or use another prefix"
        )
    for step in steps:
        if step.action == "create":
            await _create(js, step.config)
        else:
            await js.update_stream(step.config)
    return steps


async def _create(js: JetStream, config: dict[str, Any]) -> None:
    try:
        await js.create_stream(config)
    except ServerRefused as error:
        if error.err_code == 10065:
            raise InvalidSettings(
                f"stream {config['name']}: another stream has its subjects already"
                f" ({', '.join(config['subjects'])}): remove it, or use another prefix"
            ) from None
        raise
