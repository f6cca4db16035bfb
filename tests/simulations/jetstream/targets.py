"""What operations are run on, and what is observed: the model, or a real server."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

from moonlet.simulations.jetstream import Broker
from moonlet.streams.api import Headers, Message
from tests.simulations.jetstream.raw_client import RawClient

Observation = dict[str, Any]
WAIT = 3.0  # s that a server has to do what the model does
STEP = 1_000_000  # ns of the model's time for each operation
SILENCE = 0.05  # s without an answer where none is foreseen
PAUSE = 0.02  # s, longer than the server's own short timers

_STATE = ("messages", "bytes", "first_seq", "last_seq", "num_subjects", "num_deleted")
_CONSUMER = ("num_ack_pending", "num_redelivered", "num_waiting", "num_pending")


class Target:
    """Runs operations; subclasses send and receive."""

    def __init__(self) -> None:
        self.streams: list[str] = []
        self.consumers: dict[str, list[str]] = {}

    def request(self, subject: str, data: bytes, headers: Headers | None) -> Message | None:
        """Send and wait for one answer."""
        raise NotImplementedError

    def collect(self, subject: str, data: bytes) -> list[Message]:
        """Send, and take the messages that answer, up to a status."""
        raise NotImplementedError

    def send(self, subject: str, data: bytes, headers: Headers | None, reply: str) -> None:
        """Send, and wait that the server has read it."""
        raise NotImplementedError

    def post(self, subject: str, data: bytes, headers: Headers | None) -> None:
        """Send without waiting that the server has read it."""
        self.send(subject, data, headers, "")

    def subscribe(self, stream: str, number: int) -> str:
        """Open an inbox; what arrives there is observed under its number."""
        raise NotImplementedError

    def drop(self, stream: str, number: int) -> None:
        """Close an inbox."""
        raise NotImplementedError

    def answer(self, operation: list[Any]) -> Any:
        """Run one operation; returns its direct answer, made comparable."""
        kind, *rest = operation
        handler: Callable[..., Any] = getattr(self, f"_{kind}")
        return handler(*rest)

    def _api(self, subject: str, body: str) -> Any:
        message = self.request(subject, body.encode(), None)
        if message is None:
            return "silence"
        if not message.data:
            return "nobody"
        answer = json.loads(message.data)
        self._note(subject.split("."), answer)
        if "error" in answer:
            error = answer["error"]
            # The words of a JSON decoder are nobody's promise.
            description = "" if error["err_code"] == 10025 else error["description"]
            return [error["err_code"], description]
        if "message" in answer:
            found = answer["message"]
            data = base64.b64decode(found.get("data", "")).decode()
            headers = base64.b64decode(found.get("hdrs", "")).decode()
            return [found["subject"], found["seq"], data, headers]
        for key in ("purged", "consumers", "streams"):
            if key in answer:
                return answer[key]
        if "subjects_filter" in body:
            return answer["state"].get("subjects", {})
        return "ok"

    def _note(self, tokens: list[str], answer: dict[str, Any]) -> None:
        if "error" in answer:
            return
        what = tokens[2:4]
        if what == ["STREAM", "CREATE"]:
            self.consumers.setdefault(tokens[4], [])
        elif what == ["STREAM", "DELETE"]:
            self.consumers.pop(tokens[4], None)
        elif what == ["CONSUMER", "CREATE"] and tokens[5] not in self.consumers[tokens[4]]:
            self.consumers[tokens[4]].append(tokens[5])
        elif what == ["CONSUMER", "DELETE"]:
            self.consumers[tokens[4]].remove(tokens[5])

    def _publish(self, subject: str, headers: dict[str, str], data: str) -> Any:
        return _ack(self.request(subject, data.encode(), headers))

    def _batch(self, members: list[Any]) -> Any:
        for subject, headers, data in members[:-1]:
            self.post(subject, data.encode(), headers)
        subject, headers, data = members[-1]
        return _ack(self.request(subject, data.encode(), headers))

    def _pull(self, stream: str, consumer: str, number: int, body: str) -> Any:
        reply = self.subscribe(stream, number)
        self.send(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", body.encode(), None, reply)
        return None

    def _tick(self) -> Any:
        return None

    def _drop(self, stream: str, number: int) -> Any:
        self.drop(stream, number)
        return None

    def _ack(
        self, stream: str, consumer: str, attempt: int, sequence: int, delivery: int, data: str
    ) -> Any:
        subject = f"$JS.ACK.{stream}.{consumer}.{attempt}.{sequence}.{delivery}.0.0"
        self.send(subject, data.encode(), None, "")
        return None

    def _acksync(
        self, stream: str, consumer: str, attempt: int, sequence: int, delivery: int, data: str
    ) -> Any:
        subject = f"$JS.ACK.{stream}.{consumer}.{attempt}.{sequence}.{delivery}.0.0"
        message = self.request(subject, data.encode(), None)
        return "silence" if message is None else "nobody" if message.headers else "answered"

    def _direct(self, stream: str, subject: str, body: str) -> Any:
        to = f"$JS.API.DIRECT.GET.{stream}" + (f".{subject}" if subject else "")
        return [_shown(message) for message in self.collect(to, body.encode())]

    def state(self) -> Observation:
        """The streams and consumers that there are, as their infos say."""
        found: Observation = {}
        for stream, consumers in self.consumers.items():
            message = self.request(f"$JS.API.STREAM.INFO.{stream}", b"", None)
            info = json.loads(message.data or b"{}") if message is not None else {}
            if "state" not in info:
                found[stream] = _err_code(info)
                continue
            found[stream] = [info["state"].get(key, 0) for key in _STATE]
            for consumer in consumers:
                message = self.request(f"$JS.API.CONSUMER.INFO.{stream}.{consumer}", b"", None)
                info = json.loads(message.data or b"{}") if message is not None else {}
                if "delivered" not in info:
                    found[f"{stream}/{consumer}"] = _err_code(info)
                    continue
                numbers = [info[key] for key in _CONSUMER]
                found[f"{stream}/{consumer}"] = [*numbers, info["delivered"]["consumer_seq"]]
        return found


def _err_code(info: dict[str, Any]) -> int:
    code = info.get("error", {}).get("err_code", 0)
    assert isinstance(code, int)
    return code


def _ack(message: Message | None) -> Any:
    if message is None:
        return "silence"
    if not message.data:
        return "nobody" if message.headers else "empty"
    answer = json.loads(message.data)
    if "error" in answer:
        return [answer["error"]["err_code"], answer["error"]["description"]]
    return [answer["seq"], answer.get("duplicate", False), answer.get("count", 0)]


def _shown(message: Message) -> Any:
    headers = dict(message.headers or {})
    headers.pop("Nats-Time-Stamp", None)
    return [sorted([name, value] for name, value in headers.items()), message.data.decode()]


def _observed(number: int, message: Message) -> list[Any]:
    """A message at an inbox, made comparable."""
    if message.reply.startswith("$JS.ACK."):
        tokens = message.reply.split(".")
        consumer, attempt, sequence, delivery, pending = (
            tokens[3], int(tokens[4]), int(tokens[5]), int(tokens[6]), int(tokens[8]),
        )  # fmt: skip
        facts = [consumer, message.subject, sequence, delivery, attempt, pending]
        return [number, "delivery", *facts, *_shown(message)]
    return [number, "status", *_shown(message)]


def _reads(operation: list[Any]) -> bool:
    return operation[0] == "direct" or ".NAMES." in str(operation[1])


def _starts_a_timer(operation: list[Any]) -> bool:
    return operation[0] in ("ack", "acksync") and str(operation[-1]).startswith("-NAK ")


def _comparable(operation: list[Any], messages: list[list[Any]]) -> list[list[Any]]:
    """Sorted by inbox: consumers deliver side by side, so order only means something within one.

    How many are pending is only comparable where nothing else was going on (ledger 3).
    """
    if operation[0] != "pull":
        messages = [m[:7] + m[8:] if m[1] == "delivery" else m for m in messages]
    return sorted(messages, key=lambda message: int(message[0]))


class ModelTarget(Target):
    """The model, with a clock of its own that moves a little with each operation."""

    def __init__(self, *, servers: int = 1, commit_latency: int = 0) -> None:
        super().__init__()
        self.servers = servers
        self.now = 1_700_000_000_000_000_000
        self.broker = Broker(self._deliver, servers=servers, commit_latency=commit_latency)
        self._client = self.broker.connect()
        self._answers: list[Message] = []
        self._inbox: list[list[Any]] = []
        self.broker.subscribe(self._client, 1, "_INBOX.raw.*")

    def restart(self) -> None:
        """The server is restarted: clients come back with nothing subscribed."""
        self.now += STEP
        self.broker.disconnect(self._client)
        self.broker.model.restart(self.now)
        self._client = self.broker.connect()
        self.broker.subscribe(self._client, 1, "_INBOX.raw.*")

    def _deliver(self, client: int, number: int, message: Message) -> None:
        if number == 1:
            self._answers.append(message)
        else:
            self._inbox.append(_observed(number, message))

    def run(self, operation: list[Any]) -> Observation:
        """Run one operation; returns all that is observed."""
        self.now += STEP
        self.broker.advance(self.now)
        answer = self.answer(operation)
        if _starts_a_timer(operation):
            self.now += round(PAUSE * 1_000_000_000)
            self.broker.advance(self.now)
        messages, self._inbox = _comparable(operation, self._inbox), []
        return {"answer": answer, "messages": messages, "state": self.state()}

    def request(self, subject: str, data: bytes, headers: Headers | None) -> Message | None:
        """See `Target`."""
        found = self.collect(subject, data, headers)
        return found[0] if found else None

    def collect(self, subject: str, data: bytes, headers: Headers | None = None) -> list[Message]:
        """See `Target`."""
        self._answers = []
        self.send(subject, data, headers, "_INBOX.raw.1")
        return self._answers

    def send(self, subject: str, data: bytes, headers: Headers | None, reply: str) -> None:
        """See `Target`."""
        self.broker.publish(self.now, self._client, subject, reply, headers, data)

    def subscribe(self, stream: str, number: int) -> str:
        """See `Target`."""
        inbox = f"_INBOX.{stream}.{number}"
        self.broker.subscribe(self._client, number + 100, inbox)
        return inbox

    def drop(self, stream: str, number: int) -> None:
        """See `Target`."""
        self.broker.unsubscribe(self._client, number + 100)


class ServerTarget(Target):
    """A real server, given time to do what was foreseen and a moment to do more."""

    def __init__(self, client: RawClient, *, replicas: int = 1) -> None:
        super().__init__()
        self._client = client
        self._replicas = replicas
        self._silent = False
        self._numbers: dict[tuple[str, int], int] = {}
        self._inboxes: dict[int, int] = {}

    def restart(self, client: RawClient) -> None:
        """The server was restarted: go on with another client."""
        self._client = client
        self._numbers.clear()
        self._inboxes.clear()

    def run(self, operation: list[Any], foreseen: Observation) -> Observation:
        """Run one operation; returns all that is observed once it is as foreseen, or time is up."""
        self._silent = foreseen["answer"] == "silence"
        answer = self.answer(operation)
        end = time.monotonic() + WAIT
        while self._replicas > 1 and _reads(operation) and answer != foreseen["answer"]:
            # Any replica answers, and may lag behind; so do lists of names.
            answer = self.answer(operation)
            if time.monotonic() > end:
                break
        if _starts_a_timer(operation):
            time.sleep(PAUSE)  # sleeps: the server looks 10 ms after a delayed refusal
        self._silent = False
        count = len(foreseen["messages"])
        self._client.wait(count, WAIT)
        state = self.state()
        end = time.monotonic() + WAIT
        while state != foreseen["state"] and time.monotonic() < end:
            time.sleep(0.002)  # sleeps: until the state is as foreseen, with a bound
            state = self.state()
        arrived = [
            _observed(self._inboxes[number], message) for number, message in self._client.inbox
        ]
        messages = _comparable(operation, arrived)
        self._client.inbox.clear()
        return {"answer": answer, "messages": messages, "state": state}

    def request(self, subject: str, data: bytes, headers: Headers | None) -> Message | None:
        """See `Target`."""
        timeout = SILENCE if self._silent else 5.0
        return self._client.request(subject, data, headers, timeout)

    def collect(self, subject: str, data: bytes) -> list[Message]:
        """See `Target`."""
        inbox = f"{self._client.prefix}collect"
        number = self._client.subscribe(inbox)
        self._client.publish(subject, data, None, inbox)
        found: list[Message] = []
        kept = list(self._client.inbox)
        self._client.inbox.clear()
        while not found or not self._is_last(found[-1], data):
            if not self._client.wait(1, WAIT):
                break
            arrived, message = self._client.inbox.popleft()
            if arrived == number:
                found.append(message)
            else:
                kept.append((arrived, message))
        self._client.unsubscribe(number)
        self._client.inbox.extendleft(reversed(kept))
        return found

    def _is_last(self, message: Message, data: bytes) -> bool:
        many = b"batch" in data or b"multi_last" in data
        return not many or "Status" in (message.headers or {})

    def send(self, subject: str, data: bytes, headers: Headers | None, reply: str) -> None:
        """See `Target`."""
        self._client.publish(subject, data, headers, reply)
        self._client.flush()

    def post(self, subject: str, data: bytes, headers: Headers | None) -> None:
        """See `Target`."""
        self._client.publish(subject, data, headers)

    def subscribe(self, stream: str, number: int) -> str:
        """See `Target`."""
        inbox = f"_INBOX.{stream}.{number}"
        own = self._client.subscribe(inbox)
        self._numbers[stream, number] = own
        self._inboxes[own] = number + 100
        return inbox

    def drop(self, stream: str, number: int) -> None:
        """See `Target`."""
        if (stream, number) in self._numbers:
            self._client.unsubscribe(self._numbers[stream, number])
            self._client.flush()
