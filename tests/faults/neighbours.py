"""Faults by which one agent's code hurts its neighbours: P11."""

from tests.faults.commands import AGENTS, CORE, STREAMS
from tests.faults.fault import Fault

ISOLATED = "tests/agents/test_isolated.py::"
BLOCKED = "tests/agents/test_blocked.py::"
REPAIRS = "tests/e2e/test_repairs.py::"
SUPERVISED = "tests/e2e/test_supervised_hosts.py::"

NEIGHBOUR_FAULTS: tuple[Fault, ...] = (
    Fault(
        "P11",
        ISOLATED + "test_whatever_a_handler_raises_parks_that_command_alone",
        "an exit in a handler is let through",
        (
            (
                CORE + "behavior.py",
                "        except BaseException as error:\n            return parked",
                "        except Exception as error:\n            return parked",
            ),
        ),
    ),
    Fault(
        "P11",
        ISOLATED + "test_a_fold_that_raises_after_a_deploy_stops_its_agent_alone",
        "a cancellation in a fold is let through",
        (
            (
                AGENTS + "deciding/folding.py",
                "        except BaseException as error:  # nothing is awaited here",
                "        except Exception as error:  # nothing is awaited here",
            ),
        ),
    ),
    Fault(
        "P11",
        ISOLATED + "test_an_outcome_that_one_agent_cant_take_reaches_the_others_of_its_batch",
        "an agent that fails at an outcome keeps it from the others of its batch",
        (
            (
                STREAMS + "journal/group_commit.py",
                "        except BaseException as error:\n            message",
                "        except ImportError as error:\n            message",
            ),
        ),
    ),
    Fault(
        "P11",
        ISOLATED + "test_a_connection_whose_reader_or_writer_died_is_made_anew",
        "a reader that ended is not missed",
        (
            (
                STREAMS + "nats/wire.py",
                'await self._for_ever(super()._read_loop(), "_reading_task", self._read_loop)',
                "await super()._read_loop()",
            ),
        ),
    ),
    Fault(
        "P11",
        BLOCKED + "test_a_handler_that_never_ends_stops_one_host_and_is_parked",
        "the next owner runs what keeps the host before it",
        (
            (
                AGENTS + "owner/blocked_agents.py",
                "        elif id.key not in self.waiting:\n",
                "        elif id.key in self.waiting:\n",
            ),
        ),
    ),
    Fault(
        "P11",
        BLOCKED + "test_a_handler_that_blocks_its_host_is_named_and_nothing_else_is_blamed",
        "a pull that is looked after late was never answered",
        (
            (
                STREAMS + "reading/consumer.py",
                "if asyncio.get_running_loop().time() - due > LATE:",
                "if asyncio.get_running_loop().time() < due:",
            ),
        ),
    ),
    Fault(
        "P11",
        BLOCKED + "test_what_ended_a_process_is_not_run_again_until_somebody_says_so",
        "a query that ended a process is run again",
        (
            (
                AGENTS + "owner/blocked_agents.py",
                'if mark is not None and mark.kind == "query" and mark.name == name:',
                'if mark is not None and mark.kind == "query" and mark.name != name:',
            ),
        ),
    ),
    Fault(
        "P11",
        BLOCKED + "test_an_agent_waits_for_a_blocked_host_but_not_for_ever",
        "an agent waits for a host that is gone",
        (
            (
                AGENTS + "owner/blocked_agents.py",
                "            if services.bus.clock.monotonic() > until:\n",
                "            if services.bus.clock.monotonic() < 0:\n",
            ),
        ),
    ),
    Fault(
        "P11",
        SUPERVISED + "test_a_host_whose_interpreter_is_held_is_killed_and_its_command_parked",
        "what a silent host ran is not remembered",
        (
            (
                "console/moonlet/console/common/supervisor.py",
                "self._former = self._noted(silent)",
                "self._former = None",
            ),
        ),
    ),
    Fault(
        "P11",
        SUPERVISED + "test_a_host_that_crashes_is_started_again_but_not_for_ever",
        "a host is started again for ever",
        (
            (
                "console/moonlet/console/common/supervisor.py",
                "len(ends) < self._restarts",
                "len(ends) < 100",
            ),
        ),
    ),
    Fault(
        "P2",
        REPAIRS + "test_garbage_in_a_journal_is_left_out_by_all_readers_alike",
        "histories know of no repair",
        (
            (
                AGENTS + "histories/records.py",
                '        if skip is None or skip.what != "record":\n            raise\n',
                "        raise\n",
            ),
        ),
    ),
    Fault(
        "P2",
        REPAIRS + "test_a_fold_that_fails_after_a_deploy_is_left_out_and_stays_so",
        "code that can fold left-out events folds them",
        (
            (
                AGENTS + "recovery/tail.py",
                "            if commit.sequence not in self.skips:\n",
                "            if commit.sequence not in {}:\n",
            ),
        ),
    ),
    Fault(
        "P2",
        REPAIRS + "test_the_console_repairs_many_agents_after_a_dry_run",
        "what a repair changed is held against later decisions",
        (
            (
                AGENTS + "histories/verification.py",
                "            if self._decides and not self._otherwise:\n",
                "            if self._decides:\n",
            ),
        ),
    ),
)
