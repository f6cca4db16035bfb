"""`doctor`: checks of the server and of what stands on it, each a finding with its fix."""

from moonlet.console.doctor.command import doctor

__all__ = ["doctor"]
