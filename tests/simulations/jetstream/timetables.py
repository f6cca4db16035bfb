"""What happens by itself with time, as timetables: operations at seconds after the start.

Between what happens and a look at it lie 0.3 s and more, since the server keeps to its timers by
10 to 250 ms, and to its patience with idle consumers by a second.
"""

import json
from typing import Any

from moonlet.simulations.jetstream.headers import rfc3339

Entry = tuple[float, list[Any]]
SECOND = 1_000_000_000
TICK: list[Any] = ["tick"]


def timetables(start: int, suffix: str = "") -> dict[str, list[Entry]]:
    """Each with a stream of its own name; `start` is the time of day in nanoseconds."""
    return {
        name + suffix: make(name + suffix, start)
        for name, make in {
            "Wait": _acknowledgement_wait,
            "Often": _delivered_too_often,
            "Later": _refused_with_delay,
            "Expiry": _expiring_pulls,
            "Ttl": _time_to_live,
            "Age": _maximum_age,
            "Ids": _duplicate_window,
            "Past": _schedule_in_the_past,
            "Timers": _schedules,
            "Idle": _idle_consumers,
            "Batch": _abandoned_batch,
            "Full": _no_more_than_one_pending,
            "Unasked": _delivered_too_often_unasked,
            "Purged": _purged_redeliveries,
            "Refused": _order_of_refusal,
            "Since": _since_a_time,
            "Open": _too_many_batches,
        }.items()
    }


def in_order(tables: dict[str, list[Entry]]) -> list[tuple[float, str, list[Any]]]:
    """All entries of all timetables by time: (seconds, name, operation)."""
    entries = [(at, name, operation) for name in tables for at, operation in tables[name]]
    return sorted(entries, key=lambda entry: entry[0])


def _api(request: str, body: object = None) -> list[Any]:
    return ["api", f"$JS.API.{request}", "" if body is None else json.dumps(body)]


def _stream(name: str, **more: Any) -> list[Any]:
    return _api(f"STREAM.CREATE.{name}", {"name": name, "subjects": [f"{name}.>"], **more})


def _consumer(stream: str, name: str, **more: Any) -> list[Any]:
    config = {"durable_name": name, "name": name, "ack_policy": "explicit", **more}
    return _api(f"CONSUMER.CREATE.{stream}.{name}", {"stream_name": stream, "config": config})


def _publish(stream: str, subject: str, data: str = "", **headers: str) -> list[Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ["publish", f"{stream}.{subject}", named, data]


def _pull(stream: str, number: int, batch: int, seconds: float, **more: Any) -> list[Any]:
    body = {"batch": batch, "expires": round(seconds * SECOND), **more}
    return ["pull", stream, "d", number, json.dumps(body)]


def _answer(stream: str, attempt: int, sequence: int, delivery: int, what: str) -> list[Any]:
    return ["ack", stream, "d", attempt, sequence, delivery, what]


def _acknowledgement_wait(name: str, start: int) -> list[Entry]:
    return [
        (0.0, _stream(name)),
        (0.0, _consumer(name, "d", ack_wait=SECOND)),
        (0.1, _publish(name, "a", "1")),
        (0.1, _publish(name, "b", "2")),
        (0.2, _pull(name, 1, 2, 0.5)),
        (0.4, _answer(name, 1, 2, 2, "+ACK")),
        (0.5, _pull(name, 2, 5, 9)),
        (0.8, TICK),
        (1.7, TICK),  # the first came again at 1.2
        (1.8, _answer(name, 2, 1, 3, "+WPI")),
        (2.5, TICK),
        (3.2, TICK),  # and at 2.8
        (3.3, _answer(name, 3, 1, 4, "+ACK")),
        (4.8, TICK),
    ]


def _delivered_too_often(name: str, start: int) -> list[Entry]:
    return [
        (0.0, _stream(name, retention="workqueue")),
        (0.0, _consumer(name, "d", ack_wait=SECOND // 2, max_deliver=2)),
        (0.1, _publish(name, "a")),
        (0.2, _pull(name, 1, 5, 9)),
        (0.5, TICK),
        (1.0, TICK),  # again at 0.7
        (1.7, TICK),  # given up at 1.2, but kept
        (2.5, _publish(name, "a")),
        (2.6, TICK),
    ]


def _delivered_too_often_unasked(name: str, start: int) -> list[Entry]:
    return [
        (0.0, _stream(name)),
        (0.0, _consumer(name, "d", ack_wait=SECOND // 2, max_deliver=1)),
        (0.1, _publish(name, "a")),
        (0.2, _pull(name, 1, 1, 9)),
        (0.4, TICK),
        (1.3, TICK),  # given up at 0.7, though nobody asks for it
        (1.4, _pull(name, 2, 1, 1)),
        (1.6, TICK),
    ]


def _purged_redeliveries(name: str, start: int) -> list[Entry]:
    return [
        (0.0, _stream(name)),
        (0.0, _consumer(name, "d", ack_wait=2 * SECOND)),
        (0.1, _publish(name, "a")),
        (0.1, _publish(name, "a")),
        (0.1, _publish(name, "b")),
        (0.2, _pull(name, 1, 3, 9)),
        (0.3, _answer(name, 1, 1, 1, "-NAK")),
        (0.4, _api(f"STREAM.PURGE.{name}", {"filter": f"{name}.b"})),
        (0.5, _pull(name, 2, 3, 9)),
        (0.8, TICK),  # forgotten, until its wait is over at 2.2
        (3.0, TICK),
    ]


def _refused_with_delay(name: str, start: int) -> list[Entry]:
    return [
        (0.0, _stream(name)),
        (0.0, _consumer(name, "d", ack_wait=5 * SECOND)),
        (0.1, _publish(name, "a")),
        (0.2, _pull(name, 1, 5, 9)),
        (0.3, _answer(name, 1, 1, 1, '-NAK {"delay": 1000000000}')),
        (0.9, TICK),
        (1.8, TICK),  # again at 1.3
        (1.9, _answer(name, 2, 1, 2, "-NAK 500ms")),
        (2.1, TICK),
        (3.0, TICK),
    ]


def _expiring_pulls(name: str, start: int) -> list[Entry]:
    return [
        (0.0, _stream(name)),
        (0.0, _consumer(name, "d")),
        (0.1, _publish(name, "a")),
        (0.2, _pull(name, 1, 4, 0.8)),
        (0.6, TICK),
        (1.4, TICK),
        (1.5, _pull(name, 2, 4, 0.8, no_wait=True)),
        (1.8, _publish(name, "a")),
        (2.0, _pull(name, 3, 2, 0.5, no_wait=True)),
        (2.9, TICK),
    ]


def _time_to_live(name: str, start: int) -> list[Entry]:
    return [
        (0.0, _stream(name, allow_msg_ttl=True)),
        (0.1, _publish(name, "one", Nats_TTL="1s")),
        (0.1, _publish(name, "two", Nats_TTL="2")),
        (0.1, _publish(name, "short", Nats_TTL="1500ms")),
        (0.1, _publish(name, "ever", Nats_TTL="never")),
        (0.1, _publish(name, "plain")),
        (0.7, TICK),
        (1.6, TICK),
        (2.7, TICK),
        (2.8, _publish(name, "one", Nats_Expected_Last_Subject_Sequence="0")),
    ]


def _maximum_age(name: str, start: int) -> list[Entry]:
    return [
        (0.0, _stream(name, max_age=SECOND, duplicate_window=SECOND // 2, allow_msg_ttl=True)),
        (0.1, _publish(name, "a")),
        (0.1, _publish(name, "b", Nats_TTL="never")),
        (0.9, _publish(name, "c")),
        (1.5, TICK),
        (2.7, TICK),
    ]


def _duplicate_window(name: str, start: int) -> list[Entry]:
    return [
        (0.0, _stream(name, duplicate_window=SECOND)),
        (0.1, _publish(name, "a", Nats_Msg_Id="i")),
        (0.6, _publish(name, "a", Nats_Msg_Id="i")),
        (1.7, _publish(name, "a", Nats_Msg_Id="i")),
        (2.2, _publish(name, "a", Nats_Msg_Id="i")),
    ]


def _at(start: int, seconds: float) -> str:
    return "@at " + rfc3339(start + round(seconds * SECOND))


def _schedule_in_the_past(name: str, start: int) -> list[Entry]:
    headers = {"Nats_Schedule_Target": f"{name}.fire", "Own": "v", "Nats_Msg_Id": "i"}
    return [
        (0.0, _stream(name, allow_msg_schedules=True, retention="workqueue")),
        (0.0, _consumer(name, "d", filter_subject=f"{name}.fire")),
        (0.1, _pull(name, 1, 5, 9)),
        (0.2, _publish(name, "timer", "body", Nats_Schedule=_at(start, -60), **headers)),
        (1.0, TICK),
        (1.1, _answer(name, 1, 2, 1, "+ACK")),
        (1.2, TICK),
    ]


def _schedules(name: str, start: int) -> list[Entry]:
    target = {"Nats_Schedule_Target": f"{name}.fire"}
    return [
        (0.0, _stream(name, allow_msg_schedules=True, allow_msg_ttl=True)),
        (0.0, _consumer(name, "d", filter_subject=f"{name}.fire")),
        (0.0, _pull(name, 1, 9, 9)),
        (0.1, _publish(name, "a", "a", Nats_Schedule=_at(start, 1.5), **target)),
        (0.1, _publish(name, "b", "b", Nats_Schedule=_at(start, 1.5), **target)),
        (0.1, _publish(name, "c", "old", Nats_Schedule=_at(start, 1.5), **target)),
        (0.1, _publish(name, "d", "d", Nats_Schedule=_at(start, 1.5), **target)),
        (
            0.1,
            _publish(
                name,
                "e",
                "e",
                Nats_Schedule=_at(start, 1.5),
                Nats_Schedule_TTL="1s",
                Nats_Schedule_Rollup="sub",
                Nats_Schedule_Source=f"{name}.source",
                **target,
            ),
        ),
        (0.2, _publish(name, "source", "from the source", Own="source")),
        (0.5, _api(f"STREAM.PURGE.{name}", {"filter": f"{name}.b"})),
        (0.6, _publish(name, "c", "new", Nats_Schedule=_at(start, 2.5), **target)),
        (0.7, _publish(name, "d", "a plain message")),
        (1.1, TICK),
        (2.1, TICK),
        (3.4, TICK),
        (3.5, _publish(name, "x", Nats_Scheduler=f"{name}.c", Nats_Schedule_Next="purge")),
    ]


def _idle_consumers(name: str, start: int) -> list[Entry]:
    config = {"ack_policy": "none", "inactive_threshold": SECOND, "name": "soon"}
    request = {"stream_name": name, "config": config}
    later = {"stream_name": name, "config": {"ack_policy": "none", "name": "later"}}
    return [
        (0.0, _stream(name)),
        (0.0, _api(f"CONSUMER.CREATE.{name}.soon", request)),
        (0.0, _api(f"CONSUMER.CREATE.{name}.later", later)),
        (0.0, _consumer(name, "d", inactive_threshold=SECOND)),
        (0.6, _pull(name, 1, 1, 2.5)),
        (0.7, _api(f"CONSUMER.NAMES.{name}", {})),
        (2.8, _api(f"CONSUMER.NAMES.{name}", {})),
        (3.9, _api(f"CONSUMER.NAMES.{name}", {})),
        (7.2, _api(f"CONSUMER.NAMES.{name}", {})),
    ]


def _abandoned_batch(name: str, start: int) -> list[Entry]:
    def member(id: str, number: int, **more: str) -> list[Any]:
        headers = {"Nats-Batch-Id": id, "Nats-Batch-Sequence": str(number)}
        return ["publish", f"{name}.a", {**headers, **more}, ""]

    return [
        (0.0, _stream(name, allow_atomic=True)),
        (0.1, member("kept", 1)),
        (0.1, member("late", 1)),
        (6.0, member("kept", 2)),
        (11.0, member("late", 2, **{"Nats-Batch-Commit": "1"})),
        (11.0, member("kept", 3, **{"Nats-Batch-Commit": "1"})),
    ]


def _order_of_refusal(name: str, start: int) -> list[Entry]:
    return [
        (0.0, _stream(name)),
        (0.0, _consumer(name, "d")),
        *((0.1, _publish(name, "a")) for _ in range(4)),
        (0.2, _pull(name, 1, 3, 9)),
        (0.3, _answer(name, 1, 3, 3, "-NAK")),
        (0.3, _answer(name, 1, 1, 1, "-NAK")),
        (0.3, _answer(name, 1, 2, 2, "-NAK")),
        (0.4, _pull(name, 2, 9, 9)),
        (0.8, TICK),
    ]


def _since_a_time(name: str, start: int) -> list[Entry]:
    since = rfc3339(start + SECOND // 2)
    never = rfc3339(start + 3600 * SECOND)
    by_time = {"deliver_policy": "by_start_time"}
    return [
        (0.0, _stream(name, allow_direct=True)),
        (0.1, _publish(name, "a", "old")),
        (0.9, _publish(name, "b", "new")),
        (0.9, _publish(name, "a", "new")),
        (1.3, _consumer(name, "d", opt_start_time=since, **by_time)),
        (1.3, _consumer(name, "late", opt_start_time=never, **by_time)),
        (1.3, _consumer(name, "of_a", opt_start_time=since, filter_subject=f"{name}.a", **by_time)),
        (1.4, _pull(name, 1, 9, 0.5)),
        (1.4, ["direct", name, "", json.dumps({"start_time": since, "batch": 5})]),
        (1.4, ["direct", name, "", json.dumps({"start_time": never, "batch": 5})]),
        (1.4, _api(f"STREAM.MSG.GET.{name}", {"start_time": since})),
        (1.4, _api(f"STREAM.MSG.GET.{name}", {"start_time": since, "next_by_subj": f"{name}.a"})),
        (2.2, TICK),
    ]


def _too_many_batches(name: str, start: int) -> list[Entry]:
    def member(id: str, number: int, commit: str = "") -> list[Any]:
        headers = {"Nats-Batch-Id": id, "Nats-Batch-Sequence": str(number)}
        if commit:
            headers["Nats-Batch-Commit"] = commit
        return [f"{name}.{number}", headers, ""]

    large = [member("large", number) for number in range(1, 1001)]
    return [
        (0.0, _stream(name, allow_atomic=True)),
        *((0.1, ["publish", *member(f"b{number}", 1)]) for number in range(51)),
        (0.5, ["publish", *member("b7", 2, "1")]),
        (0.6, ["batch", [*large, member("large", 1001, "1")]]),
        (0.9, ["batch", [*large, member("large", 1001, "eob")]]),
    ]


def _no_more_than_one_pending(name: str, start: int) -> list[Entry]:
    return [
        (0.0, _stream(name)),
        (0.0, _consumer(name, "d", ack_wait=SECOND, max_ack_pending=1)),
        (0.1, _publish(name, "a")),
        (0.1, _publish(name, "b")),
        (0.2, _pull(name, 1, 9, 9)),
        (0.7, TICK),
        (1.7, TICK),
        (1.8, _answer(name, 2, 1, 2, "+ACK")),
        (2.1, TICK),
    ]


def over_a_restart(name: str) -> tuple[list[list[Any]], list[list[Any]]]:
    """Operations before and after the server is restarted: which ids it forgets."""
    before = [
        _stream(name, retention="workqueue"),
        _consumer(name, "d", ack_wait=300 * SECOND),
        _publish(name, "a", Nats_Msg_Id="acknowledged"),
        _publish(name, "a", Nats_Msg_Id="kept"),
        _pull(name, 1, 2, 60),
        _answer(name, 1, 1, 1, "+ACK"),
        _answer(name, 1, 2, 2, "-NAK"),
        _publish(name, "a", Nats_Msg_Id="acknowledged"),
    ]
    after = [
        _publish(name, "a", Nats_Msg_Id="acknowledged"),
        _publish(name, "a", Nats_Msg_Id="kept"),
        _pull(name, 2, 5, 60),
        _publish(name, "a", Nats_Expected_Last_Msg_Id="acknowledged"),
    ]
    return before, after
