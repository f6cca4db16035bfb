"""Faults in states that are kept on the way, and in views as of a time."""

from tests.faults.fault import Fault

REPLAY = "replay/moonlet/replay/"
KEYFRAMES = "tests/replay/test_keyframes.py::"

KEYFRAME_FAULTS: tuple[Fault, ...] = (
    Fault(
        "time travel",
        KEYFRAMES + "test_another_history_of_the_same_agent_is_known_by_its_digests",
        "a kept state is believed whatever the journal holds",
        ((REPLAY + "states/timeline.py", "if not self._is_of(message, held):", "if False:"),),
    ),
    Fault(
        "time travel",
        KEYFRAMES + "test_another_code_does_not_use_them_and_takes_their_place",
        "states of any code are used",
        (
            (
                REPLAY + "index/keyframes.py",
                "code = agent_type.state_code().encode()",
                'code = b""',
            ),
        ),
    ),
    Fault(
        "time travel",
        KEYFRAMES + "test_a_row_that_was_damaged_is_passed_over",
        "a damaged row is used",
        ((REPLAY + "index/keyframes.py", "if _mark(tuple(facts)) != mark:", "if not mark:"),),
    ),
    Fault(
        "time travel",
        KEYFRAMES + "test_what_was_kept_before_a_repair_is_not_used_behind_it",
        "what a repair leaves out makes no difference",
        ((REPLAY + "index/keyframes.py", 'code + b"\\n" + repaired', "code"),),
    ),
    Fault(
        "time travel",
        KEYFRAMES + "test_large_states_are_kept_as_often_as_their_share_of_the_file_allows",
        "states are kept however large they are",
        (
            (
                REPLAY + "index/keyframes.py",
                "room = SHARE * held.revision - self._used()",
                "room = STATE_MAX",
            ),
        ),
    ),
    Fault(
        "time travel",
        "tests/replay/test_views.py::"
        "test_at_every_commit_of_every_journal_it_holds_what_is_in_the_cut",
        "a view as of a time is what it is now",
        (
            (
                REPLAY + "views/viewing.py",
                "if message.sequence <= end and",
                "if message.sequence and",
            ),
        ),
    ),
    Fault(
        "time travel",
        "tests/replay/test_index.py::test_two_who_follow_at_once_write_nothing_twice",
        "nobody looks whether another has written the index meanwhile",
        ((REPLAY + "index/writing.py", "if moved.rowcount != 1:", "if moved.rowcount > 1:"),),
    ),
)
