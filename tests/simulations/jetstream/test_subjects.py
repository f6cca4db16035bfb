"""Subjects against the plainest definitions of what they say."""

from hypothesis import given
from hypothesis import strategies as st

from moonlet.simulations.jetstream import subjects
from moonlet.simulations.jetstream.subjects import Patterns

TOKENS = ("a", "b", "c")
LITERALS = [
    ".".join(tokens)
    for tokens in (
        *((x,) for x in TOKENS),
        *((x, y) for x in TOKENS for y in TOKENS),
        *((x, y, z) for x in TOKENS for y in TOKENS for z in TOKENS),
        *((w, x, y, z) for w in TOKENS for x in TOKENS for y in TOKENS for z in TOKENS),
    )
]
literals = st.sampled_from(LITERALS)
patterns = st.builds(
    lambda tokens, rest: ".".join([*tokens, *rest]),
    st.lists(st.sampled_from([*TOKENS, "*"]), min_size=1, max_size=3),
    st.sampled_from([[], [">"]]),
) | st.just(">")


def covered(pattern: str) -> set[str]:
    """All literals of at most four tokens that `pattern` covers, by the words of the protocol."""
    found = set()
    for literal in LITERALS:
        left, right = pattern.split("."), literal.split(".")
        if left[-1] == ">":
            fits = len(right) >= len(left)
            left.pop()
        else:
            fits = len(right) == len(left)
        if fits and all(x in ("*", y) for x, y in zip(left, right, strict=False)):
            found.add(literal)
    return found


@given(patterns, literals)
def test_a_pattern_covers_what_its_tokens_say(pattern: str, literal: str) -> None:
    assert subjects.matches(pattern, literal) == (literal in covered(pattern))


@given(patterns, patterns)
def test_one_pattern_covers_another_if_it_covers_all_of_it(wide: str, narrow: str) -> None:
    if subjects.matches(wide, narrow):
        assert covered(narrow) <= covered(wide)


@given(patterns, patterns)
def test_patterns_collide_if_something_is_covered_by_both(one: str, two: str) -> None:
    assert subjects.collide(one, two) == bool(covered(one) & covered(two))


@given(st.lists(patterns | literals, max_size=12), literals, st.data())
def test_the_index_finds_what_matching_one_by_one_finds(
    known: list[str], literal: str, data: st.DataObject
) -> None:
    index: Patterns[list[str]] = Patterns()
    items = [[pattern] for pattern in known]
    for item in items:
        index.add(item[0], item)
    index.matching(literal)
    for item in data.draw(st.lists(st.sampled_from(items), unique_by=id)) if items else []:
        index.remove(item[0], item)
        items = [other for other in items if other is not item]
    assert list(index.matching(literal)) == [i for i in items if subjects.matches(i[0], literal)]


def test_the_index_gives_an_item_once_however_many_patterns_it_has() -> None:
    index: Patterns[str] = Patterns()
    for pattern in ("a.*", "a.b", ">"):
        index.add(pattern, "one")
    assert index.matching("a.b") == ("one",)


def test_malformed_subjects_are_known() -> None:
    assert all(map(subjects.is_valid, ("a", "a.b", "*", "a.*.>", ">", "a*b", ">x.y")))
    assert not any(map(subjects.is_valid, ("", ".", "a.", ".a", "a..b", "a.>.b", "a b", "a\0")))
    assert not any(map(subjects.is_literal, ("*", "a.*", ">", "a.>")))
    assert all(map(subjects.is_literal, ("a*", "a.b>", "x")))
