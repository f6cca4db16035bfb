"""Faults in calls outside, timers and clocks."""

from tests.faults.commands import AGENTS, STREAMS
from tests.faults.fault import Fault

CLOCKS = "tests/agents/test_clocks.py::"
OUTSIDE = "tests/agents/test_calls_outside.py::"
EDGES = "tests/agents/test_timers_at_the_edges.py::"

CALL_AND_CLOCK_FAULTS: tuple[Fault, ...] = (
    Fault(
        "P3",
        EDGES + "test_a_timer_at_any_moment_is_kept_or_due_and_its_agent_goes_on",
        "a schedule stands for the moment that was asked for, whatever the server makes of it",
        ((STREAMS + "queues/timers.py", "microseconds=bounded(due)", "microseconds=due"),),
    ),
    Fault(
        "P3",
        EDGES + "test_a_timer_fires_only_the_command_that_it_was_set_for",
        "a firing is believed to be what its timer was set for",
        (
            (
                AGENTS + "deciding/known.py",
                "return None if fold.fires(envelope) else Verdict.FOREIGN",
                "return None",
            ),
        ),
    ),
    Fault(
        "P1",
        EDGES + "test_a_deadline_at_any_moment_is_judged",
        "a deadline before 1970 is sent as it is",
        ((AGENTS + "client/sending.py", "max(1, to_micros(moment))", "to_micros(moment)"),),
    ),
    Fault(
        "P1",
        OUTSIDE + "test_whatever_a_call_raises_or_returns_its_agent_hears_of_it",
        "only exceptions of a call are caught, not what else may be raised",
        (
            (
                AGENTS + "calls/call_work.py",
                "            raise\n        except BaseException as error:\n            settle(",
                "            raise\n        except Exception as error:\n            settle(",
            ),
        ),
    ),
    Fault(
        "P1",
        OUTSIDE + "test_a_result_that_nobody_handles_is_parked_and_the_operator_told",
        "a result that nobody handles is refused",
        (
            (
                AGENTS + "deciding/decide.py",
                '"parked" if envelope.call or envelope.timer else "rejected"',
                '"rejected"',
            ),
        ),
    ),
    Fault(
        "P10",
        OUTSIDE + "test_a_call_is_tried_again_as_its_policy_says",
        "a call is tried again after any error",
        (
            (
                AGENTS + "definition/call_handler.py",
                "return isinstance(error, self.retry_on)",
                "return True",
            ),
        ),
    ),
    Fault(
        "P10",
        OUTSIDE + "test_a_call_that_hangs_ends_and_makes_room",
        "an attempt is waited for until it ends",
        (
            (
                AGENTS + "calls/call_work.py",
                "await asyncio.wait([outcome], timeout=seconds)",
                "await asyncio.wait([outcome])",
            ),
        ),
    ),
    Fault(
        "P11",
        OUTSIDE + "test_a_call_that_blocks_keeps_neither_agents_nor_other_calls_waiting",
        "nobody looks whether the loop of calls goes on",
        ((AGENTS + "calls/places.py", "if loop.busy and loop.beat(now):", "if loop.stuck:"),),
    ),
    Fault(
        "P10",
        OUTSIDE + "test_no_more_calls_run_at_a_time_than_the_type_and_the_host_allow",
        "the host does not count its calls",
        (
            (
                AGENTS + "calls/call_runner.py",
                "asyncio.Semaphore(most or HOST_CALLS_MAX)",
                "asyncio.Semaphore(HOST_CALLS_MAX)",
            ),
        ),
    ),
    Fault(
        "P10",
        OUTSIDE + "test_what_calls_need_is_given_by_the_host_and_closed_with_it",
        "what was opened for calls is left open",
        ((AGENTS + "calls/call_loop.py", "await self._resources.close()", "pass"),),
    ),
    Fault(
        "time",
        CLOCKS + "test_with_a_clock_hours_off_times_timers_and_deadlines_are_the_servers",
        "a host's own clock is believed",
        (
            (
                AGENTS + "services/server_time.py",
                "self._hlc.offset_us = (",
                "known = (",
            ),
        ),
    ),
    Fault(
        "time",
        CLOCKS + "test_a_host_whose_clock_is_off_gives_way_to_one_whose_is_right",
        "shares are dealt whatever the clocks",
        ((AGENTS + "placement/shares.py", "sorted(stay - off or stay)", "sorted(stay)"),),
    ),
    Fault(
        "time",
        CLOCKS + "test_a_clock_that_jumps_under_a_host_moves_nothing",
        "what was measured is added to the wall clock",
        (
            (
                "core/moonlet/core/hlc.py",
                "            wall_us = int(clock.monotonic() * 1_000_000) + offset",
                "            wall_us = clock.now_us()",
            ),
        ),
    ),
    Fault(
        "time",
        CLOCKS + "test_an_agent_whose_time_was_dragged_ahead_is_not_late",
        "a handler's now is the commit's time, however far ahead",
        (
            (
                AGENTS + "deciding/decide.py",
                "    if time.micros <= now_us + MAX_AHEAD_US:",
                "    if now_us:",
            ),
        ),
    ),
    Fault(
        "time",
        CLOCKS + "test_a_host_that_could_not_measure_the_servers_time_takes_nothing",
        "a host takes agents before it has measured the server's time",
        (
            (
                AGENTS + "hosting/host.py",
                "        if not self._time.known:\n            return False\n",
                "",
            ),
        ),
    ),
    Fault(
        "time",
        "tests/simulations/test_errands.py::test_clocks_that_are_hours_off_drag_no_time_along",
        "the server's time is never measured",
        (
            (
                AGENTS + "services/server_time.py",
                "        known = self._hlc.offset_us\n        self._hlc.offset_us =",
                "        known = self._hlc.offset_us\n        known =",
            ),
        ),
    ),
    Fault(
        "P10",
        "tests/simulations/test_errands.py::test_every_errand_ends_once_and_as_it_must",
        "a call that can't be read again leaves its failure without it",
        (
            (
                AGENTS + "definition/failure_type.py",
                "return msgspec.structs.replace(failed, call=call)",
                "return failed",
            ),
        ),
    ),
)
