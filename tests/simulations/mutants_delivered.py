"""Bugs in how commands come to their agents, and in what acknowledging them gives back."""

from tests.simulations.mutant import Mutant

WAITING = "agents/moonlet/agents/deciding/waiting.py"
CONSUMER = "streams/moonlet/streams/reading/consumer.py"

DELIVERED: tuple[Mutant, ...] = (
    Mutant(
        "put-back-at-the-end",
        "what is put back goes to the end of its lane",
        (
            (
                WAITING,
                "        self._lane(queued.lane).appendleft(queued)\n",
                "        self._lane(queued.lane).append(queued)\n",
            ),
        ),
    ),
    Mutant(
        "silent-pull",
        "a pull that is never answered is waited for, for ever",
        (
            (
                CONSUMER,
                "        if self._end and not self._closed:\n",
                "        if self._end < 0:\n",
            ),
        ),
    ),
    Mutant(
        "no-renewal-at-reconnect",
        "consumers are not made anew at a reconnect, nor after a silence",
        (
            (CONSUMER, "bus.on_reconnect(self.renew)", "bus.on_reconnect(lambda: None)"),
            (CONSUMER, "SILENCE: Final = 3.0", "SILENCE: Final = 3_000.0"),
        ),
    ),
    Mutant(
        "gap-ignored",
        "a gap in deliveries is not noticed",
        (
            (
                CONSUMER,
                "            if first != expected or last != self._next - 1:\n",
                "            if first < 0:\n",
            ),
        ),
    ),
    Mutant(
        "lost-deliveries-ignored",
        "the server says it has sent more than arrived, and nobody minds",
        (
            (
                CONSUMER,
                "            if self._arrived + status.missing < end:\n",
                "            if self._arrived + status.missing < 0:\n",
            ),
        ),
    ),
    Mutant(
        "credit-leaks",
        "an acknowledged delivery keeps its credit",
        ((CONSUMER, "            self._held -= 1\n", ""),),
    ),
    Mutant(
        "former-consumers-stay",
        "a new owner leaves the consumers of the former one",
        (
            (
                CONSUMER,
                "            if int(revision) < terms.revision or head != terms.family:\n",
                "            if int(revision) < 0:\n",
            ),
        ),
    ),
    Mutant(
        "confirmations-not-counted",
        "what the server confirms as removed stands in the way for ever",
        ((CONSUMER, "        self._confirmed = count\n", ""),),
    ),
)
