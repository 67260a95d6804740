"""train.py with the toy stage as its only one; run as a program by the tests that kill it."""

import resource
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
    full_after: int = 0


@dataclass(frozen=True)
class SlowToy(ToyStage):
    """Batches take `pause` seconds; from batch `full_after` on, no file can grow beyond a few bytes."""

    pause: float = 0.0
    full_after: int = 0

    def batches(self, start: int) -> Iterator[dict[str, np.ndarray]]:
        for number, batch in enumerate(super().batches(start), start):
            time.sleep(self.pause)
            if self.full_after and number >= self.full_after:
                limit_files(200)
            yield batch


def limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


CONFIG = Toy()

if __name__ == "__main__":
    train.STAGES = {"toy": lambda config, out: SlowToy(config.toy, config.pause, config.full_after)}
    sys.exit(train.main())
