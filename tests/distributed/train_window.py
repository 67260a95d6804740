"""train.py with the generator's stage, narrow and shallow, on made-up clips; run as a program by tests."""

import sys
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from absl import flags

import train
from avatar_jax.director.plan import spans_of
from avatar_jax.director.storyline import one_shot
from avatar_jax.models.segment import CHANNELS, PATCHES, WindowConfig
from avatar_jax.training.dit_stage import DitConfig, DitStage
from avatar_jax.training.loop import LoopConfig
from avatar_jax.training.optim import OptimConfig
from configs.stages import window_batches
from data_pipeline.synthetic.state import STATE
from data_pipeline.synthetic.windows import ClipWindows

FRAMES = 100
STORY = one_shot(64_000, 16_000, emotion="joy")


def clip(number: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(number)
    return {
        "latents_TPC": rng.standard_normal((FRAMES, PATCHES, CHANNELS)).astype(np.float16),
        "audio_FM": rng.standard_normal((2 * FRAMES, 64)).astype(np.float16),
        "states_TS": np.zeros((FRAMES, len(STATE)), np.float32),
        "storyline": np.asarray(STORY.to_json()),
        "spans_S2": spans_of(STORY),
        "face_points_32": np.full((3, 2), 0.5, np.float32),
        "portrait_PC": rng.standard_normal((PATCHES, CHANNELS)).astype(np.float16),
    }


def tiny() -> WindowConfig:
    whole = WindowConfig()
    dit = replace(whole.dit, width=80, heads=2, depth=1, ffn=64, frequencies=32)
    return replace(whole, dit=dit)


@dataclass(frozen=True)
class Small:
    loop: LoopConfig = field(default_factory=LoopConfig)
    dit: DitConfig = field(
        default_factory=lambda: DitConfig(
            model=tiny(), batch=4, seed=3, optimiser=OptimConfig(steps=3, rate=1e-3, kind="adamw")
        )
    )


CONFIG = Small()


def stage(config: Small, out: Path) -> DitStage:
    records = [clip(number) for number in range(12)]

    return DitStage(config.dit, partial(window_batches, records, config.dit), ClipWindows(records))


if __name__ == "__main__":
    flags.FLAGS.mark_as_parsed()
    train.STAGES = {"dit": stage}
    sys.exit(train.main())
