"""What the page is told: one function an address, plain data out, and the command beside it."""

from moonlet.web.answers.causes import drawn
from moonlet.web.answers.table import ANSWERS, Answer

__all__ = ["ANSWERS", "Answer", "drawn"]
