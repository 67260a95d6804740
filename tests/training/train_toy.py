"""train.py with the toy stage as its only one; run as a program by the tests that kill it."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

import train
from avatar_jax.training.loop import LoopConfig
from tests.training.toy_stage import ToyConfig, ToyStage


@dataclass(frozen=True)
class Toy:
    loop: LoopConfig = field(default_factory=LoopConfig)
    toy: ToyConfig = field(default_factory=ToyConfig)
    pause: float = 0.0


@dataclass(frozen=True)
class SlowToy(ToyStage):
    pause: float = 0.0

    def batches(self, start: int) -> Iterator[dict[str, np.ndarray]]:
        for batch in super().batches(start):
            time.sleep(self.pause)
            yield batch


CONFIG = Toy()

if __name__ == "__main__":
    train.STAGES = {"toy": lambda config: SlowToy(config.toy, config.pause)}
    sys.exit(train.main())
