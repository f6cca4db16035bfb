"""How agents, commands and timers become subjects, and back. Every token is checked before."""

from moonlet.core.errors import InvalidId
from moonlet.core.ids import AgentId, partition_of


class Subjects:
    """The subject map under one prefix; the table is DESIGN §5's."""

    def __init__(self, prefix: str = "moon") -> None:
        self.prefix = prefix

    def journal(self, agent: AgentId) -> str:
        """The one literal subject of an agent's commits."""
        return f"{self.prefix}.evt.{agent.type}.{agent.key}"

    def journal_agent(self, subject: str) -> AgentId | None:
        """The agent of a journal subject; None for a foreign subject."""
        tokens = subject[len(self.prefix) + 1 :].split(".")
        if not subject.startswith(f"{self.prefix}.evt.") or len(tokens) != 3:
            return None
        return _agent_or_none(tokens[1], tokens[2])

    def may_answer(self, subject: str) -> bool:
        """Whether an answer may go there: never to a stream of ours, whoever asks for that.

        Who answers may publish more than who asks, and what it says there would be stored.
        """
        return subject != "" and not subject.startswith((f"{self.prefix}.", "$"))

    def mailbox(self, agent: AgentId, lane: str, partitions: int) -> str:
        """Where clients write an agent's commands."""
        partition = partition_of(agent.key, partitions)
        return f"{self.prefix}.cmd.{agent.type}.{partition}.{lane}.{agent.key}"

    def internal(self, agent: AgentId, lane: str, partitions: int) -> str:
        """Where agents and calls write an agent's commands."""
        partition = partition_of(agent.key, partitions)
        return f"{self.prefix}.in.{agent.type}.{partition}.{lane}.{agent.key}"

    def call(self, agent: AgentId) -> str:
        """Where an agent's calls wait for a host that runs them."""
        return f"{self.prefix}.call.{agent.type}.{agent.key}"

    def timer(self, agent: AgentId, name: str, revision: int) -> str:
        """Where the schedule of a timer stands."""
        return f"{self.prefix}.timer.{agent.type}.{agent.key}.{name}.{revision}"

    def timers(self, agent: AgentId, name: str) -> str:
        """Where the schedules of one timer stand, whatever revision set them."""
        return f"{self.prefix}.timer.{agent.type}.{agent.key}.{name}.*"

    def fire(self, agent: AgentId, partitions: int) -> str:
        """Where a fired timer waits for the agent's owner."""
        partition = partition_of(agent.key, partitions)
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

    def hosts(self) -> str:
        """Where hosts tell each other that something about ownership has changed."""
        return f"{self.prefix}.hosts"

    def owner(self, service: str, type: str, partition: int | str) -> str:
        """Where a partition's owner answers: `service` is query or outcome."""
        return f"{self.prefix}.{service}.{type}.{partition}"

    def lane_filter(self, family: str, type: str, partition: int, lane: str) -> str:
        """The subjects of one partition's lane; `family` is cmd or in."""
        return f"{self.prefix}.{family}.{type}.{partition}.{lane}.*"

    def fire_filter(self, type: str, partition: int) -> str:
        """The fired timers of one partition."""
        return f"{self.prefix}.fire.{type}.{partition}.*"


def _agent_or_none(type: str, key: str) -> AgentId | None:
    try:
        return AgentId.parse(f"{type}/{key}")
    except InvalidId:
        return None
