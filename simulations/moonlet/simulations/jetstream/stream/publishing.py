"""The rules by which a stream takes a message, in the server's order: R1, and R3 or a batch.

A single server looks at expectations before message ids; a cluster at ids first, because it
judges a message before it is replicated. Members of a batch are judged like a cluster's.
"""

from typing import Final

import msgspec

from moonlet.simulations.jetstream import headers as fields
from moonlet.simulations.jetstream.refusals import NotSimulated, refused
from moonlet.simulations.jetstream.stream import schedules
from moonlet.simulations.jetstream.stream.staging import Staged
from moonlet.simulations.jetstream.stream.state import StreamState
from moonlet.streams.api import Headers

MAX_HEADERS: Final = 65_535  # bytes


class Ack(msgspec.Struct, omit_defaults=True):
    """The server's answer to a publish."""

    stream: str
    seq: int
    duplicate: bool = False
    batch: str = ""
    count: int = 0


class Duplicate(Exception):
    """The message id is known: nothing is stored. `sequence` is 0 while it is being stored."""

    def __init__(self, sequence: int) -> None:
        super().__init__(sequence)
        self.sequence = sequence


def judge_single(
    stream: StreamState, now: int, subject: str, headers: Headers, data: bytes
) -> Headers:
    """Judge a message as one server (R1) does; returns the headers to store.

    Raises `ServerRefused`, or `Duplicate`.
    """
    check_size(stream, headers, data)
    if not headers:
        return headers
    rare = not headers.keys().isdisjoint(fields.RARE)
    if rare:
        _check_common(stream, headers, strict_ttl=False)
    _check_expected_subject(stream, subject, headers)
    if rare:
        expected = headers.get(fields.EXPECTED_LAST, "")
        if expected and fields.number(expected) != stream.store.last:
            raise refused(10071, seq=stream.store.last)
        headers = schedules.check(headers, subject, stream, {})
        _check_source(headers)
    if id := headers.get(fields.MESSAGE_ID, ""):
        known = stream.duplicates.find(id, now)
        if known is not None:
            raise Duplicate(known)
    if rare:
        check_last_id(stream, headers)
        rollup = headers.get(fields.ROLLUP, "").lower()
        if rollup:
            _check_rollup(stream, rollup)
        check_size(stream, headers, data)  # a schedule has got another header
    return headers


def judge_staged(
    stream: StreamState, now: int, staged: Staged, subject: str, headers: Headers, data: bytes
) -> Headers:
    """Judge a message of a cluster (R3), or of a batch; returns the headers to store.

    Its effects are added to `staged`. Raises `ServerRefused`, or `Duplicate`.
    """
    schedule = False
    if headers:
        if fields.size(headers) > MAX_HEADERS:
            raise refused(10097)
        _check_common(stream, headers, strict_ttl=True)
        _check_staged_id(stream, now, staged, headers)
        _check_source(headers)
        _check_staged_expectations(stream, staged, subject, headers)
        writes = {**stream.in_flight.writes, **staged.writes}
        is_schedule = {written: writes[written].schedule for written in writes}
        before = headers
        headers = schedules.check(headers, subject, stream, is_schedule)
        schedule = bool(before.get(fields.SCHEDULE))
        rollup = headers.get(fields.ROLLUP, "").lower()
        if rollup:
            _check_rollup(stream, rollup)
            if rollup == "sub" and subject in staged.writes:
                raise refused(10111, err="batch rollup sub invalid")
            if rollup == "all" and staged.writes:
                raise refused(10111, err="batch rollup all invalid")
    size = stream.store.size(subject, headers, data)
    staged.write(subject, size, schedule)
    if stream.config.discard == "new":
        _check_staged_limits(stream, staged, subject, bool(headers.get(fields.ROLLUP)))
    return headers


def check_last_id(stream: StreamState, headers: Headers) -> None:
    """Raise unless the stream's last message has the id that the headers expect, if any."""
    expected = headers.get(fields.EXPECTED_ID, "")
    if expected and expected != stream.last_id:
        if stream.replicated:
            # On nats-server 2.15.1 the whole stream then stops for good.
            raise NotSimulated("a wrong expected message id on a replicated stream")
        raise refused(10070, id=stream.last_id)


def check_size(stream: StreamState, headers: Headers, data: bytes) -> None:
    """Raise if the message is over the stream's limit (10054), or its headers over 64 KB."""
    size = fields.size(headers)
    if 0 <= stream.config.max_msg_size < size + len(data):
        raise refused(10054)
    if size > MAX_HEADERS:
        raise refused(10097)


def _check_common(stream: StreamState, headers: Headers, *, strict_ttl: bool) -> None:
    for name in (fields.REQUIRED_LEVEL, fields.TRACE):
        if name in headers:
            raise NotSimulated(f"the header {name}")
    if increment := headers.get(fields.INCREMENT, ""):
        digits = increment.removeprefix("-").removeprefix("+")
        raise refused(10168 if fields.number(digits) >= 0 else 10171)
    expected = headers.get(fields.EXPECTED_STREAM, "")
    if expected and expected != stream.config.name:
        raise refused(10060)
    if text := headers.get(fields.TTL, ""):
        ttl = fields.ttl_seconds(text)
        if not stream.config.allow_msg_ttl and (ttl or (strict_ttl and ttl is None)):
            raise refused(10166)
        if strict_ttl and ttl is None:
            raise refused(10165)


def _check_source(headers: Headers) -> None:
    if headers.get(fields.SOURCE, ""):
        raise refused(10227)


def _check_rollup(stream: StreamState, rollup: str) -> None:
    if not stream.config.allow_rollup_hdrs or stream.config.deny_purge:
        raise refused(10111, err="rollup not permitted")
    if rollup not in ("sub", "all"):
        raise refused(10111, err=f'rollup value invalid: "{rollup}"')


def _check_expected_subject(stream: StreamState, subject: str, headers: Headers) -> None:
    expected = headers.get(fields.EXPECTED_SUBJECT, "")
    other = headers.get(fields.EXPECTED_SUBJECT_OF, "")
    if expected:
        last = stream.store.last_of(other or subject)
        if last != fields.number(expected):
            raise refused(10071, seq=last)
    elif other:
        raise refused(10193)


def _check_staged_id(stream: StreamState, now: int, staged: Staged, headers: Headers) -> None:
    id = headers.get(fields.MESSAGE_ID, "")
    if not id:
        return
    if id in staged.ids:
        raise refused(10201)
    known = stream.duplicates.find(id, now)
    if known is not None:
        raise Duplicate(known)
    staged.ids[id] = None


def _check_staged_expectations(
    stream: StreamState, staged: Staged, subject: str, headers: Headers
) -> None:
    expected = headers.get(fields.EXPECTED_LAST, "")
    if expected:
        last = stream.store.last + stream.in_flight.messages + staged.messages
        if fields.number(expected) != last:
            raise refused(10071, seq=last)
        if staged.writes:
            raise refused(10164)
    expected = headers.get(fields.EXPECTED_SUBJECT, "")
    other = headers.get(fields.EXPECTED_SUBJECT_OF, "")
    if not expected:
        if other:
            raise refused(10193)
        return
    of = other or subject
    if of not in staged.writes:
        stream.in_flight.refuse_expectation(of)
    staged.expect(of, fields.number(expected), stream.store.last_of(of))


def _check_staged_limits(stream: StreamState, staged: Staged, subject: str, rolled: bool) -> None:
    config, store, in_flight = stream.config, stream.store, stream.in_flight
    everything = [*in_flight.writes.values(), *staged.writes.values()]
    if 0 < config.max_msgs < len(store.messages) + sum(w.messages for w in everything):
        raise refused(10077, err="maximum messages exceeded")
    if 0 < config.max_bytes < store.bytes + sum(w.bytes for w in everything):
        raise refused(10077, err="maximum bytes exceeded")
    if config.discard_new_per_subject and not rolled:
        if len(staged.writes) > 1 and (config.max_msgs > 0 or config.max_bytes > 0):
            # nats-server 2.15.1 then counts a random subject's messages and may store half.
            raise NotSimulated("batches under limits both per subject and in total")
        count = len(store.by_subject.get(subject, ())) + staged.writes[subject].messages
        if subject in in_flight.writes:
            count += in_flight.writes[subject].messages
        if count > config.max_msgs_per_subject:
            raise refused(10077, err="maximum messages per subject exceeded")
