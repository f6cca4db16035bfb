"""What the parts of one host share, and the tasks that run in it."""

from moonlet.agents.services.host_services import HostServices
from moonlet.agents.services.meter import Meter, TypeMeter
from moonlet.agents.services.server_time import REFUSE, TELL, ServerTime
from moonlet.agents.services.tasks import Tasks

__all__ = ["REFUSE", "TELL", "HostServices", "Meter", "ServerTime", "Tasks", "TypeMeter"]
