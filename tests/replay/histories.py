"""Histories made in memory, as a bundle holds them: long ones in no time."""

from moonlet.core.ids import AgentId
from moonlet.replay import BundleSource
from moonlet.simulations.bundle import Bundle, Held
from moonlet.streams import StoredMessage, Topology
from tests.journals import deposit


def history(
    agents: int,
    each: int,
    topology: Topology | None = None,
    *,
    said: str = "c-gen",
    behind: int = 0,
) -> BundleSource:
    """So many accounts with so many deposits each, interleaved, in the first journal.

    Those behind revision `behind` are sent by `said`: with another name it is another history.
    """
    topology = topology or Topology()
    journal, *empty = topology.journal_streams
    digests = [""] * agents
    messages: list[StoredMessage] = []
    for revision in range(1, each + 1):
        sender = said if revision > behind else "c-gen"
        for number in range(agents):
            agent = AgentId("account", f"s{number}")
            made, digests[number] = deposit(agent, revision, digests[number], sender)
            data, headers = made
            sequence = len(messages) + 1
            subject = f"{topology.prefix}.evt.account.s{number}"
            messages.append(StoredMessage(subject, sequence, sequence, dict(headers), data))
    configs = {config["name"]: config for config in topology.configs()}
    held = [Held(journal, configs[journal], 1, 1, len(messages), messages)]
    held += [Held(name, configs[name], 1, 1, 0, []) for name in empty]
    return BundleSource(Bundle(len(messages), "2.15", topology, held), "made")
