"""Faults in travelling in time: what is asked of the record, what would have been, the index."""

from tests.faults.commands import AGENTS
from tests.faults.fault import Fault

REPLAY = "replay/moonlet/replay/"
FORKS = "tests/replay/test_forks.py::"
GIVEN = "agents/moonlet/testing/given.py"
INDEX = "tests/replay/test_index.py::"
CHANGES = "tests/replay/test_changes.py::"

TIME_TRAVEL_FAULTS: tuple[Fault, ...] = (
    Fault(
        "time travel",
        "tests/simulations/test_endless.py::test_a_step_that_never_ends_is_named_and_ended",
        "an endless step that somebody catches is forgiven",
        (
            (
                "simulations/moonlet/simulations/run/step_watch.py",
                "        self._loop.end_with(error)\n",
                "",
            ),
        ),
    ),
    Fault(
        "time travel",
        "tests/testing/test_given_pure.py::"
        "test_a_handler_that_asks_for_what_a_replay_has_not_fails_its_test",
        "given forgives a handler that swallows the refusal",
        (
            (
                "agents/moonlet/testing/given.py",
                "    if loop.escapes:",
                "    if False:",
            ),
        ),
    ),
    Fault(
        "time travel",
        "tests/replay/test_limits.py::"
        "test_any_revision_in_any_order_is_the_same_beyond_every_bound",
        "a state that was kept is taken for the one that is asked for",
        (
            (
                REPLAY + "states/timeline.py",
                "return bisect_right(states, revision, key=lambda held: held.revision) - 1",
                "return 0",
            ),
        ),
    ),
    Fault(
        "time travel",
        "tests/replay/test_fork_settings.py::"
        "test_a_constant_is_another_from_the_fork_on_wherever_it_was_imported",
        "a constant is set in its own module alone",
        ((REPLAY + "forks/settings.py", "for name in names if name in taken)", "for name in ())"),),
    ),
    Fault(
        "time travel",
        "tests/replay/test_forks_repaired.py::test_a_repaired_history_is_forked_behind_its_repair",
        "a fork folds the events that a repair leaves out",
        ((REPLAY + "forks/fork_run.py", "if not each.without_events:", "if True:"),),
    ),
    Fault(
        "time travel",
        "tests/replay/test_given_at.py::test_agent_revision_and_time_are_those_of_the_point",
        "the time of a point is left out of a test that begins there",
        ((GIVEN, "facts = msgspec.structs.replace(facts, now=now)", "pass"),),
    ),
    Fault(
        "time travel",
        "tests/testing/test_given.py::"
        "test_of_a_handler_that_raises_nothing_is_seen_but_its_traceback",
        "a handler that raised looks like one that yielded nothing",
        ((GIVEN, 'assert decision.outcome != "parked"', "assert decision"),),
    ),
    Fault(
        "time travel",
        "tests/console/test_tui.py::test_no_text_is_obeyed_by_the_terminal_wherever_it_stands",
        "text from outside goes to the terminal as it is",
        (
            (
                "console/moonlet/console/tui/printable.py",
                "each if each.isprintable() else repr(each)[1:-1] for each in cut",
                "each for each in cut",
            ),
        ),
    ),
    Fault(
        "time travel",
        "tests/replay/test_states.py::test_in_no_cut_an_effect_stands_without_its_cause",
        "a cut goes through each journal by its own clock alone",
        ((REPLAY + "states/cut.py", "if len(frontier) < 2:", "if frontier:"),),
    ),
    Fault(
        "time travel",
        "tests/replay/test_states.py::test_any_revision_is_what_a_fold_from_the_first_gives",
        "a state is taken from before the revision",
        (
            (
                REPLAY + "states/timeline.py",
                "key=lambda held: held.revision) - 1",
                "key=lambda held: held.revision) - 2",
            ),
        ),
    ),
    Fault(
        "time travel",
        CHANGES + "test_of_a_field_and_what_it_stands_in_the_newest_change_is_blamed",
        "blame takes the oldest change of a field for the newest",
        (
            (
                REPLAY + "changes/blaming.py",
                "commit.revision > found.revision",
                "commit.revision < found.revision",
            ),
        ),
    ),
    Fault(
        "time travel",
        CHANGES + "test_bisect_finds_the_first_revision_and_says_if_it_did_not_stay_so",
        "nobody looks whether a condition stayed as it was",
        ((REPLAY + "changes/searching.py", "and again is None:", "and again is not None:"),),
    ),
    Fault(
        "time travel",
        CHANGES + "test_a_hostile_condition_is_refused_in_words",
        "a condition may hold any expression",
        (
            (
                REPLAY + "changes/condition.py",
                'raise self._wrong(f"it has a {type(node).__name__}',
                'self._wrong(f"it has a {type(node).__name__}',
            ),
        ),
    ),
    Fault(
        "time travel",
        "tests/replay/test_causes.py::test_a_cause_that_is_only_claimed_is_not_believed",
        "a cause is believed that the journal does not hold",
        (
            (
                REPLAY + "causes/chains.py",
                "if before is None or circle or not _caused(before, cause, here):",
                "if before is None or circle:",
            ),
        ),
    ),
    Fault(
        "time travel",
        "tests/replay/test_causes.py::test_the_pictures_show_every_commit_and_run_no_script",
        "names go into pictures as they are",
        ((REPLAY + "causes/drawing.py", "said = _quoted(", "said = str("),),
    ),
    Fault(
        "time travel",
        "tests/replay/test_replaying.py::"
        "test_the_first_difference_is_told_with_both_sides_and_the_handler",
        "commands that were decided are not compared",
        (
            (
                AGENTS + "deciding/again.py",
                "if commit.events == decision.events and commit.effects == decision.effects:",
                "if True:",
            ),
        ),
    ),
    Fault(
        "time travel",
        "tests/replay/test_replaying.py::"
        "test_a_handler_that_gives_two_answers_is_named_with_the_field",
        "nobody asks a handler twice",
        ((REPLAY + "again/replaying.py", "            if twice:", "            if not twice:"),),
    ),
    Fault(
        "time travel",
        "tests/replay/test_vetting.py::test_every_impure_line_is_named_with_its_kind_and_no_other",
        "helpers of handlers are not vetted",
        ((REPLAY + "vetting/vetting.py", "waiting += look.reached", "pass"),),
    ),
    Fault(
        "time travel",
        FORKS + "test_where_nothing_is_done_otherwise_nothing_comes_out_otherwise",
        "what is caused comes a millisecond later, whenever it came",
        (
            (
                REPLAY + "forks/fork_run.py",
                "if then is None or before is None:",
                "if then is not None or before is None:",
            ),
        ),
    ),
    Fault(
        "time travel",
        FORKS + "test_a_command_that_said_something_else",
        "a call is answered from the record though it asks for something else",
        (
            (
                REPLAY + "forks/answers.py",
                "if same is not None and same[0] == content:",
                "if same is not None:",
            ),
            (
                REPLAY + "forks/answers.py",
                "alike = self._by_content.get((agent_type.name, content))",
                "alike = next(iter(self._by_content.values()), None)",
            ),
        ),
    ),
    Fault(
        "time travel",
        FORKS + "test_two_causes_of_which_either_suffices_hide_each_other_and_are_found_together",
        "causes are left out one at a time only",
        (
            (
                REPLAY + "forks/counterfactual.py",
                "= _minimal_sets(others, trials)",
                "= _minimal_sets([], trials)",
            ),
        ),
    ),
    Fault(
        "time travel",
        INDEX + "test_a_journal_that_went_back_is_read_again",
        "an index goes on from where it was, whatever stands there",
        (
            (
                REPLAY + "index/following.py",
                "if not last or (message is not None and mark(message) == digest):",
                "if True:",
            ),
        ),
    ),
    Fault(
        "time travel",
        INDEX + "test_words_are_found_and_none_is_an_operator",
        "words are handed to SQLite as they are",
        ((REPLAY + "index/index.py", "query = _query(text)", "query = text"),),
    ),
    Fault(
        "time travel",
        "tests/replay/test_packing.py::test_hostile_files_are_refused_and_write_nothing",
        "a bundle may be nested as deep as it likes",
        (
            (
                "simulations/moonlet/simulations/bundle/bundle.py",
                "zlib.error, MoonletError, RecursionError)",
                "zlib.error, MoonletError)",
            ),
        ),
    ),
    Fault(
        "time travel",
        "tests/console/test_waiting.py::test_what_is_parked_is_tried_again_as_a_new_command_once",
        "each retry has an id of its own",
        (
            (
                AGENTS + "histories/retrying.py",
                'id=f"retry:{message.sequence}:{message.parked.id}"[:400],',
                'id=f"retry:{bus.clock.now_us()}:{message.parked.id}"[:400],',
            ),
        ),
    ),
    Fault(
        "time travel",
        "tests/console/test_waiting.py::test_what_is_parked_is_tried_again_as_a_new_command_once",
        "a commit does not say where its handler raised",
        (
            (
                AGENTS + "deciding/decide.py",
                "repaired=fold.repaired, where=decision.where,\n",
                "repaired=fold.repaired,\n",
            ),
        ),
    ),
    Fault(
        "time travel",
        "tests/console/test_waiting.py::test_what_is_parked_is_tried_again_as_a_new_command_once",
        "a commit does not say when its command was stored",
        ((AGENTS + "deciding/decide.py", "        stored=queued.delivery.time // 1_000,\n", ""),),
    ),
    Fault(
        "time travel",
        "tests/replay/test_causes.py::test_what_followed_is_a_tree_and_its_longest_wait_a_path",
        "a path's waits begin at its own decision",
        (
            (
                REPLAY + "causes/chains.py",
                "    earlier = decided if before is None else before.wall_us\n",
                "    earlier = decided\n",
            ),
        ),
    ),
)
