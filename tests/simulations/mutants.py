"""Bugs of the write path, planted one at a time: the suite's scenarios must find each.

`python -m tests.simulations.mutants` runs them by `tests.simulations.mutation`. A mutant whose old
text is not found exactly once is an error, so that this table can't rot unseen.
"""

from tests.simulations.mutant import Mutant
from tests.simulations.mutants_delivered import DELIVERED
from tests.simulations.mutants_memory import MEMORY

LIVE = "agents/moonlet/agents/live/live_agent.py"
DECIDE = "agents/moonlet/agents/deciding/decide.py"
KNOWN = "agents/moonlet/agents/deciding/known.py"
OUTBOX = "agents/moonlet/agents/effects/outbox.py"
CAUSES = "agents/moonlet/agents/effects/causes.py"
POLICY = "agents/moonlet/agents/recovery/snapshot_policy.py"
RECOVERY = "agents/moonlet/agents/recovery/tail.py"
PARTITION = "agents/moonlet/agents/owner/owned_partition.py"
CALLS = "agents/moonlet/agents/calls/call_runner.py"
DESK = "agents/moonlet/agents/answering/owner_service.py"
COMMIT = "streams/moonlet/streams/journal/group_commit.py"
SNAPSHOTS = "streams/moonlet/streams/journal/snapshots.py"
WINDOWS = "core/moonlet/core/memory/windows.py"
FOLD = "core/moonlet/core/fold.py"

ACKNOWLEDGED: tuple[Mutant, ...] = (
    Mutant(
        "ack-before-dispatch",
        "a command is acknowledged before its effects are out",
        (
            (
                LIVE,
                "        def out() -> None:\n            pending.queued.acknowledge()\n",
                "        pending.queued.acknowledge()\n\n        def out() -> None:\n",
            ),
        ),
    ),
    Mutant(
        "ack-before-commit",
        "a command is acknowledged before its commit has landed",
        (
            (
                LIVE,
                "            self._enter(Phase.APPENDING)\n",
                "            self._enter(Phase.APPENDING)\n"
                "        for pending in chain.commits:\n"
                "            pending.queued.acknowledge()\n",
            ),
        ),
    ),
    Mutant(
        "ack-of-a-redelivery",
        "a redelivery is acknowledged while the effects of its commit are on their way",
        (
            (
                LIVE,
                "        if outbox is None or outbox.empty:\n            queued.acknowledge()\n",
                "        if outbox is None or queued:\n            queued.acknowledge()\n",
            ),
        ),
    ),
    Mutant(
        "refusal-without-commit",
        "a refusal on the state in memory is acknowledged without an append",
        (
            (
                DECIDE,
                "        if isinstance(verdict, PendingCommit):\n",
                "        if isinstance(verdict, PendingCommit) and"
                ' verdict.commit.outcome == "rejected":\n'
                "            settled.append((queued, Verdict.DONE))\n"
                "        elif isinstance(verdict, PendingCommit):\n",
            ),
        ),
    ),
    Mutant(
        "timeout-is-failure",
        "an append without an answer has failed: its commands are given up",
        (
            (
                LIVE,
                "        self._drop_chain()\n        if isinstance(",
                '        if type(error).__name__ == "Unavailable" and self._chain is not None:\n'
                "            for decided in self._chain.land():\n"
                "                decided.item.acknowledge()\n"
                "        self._drop_chain()\n        if isinstance(",
            ),
        ),
    ),
    Mutant(
        "timeout-is-success",
        "an append without an answer has succeeded",
        (
            (
                COMMIT,
                "append.tell([future.result().sequence] if error is None else error)",
                "append.tell(\n"
                "                [future.result().sequence]\n"
                "                if error is None\n"
                "                else [append.expected + 1]\n"
                "                if isinstance(error, Unavailable)\n"
                "                else error\n"
                "            )",
            ),
        ),
    ),
    Mutant(
        "call-ack-before-result",
        "a call is acknowledged before its result has landed",
        (
            (
                CALLS,
                "        alive = asyncio.get_running_loop()",
                "        js.acknowledge(delivery.reply)\n"
                "        alive = asyncio.get_running_loop()",
            ),
        ),
    ),
)

APPENDED: tuple[Mutant, ...] = (
    Mutant(
        "id-on-the-journal",
        "commits carry a message id, made of agent and place",
        (
            (
                COMMIT,
                "{**headers, **expected}",
                '{**headers, EXPECTED_LAST: str(append.expected), "Nats-Msg-Id":'
                ' f"{append.subject}/{append.expected}"}',
            ),
        ),
    ),
    Mutant(
        "no-compare-single",
        "a single append has no compare-and-set",
        ((COMMIT, "{**headers, **expected}", "headers"),),
    ),
    Mutant(
        "no-compare-batch",
        "a batch has no compare-and-set",
        ((COMMIT, "{**headers, EXPECTED_LAST: str(expected)}", "dict(headers)"),),
    ),
    Mutant(
        "batch-half-applied",
        "a batch goes out as single messages: some may land without the others",
        (
            (
                COMMIT,
                "            future = self._js.publish_batch(messages, timeout=self._timeout)\n",
                "            for message in messages:\n"
                "                future = self._publish(\n"
                "                    message.subject, message.data, message.headers\n"
                "                )\n"
                "                future.add_done_callback(lambda one: one.exception())\n",
            ),
        ),
    ),
    Mutant(
        "blind-retry",
        "after a conflict the same commit is tried again at the sequence that the server named",
        (
            (
                LIVE,
                "        if isinstance(error, Conflict):\n            reached(",
                '        named = str(error).rpartition(": ")[2]\n'
                "        if isinstance(error, Conflict) and named.isdigit() and self.fold:\n"
                "            self.fold.sequence = int(named)\n"
                "            self.wake()\n"
                "            return\n"
                "        if isinstance(error, Conflict):\n            reached(",
            ),
        ),
    ),
    Mutant(
        "retry-without-reading",
        "after a conflict or a timeout the commands are decided again on the state in memory",
        (
            (
                LIVE,
                "        self.reread()\n\n    def _drop_chain",
                "        self._enter(Phase.RUNNING)\n        self.wake()\n\n    def _drop_chain",
            ),
        ),
    ),
    Mutant(
        "chain-on-old-state",
        "a command is decided on the state before the chain it is part of",
        ((DECIDE, "    state = chain.state\n", "    state = fold.state\n"),),
    ),
    Mutant(
        "chain-names-wrong-commit",
        "a commit of a chain names the digest of the commit before the chain",
        ((DECIDE, "previous_digest=chain.digest", "previous_digest=fold.digest"),),
    ),
    Mutant(
        "twice-in-a-chain",
        "a duplicate of a command in the same chain is not noticed",
        (
            (
                DECIDE,
                "    if verdict is None and ahead and chain.holds(",
                "    if verdict is None and chain.revision < 0 and chain.holds(",
            ),
        ),
    ),
    Mutant(
        "clock-goes-back",
        "a commit's time is the host's own: no heed is paid to times read",
        (
            (DECIDE, "    if time <= chain.time:", "    if time.counter < 0:"),
            (PARTITION, "        services.hlc.observe(", "        (lambda *_: None)("),
        ),
    ),
)

EFFECTS: tuple[Mutant, ...] = (
    Mutant(
        "effects-before-commit",
        "effects go out while their commit is on its way",
        (
            (
                LIVE,
                "            self._enter(Phase.APPENDING)\n",
                "            self._enter(Phase.APPENDING)\n"
                "        for pending in chain.commits:\n"
                "            indexes = indexes_to_dispatch(pending.commit)\n"
                "            if indexes:\n"
                "                self._owner.outbox(self.id).add(\n"
                "                    pending.commit, pending.encoding, indexes, lambda: None\n"
                "                )\n",
            ),
        ),
    ),
    Mutant(
        "many-in-flight",
        "several sends to one receiver are in flight at once",
        (
            (
                OUTBOX,
                '            key = _key(commit.effects[index]) if index >= 0 else "park"\n',
                '            key = f"{commit.revision}.{index}"\n',
            ),
        ),
    ),
    Mutant(
        "no-redo",
        "recovery dispatches nothing again",
        (
            (
                RECOVERY,
                "self._redo = [job for job in self._redo if job[0].revision > out]",
                "self._redo = [job for job in self._redo if job[0].revision < 0 * out]",
            ),
        ),
    ),
    Mutant(
        "redo-backwards",
        "recovery dispatches again from the last commit to the first",
        (
            (
                RECOVERY,
                "self._redo = [job for job in self._redo if job[0].revision > out]",
                "self._redo = [job for job in self._redo[::-1] if job[0].revision > out]",
            ),
        ),
    ),
    Mutant(
        "redo-without-waiting",
        "an agent decides before its former effects are out again",
        (
            (
                LIVE,
                "            outbox.add(commit, encoding, indexes, lambda: None)\n"
                "        await outbox.drained()\n",
                "            outbox.add(commit, encoding, indexes, lambda: None)\n"
                "        self._outbox = None\n",
            ),
        ),
    ),
    Mutant(
        "dispatched-too-early",
        "a commit says that effects are out which are not",
        (
            (
                LIVE,
                "dispatched=fold.revision if outbox is None else outbox.dispatched(fold.revision)",
                "dispatched=fold.revision",
            ),
        ),
    ),
    Mutant(
        "given-up-at-once",
        "an effect that fails once is dropped as if it were parked",
        (
            (
                OUTBOX,
                "                if clock.monotonic() - started > EFFECT_DEADLINE:\n"
                '                    reached("an effect is parked")\n'
                "                    await self._park(job, error, attempt)\n",
                "                if clock.monotonic() - started > 0 * EFFECT_DEADLINE:\n",
            ),
        ),
    ),
    Mutant(
        "parked-in-silence",
        "a parked command is not noted in the parked stream",
        ((CAUSES, '    if commit.outcome == "parked":\n', '    if commit.outcome == "never":\n'),),
    ),
    Mutant(
        "timer-never-set",
        "a schedule counts as out and is not set, and open timers are not asserted",
        (
            (
                OUTBOX,
                "                await self._schedule(commit, encoding, index, effect)\n",
                "                return\n",
            ),
            (PARTITION, "        if fold.timers:\n", "        if not fold.state:\n"),
        ),
    ),
)

REMEMBERED: tuple[Mutant, ...] = (
    Mutant(
        "snapshot-without-windows",
        "a snapshot leaves out the sender windows",
        ((SNAPSHOTS, "        fold.windows.dump(),\n", "        [],\n"),),
    ),
    Mutant(
        "snapshot-without-ids",
        "a snapshot leaves out the ids of commands without a number",
        ((SNAPSHOTS, "        dict(fold.ids),\n", "        {},\n"),),
    ),
    Mutant(
        "snapshot-without-calls",
        "a snapshot leaves out the open calls",
        ((SNAPSHOTS, "        dict(fold.calls),\n", "        {},\n"),),
    ),
    Mutant(
        "snapshot-without-timers",
        "a snapshot leaves out the open timers",
        ((SNAPSHOTS, "        dict(fold.timers),\n", "        {},\n"),),
    ),
    Mutant(
        "snapshot-hides-effects",
        "a snapshot is taken while effects are on their way",
        (
            (
                POLICY,
                "if incarnation is None or not agent.all_out or fold.past.held:\n",
                "if incarnation is None or fold.past.held:\n",
            ),
        ),
    ),
    Mutant(
        "window-forgets",
        "every number is new",
        (
            (
                WINDOWS,
                "    if number > highest:\n        return False\n",
                "    return False\n",
            ),
        ),
    ),
    Mutant(
        "window-off-by-one",
        "the window of a client is read one place off",
        ((WINDOWS, "bool(bits >> behind & 1)", "bool(bits >> behind + 1 & 1)"),),
    ),
    Mutant(
        "highest-is-new",
        "an agent's highest number is taken for new",
        (
            (
                WINDOWS,
                "    if number > highest:\n        return False\n",
                "    if number >= highest:\n        return False\n",
            ),
        ),
    ),
    Mutant(
        "ids-forgotten",
        "the id of a command without a number is not remembered",
        ((KNOWN, "    seen = fold.ids.get(id)\n", "    seen = None\n"),),
    ),
    Mutant(
        "refusals-not-remembered",
        "the number of a refused command is not noted",
        (
            (
                FOLD,
                "        self._remember_command(commit, body)\n",
                '        if commit.outcome != "rejected":\n'
                "            self._remember_command(commit, body)\n",
            ),
        ),
    ),
    Mutant(
        "timer-twice",
        "a firing that is not open is applied",
        (
            (
                KNOWN,
                "return _absent(fold, queued, envelope.number)",
                "return None",
            ),
        ),
    ),
    Mutant(
        "result-twice",
        "a result whose call is closed is applied",
        ((KNOWN, "return _absent(fold, queued, revision_of(envelope.call))", "return None"),),
    ),
)

MUTANTS: tuple[Mutant, ...] = (
    *ACKNOWLEDGED,
    *APPENDED,
    *EFFECTS,
    *REMEMBERED,
    *DELIVERED,
    *MEMORY,
)
