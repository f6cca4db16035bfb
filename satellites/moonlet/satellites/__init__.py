"""The eight YieldSensei satellites: the worked example, and what `moonlet demo` runs.

`night.drive` takes them through the night of the depeg; `night.report` says what came of it. Each
satellite has a room of its own; what they say to each other stands in `messages`.
"""

from typing import TYPE_CHECKING, Any, Final

from moonlet.agents import AgentType as _AgentType
from moonlet.core.doors import late as _late
from moonlet.satellites.aegis import aegis
from moonlet.satellites.bridge import bridge
from moonlet.satellites.echo import echo
from moonlet.satellites.forge import forge
from moonlet.satellites.fuel import fuel
from moonlet.satellites.oracle import oracle
from moonlet.satellites.pulse import pulse
from moonlet.satellites.sage import sage
from moonlet.satellites.topology import TOPOLOGY

if TYPE_CHECKING:
    from moonlet.satellites.views import VIEWS, alerts, exposure, risk

SATELLITES: Final[tuple[_AgentType[Any], ...]] = (
    sage,
    forge,
    pulse,
    aegis,
    echo,
    fuel,
    bridge,
    oracle,
)
"""All eight, in YieldSensei's order. Their ids in the demo are `sage/main` to `oracle/main`."""

__getattr__ = _late(__name__)

__all__ = [
    "SATELLITES",
    "TOPOLOGY",
    "VIEWS",
    "aegis",
    "alerts",
    "bridge",
    "echo",
    "exposure",
    "forge",
    "fuel",
    "oracle",
    "pulse",
    "risk",
    "sage",
]
