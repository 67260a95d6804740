"""Two drawn clips, built with tiny random encoders of a public family: what the stages of train.py read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.build import Order, Report, make_dataset
from data_pipeline.engine import LocalEngine
from data_pipeline.protocol import Head
from data_pipeline.settings import Cut, Encode, Experts, Settings, Shards, Speech
from data_pipeline.stages import faces
from data_pipeline.synthetic.videos import write_videos

SEEDS, SECONDS, FRAMES = range(8, 10), 1.6, 9


@dataclass(frozen=True)
class Finder:
    """Stands in for the reader of drawings, which takes seconds to compile."""

    version: str = "test-1"

    def find(self, frames: Sequence[np.ndarray]) -> list[list[Head]]:
        return [[Head((0.3, 0.2, 0.4, 0.5), (0.4, 0.5, 0.2, 0.1))] for _ in frames]


def settings(encode: Encode) -> Settings:
    shards = Shards(clips=3, heldout=0.0)
    return Settings(cut=Cut(shortest=1.0), speech=Speech(least=0.05), experts=Experts(()), encode=encode, shards=shards)


def public(weights: Path, family: str, **more: object) -> Encode:
    """Windows of nine frames of 32 x 32 pixels."""
    return Encode("public", family, str(weights), frames=FRAMES, area=32 * 32, numbers="fp32", **more)  # pyright: ignore[reportArgumentType]


def write_raw(folder: Path) -> Path:
    write_videos(folder, SEEDS, 144, seconds=SECONDS)
    return folder


def build(raw: Path, out: Path, encode: Encode) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faces, "finder_for", lambda frames, origin, setting: (Finder(), True))
        return make_dataset(Order(str(raw), str(out), settings(encode)), LocalEngine(0))
