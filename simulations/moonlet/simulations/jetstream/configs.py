"""Stream configurations: the server's defaults, checks and JSON."""

from typing import Any, Final

import msgspec

from moonlet.simulations.jetstream import subjects
from moonlet.simulations.jetstream.refusals import NotSimulated, refused

VERSION: Final = "2.15.1"  # the server whose rules this model follows
API_LEVEL: Final = 5
DUPLICATE_WINDOW: Final = 120_000_000_000  # ns
_TENTH: Final = 100_000_000
_OMITTED_IF_EMPTY: Final = (
    "description",
    "subjects",
    "max_msg_size",
    "no_ack",
    "duplicate_window",
    "discard_new_per_subject",
    "allow_atomic",
    "allow_msg_schedules",
    "metadata",
)


class StreamConfig(msgspec.Struct, forbid_unknown_fields=True):
    """A stream's configuration with the server's own field names; times in nanoseconds."""

    name: str = ""
    description: str = ""
    subjects: list[str] = []
    retention: str = "limits"
    max_consumers: int = 0
    max_msgs: int = 0
    max_bytes: int = 0
    max_age: int = 0
    max_msgs_per_subject: int = 0
    max_msg_size: int = 0
    discard: str = "old"
    storage: str = "file"
    num_replicas: int = 0
    no_ack: bool = False
    duplicate_window: int = 0
    placement: Any = None
    mirror: Any = None
    sources: Any = None
    compression: str = "none"
    first_seq: int = 0
    subject_transform: Any = None
    republish: Any = None
    allow_direct: bool = False
    mirror_direct: bool = False
    discard_new_per_subject: bool = False
    sealed: bool = False
    deny_delete: bool = False
    deny_purge: bool = False
    allow_rollup_hdrs: bool = False
    consumer_limits: dict[str, Any] = {}
    allow_msg_ttl: bool = False
    subject_delete_marker_ttl: int = 0
    allow_msg_counter: bool = False
    allow_atomic: bool = False
    allow_msg_schedules: bool = False
    persist_mode: str = "default"
    allow_batched: bool = False
    metadata: dict[str, str] = {}
    pedantic: bool = False

    def to_json(self) -> dict[str, Any]:
        """As the server shows it, with the metadata that it adds."""
        shown = msgspec.structs.asdict(self)
        for name in NEVER_SHOWN:
            del shown[name]
        for name in _OMITTED_IF_EMPTY:
            if not shown[name]:
                del shown[name]
        shown["metadata"] = {
            **shown.get("metadata", {}),
            "_nats.level": str(API_LEVEL),
            "_nats.ver": VERSION,
        }
        return shown


NEVER_SHOWN: Final = (
    "placement",
    "mirror",
    "sources",
    "first_seq",
    "subject_transform",
    "republish",
    "subject_delete_marker_ttl",
    "allow_msg_counter",
    "allow_batched",
    "persist_mode",
    "pedantic",
)


def _invalid(why: str) -> Exception:
    return refused(10052, err=why)


def read_stream(data: bytes, servers: int) -> StreamConfig:
    """The configuration in the JSON of a request, completed and checked as the server does.

    Raises `ServerRefused` as the server, `NotSimulated` for features outside this model.
    """
    try:
        config = msgspec.json.decode(data, type=StreamConfig)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise refused(10025, err=error) from None
    _refuse_what_is_not_simulated(config)
    _complete(config)
    _check_subjects(config)
    if config.num_replicas > 1 and servers == 1:
        raise refused(10074)
    if config.num_replicas > 1 and config.retention == "interest":
        raise NotSimulated("interest retention on a cluster")
    if config.num_replicas > servers:
        raise refused(10005, err="no suitable peers for placement")
    return config


def _refuse_what_is_not_simulated(config: StreamConfig) -> None:
    for name in NEVER_SHOWN:
        if getattr(config, name) not in (None, 0, False, "default", []):
            raise NotSimulated(f"the stream option {name}")
    if config.consumer_limits:
        raise NotSimulated("the stream option consumer_limits")
    if config.sealed:
        raise NotSimulated("sealed streams")


def _complete(config: StreamConfig) -> None:
    if not subjects.is_name(config.name):
        raise _invalid("stream name is required and can not contain '.', '*', '>', '\\', '/'")
    if config.mirror_direct:
        raise _invalid("stream has no mirror but does have mirror direct")
    for name, known in (
        ("retention", ("limits", "interest", "workqueue")),
        ("discard", ("old", "new")),
        ("storage", ("file", "memory")),
        ("compression", ("none", "s2")),
    ):
        if getattr(config, name) not in known:
            raise refused(10025, err=f"can not unmarshal {getattr(config, name)!r}")
    if config.num_replicas < 0:
        raise refused(10133)
    config.num_replicas = config.num_replicas or 1
    if config.num_replicas > 5:
        raise _invalid("maximum replicas is 5")
    for name in ("max_msgs", "max_msgs_per_subject", "max_bytes", "max_msg_size", "max_consumers"):
        if getattr(config, name) <= 0:
            setattr(config, name, -1)
    _complete_times(config)
    if config.deny_purge and config.allow_rollup_hdrs:
        raise _invalid("roll-ups require the purge permission")
    if config.discard_new_per_subject:
        if config.discard != "new":
            raise _invalid("discard new per subject requires discard new policy to be set")
        if config.max_msgs_per_subject <= 0:
            raise _invalid("discard new per subject requires max msgs per subject > 0")
    if config.allow_msg_schedules:
        if config.discard == "new":
            raise _invalid("message scheduling cannot use discard new")
        if not config.allow_rollup_hdrs:
            config.allow_rollup_hdrs, config.deny_purge = True, False
    level = 2 if config.allow_atomic or config.allow_msg_schedules else int(config.allow_msg_ttl)
    given = {k: v for k, v in config.metadata.items() if k not in ("_nats.ver", "_nats.level")}
    config.metadata = {**given, "_nats.req.level": str(level)}


def _complete_times(config: StreamConfig) -> None:
    if config.max_age < 0:
        raise _invalid("max age can not be negative")
    if config.max_age and config.max_age < _TENTH:
        raise _invalid("max age needs to be >= 100ms")
    if config.duplicate_window == 0:
        config.duplicate_window = min(DUPLICATE_WINDOW, config.max_age or DUPLICATE_WINDOW)
    if config.duplicate_window < 0:
        raise _invalid("duplicates window can not be negative")
    if config.max_age and config.duplicate_window > config.max_age:
        raise _invalid("duplicates window can not be larger then max age")
    if config.duplicate_window < _TENTH:
        raise _invalid("duplicates window needs to be >= 100ms")


def _check_subjects(config: StreamConfig) -> None:
    if not config.subjects:
        config.subjects = [config.name]
    for position, subject in enumerate(config.subjects):
        if not subjects.is_valid(subject):
            raise _invalid("invalid subject")
        if subject in config.subjects[:position]:
            raise _invalid("duplicate subjects detected")
        if subject == ">" and not config.no_ack:
            raise _invalid("capturing all subjects requires no-ack to be true")
        if any(subjects.collide(subject, own) for own in ("$JS.>", "$JSC.>", "$NRG.>", "$SYS.>")):
            raise NotSimulated("streams over the server's own subjects")
        for other in config.subjects[position + 1 :]:
            if other != subject and subjects.collide(subject, other):
                raise _invalid(f'subject "{subject}" overlaps with "{other}"')


def check_update(old: StreamConfig, new: StreamConfig) -> None:
    """Raise what the server says to an update from `old` to `new`, both completed."""
    if new.storage != old.storage:
        raise _invalid("stream configuration update can not change storage type")
    if new.retention != old.retention and "workqueue" in (new.retention, old.retention):
        raise _invalid(
            "stream configuration update can not change retention policy to/from workqueue"
        )
    if old.deny_delete and not new.deny_delete:
        raise _invalid("stream configuration update can not cancel deny message deletes")
    if old.deny_purge and not new.deny_purge:
        raise _invalid("stream configuration update can not cancel deny purge")
    if old.allow_msg_ttl and not new.allow_msg_ttl:
        raise _invalid("message TTL status can not be disabled")
    if old.allow_msg_schedules and not new.allow_msg_schedules:
        raise _invalid("message schedules can not be disabled")
    if new.retention != old.retention:
        raise NotSimulated("changing a stream's retention")
    if new.num_replicas != old.num_replicas:
        raise NotSimulated("changing a stream's replicas")
