"""What all stages of one video share: its inputs heard and looked at, the models bound to them, its folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from jax.sharding import Mesh

from avatar_jax.director.camera import camera_path
from avatar_jax.director.storyline import Shot
from avatar_jax.metrics.reading import Readings
from avatar_jax.metrics.sharpness import sharpness
from avatar_jax.models.audio_encoder import AudioEncoderConfig, encode_recording
from avatar_jax.models.avatar_codec import PATCH_CHANNELS, PATCHES, AvatarCodec
from avatar_jax.models.reader import Reader
from avatar_jax.models.segment import WindowConfig
from avatar_jax.sampling.blinks import Blinks, blink_instants
from avatar_jax.sampling.camera import CameraPath
from avatar_jax.sampling.config import SampleConfig
from avatar_jax.sampling.denoiser import StorylineDenoiser, noise_of
from avatar_jax.sampling.folder import (
    OutputFolder,
)
from avatar_jax.sampling.gate import Standard
from avatar_jax.sampling.photograph import is_photograph
from avatar_jax.sampling.pictures import Pictures, source_for
from avatar_jax.sampling.report import Stopwatch
from avatar_jax.sampling.request import MODEL_FPS, Director, Prepared, Request
from avatar_jax.sampling.student import walked
from avatar_jax.sampling.windows import FRAMES, Denoiser, Noise

LATENT = (PATCHES, PATCH_CHANNELS)


@dataclass(frozen=True)
class Models:
    """The trained networks, by part, and the hashes of their files."""

    director: Director
    audio: AudioEncoderConfig
    audio_params: dict
    window: WindowConfig
    window_params: dict
    codec: AvatarCodec
    codec_params: dict
    reader: Reader
    reader_params: dict
    hashes: dict[str, str]
    student_steps: int | None = None
    """Of the student that `window_params` are of; none: they are the teacher's."""


@dataclass(frozen=True)
class Work:
    """What all stages of one video share."""

    config: SampleConfig
    folder: OutputFolder
    prepared: Prepared
    denoise: Denoiser
    noise: Noise
    pictures: Pictures
    portrait: Readings
    standard: Standard
    camera: CameraPath
    blinks: Blinks
    watch: Stopwatch


def begin(
    request: Request,
    prepared: Prepared,
    models: Models,
    config: SampleConfig,
    mesh: Mesh,
    folder: OutputFolder,
    watch: Stopwatch,
) -> Work:
    """Hear the recording, look at the portrait, bind the denoiser to both."""
    config = walked(config, models.student_steps)
    heard = encode_recording(models.audio_params, prepared.recording.mono, models.audio)
    framing = prepared.framing
    source = source_for(framing.portrait, config.size)
    photograph = is_photograph(framing.portrait)
    pictures = Pictures(
        models.codec, models.codec_params, models.reader, models.reader_params, source, config.size, photograph
    )
    denoiser = StorylineDenoiser(
        models.window,
        models.window_params,
        np.asarray(heard.features_BTM),
        prepared.storyline,
        MODEL_FPS,
        mesh,
        config.rows,
        config.one_prompt,
        pictures.portrait_latent(),
    )
    portrait = pictures.read([pictures.portrait()])
    return Work(
        config,
        folder,
        prepared,
        watch.watching(denoiser),
        noise_of(request.seed, LATENT, FRAMES),
        pictures,
        portrait,
        Standard(portrait, sharpness(pictures.portrait()), np.asarray(heard.shapes_BT4)),
        CameraPath(camera_path(camera_shots(prepared.storyline.shots, config.one_prompt)), MODEL_FPS),
        Blinks(
            blink_instants(
                config.blinks, request.seed, float(prepared.timeline.seconds), crc32(framing.portrait.tobytes())
            ),
            pictures.closed_eyes(),
        ),
        watch,
    )


def camera_shots(shots: Sequence[Shot], one_move: bool) -> list[Shot]:
    """The shots whose cameras move; as one move, the first that is asked for, over the whole video."""
    if not one_move:
        return list(shots)
    moving = next((shot for shot in shots if shot.camera != "static"), shots[0])
    return [moving.model_copy(update={"start": shots[0].start, "end": shots[-1].end})]
