"""How agents, commands and timers become subjects, and back. Every token is checked before.

What waits for an owner stands under its pool and partition, then its lane, then the agent: so one
consumer with one filter serves all agent types of a pool that a host runs, however many they are.
Types that were registered before there were pools have none: their type stands in its place.
"""

import msgspec

from moonlet.core.errors import InvalidId
from moonlet.core.ids import AgentId, partition_of


class Home(msgspec.Struct, frozen=True):
    """Where a type's agents are: how many partitions it has, and the pool that these belong to.

    Fixed when the type is first registered. `pool` is empty for a type older than pools.
    """

    partitions: int
    pool: str = ""


class Subjects:
    """The subject map under one prefix; the table is DESIGN §5's."""

    def __init__(self, prefix: str = "moon") -> None:
        self.prefix = prefix
        self.ours = (f"{prefix}.", "$")
        """How the subjects begin that streams of ours, or the server, take."""

    def journal(self, agent: AgentId) -> str:
        """The one literal subject of an agent's commits."""
        return f"{self.prefix}.evt.{agent.type}.{agent.key}"

    def journals(self, agent_type: str) -> str:
        """The subjects of the commits of all agents of a type."""
        return f"{self.prefix}.evt.{agent_type}.*"

    def journal_agent(self, subject: str) -> AgentId | None:
        """The agent of a journal subject; None for a foreign subject."""
        tokens = subject[len(self.prefix) + 1 :].split(".")
        if not subject.startswith(f"{self.prefix}.evt.") or len(tokens) != 3:
            return None
        return _agent_or_none(tokens[1], tokens[2])

    def agent(self, subject: str) -> AgentId | None:
        """The agent whose commit, command, call or timer stands there; None if it is no agent's."""
        tokens = subject.removeprefix(f"{self.prefix}.").split(".")
        match tokens:
            case ["evt" | "snap" | "parked" | "call", type, key]:
                return _agent_or_none(type, key)
            case ["timer", type, key, _, _]:
                return _agent_or_none(type, key)
            case ["cmd" | "in", _, _, _, type, key] | ["fire", _, _, type, key]:
                return _agent_or_none(type, key)
            case ["cmd" | "in", type, _, _, key] | ["fire", type, _, key]:
                return _agent_or_none(type, key)
        return None

    def may_answer(self, subject: str) -> bool:
        """Whether an answer may go there: never to a stream of ours, whoever asks for that.

        Who answers may publish more than who asks, and what it says there would be stored.
        """
        return subject != "" and not subject.startswith(self.ours)

    def mailbox(self, agent: AgentId, lane: str, home: Home) -> str:
        """Where clients write an agent's commands."""
        return self._waiting("cmd", agent, lane, home)

    def internal(self, agent: AgentId, lane: str, home: Home) -> str:
        """Where agents and calls write an agent's commands."""
        return self._waiting("in", agent, lane, home)

    def _waiting(self, family: str, agent: AgentId, lane: str, home: Home) -> str:
        partition = partition_of(agent.key, home.partitions)
        if home.pool:
            return f"{self.prefix}.{family}.{home.pool}.{partition}.{lane}.{agent.type}.{agent.key}"
        return f"{self.prefix}.{family}.{agent.type}.{partition}.{lane}.{agent.key}"

    def call(self, agent: AgentId) -> str:
        """Where an agent's calls wait for a host that runs them."""
        return f"{self.prefix}.call.{agent.type}.{agent.key}"

    def timer(self, agent: AgentId, name: str, revision: int) -> str:
        """Where the schedule of a timer stands."""
        return f"{self.prefix}.timer.{agent.type}.{agent.key}.{name}.{revision}"

    def timers(self, agent: AgentId, name: str) -> str:
        """Where the schedules of one timer stand, whatever revision set them."""
        return f"{self.prefix}.timer.{agent.type}.{agent.key}.{name}.*"

    def fire(self, agent: AgentId, home: Home) -> str:
        """Where a fired timer waits for the agent's owner."""
        partition = partition_of(agent.key, home.partitions)
        if home.pool:
            return f"{self.prefix}.fire.{home.pool}.{partition}.{agent.type}.{agent.key}"
        return f"{self.prefix}.fire.{agent.type}.{partition}.{agent.key}"

    def snapshot(self, agent: AgentId) -> str:
        """Where an agent's last snapshot stands."""
        return f"{self.prefix}.snap.{agent.type}.{agent.key}"

    def parked(self, agent: AgentId) -> str:
        """Where an agent's parked commands and effects stand."""
        return f"{self.prefix}.parked.{agent.type}.{agent.key}"

    def topic(self, topic: str) -> str:
        """Where a topic's messages stand."""
        return f"{self.prefix}.pub.{topic}"

    def blob(self, digest: str, chunk: int) -> str:
        """Where a chunk of an outcome stands that was too large for its commit."""
        return f"{self.prefix}.blob.{digest}.{chunk}"

    def blobs(self, digest: str) -> str:
        """All chunks of an outcome."""
        return f"{self.prefix}.blob.{digest}.*"

    def hosts(self) -> str:
        """Where hosts tell each other that something about ownership has changed."""
        return f"{self.prefix}.hosts"

    def watch(self, topic: str) -> str:
        """Where hosts are asked how they are, for whoever watches; of all topics if it is `*`."""
        return f"{self.prefix}.watch.{topic}"

    def owner(self, service: str, agent: AgentId, home: Home) -> str:
        """Where an agent's owner answers: `service` is query, outcome or control."""
        partition = partition_of(agent.key, home.partitions)
        return self.owners(service, agent.type, home.pool, partition)

    def owners(self, service: str, type: str, pool: str, partition: int) -> str:
        """Where the owner of a type's partition answers; of a pool's if `type` is `*`."""
        if pool:
            return f"{self.prefix}.{service}.{pool}.{partition}.{type}"
        return f"{self.prefix}.{service}.{type}.{partition}"

    def lane_filter(self, family: str, type: str, pool: str, partition: int, lane: str) -> str:
        """One lane of a type's partition, of all types of the pool if `type` is `*`.

        `family` is cmd or in.
        """
        if pool:
            return f"{self.prefix}.{family}.{pool}.{partition}.{lane}.{type}.*"
        return f"{self.prefix}.{family}.{type}.{partition}.{lane}.*"

    def fire_filter(self, type: str, pool: str, partition: int) -> str:
        """The fired timers of a type's partition, of all types of the pool if `type` is `*`."""
        if pool:
            return f"{self.prefix}.fire.{pool}.{partition}.{type}.*"
        return f"{self.prefix}.fire.{type}.{partition}.*"


def _agent_or_none(type: str, key: str) -> AgentId | None:
    try:
        return AgentId.parse(f"{type}/{key}")
    except InvalidId:
        return None
