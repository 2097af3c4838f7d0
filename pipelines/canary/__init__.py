"""After a flip a canary plays: every language of the version, through an edge, as a player would."""

from pipelines.canary.route import Offered, offered
from pipelines.canary.viewer import Played, play

__all__ = ["Offered", "Played", "offered", "play"]
