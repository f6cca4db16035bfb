"""A host: it holds a lease, owns its share of partitions, and runs their agents."""

from moonlet.agents.hosting.alert_watch import AlertWatch, tell_agent
from moonlet.agents.hosting.figures import figures
from moonlet.agents.hosting.host import Host
from moonlet.agents.hosting.host_pages import HostPages
from moonlet.agents.hosting.live_spans import LiveSpans
from moonlet.agents.hosting.loop_watch import EXIT_BLOCKED, Beats
from moonlet.agents.hosting.telling import Mute, host_topics

__all__ = [
    "EXIT_BLOCKED",
    "AlertWatch",
    "Beats",
    "Host",
    "HostPages",
    "LiveSpans",
    "Mute",
    "figures",
    "host_topics",
    "tell_agent",
]
