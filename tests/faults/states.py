"""Faults in how states come back, and in what is sent: P2."""

from tests.faults.commands import AGENTS, CORE
from tests.faults.fault import Fault

STATE = "tests/e2e/test_promises_state.py::"

STATE_FAULTS: tuple[Fault, ...] = (
    Fault(
        "P2",
        STATE
        + "test_a_state_that_would_come_back_changed_has_no_snapshot_and_the_field_is_told_once",
        "what comes back from a snapshot is not compared",
        (
            (
                AGENTS + "recovery/snapshot_policy.py",
                "            unlike = states.unlike(state, data)\n",
                "            unlike = None\n",
            ),
        ),
    ),
    Fault(
        "P2",
        STATE + "test_a_state_that_cannot_be_encoded_stops_neither_its_agent_nor_its_neighbours",
        "an encoder that fails is let through",
        (
            (
                AGENTS + "recovery/snapshot_policy.py",
                "        except BaseException as error:  # nothing is awaited here: it is the"
                " class's own\n",
                "        except KeyError as error:\n",
            ),
        ),
    ),
    Fault(
        "P11",
        STATE + "test_whatever_a_class_raises_when_it_is_read_stops_neither_its_agent_nor_its_host",
        "what a class raises when its state is read is an exception, or let through",
        (
            (
                AGENTS + "definition/state_codec.py",
                "        except BaseException as error:  # nothing is awaited here: it is the"
                " class's own\n",
                "        except Exception as error:\n",
            ),
            (
                AGENTS + "deciding/state_watch.py",
                "        except BaseException:  # nothing is awaited here: it is the class's own\n",
                "        except Exception:\n",
            ),
        ),
    ),
    Fault(
        "P2",
        STATE + "test_agents_of_one_type_never_share_what_they_began_with",
        "the initial state is one for all agents",
        (
            (
                AGENTS + "definition/agent_type.py",
                "(lambda: copy.deepcopy(initial))",
                "(lambda: initial)",
            ),
        ),
    ),
    Fault(
        "P2",
        STATE + "test_old_snapshots_are_not_used_with_new_folding_code",
        "the code of folding is its handlers' alone",
        (
            (
                AGENTS + "definition/fold_code.py",
                "        for cell in function.__closure__ or ():\n",
                "        for cell in ():\n",
            ),
        ),
    ),
    Fault(
        "P2",
        STATE + "test_a_history_decided_again_in_another_order_of_its_sets_is_well",
        "sets are compared as lists",
        (
            (
                AGENTS + "deciding/otherwise.py",
                "        if isinstance(value, set | frozenset):\n",
                "        if False:\n",
            ),
        ),
    ),
    Fault(
        "P2",
        STATE + "test_what_a_handler_gets_is_what_was_sent_or_the_sender_is_told",
        "what is sent is not compared with what a reader gets",
        (
            (
                CORE + "schema.py",
                "        if self._changes and (self._blind or settled != message):\n",
                "        if False:\n",
            ),
        ),
    ),
    Fault(
        "P2",
        STATE + "test_a_state_that_is_changed_in_place_is_found_and_read_again",
        "nobody looks whether a handler leaves the state as it was",
        (
            (
                AGENTS + "deciding/state_watch.py",
                "        if picture(self._type, state) != before:\n",
                "        if False:\n",
            ),
        ),
    ),
    Fault(
        "P2",
        STATE + "test_a_snapshot_that_is_not_the_fold_of_its_commits_is_found_and_dropped",
        "no agent is looked at a second time",
        (
            (
                AGENTS + "owner/scrubber.py",
                "            if chosen is not None:\n",
                "            if chosen is not None and False:\n",
            ),
        ),
    ),
)
