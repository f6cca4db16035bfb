"""What a class itself tells to be lost is refused where the agent type is checked."""

from typing import Any

import pydantic
import pytest

from moonlet.agents import AgentType
from moonlet.core.errors import InvalidAgentType


class Excluding(pydantic.BaseModel):
    n: int = pydantic.Field(0, exclude=True)


class Written(pydantic.BaseModel):
    n: int = pydantic.Field(0, serialization_alias="m")


class Two(pydantic.BaseModel):
    n: int = pydantic.Field(
        0, validation_alias=pydantic.AliasChoices("a", "n"), serialization_alias="b"
    )


class One(pydantic.BaseModel):
    n: int = pydantic.Field(0, alias="m")
    k: int = pydantic.Field(0, validation_alias="x", serialization_alias="x")


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (Excluding, "Excluding.n would be lost .*exclude=True"),
        (Written, "Written.n would be lost .*written as 'm', and read as n"),
        (Two, "Two.n would be lost .*written as 'b', and read as a, n"),
    ],
)
def test_a_model_that_reads_otherwise_than_it_writes_is_refused(state: Any, says: str) -> None:
    with pytest.raises(InvalidAgentType, match=says):
        AgentType("x", state).check()


def test_one_alias_for_both_is_fine() -> None:
    AgentType("x", One).check()
