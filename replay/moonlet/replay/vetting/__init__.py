"""Looking at handlers before anything runs: what would come out otherwise at a replay."""

from moonlet.replay.vetting.impurity import Impurity
from moonlet.replay.vetting.vetting import vet

__all__ = ["Impurity", "vet"]
