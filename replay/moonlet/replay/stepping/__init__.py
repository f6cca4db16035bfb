"""Going through a history by hand: forward, back, to the next change, to where something holds."""

from moonlet.replay.stepping.stepper import Stepper

__all__ = ["Stepper"]
