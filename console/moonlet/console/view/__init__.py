"""`views` and `view NAME ...`: what views hold, how replicas stand, and orders to those."""

from moonlet.console.view.app import view_app
from moonlet.console.view.standing import views

__all__ = ["view_app", "views"]
