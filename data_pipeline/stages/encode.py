"""Encode: what generators are trained on: latents of the pictures, features of the sound, the storyline's shots."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from avatar_jax.director.plan import spans_of
from avatar_jax.director.storyline import parse
from avatar_jax.media import BadInput
from avatar_jax.metrics.reading import read_frames
from avatar_jax.models.audio_encoder import FEATURE_RATE, AudioEncoderConfig, encode_recording
from avatar_jax.models.avatar_codec import CodecConfig
from avatar_jax.models.portrait_layers import SIZE
from avatar_jax.models.pose import HAND, POSE
from avatar_jax.weights import ship
from data_pipeline.chain import Build, Stage
from data_pipeline.codec_latents import clip_latents, portrait_latent, sized
from data_pipeline.protocol import Clip, LatentEncoder, Unencodable
from data_pipeline.records import Record, Result
from data_pipeline.settings import Encode, Settings
from data_pipeline.stages.faces import tracked
from data_pipeline.stages.finders import gate, named, square
from data_pipeline.stages.labels import true_labels

VERSION = "1"
NEUTRAL = ("log_zoom", "yaw", "pitch", "roll", "open")
"""Readings that are zero in a portrait."""


@functools.cache
def _shipped(name: str, sizes: type) -> tuple[Any, Any]:
    return sized(ship.SHIPPED / f"{name}.safetensors", sizes)


def pose_of(seen: Any) -> np.ndarray:
    """[T, 11] pose and hand as the gate's reader sees them; where the camera and the head both moved, the head did."""
    zoom = np.exp(seen.of("log_zoom"))
    zero = np.zeros_like(zoom)
    columns = {
        "log_zoom": seen.of("log_zoom"),
        "head_x": (seen.of("face_x") - 0.5) / zoom,
        "head_y": (seen.of("face_y") - 0.45) / zoom,
        "roll": seen.of("roll"),
        "yaw": seen.of("yaw"),
        "pitch": seen.of("pitch"),
        "hand_lift": np.clip(seen.of("hand"), 0, 1) * (seen.of("hand") > 0.5),
    }
    return np.stack([columns.get(name, zero) for name in (*POSE, *HAND)], axis=-1).astype(np.float32)


@dataclass(frozen=True)
class EmbeddedEncoder:
    """The avatar codec and audio encoder that ship. The codec knows drawings of one head, square, near the middle."""

    version: str = "embedded-2"

    def encode(self, clip: Clip, storyline: str) -> dict[str, Any]:
        """latents_TPC [T, 17, 139], portrait_PC and audio_FM at 50 Hz, as float16.

        Raises:
            Unencodable: the clip is no drawing.
        """
        if clip.tracks is None or not clip.tracks.drawn:
            raise Unencodable("the embedded codec knows drawings; set encode.encoder for recorded people")
        pictures = [square(frame, SIZE)[0] for frame in clip.frames(side=SIZE)]
        reader, params = gate()
        seen = read_frames(reader, params, pictures)
        away = sum(np.abs(seen.of(name)) for name in NEUTRAL)
        portrait, poses = pictures[int(np.argmin(away))], pose_of(seen)
        codec, config = _shipped("codec", CodecConfig)
        audio, heard_by = _shipped("audio", AudioEncoderConfig)
        return {
            "latents_TPC": clip_latents(config, codec, np.stack(pictures), poses, portrait),
            "portrait_PC": portrait_latent(config, codec, portrait),
            "audio_FM": np.asarray(encode_recording(audio, clip.mono, heard_by).features_BTM, np.float16),
        }


FACTORIES = {"public": "data_pipeline.stages.public_encoder:public_encoder"}


@functools.cache
def encoder(settings: Encode) -> LatentEncoder:
    """The embedded encoder, or what a factory makes; made once per process."""
    name = settings.encoder
    return named(FACTORIES.get(name, name))(settings) if name else EmbeddedEncoder()


def depends(settings: Settings) -> Any:
    return [settings.encode.encoder, encoder(settings.encode).version]


def encode(record: Record, build: Build) -> list[Record]:
    """Writes the arrays of the clip's latent example; a clip that cannot be encoded goes into the media set alone."""
    made, store = encoder(build.settings.encode), build.store
    story = record.facts("caption")["storyline"]
    version = f"{VERSION}, {made.version}"
    try:
        arrays = made.encode(tracked(record, build), story)
    except Unencodable as reason:
        note = f"no latents: {reason}"
        return [record.plus(Result("encode", version, "passed", notes=(note,), facts={"latents": False}))]
    if not all(np.isfinite(x).all() for x in arrays.values()):
        raise BadInput("latents", "not all numbers are finite", "latents are finite", "look at the clip")
    arrays["shots_S2"] = spans_of(parse(story))
    if not build.settings.encode.encoder:
        arrays |= true_labels(record, build)
    with store.writing(store.place(build.key("encode"), record.id, ".npz")) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    shapes = {name: list(x.shape) for name, x in arrays.items()}
    facts = {"latents": True, "shapes": shapes, "rate": float(arrays.get("audio_rate", FEATURE_RATE))}
    return [record.plus(Result("encode", version, "passed", facts=facts))]


ENCODE = Stage("encode", VERSION, encode, depends, needs_passed=True)
