"""Clips as the generator is trained on them: codec latents at 25 fps and audio features at 50 Hz, in one record."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avatar_jax.models.audio_encoder import AudioEncoderConfig, encode_recording
from avatar_jax.models.avatar_codec import CodecConfig
from avatar_jax.models.portrait_layers import SIZE
from avatar_jax.models.pose import FACE_WINDOW
from data_pipeline.codec_latents import Params, clip_latents, portrait_latent, sized
from data_pipeline.synthetic import render
from data_pipeline.synthetic.clip import Clip
from data_pipeline.synthetic.identity import Identity
from data_pipeline.synthetic.layers import hand_poses, unwarped_faces
from data_pipeline.synthetic.state import POSE_COLUMNS


@dataclass(frozen=True)
class Encoders:
    """Trained parameters, with the configs that they belong to."""

    codec: Params
    audio: Params
    codec_config: CodecConfig = field(default_factory=CodecConfig)
    audio_config: AudioEncoderConfig = field(default_factory=AudioEncoderConfig)


def encode_clip(encoders: Encoders, who: Identity, states_TS: np.ndarray) -> np.ndarray:
    """Latents [T, 17, 139] float16 of one character in these states."""
    faces = unwarped_faces(who, states_TS, SIZE)
    pose_TZ = np.concatenate([states_TS[:, POSE_COLUMNS], hand_poses(who, states_TS)], axis=-1)
    config, params = encoders.codec_config, encoders.codec
    return clip_latents(config, params, faces, pose_TZ, render.portrait(who, SIZE), "encode_faces")


def face_points(clip: Clip) -> np.ndarray:
    """[3, 2] float32: mouth, left and right eye in the codec's face window, 0 to 1, x to the right."""
    marks = render.landmarks(clip.identity)
    points = np.array([marks["mouth"][:2], marks["eye_l"][:2], marks["eye_r"][:2]], np.float32)
    left, top, right, bottom = FACE_WINDOW
    return (points - np.array([left, top], np.float32)) / np.array([right - left, bottom - top], np.float32)


def clip_record(clip: Clip) -> dict[str, np.ndarray | str]:
    """The clip without its frames: sound, phones, states, storyline and the seeds to draw it again."""
    return {
        "seed": np.array([clip.seed, clip.identity.seed]),
        "wave": clip.speech.wave,
        "phone_times": np.array([(p.start, p.end) for p in clip.speech.phones], np.float32).reshape(-1, 2),
        "phones": "\n".join(p.ipa for p in clip.speech.phones),
        "voice": clip.speech.voice,
        "states_TS": clip.states_TS,
        "storyline": clip.storyline.to_json(),
    }


def latent_record(clip: Clip, encoders: Encoders) -> dict[str, np.ndarray | str]:
    """What `windows.sample_window` reads; `seed` draws the clip again."""
    latents_TPC = encode_clip(encoders, clip.identity, clip.states_TS)
    portrait = portrait_latent(encoders.codec_config, encoders.codec, render.portrait(clip.identity, SIZE))
    audio = encode_recording(encoders.audio, clip.speech.wave, encoders.audio_config)
    return {
        "seed": np.array([clip.seed, clip.identity.seed]),
        "latents_TPC": latents_TPC,
        "portrait_PC": portrait,
        "audio_FM": np.asarray(audio.features_BTM, np.float16),
        "states_TS": clip.states_TS,
        "spans_S2": clip.spans_S2,
        "storyline": clip.storyline.to_json(),
        "face_points_32": face_points(clip),
    }


def load_encoders(codec: Path, audio: Path) -> Encoders:
    """Encoders from the files that `weights.ship` exported, with the sizes that their notes tell.

    Raises:
      WeightsError: if a file is missing or damaged.
    """
    codec_params, codec_config = sized(codec, CodecConfig)
    audio_params, audio_config = sized(audio, AudioEncoderConfig)
    return Encoders(codec_params, audio_params, codec_config, audio_config)
