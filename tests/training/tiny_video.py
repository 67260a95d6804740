"""Tiny public video models and records of windows on disk, and the stage over them."""

from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from avatar_jax.mesh import make_mesh
from avatar_jax.models.video_model import VideoModelConfig
from avatar_jax.training.video_stage import VideoConfig, VideoStage, video_model
from avatar_jax.weights.load import load
from avatar_jax.weights.trained import released_model
from configs.stages import video_batches
from data_pipeline.source import RecordWriter
from tests.e2e.public_weights import transformer
from tests.weights.tiny import write

LATENTS, ROWS, COLUMNS, CHANNELS = 3, 4, 6, 16
FRAMES = 1 + 4 * (LATENTS - 1)


def write_weights(folder: Path, family: str) -> Path:
    """DIR/transformer of a tiny model of this family, in Wan's original layout."""
    write(folder / "transformer", *transformer(family))
    return folder


def record(number: int, model: VideoModelConfig, rows: int = ROWS, columns: int = COLUMNS) -> dict[str, Any]:
    rng = np.random.default_rng(number)

    def drawn(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float16)

    grid, mouth = (LATENTS, rows, columns), np.zeros((LATENTS, rows, columns), np.float32)
    mouth[:, 2:, 2:4] = 1
    found = {
        "latents_THWC": drawn(*grid, CHANNELS),
        "shown_first_THWC": drawn(*grid, CHANNELS),
        "shown_ends_THWC": drawn(*grid, CHANNELS),
        "shown_mid_THWC": drawn(*grid, CHANNELS),
        "mid_frame": np.asarray(4),
        "last_HWC": drawn(*grid[1:], CHANNELS),
        "text_SLE": drawn(2, 5, model.dit.text_width),
        "shares_TS": np.full((LATENTS, 2), 0.5, np.float32),
        "mouth_THW": mouth,
    }
    if model.dit.image_width is not None:
        found["picture_IE"] = drawn(model.dit.image_tokens or 5, model.dit.image_width)
    if model.audio is not None:
        found["heard_FLC"] = drawn(FRAMES + 4, model.audio.layers, model.audio.channels)
    return found


def write_records(folder: Path, model: VideoModelConfig, count: int = 6) -> Path:
    with RecordWriter(folder / "00000.array_record") as writer:
        for number in range(count):
            writer.write(record(number, model))
    return folder


def opened(config: VideoConfig, folder: Path) -> VideoStage:
    """The stage on weights in `folder` and made-up records."""
    request, released = released_model(config.family, folder, np.float32)
    model = video_model(config, released)
    feed = partial(video_batches, [record(number, model) for number in range(6)], config)
    return VideoStage(config, model, feed, lambda mesh: load(request, mesh, np.float32).params)


def begun(stage: VideoStage) -> tuple[Any, Any]:
    """(trained, fixed) parameters at the start, on one device."""
    mesh = make_mesh()
    with jax.set_mesh(mesh):
        return stage.start(mesh), stage.fixed(mesh)


def batch_of(stage: VideoStage) -> dict[str, jax.Array]:
    return {name: jax.numpy.asarray(x) for name, x in next(stage.batches(0)).items() if name != "example_B"}
