"""What a host tells whoever asks it by `HostEar`: metrics, alerts, and who looks into one."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal

import msgspec

from moonlet.agents.hosting.alert_watch import AlertWatch
from moonlet.agents.hosting.figures import figures, process_figures
from moonlet.agents.hosting.host import Host
from moonlet.agents.watching import WatchAnswer
from moonlet.core.errors import Invalid
from moonlet.telemetry.metrics import plain_families

Topic = Callable[[bytes], Awaitable[WatchAnswer]]

NAME_MAX: Final = 200
"""Characters of a rule's name, and of whoever mutes it."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_MAX)]


class Mute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nobody is to be called for a rule: until it clears (`ack`), or for `seconds` (`silence`)."""

    rule: Name
    do: Literal["ack", "silence"]
    by: Name
    seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0


def host_topics(host: Host, watch: AlertWatch | None = None) -> dict[str, Topic]:
    """`figures` of a started host; with a `watch` also `alerts`, and `mute`, which changes them."""

    async def told_figures(_: bytes) -> WatchAnswer:
        return WatchAnswer(plain_families([*figures(host), *process_figures()]))

    topics: dict[str, Topic] = {"figures": told_figures}
    if watch is None:
        return topics
    judged = watch

    async def told_alerts(_: bytes) -> WatchAnswer:
        return WatchAnswer([*_firing(judged), *_changes(judged)])

    async def mute(question: bytes) -> WatchAnswer:
        try:
            asked = _MUTE.decode(question)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Invalid(f"what is asked of alerts can't be read: {error}") from None
        if asked.do == "ack":
            judged.acknowledge(asked.rule, asked.by)
        else:
            judged.silence(asked.rule, asked.seconds, asked.by)
        return WatchAnswer([{"is": asked.do, "rule": asked.rule}])

    return {**topics, "alerts": told_alerts, "mute": mute}


def _firing(watch: AlertWatch) -> list[dict[str, Any]]:
    now, silences = watch.now(), watch.judge.silences
    told = []
    for alert in watch.judge.firing:
        rule = alert.rule
        silence = silences.get(rule.name)
        told.append({
            "is": "firing",
            "rule": rule.name,
            "severity": rule.severity,
            "ago": round(now - (alert.since or now), 3),
            "acknowledged": alert.acknowledged,
            "silent": round(max(0.0, silence.until - now), 3) if silence is not None else 0.0,
            "value": max(alert.beyond.values(), default=0.0),
            "threshold": rule.threshold,
            "labels": [dict(labels) for labels in list(alert.beyond)[:10]],
            "meaning": rule.meaning,
            "fix": rule.fix,
        })  # fmt: skip
    return told


def _changes(watch: AlertWatch) -> list[dict[str, Any]]:
    now = watch.now()
    return [
        {**msgspec.structs.asdict(change), "is": "change", "ago": round(now - change.at, 3)}
        for change in watch.judge.history
    ]


_MUTE: Final = msgspec.json.Decoder(Mute)
