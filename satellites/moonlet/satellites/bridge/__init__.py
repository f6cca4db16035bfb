"""Bridge: moves cash to the chain where it is dearest, in two legs, and undoes a half-done one."""

from moonlet.satellites.bridge.handlers import bridge
from moonlet.satellites.bridge.messages import SetRoute, UpdateBridgeSecurityAudit

__all__ = ["SetRoute", "UpdateBridgeSecurityAudit", "bridge"]
