"""Consumer configurations: the server's defaults, checks and JSON."""

from typing import Any, Final

import msgspec

from moonlet.simulations.jetstream import headers as fields
from moonlet.simulations.jetstream import subjects
from moonlet.simulations.jetstream.configs import API_LEVEL, VERSION, StreamConfig
from moonlet.simulations.jetstream.refusals import NotSimulated, refused

ACK_WAIT: Final = 30_000_000_000  # ns
MAX_ACK_PENDING: Final = 1000
MAX_WAITING: Final = 512
_DELIVER: Final = (
    "all",
    "last",
    "new",
    "by_start_sequence",
    "by_start_time",
    "last_per_subject",
)
_ALWAYS_SHOWN: Final = ("deliver_policy", "ack_policy", "replay_policy", "num_replicas")
_NOT_SIMULATED: Final = (
    "rate_limit_bps",
    "flow_control",
    "headers_only",
    "backoff",
    "deliver_subject",
    "deliver_group",
    "max_bytes",
    "max_expires",
    "direct",
    "sourcing",
    "pause_until",
    "priority_groups",
    "priority_policy",
    "priority_timeout",
)
_NOT_UPDATABLE: Final = (
    ("deliver_policy", "deliver policy can not be updated"),
    ("mem_storage", "storage type can not be updated"),
    ("opt_start_seq", "start sequence can not be updated"),
    ("opt_start_time", "start time can not be updated"),
    ("ack_policy", "ack policy can not be updated"),
    ("replay_policy", "replay policy can not be updated"),
    ("max_waiting", "max waiting can not be updated"),
)


class ConsumerConfig(msgspec.Struct, forbid_unknown_fields=True):
    """A consumer's configuration with the server's own field names; times in nanoseconds."""

    durable_name: str = ""
    name: str = ""
    description: str = ""
    deliver_policy: str = "all"
    opt_start_seq: int = 0
    opt_start_time: str | None = None
    ack_policy: str = "none"
    ack_wait: int = 0
    max_deliver: int = 0
    backoff: list[int] = []
    filter_subject: str = ""
    filter_subjects: list[str] = []
    replay_policy: str = "instant"
    rate_limit_bps: int = 0
    sample_freq: str = ""
    max_waiting: int = 0
    max_ack_pending: int = 0
    flow_control: bool = False
    headers_only: bool = False
    max_batch: int = 0
    max_expires: int = 0
    max_bytes: int = 0
    deliver_subject: str = ""
    deliver_group: str = ""
    idle_heartbeat: int = 0
    inactive_threshold: int = 0
    num_replicas: int = 0
    mem_storage: bool = False
    direct: bool = False
    sourcing: bool = False
    metadata: dict[str, str] = {}
    pause_until: Any = None
    priority_groups: list[str] = []
    priority_policy: str = ""
    priority_timeout: int = 0

    @property
    def filters(self) -> tuple[str, ...]:
        """The patterns that this consumer sees; none means all."""
        if self.filter_subject:
            return (self.filter_subject,)
        return tuple(self.filter_subjects)

    def to_json(self) -> dict[str, Any]:
        """As the server shows it, with the metadata that it adds."""
        shown = {
            name: value
            for name, value in msgspec.structs.asdict(self).items()
            if value or name in _ALWAYS_SHOWN
        }
        shown["metadata"] = {
            **self.metadata,
            "_nats.level": str(API_LEVEL),
            "_nats.ver": VERSION,
        }
        return shown


class CreateRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request to create a consumer."""

    stream_name: str
    config: ConsumerConfig
    action: str = ""
    pedantic: bool = False


def complete(config: ConsumerConfig, stream: StreamConfig) -> None:
    """Fill in the server's defaults and check as it does.

    Raises `ServerRefused` as the server, `NotSimulated` for features outside this model.
    """
    for name in _NOT_SIMULATED:
        if getattr(config, name):
            raise NotSimulated(f"the consumer option {name}")
    for name, known in (
        ("deliver_policy", _DELIVER),
        ("ack_policy", ("none", "all", "explicit")),
        ("replay_policy", ("instant", "original")),
    ):
        if getattr(config, name) not in known:
            raise refused(10025, err=f"can not unmarshal {getattr(config, name)!r}")
    if config.replay_policy == "original":
        raise NotSimulated("replay at the original speed")
    if config.max_deliver < 1:
        config.max_deliver = -1
    config.max_waiting = max(config.max_waiting, 0) or MAX_WAITING
    config.max_ack_pending = max(config.max_ack_pending, -1)
    config.inactive_threshold = max(config.inactive_threshold, 0)
    if config.ack_wait == 0 and config.ack_policy != "none":
        config.ack_wait = ACK_WAIT
    if config.max_ack_pending == 0 and config.ack_policy != "none":
        config.max_ack_pending = MAX_ACK_PENDING
    given = {k: v for k, v in config.metadata.items() if k not in ("_nats.ver", "_nats.level")}
    config.metadata = {**given, "_nats.req.level": "0"}
    _check(config, stream)


def _check(config: ConsumerConfig, stream: StreamConfig) -> None:
    for name in (config.name, config.durable_name):
        if name and not subjects.is_name(name):
            raise refused(10052, err="consumer name can not contain '.', '*', '>', '\\', '/'")
    if config.num_replicas < 0:
        raise refused(10133)
    if config.num_replicas > stream.num_replicas:
        raise refused(10126)
    if stream.retention != "limits" and config.num_replicas not in (0, stream.num_replicas):
        raise refused(10134)
    if config.ack_wait < 0:
        raise refused(10183)
    if config.ack_policy == "none" and stream.retention == "workqueue":
        raise refused(10084)
    if config.idle_heartbeat > 0:
        raise refused(10088)
    if config.filter_subject and config.filter_subjects:
        raise refused(10136)
    if "" in config.filter_subjects:
        raise refused(10139)
    filters = config.filters
    for position, pattern in enumerate(filters):
        if not subjects.is_valid(pattern):
            raise refused(10052, err="nats: invalid subject")
        for other in filters[:position] + filters[position + 1 :]:
            if subjects.matches(other, pattern):
                raise refused(10138)
    for position, pattern in enumerate(filters):
        if any(subjects.collide(pattern, other) for other in filters[:position]):
            # The server counts twice what both cover.
            raise NotSimulated("consumers whose filters overlap in part")
    _check_start(config)
    if config.durable_name and config.name and config.name != config.durable_name:
        raise refused(10132)


def _check_start(config: ConsumerConfig) -> None:
    policy = config.deliver_policy.replace("_", " ")
    by_sequence = config.deliver_policy == "by_start_sequence"
    by_time = config.deliver_policy == "by_start_time"
    bad = "consumer delivery policy is deliver {}, but optional {} is {} set"
    if config.opt_start_seq and not by_sequence:
        raise refused(10094, err=bad.format(policy, "start sequence", "also"))
    if config.opt_start_time is not None and not by_time:
        raise refused(10094, err=bad.format(policy, "start time", "also"))
    if config.deliver_policy == "last_per_subject" and not config.filters:
        raise refused(10094, err=bad.format(policy, "filter subject", "not"))
    if by_sequence and not config.opt_start_seq:
        raise refused(10094, err=bad.format(policy, "start sequence", "not"))
    if by_time:
        if config.opt_start_time is None:
            raise refused(10094, err=bad.format(policy, "start time", "not"))
        if fields.from_rfc3339(config.opt_start_time) is None:
            raise refused(10025, err="parsing time")


def check_update(old: ConsumerConfig, new: ConsumerConfig) -> None:
    """Raise what the server says to an update from `old` to `new`, both completed."""
    for name, why in _NOT_UPDATABLE:
        if getattr(old, name) != getattr(new, name):
            raise refused(10012, err=why)
    if old.filters and not new.filters:
        # nats-server 2.15.1 then no longer tells the consumer of new messages.
        raise NotSimulated("taking a consumer's filters away")
