"""Generated work for a JetStream server: concrete operations that any server can be given.

An episode is one stream with consumers and what clients do to it. The generator runs a model
beside, only to choose interesting values (the right sequence, a delivery that is still open).
"""

import json
from random import Random
from typing import Any

from moonlet.simulations.jetstream.subjects import collide, matches
from tests.simulations.jetstream.targets import ModelTarget, Observation

Operation = list[Any]
Step = tuple[Operation, Observation]
SECOND = 1_000_000_000
LONG = 300 * SECOND  # no timer of an episode ever rings
IDS = ("i1", "i2", "i3", "i4")


class Episode:
    """Operations in order; `make` gives the next one, having seen what the last one did."""

    def __init__(self, seed: str, number: int, *, replicas: int = 1) -> None:
        self.random = Random(f"{seed}/{number}")
        self.name = f"E{number}"
        self.replicas = replicas
        self.target = ModelTarget(servers=3 if replicas > 1 else 1)
        self.stream: dict[str, Any] = {}
        self.consumers: dict[str, dict[str, Any]] = {}
        self.open: list[tuple[str, int, int, int]] = []
        self.settled: list[tuple[str, int, int, int]] = []
        self.inboxes: dict[int, str] = {}
        self.count = 0

    def run(self, length: int) -> list[Step]:
        """Begin, make about `length` operations, end; and what the model observed at each."""
        return [*self.begin(), *self.go_on(length - 7), *self.end()]

    def begin(self) -> list[Step]:
        """Create the stream and some consumers."""
        count = self.random.randint(1, 3)
        return [
            self._do(self._create_stream()),
            *(self._do(self._create_consumer()) for _ in range(count)),
        ]

    def go_on(self, length: int) -> list[Step]:
        """Make `length` operations of any kind."""
        return [self._do(self._any()) for _ in range(length)]

    def end(self) -> list[Step]:
        """Delete everything; consumers first (ledger 2)."""
        requests = [f"CONSUMER.DELETE.{self.name}.{name}" for name in ("d1", "d2", "d3")]
        requests.append(f"STREAM.DELETE.{self.name}")
        return [self._do(self._api(request, None)) for request in requests]

    def restart(self) -> None:
        """The server is restarted: inboxes are gone."""
        self.target.restart()
        self.inboxes.clear()

    def _do(self, operation: Operation) -> Step:
        observation = self.target.run(operation)
        for _, kind, *facts in observation.get("messages", ()):
            if kind == "delivery":
                consumer, _, sequence, delivery, attempt = facts[:5]
                self.open.append((consumer, attempt, sequence, delivery))
        return operation, observation

    def _any(self) -> Operation:
        kinds = {
            self._publish: 34,
            self._batch: 8,
            self._pull: 15,
            self._settle: 16,
            self._delete: 4,
            self._purge: 4,
            self._get: 5,
            self._direct: 5,
            self._administer: 6,
            self._drop_inbox: 2,
            self._update_stream: 1,
        }
        return self.random.choices(list(kinds), list(kinds.values()))[0]()

    # parts

    def _pick(self, *values: Any) -> Any:
        return self.random.choice(values)

    def _chance(self, share: float) -> bool:
        return self.random.random() < share

    def _subject(self) -> str:
        return f"{self.name}.{self._pick('a', 'b', 'c.x', 'c.y', 'c.z')}"

    def _pattern(self) -> str:
        end = self._pick("a", "b", "c.x", "c.*", "*", ">", "c.>", "*.x", "none")
        return f"{self.name}.{end}"

    def _api(self, request: str, body: object) -> Operation:
        return ["api", f"$JS.API.{request}", "" if body is None else json.dumps(body)]

    def _last(self, subject: str) -> int:
        stream = self.target.broker.model.streams.get(self.name)
        return stream.store.last_of(subject) if stream is not None else 0

    def _last_sequence(self) -> int:
        stream = self.target.broker.model.streams.get(self.name)
        return stream.store.last if stream is not None else 0

    # streams

    def _create_stream(self) -> Operation:
        config: dict[str, Any] = {
            "name": self.name,
            "subjects": [f"{self.name}.>"],
            "storage": self._pick("file", "memory"),
            "num_replicas": self.replicas,
            "retention": self._pick("limits", "limits", "limits", "workqueue", "interest"),
            "allow_direct": True,
            "allow_atomic": self._chance(0.7),
            "allow_msg_ttl": self._chance(0.5),
            "allow_rollup_hdrs": self._chance(0.3),
            "deny_delete": self._chance(0.2),
        }
        if not config["allow_rollup_hdrs"]:
            config["deny_purge"] = self._chance(0.2)
        if self._chance(0.4):
            config["max_msgs_per_subject"] = self._pick(1, 2, 3)
        if self._chance(0.3):
            config["max_msgs"] = self._pick(5, 9)
        if self._chance(0.15):
            config["max_bytes"] = self._pick(400, 900)
        if self._chance(0.1):
            config["max_msg_size"] = self._pick(60, 120)
        if self._chance(0.4):
            config["discard"] = "new"
            config["discard_new_per_subject"] = "max_msgs_per_subject" in config
            if config["discard_new_per_subject"] and config["allow_atomic"]:  # ledger 1
                config.pop("max_msgs", None)
                config.pop("max_bytes", None)
        else:
            config["allow_msg_schedules"] = self._chance(0.3)
        if self.replicas > 1 and config["retention"] == "interest":
            config["retention"] = "workqueue"
        self.stream = config
        return self._api(f"STREAM.CREATE.{self.name}", config)

    def _update_stream(self) -> Operation:
        config = dict(self.stream)
        key = self._pick("max_msgs", "max_msgs_per_subject", "deny_delete", "deny_purge", "x")
        if key in ("max_msgs", "max_msgs_per_subject"):
            if not config.get("discard_new_per_subject"):
                config[key] = self._pick(-1, 2, 4, 8)
        elif key == "x":
            config[self._pick("unknown", "max_msgz")] = 1
        else:
            config[key] = not config.get(key, False)
        operation = self._api(f"STREAM.UPDATE.{self.name}", config)
        if key != "x":
            probe = ModelTarget(servers=self.target.servers)
            probe.run(self._api(f"STREAM.CREATE.{self.name}", self.stream))
            if probe.run(operation)["answer"] == "ok":
                self.stream = config
        return operation

    # consumers

    def _create_consumer(self) -> Operation:
        name = self._pick("d1", "d2", "d3")
        config: dict[str, Any] = {
            "durable_name": name,
            "name": name,
            "ack_policy": self._pick("explicit", "explicit", "explicit", "explicit", "all", "none"),
            "deliver_policy": "all",
        }
        if config["ack_policy"] != "none":
            config["ack_wait"] = LONG
            if self._chance(0.4):
                config["max_deliver"] = self._pick(1, 2, 3)
            if self._chance(0.5):
                config["max_ack_pending"] = self._pick(-1, 1, 2, 4)
        if self._chance(0.7):
            config["filter_subject"] = self._pattern()
        elif self._chance(0.4):
            patterns = sorted({self._pattern(), self._pattern()})
            if _overlap_in_part(*patterns[:2]):
                patterns.pop()
            config["filter_subjects"] = patterns
        if self._chance(0.3):
            policy = self._pick(
                "new", "last", "last_per_subject", "last_per_subject", "by_start_sequence"
            )
            if policy == "by_start_sequence" and self.stream["retention"] == "interest":
                policy = "all"  # ledger 5
            config["deliver_policy"] = policy
            if policy == "by_start_sequence":
                config["opt_start_seq"] = self.random.randint(1, 12)
        if self._chance(0.1):
            config["max_waiting"] = self._pick(1, 2)
        if self._chance(0.1):
            config["max_batch"] = 2
        if self._chance(0.04):
            config[self._pick("opt_start_seq", "max_deliver", "nonsense")] = 3
        self.consumers[name] = config
        return self._create(name, config)

    def _create(self, name: str, config: dict[str, Any]) -> Operation:
        stream = self.target.broker.model.streams.get(self.name)
        known = stream.consumers.get(name) if stream is not None else None
        filtered = "filter_subject" in config or "filter_subjects" in config
        if known is not None and self.replicas > 1:  # ledger 7
            config = {k: v for k, v in config.items() if not k.startswith("filter_subject")}
            config |= {"filter_subjects": list(known.filters)} if known.filters else {}
        elif self.replicas > 1 and not filtered and self.stream["retention"] == "workqueue":
            config = {**config, "filter_subject": f"{self.name}.>"}  # ledger 7
        elif known is not None and known.filters and not filtered:  # ledger 4
            config = {**config, "filter_subject": f"{self.name}.>"}
        request: dict[str, Any] = {"stream_name": self.name, "config": config}
        if action := self._pick("", "", "create", "update"):
            request["action"] = action
        subject = f"CONSUMER.CREATE.{self.name}.{name}"
        if config.get("filter_subject") and self._chance(0.5):
            subject += f".{config['filter_subject']}"
        return self._api(subject, request)

    def _administer(self) -> Operation:
        name = self._pick("d1", "d2", "d3")
        kind = self._pick("create", "change", "delete", "names", "subjects", "info")
        if kind == "create":
            return self._create_consumer()
        if kind == "change" and name in self.consumers:
            config = dict(self.consumers[name])
            key = self._pick("max_ack_pending", "max_deliver", "filter_subject", "ack_policy")
            values = {
                "max_ack_pending": self._pick(1, 2, 5, -1),
                "max_deliver": self._pick(-1, 2, 4),
                "filter_subject": self._pattern(),
                "ack_policy": "explicit",
            }
            config[key] = values[key]
            if key == "filter_subject":
                config.pop("filter_subjects", None)
            return self._create(name, config)
        if kind == "delete":
            return self._api(f"CONSUMER.DELETE.{self.name}.{name}", None)
        if kind == "names":
            return self._api(f"CONSUMER.NAMES.{self.name}", {"offset": 0})
        if kind == "subjects":
            return self._api(f"STREAM.INFO.{self.name}", {"subjects_filter": self._pattern()})
        return self._api(f"CONSUMER.INFO.{self.name}.{name}", None)

    def _pull(self) -> Operation:
        self.count += 1
        name = self._pick("d1", "d2", "d3")
        self.inboxes[self.count] = name
        body: dict[str, Any] = {"batch": self.random.randint(1, 4)}
        if self._chance(0.4):
            body["no_wait"] = True
        if not body.get("no_wait") or self._chance(0.3):
            body["expires"] = LONG
        return ["pull", self.name, name, self.count, json.dumps(body)]

    def _drop_inbox(self) -> Operation:
        if not self.inboxes:
            return self._pull()
        number = self._pick(*self.inboxes)
        del self.inboxes[number]
        return ["drop", self.name, number]

    def _settle(self) -> Operation:
        if not self.open:
            return self._pull()
        if self.settled and self._chance(0.1):
            chosen = self._pick(*self.settled)
        else:
            place = min(self.random.randrange(len(self.open)), self.random.randrange(9))
            chosen = self.open[place]
            if self._chance(0.85):
                self.open.remove(chosen)
                self.settled.append(chosen)
        consumer, attempt, sequence, delivery = chosen
        if self._chance(0.02):
            sequence += 50
        payload = self.random.choices(
            ["+ACK", "", "-NAK", '-NAK {"delay": 3600000000000}', "-NAK 1h", "+TERM", "+WPI", "?"],
            [8, 4, 6, 1, 1, 2, 1, 0.3],
        )[0]
        kind = "acksync" if self._chance(0.3) else "ack"
        return [kind, self.name, consumer, attempt, sequence, delivery, payload]

    # messages

    def _headers(self, subject: str) -> dict[str, str]:
        headers: dict[str, str] = {}
        if self._chance(0.3):
            headers["Nats-Msg-Id"] = self._pick(*IDS)
        if self._chance(0.35):
            of = subject
            if self._chance(0.25):
                of = self._subject()
                headers["Nats-Expected-Last-Subject-Sequence-Subject"] = of
            if not self._chance(0.05):
                right = str(self._last(of))
                headers["Nats-Expected-Last-Subject-Sequence"] = self._pick(
                    right, right, right, "0", "3", "x"
                )
        if self._chance(0.06):
            right = str(self._last_sequence())
            headers["Nats-Expected-Last-Sequence"] = self._pick(right, right, "2", "x")
        if self._chance(0.03):
            headers["Nats-Expected-Stream"] = self._pick(self.name, "other")
        if self._chance(0.04) and self.replicas == 1:  # ledger 6
            headers["Nats-Expected-Last-Msg-Id"] = self._pick(*IDS)
        if self._chance(0.08):
            headers["Nats-TTL"] = self._pick("500ms", "0", "1h", "3600", "never", "x", "-5", "2h3m")
        if self._chance(0.06):
            headers["Nats-Rollup"] = self._pick("sub", "all", "SUB", "x")
        if self._chance(0.06):
            self._add_schedule(headers, subject)
        if self._chance(0.02):
            headers[self._pick("Nats-Incr", "Nats-Stream-Source")] = self._pick("+1", "x")
        if self._chance(0.2):
            headers["Own"] = self._pick("v", "wäre", "")
        return headers

    def _add_schedule(self, headers: dict[str, str], subject: str) -> None:
        if self._chance(0.3):
            headers["Nats-Scheduler"] = self._subject()
            if self._chance(0.8):
                headers["Nats-Schedule-Next"] = self._pick("purge", "purge", "purge", "x")
            return
        headers["Nats-Schedule"] = self._pick(
            "@at 2096-01-02T03:04:05Z", "@at 2096-01-02T03:04:05.5+01:00", "@at noon", "nonsense"
        )
        if self._chance(0.9):
            headers["Nats-Schedule-Target"] = self._pick(
                self._subject(), self._subject(), subject, "elsewhere.x", f"{self.name}.*"
            )
        if self._chance(0.2):
            headers["Nats-Schedule-TTL"] = self._pick("1h", "1ms")
        if self._chance(0.1):
            headers["Nats-Schedule-Source"] = self._pick(self._subject(), "elsewhere.x")
        if self._chance(0.1):
            headers["Nats-Schedule-Rollup"] = self._pick("sub", "all")

    def _data(self) -> str:
        return "x" * int(self._pick(0, 1, 5, 30, 90))

    def _publish(self) -> Operation:
        subject = self._subject()
        if self._chance(0.01):
            subject = f"no.{self.name}"
        return ["publish", subject, self._headers(subject), self._data()]

    def _batch(self) -> Operation:
        self.count += 1
        members: list[list[Any]] = []
        for number in range(1, self.random.randint(1, 5) + 1):
            subject = self._subject()
            headers = self._headers(subject) if self._chance(0.5) else {}
            headers |= {
                "Nats-Batch-Id": f"b{self.count}",
                "Nats-Batch-Sequence": str(number),
            }
            members.append([subject, headers, self._data()])
        last = members[-1][1]
        last["Nats-Batch-Commit"] = self._pick("1", "1", "1", "1", "1", "1", "eob", "x")
        if self.stream.get("discard") == "new" and "max_bytes" in self.stream:  # ledger 1
            last["Nats-Batch-Commit"] = "1"
        if self._chance(0.08):
            broken = self._pick(*members)[1]
            broken.update(
                self._pick(
                    {"Nats-Batch-Sequence": "9"},
                    {"Nats-Batch-Sequence": "x"},
                    {"Nats-Batch-Id": "l" * 65},
                    {"Nats-Batch-Sequence": "2000"},
                )
            )
        return ["batch", members]

    def _delete(self) -> Operation:
        body = {"seq": self.random.randint(1, max(self._last_sequence(), 1) + 1)}
        if self._chance(0.5):
            body["no_erase"] = True
        return self._api(f"STREAM.MSG.DELETE.{self.name}", body)

    def _purge(self) -> Operation:
        body: dict[str, Any] = {}
        if self._chance(0.8):
            body["filter"] = self._pattern()
        if self._chance(0.2):
            body["keep"] = self._pick(1, 2)
        elif self._chance(0.2):
            body["seq"] = self.random.randint(1, self._last_sequence() + 1)
            stream = self.target.broker.model.streams.get(self.name)
            if "filter" not in body and stream and stream.store.misplaces_first(body["seq"]):
                del body["seq"]  # ledger 5
        return self._api(f"STREAM.PURGE.{self.name}", body or None)

    def _request(self) -> dict[str, Any]:
        kind = self._pick("seq", "last", "next", "odd")
        if kind == "seq":
            return {"seq": self.random.randint(1, self._last_sequence() + 2)}
        if kind == "last":
            return {"last_by_subj": self._pattern()}
        if kind == "next":
            return {"seq": self.random.randint(0, 8), "next_by_subj": self._pattern()}
        return self._pick({}, {"seq": 1, "last_by_subj": self._subject()})  # type: ignore[no-any-return]

    def _get(self) -> Operation:
        return self._api(f"STREAM.MSG.GET.{self.name}", self._request())

    def _direct(self) -> Operation:
        if self._chance(0.15):
            return ["direct", self.name, self._subject(), ""]
        body = self._request()
        if self._chance(0.3):
            body = {"multi_last": sorted({self._pattern() for _ in range(2)})}
            if self._chance(0.3):
                body["up_to_seq"] = self.random.randint(1, 12)
        if "last_by_subj" not in body and self._chance(0.6):
            body["batch"] = self.random.randint(1, 6)
        return ["direct", self.name, "", json.dumps(body)]


def _overlap_in_part(first: str, second: str = "-") -> bool:
    """Whether neither pattern covers the other, but both cover some subject: not simulated."""
    if matches(first, second) or matches(second, first):
        return False
    return collide(first, second)
