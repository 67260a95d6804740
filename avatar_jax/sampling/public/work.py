"""What all stages of one video share: its inputs read and heard, the networks, the mesh, its folder."""

from dataclasses import dataclass
from fractions import Fraction

import jax
import numpy as np
from jax.sharding import Mesh

from avatar_jax.mesh import ways
from avatar_jax.models.suite import Suite
from avatar_jax.models.wav2vec2 import encode_recording
from avatar_jax.sampling.folder import OutputFolder
from avatar_jax.sampling.public.config import COMMON, PublicConfig
from avatar_jax.sampling.public.pictures import fitted, frame_size, picture_tokens
from avatar_jax.sampling.public.prompts import ShotTexts, encode_shots
from avatar_jax.sampling.report import Stopwatch
from avatar_jax.sampling.request import Inputs, Prepared
from avatar_jax.timeline import Timeline, frame_count


@dataclass(frozen=True)
class Work:
    """Bound to one request."""

    config: PublicConfig
    suite: Suite
    mesh: Mesh
    folder: OutputFolder
    watch: Stopwatch
    timeline: Timeline
    seed: int
    texts: ShotTexts
    heard_NLC: np.ndarray | None
    """Speech features of every frame of the model; None for silent families."""
    portrait: np.ndarray
    """uint8, at the video's size."""
    portrait_IE: np.ndarray
    """Its tokens."""

    @property
    def frames(self) -> int:
        """Of the model, over the whole recording."""
        return self.timeline.model_frames

    @property
    def fps(self) -> Fraction:
        return self.timeline.model_fps

    @property
    def rows(self) -> int:
        """Windows of one call: as many for each device of the data axes."""
        return self.config.rows * ways(self.mesh, ("data", "fsdp"))


def portrait_of(inputs: Inputs, config: PublicConfig, suite: Suite) -> np.ndarray:
    """The portrait at the video's size; where it must be cropped, around the face."""
    height, width = inputs.picture.shape[:2]
    x, y, w, h = inputs.box or (0.25 * width, 0.2 * height, 0.5 * width, 0.5 * height)
    among = COMMON if config.proportions == "common" else ()
    size = frame_size(width, height, config.area, suite.vae.config.cell, among)
    return fitted(inputs.picture, size, (x + w / 2, y + h / 2))


def begin(
    inputs: Inputs,
    prepared: Prepared,
    timeline: Timeline,
    seed: int,
    suite: Suite,
    config: PublicConfig,
    mesh: Mesh,
    folder: OutputFolder,
    watch: Stopwatch,
) -> Work:
    """Read the storyline, hear the recording, look at the portrait; each encoder is let go once it has done its work,
    but for the image encoder, which will look at key frames."""
    with jax.set_mesh(mesh):
        texts = encode_shots(prepared.storyline, config.negative_prompt, suite.text, suite.tokenizer)
        if not config.keep_encoders:
            suite.text.free()
        heard_NLC = None
        if suite.speech is not None:
            count = frame_count(timeline.samples, timeline.sample_rate, timeline.model_fps)
            states = encode_recording(suite.speech.config, suite.speech.params, inputs.recording.mono, count)
            heard_NLC = states[:, 1:]
            if not config.keep_encoders:
                suite.speech.free()
        portrait = portrait_of(inputs, config, suite)
        portrait_IE = picture_tokens(suite.image, [portrait])[0]
    return Work(
        config, suite, mesh, folder, watch, timeline, seed, texts, heard_NLC, portrait, portrait_IE
    )  # fmt: skip
