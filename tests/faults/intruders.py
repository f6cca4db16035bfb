"""Faults in what stops a client of the same account that means harm."""

from tests.faults.fault import Fault

INTRUDER = "tests/e2e/test_promises_intruder.py::"

FOREIGN = "tests/e2e/test_foreign_client.py::"

AGENTS = "agents/moonlet/agents/"
STREAMS = "streams/moonlet/streams/"

INTRUDER_FAULTS: tuple[Fault, ...] = (
    Fault(
        "bad input",
        INTRUDER + "test_a_client_that_says_it_is_an_agent_is_not_believed",
        "whoever says that it is an agent is believed",
        (
            (
                AGENTS + "deciding/decide.py",
                "    if sent_by_agent(envelope.sender) and stream not in"
                " (rules.timers, rules.internal):\n",
                "    if False:\n",
            ),
        ),
    ),
    Fault(
        "bad input",
        INTRUDER + "test_an_id_that_was_taken_beforehand_takes_nothing_away",
        "what the server takes for a duplicate is taken for stored",
        (
            (
                STREAMS + "storing.py",
                "    return found is not None and found.subject == subject and",
                "    return True or",
            ),
        ),
    ),
    Fault(
        "bad input",
        INTRUDER + "test_a_call_whose_id_was_taken_runs_and_a_foreign_one_keeps_nobody_waiting",
        "a call is run for whatever agent it names",
        (
            (
                AGENTS + "calls/call_runner.py",
                "            if delivery.subject != self._services.bus.subjects.call(agent):\n",
                "            if False:\n",
            ),
        ),
    ),
    Fault(
        "bad input",
        INTRUDER + "test_records_that_are_none_stop_no_host",
        "a record that can't be read ends the look at the leases",
        (
            (
                STREAMS + "buckets/lease_records.py",
                "    except InvalidMessage as error:\n",
                "    except UnicodeError as error:\n",
            ),
        ),
    ),
    Fault(
        "bad input",
        INTRUDER + "test_a_receipt_gives_only_its_own_commit",
        "a receipt takes the commit that it is told of",
        (
            (
                AGENTS + "client/receipt.py",
                "        if not self._is_ours(commit):\n",
                "        if False:\n",
            ),
        ),
    ),
    Fault(
        "bad input",
        INTRUDER + "test_a_message_that_holds_millions_of_values_keeps_nobody_waiting",
        "the values of a body are not counted",
        (
            (
                "core/moonlet/core/codec.py",
                "        values += 1\n",
                "        values += 0\n",
            ),
        ),
    ),
    Fault(
        "bad input",
        INTRUDER + "test_another_sender_of_the_same_id_does_not_shadow_an_outcome",
        "outcomes are known by id alone",
        (
            (
                AGENTS + "answering/owner_service.py",
                "        return agent, command.id, command.sender, command.lane, command.number\n",
                '        return agent, command.id, "", "", 0\n',
            ),
        ),
    ),
    Fault(
        "bad input",
        INTRUDER + "test_a_number_that_another_used_first_is_a_conflict",
        "a command is its number, whatever it says",
        (
            (
                AGENTS + "answering/owner_service.py",
                "        if same_command(commit, body_digest(envelope.name,",
                "        if True or same_command(commit, body_digest(envelope.name,",
            ),
        ),
    ),
    Fault(
        "bad input",
        INTRUDER + "test_only_the_answer_to_its_own_question_is_believed",
        "places of answers are counted",
        (
            (
                AGENTS + "client/sending.py",
                '        return f"{self._inbox}.{place.hexdigest()}"\n',
                '        return f"{self._inbox}.{self._count}"\n',
            ),
        ),
    ),
    Fault(
        "bad input",
        INTRUDER + "test_only_the_answer_to_its_own_question_is_believed",
        "an answer is not asked of which command it is",
        (
            (
                AGENTS + "client/sending.py",
                "        if answer.id == id:",
                "        if True:",
            ),
        ),
    ),
    Fault(
        "bad input",
        FOREIGN + "test_another_version_and_keys_that_stand_twice_are_refused_in_words",
        "a message of another major version is understood as one of this",
        (
            (
                "core/moonlet/core/protocol/versions.py",
                "    if major == PROTOCOL[0]:\n",
                "    if major >= PROTOCOL[0]:\n",
            ),
        ),
    ),
    Fault(
        "bad input",
        FOREIGN + "test_another_version_and_keys_that_stand_twice_are_refused_in_words",
        "of a key that stands twice the last counts",
        (
            (
                "core/moonlet/core/protocol/repeated_keys.py",
                "    if there != _count(value):\n",
                "    if False:\n",
            ),
        ),
    ),
    Fault(
        "bad input",
        "tests/streams/test_native.py::"
        "test_the_core_is_taken_as_the_setting_says_and_the_reason_is_told",
        "a Rust core of another release is taken",
        ((STREAMS + "native.py", "        if seam == SEAM:\n", "        if seam:\n"),),
    ),
)
