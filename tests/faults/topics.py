"""Faults in topics: what is published, who hears of it, and how long it is kept for them."""

from tests.faults.commands import AGENTS
from tests.faults.fault import Fault

TOPICS = "tests/agents/test_topics.py::"

TOPIC_FAULTS: tuple[Fault, ...] = (
    Fault(
        "P1",
        TOPICS + "test_a_killed_subscriber_goes_on_where_it_was",
        "a subscriber that comes back begins with what is new",
        (
            (
                AGENTS + "topics/subscription.py",
                'name or f"listens={bus.entropy.token()}"',
                'f"listens={bus.entropy.token()}"',
            ),
        ),
    ),
    Fault(
        "P1",
        TOPICS + "test_a_message_comes_again_until_it_is_acknowledged",
        "what is asked for again is acknowledged",
        (
            (
                AGENTS + "topics/subscription.py",
                'self._post(held, b"-NAK" + delay)',
                'self._post(held, b"+ACK")',
            ),
        ),
    ),
    Fault(
        "P1",
        TOPICS + "test_a_group_shares_the_messages_and_who_leaves_hands_on",
        "who leaves a group acknowledges what it has",
        (
            (
                AGENTS + "topics/subscription.py",
                'self._post(delivery, b"-NAK")',
                'self._post(delivery, b"+ACK")',
            ),
        ),
    ),
    Fault(
        "P10",
        TOPICS + "test_who_never_acknowledges_is_told_and_holds_no_more_than_asked",
        "who never acknowledges waits for ever",
        (
            (
                AGENTS + "topics/subscription.py",
                "if len(self._out) < self._prefetch:",
                "if len(self._out) <= self._prefetch:",
            ),
        ),
    ),
    Fault(
        "bad input",
        TOPICS + "test_foreign_bytes_in_a_topic_stop_nobody",
        "a message is read as whatever its reader wants",
        (
            (
                AGENTS + "topics/topic_message.py",
                'if self.name not in ("", known.name):',
                'if self.name == "?":',
            ),
        ),
    ),
    Fault(
        "P1",
        TOPICS + "test_who_leaves_all_that_it_may_hold_has_it_again",
        "what is left unacknowledged holds its room for ever",
        (
            (
                AGENTS + "topics/subscription.py",
                "        self._out.clear()\n        if self._consumer is not None:\n",
                "        if False:\n",
            ),
        ),
    ),
    Fault(
        "P1",
        TOPICS + "test_who_was_away_too_long_is_told_how_much_is_gone",
        "what the limits removed is not counted",
        (
            (
                "streams/moonlet/streams/reading/topics.py",
                "max(0, facts.first - 1 - floor) if floor else 0",
                "0",
            ),
        ),
    ),
)
