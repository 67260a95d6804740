"""The five questions that are asked of every pair, in this order."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dimension:
    name: str
    label: str
    question: str


DIMENSIONS = (
    Dimension("overall", "Overall", "Which video would you rather use?"),
    Dimension("lip_sync", "Lip sync", "Whose lips and jaw follow the sound better, also where it is silent?"),
    Dimension("visual_quality", "Visual quality", "Which picture is cleaner: sharp, steady, without faults?"),
    Dimension("control_response", "Control response", "Which does better what was asked: emotion, action, camera?"),
    Dimension("identity", "Identity consistency", "Who stays more like the portrait, from start to end?"),
)
NAMES = tuple(dimension.name for dimension in DIMENSIONS)
