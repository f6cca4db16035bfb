"""Rules of the model, each with a change that breaks it."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """`old` stands once in the package's module `module`; with `new` instead the rule is broken."""

    rule: str
    module: str
    old: str
    new: str


MUTANTS = [
    Mutant(
        "one server looks at expectations before message ids",
        "stream.intake",
        "            headers = judge_single(stream, now, subject, headers, data)\n",
        "            id = stream.duplicates.find(headers.get(fields.MESSAGE_ID, ''), now)\n"
        "            if id is not None:\n"
        "                raise Duplicate(id)\n"
        "            headers = judge_single(stream, now, subject, headers, data)\n",
    ),
    Mutant(
        "a cluster looks at message ids before expectations",
        "stream.publishing",
        "        _check_staged_id(stream, now, staged, headers)\n"
        "        _check_source(headers)\n"
        "        _check_staged_expectations(stream, staged, subject, headers)\n",
        "        _check_source(headers)\n"
        "        _check_staged_expectations(stream, staged, subject, headers)\n"
        "        _check_staged_id(stream, now, staged, headers)\n",
    ),
    Mutant(
        "a message id counts for the whole stream",
        "stream.publishing",
        "        known = stream.duplicates.find(id, now)\n"
        "        if known is not None:\n"
        "            raise Duplicate(known)\n"
        "    if rare:",
        "        known = stream.duplicates.find(id, now)\n"
        "        found = stream.store.messages.get(known or 0)\n"
        "        if known is not None and found is not None and found.subject == subject:\n"
        "            raise Duplicate(known)\n"
        "    if rare:",
    ),
    Mutant(
        "a message id is forgotten after the window",
        "stream.duplicates",
        "            if now - known[oldest][1] < self.window:",
        "            if now - known[oldest][1] < self.window * 9:",
    ),
    Mutant(
        "an expectation may be about another subject",
        "stream.publishing",
        "        last = stream.store.last_of(other or subject)\n",
        "        last = stream.store.last_of(subject)\n",
    ),
    Mutant(
        "a subject is expected once in a batch",
        "stream.staging",
        "        if subject in self.writes:\n            raise refused(10164)\n",
        "",
    ),
    Mutant(
        "a batch is stored whole or not at all",
        "stream.intake",
        "            staged, members = self._judge_batch(now, members)\n",
        "            self.store(now, *members[0])\n"
        "            staged, members = self._judge_batch(now, members)\n",
    ),
    Mutant(
        "a batch has no gaps",
        "stream.batches",
        "sequence != len(batch.members) + 1",
        "sequence == 0",
    ),
    Mutant(
        "a batch is abandoned in time",
        "stream.batches",
        "TIMEOUT: Final = 10_000_000_000",
        "TIMEOUT: Final = 90_000_000_000",
    ),
    Mutant(
        "a full subject refuses what is new",
        "stream.stream",
        "        if full and config.discard_new_per_subject and not rolled:\n",
        "        if False:\n",
    ),
    Mutant(
        "a limit per subject drops the oldest",
        "stream.stream",
        "            for sequence in same[: len(same) - config.max_msgs_per_subject]:\n",
        "            for sequence in same[config.max_msgs_per_subject :]:\n",
    ),
    Mutant(
        "a message that limits remove is pending no more",
        "consumer.consumer",
        "            self.context.release(self, sequence, known.delivery)\n",
        "            pass\n",
    ),
    Mutant(
        "refused messages come back in the order of refusal",
        "consumer.consumer",
        "            sequence, _ = ledger.again.popitem(last=False)\n",
        "            sequence = min(ledger.again)\n            del ledger.again[sequence]\n",
    ),
    Mutant(
        "a purge forgets queued redeliveries",
        "consumer.ledger",
        "        kept = [sequence for sequence in self.again if sequence >= self.sequence]\n",
        "        kept = list(self.again)\n",
    ),
    Mutant(
        "deliveries stop at the limit of unacknowledged ones",
        "consumer.consumer",
        "        if 0 < self.config.max_ack_pending <= len(ledger.pending):\n"
        "            return None, 0\n",
        "",
    ),
    Mutant(
        "a message is delivered so often and no more",
        "consumer.ledger",
        "        if self.max_deliver < 1 or repeats < self.max_deliver:\n",
        "        if self.max_deliver < 1 or repeats <= self.max_deliver:\n",
    ),
    Mutant(
        "a refused message is delivered so often and no more",
        "consumer.consumer",
        "            if 0 < ledger.max_deliver < attempt:\n",
        "            if 0 < ledger.max_deliver < attempt - 1:\n",
    ),
    Mutant(
        "redeliveries go out before what is new",
        "consumer.consumer",
        "        while ledger.again:\n",
        "        while ledger.again and not self.unread.count:\n",
    ),
    Mutant(
        "a message comes again when its wait is over",
        "consumer.consumer",
        "            wait=config.ack_wait,\n",
        "            wait=config.ack_wait * 2,\n",
    ),
    Mutant(
        "work in progress begins the wait anew",
        "consumer.consumer",
        "                known.since = now\n",
        "                pass\n",
    ),
    Mutant(
        "requests are served in turn",
        "consumer.pulls",
        "                    queue.rotate(-1)\n",
        "                    pass\n",
    ),
    Mutant(
        "an expired request says how many are missing",
        "consumer.pulls",
        'status(408, "Request Timeout", waiting.missing)',
        'status(408, "Request Timeout", 0)',
    ),
    Mutant(
        "a request that doesn't wait ends at the end",
        "consumer.pulls",
        "(not waiting.expires or waiting.delivered)",
        "False",
    ),
    Mutant(
        "an acknowledged message leaves the work queue",
        "stream.stream",
        "        if message is not None and not self._needed(sequence, message.subject, None):\n",
        "        if False:\n",
    ),
    Mutant(
        "filters on a work queue don't overlap",
        "model.catalog",
        "            raise refused(10100)\n",
        "            pass\n",
    ),
    Mutant(
        "a work queue wants explicit acknowledgements",
        "model.catalog",
        "        raise refused(10098)\n",
        "        pass\n",
    ),
    Mutant(
        "a schedule's message id is not fired",
        "stream.schedules",
        "dropped = (fields.MESSAGE_ID, ",
        "dropped = (",
    ),
    Mutant(
        "a schedule that fired is gone",
        "stream.schedules",
        '    headers[fields.SCHEDULE_NEXT] = "purge"\n',
        "",
    ),
    Mutant(
        "another message on its subject replaces a schedule",
        "stream.schedules",
        "        elif not headers.get(fields.SCHEDULER):\n",
        "        elif False:\n",
    ),
    Mutant(
        "a time to live ends",
        "stream.expiry",
        "        while self._due and self._due[0][0] <= now:\n",
        "        while False:\n",
    ),
    Mutant(
        "a time to live is at least a second",
        "headers",
        "        return length // SECOND if length >= SECOND else None\n",
        "        return length // SECOND\n",
    ),
    Mutant(
        "deny flags are never taken back",
        "configs",
        "    if old.deny_delete and not new.deny_delete:\n",
        "    if False:\n",
    ),
    Mutant(
        "an immutable stream is not purged",
        "model.api",
        "    if stream.config.deny_purge:\n",
        "    if False:\n",
    ),
    Mutant(
        "a restart forgets the ids of removed messages",
        "stream.stream",
        "        self.duplicates.clear()\n",
        "",
    ),
    Mutant(
        "a restart forgets queued redeliveries",
        "consumer.consumer",
        "        self.ledger.again.clear()\n        if self.stream",
        "        if self.stream",
    ),
    Mutant(
        "streams in memory end with the server",
        "model.model",
        '            if stream.config.storage == "memory":\n',
        "            if False:\n",
    ),
]
