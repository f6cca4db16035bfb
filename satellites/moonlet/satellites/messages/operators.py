"""What operators tell a satellite: any of a desk takes it, in whichever journal it lives."""

from typing import Annotated

from msgspec import Meta, Struct

from moonlet.projections import Observed
from moonlet.satellites.common import Name

AlertName = Annotated[str, Meta(pattern=r"^[a-z]{1,32}/[A-Za-z0-9_-]{1,64} [A-Za-z0-9_-]{1,64}$")]
"""Who raised an alert, and about what: 'aegis/main 17', 'pulse/main aave'."""

# commands


class CloseAlert(Struct, frozen=True):
    """An operator acknowledges an alert as he saw it in the view: `observed` is his read's token.

    What was raised without his knowing stays open.
    """

    alert: AlertName
    by: Name
    observed: Observed


# events


class AlertClosed(Struct, frozen=True):
    """An operator has acknowledged what he saw of an alert."""

    alert: AlertName
    by: Name
    observed: Observed
