"""The streams and buckets as data: which there are, and what each is to be."""

from typing import Any, Final

import msgspec

from moonlet.core.errors import InvalidSettings, UnknownAgentType
from moonlet.core.ids import check_name

DAY: Final = 86_400 * 10**9

CATCH_ALL: Final = "*"

REPLICAS_MAX: Final = 5
"""Replicas of a stream that the server allows."""


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
        if not 1 <= self.replicas <= REPLICAS_MAX:
            raise InvalidSettings(f"replicas: give 1 to {REPLICAS_MAX}, not {self.replicas}")
        for name, value in (("mailbox", self.mailbox), ("internal", self.internal)):
            if value < 1:
                raise InvalidSettings(f"{name}: give at least 1 message, not {value}")
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
            self._bucket("config"),
        ]
        return configs

    def config_of(self, name: str) -> dict[str, Any]:
        """The configuration of the stream of that name, which must be one of ours."""
        return next(config for config in self.configs() if config["name"] == name)

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
