"""The ways to join sub-clips and to reach the output rate, each as a change of the cascade's config.

`python -m avatar_jax.evaluation joins` makes the same cases under each and compares; docs/joins.md has the table.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Literal

from avatar_jax.sampling.config import SampleConfig

Change = Callable[[SampleConfig], SampleConfig]


def joined(
    config: SampleConfig, tail: float = 1.0, lean: int = 0, reach: int = 0, hold: float = 0.5, blend: int = 0
) -> SampleConfig:
    """The config with sub-clips joined like this; see `SegmentConfig` and `SeamConfig`."""
    segment = replace(config.segment, tail=tail, lean=lean)
    return replace(config, segment=segment, seams=replace(config.seams, reach=reach, hold=hold, blend=blend))


def inserted(config: SampleConfig, halvings: int, rest: Literal["generate", "mix", "repeat"]) -> SampleConfig:
    """The config with frames inserted like this; see `InsertionConfig`."""
    return replace(config, insertion=replace(config.insertion, halvings=halvings, rest=rest))


JOINS: Mapping[str, Change] = {
    "hard key frames": joined,
    "soft tail": partial(joined, tail=0.7, lean=2),
    "regenerated seam": partial(joined, reach=2, hold=0.5),
    "soft tail, regenerated seam": partial(joined, tail=0.7, lean=2, reach=2, hold=0.5),
    "plain blending": partial(joined, blend=2),
}
INSERTIONS: Mapping[str, Change] = {
    "repeated": partial(inserted, halvings=0, rest="repeat"),
    "straight line": partial(inserted, halvings=0, rest="mix"),
    "model, own instants": partial(inserted, halvings=0, rest="generate"),
    "model to 25, then line": partial(inserted, halvings=1, rest="mix"),
    "model to 25, then model": partial(inserted, halvings=1, rest="generate"),
}
"""At 25 frames a second the last three are the same."""
