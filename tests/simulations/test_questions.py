"""What is asked of owners at the bounds of what they answer, in directed worlds."""

import pytest

from tests.agents.accounts import account_type
from tests.simulations.questions import crowd, far_ahead, long_ago
from tests.simulations.worlds import Body, passes


@pytest.mark.parametrize(
    ("body", "mark"),
    [
        (crowd, "more is asked than is answered at once"),
        (long_ago, "old outcomes are searched for together"),
        (far_ahead, "a client's number is further ahead than may be"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_owners_keep_to_their_bounds_and_nobody_loses_by_it(body: Body, mark: str) -> None:
    assert passes(body, agents=(account_type(partitions=1),), hosts=1).reached[mark]
