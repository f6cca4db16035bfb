"""What a consumer reads and on which terms: nobody else writes a consumer's configuration."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

from moonlet.streams.bus import Bus

SECOND: Final = 10**9

ACK_WAIT: Final = 3_600.0
"""Seconds until the server redelivers by itself; long, since a takeover doesn't need it."""

INACTIVE: Final = 30.0
"""Seconds after which the server drops the consumer of a history that nobody pulls from."""


class ConsumerTerms(msgspec.Struct, frozen=True):
    """A consumer to be; made by `owned_queue`, `shared_queue` or `history`.

    `config` is the server's JSON. One that is `owned` has a single reader: what comes is in order
    without a gap, and if it is gone another took its place. One that is `renewed` is made anew by
    itself when anything is odd; one that isn't ends then, since only its reader knows where to
    begin. `revision` is the owner's: it stands in the consumer's name behind its `family`.
    """

    stream: str
    config: dict[str, Any]
    owned: bool = True
    renewed: bool = True
    family: str = ""
    revision: int = 0
    rivals: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The consumer's name."""
        name: str = self.config["name"]
        return name

    @property
    def filters(self) -> list[str]:
        """The subjects that it reads; none if all."""
        config = self.config
        one = config.get("filter_subject")
        return list(config.get("filter_subjects") or ([one] if one else []))

    @property
    def acknowledged(self) -> bool:
        """Whether deliveries are acknowledged one by one."""
        return bool(self.config["ack_policy"] != "none")


def owned_queue(
    stream: str,
    name: str,
    filters: Sequence[str],
    *,
    revision: int,
    rivals: Collection[str] = (),
) -> ConsumerTerms:
    """The queue of one owner, durable; `revision`, that of its lease, becomes part of the name.

    No two consumers of a work queue may have filters that overlap, so a takeover deletes those of
    lower revisions, and what they had not acknowledged comes again, in order. `rivals` are other
    names whose consumers may stand in the way as well.
    """
    config = _durable(f"{name}-r{revision}", filters, ack_wait=ACK_WAIT)
    return ConsumerTerms(
        stream, config, family=name, revision=revision, rivals=frozenset({name, *rivals})
    )


def shared_queue(
    stream: str, name: str, filters: Sequence[str], *, ack_wait: float
) -> ConsumerTerms:
    """A queue that several take from, durable; each message goes to one of them.

    What is neither acknowledged nor said to be in work for `ack_wait` seconds goes to another.
    """
    return ConsumerTerms(stream, _durable(name, filters, ack_wait=ack_wait), owned=False)


def _durable(name: str, filters: Sequence[str], *, ack_wait: float) -> dict[str, Any]:
    return {
        "name": name,
        "durable_name": name,
        **_filters(filters),
        "ack_policy": "explicit",
        "ack_wait": int(ack_wait * SECOND),
        "max_ack_pending": -1,
        "max_deliver": -1,
        "deliver_policy": "all",
    }


def history(
    bus: Bus, stream: str, name: str, filters: Sequence[str], *, start: int
) -> ConsumerTerms:
    """A stream's messages from sequence `start` on, in order, acknowledged by nobody.

    Without filters all of them: through a wildcard that lets pass nearly all, the server takes four
    times as long.

    `name` says who reads; the consumer is of this reader alone, and the server forgets it.
    """
    config = {
        "name": f"{name}-{bus.entropy.token()}",
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": start,
        "ack_policy": "none",
        **_filters(filters),
        "inactive_threshold": int(INACTIVE * SECOND),
        "mem_storage": True,
        "num_replicas": 1,
    }
    return ConsumerTerms(stream, config, renewed=False)


def _filters(filters: Sequence[str]) -> dict[str, Any]:
    assert not isinstance(filters, str), "a list of subjects, even of one"
    match list(filters):
        case []:
            return {}
        case [only]:
            return {"filter_subject": only}
        case several:
            return {"filter_subjects": several}
