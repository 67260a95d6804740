"""Every threshold of a build, by stage. `python -m data_pipeline build --cut.shortest=2` changes one."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Normalise:
    """How sources become alike. Seconds, pixels, LUFS and dBFS."""

    longest: float = 4 * 3600.0
    """Longer files are rejected by their header, before anything is decoded."""
    smallest_side: int = 128
    largest_side: int = 8192
    side: int = 512
    """Shorter side that pictures are shrunk to; they are never enlarged."""
    crf: int = 16
    gap: float = 2.0
    """Seconds without a frame that are bridged by the last one; more is a broken file."""
    loudness: float = -23.0
    peak: float = -1.0
    refuse: tuple[str, ...] = ()
    """Repairs that are not wanted: variable frame rate, rotated, hdr, narrow sound."""


@dataclass(frozen=True)
class Cut:
    """Shots: PySceneDetect's content threshold, the continuity rule, and how long clips are, in seconds."""

    content: float = 27.0
    likeness: float = 0.0
    """The continuity rule's score below which neighbouring frames belong to two shots."""
    trim: int = 2
    """Frames dropped on each side of a cut."""
    shortest: float = 3.0
    longest: float = 10.0


@dataclass(frozen=True)
class Faces:
    """One speaker, large enough, steady, seen all the time. `finder`: "" or the dotted name of a factory."""

    finder: str = ""
    step: int = 5
    seen: float = 0.8
    """Share of the looks in which the head must be found."""
    speakers: int = 1
    height: float = 0.15
    """Head over picture height."""
    pixels: int = 48
    jump: float = 0.7
    """Head heights that the head may move between two looks."""
    yaw: float = 0.9
    """Radians beyond which half of a clip must not be turned away, where the finder tells."""


@dataclass(frozen=True)
class Speech:
    """Share of a clip in which a voice is heard; share of its samples that may be clipped."""

    least: float = 0.3
    clipped: float = 0.02


@dataclass(frozen=True)
class Experts:
    """Names of `stages.experts.FACTORIES`, or dotted names of factories. `allowed`: those that may be unavailable."""

    names: tuple[str, ...] = ("mouth", "camera", "sync")
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dedup:
    """Two clips are one where pictures differ in at most this share of their bits and so does the sound."""

    picture: float = 0.12
    sound: float = 0.28


@dataclass(frozen=True)
class Encode:
    """What makes latents, and, where it is a public video model's encoders, how.

    encoder: "" for the embedded codec, "public" for what lies below `weights` (vae, text_encoder, tokenizer,
    image_encoder, wav2vec2), or the dotted name of a factory of a LatentEncoder, which is called with these settings.
    """

    encoder: str = ""
    family: str = "skyreels_a2v_19b"
    """Of `avatar_jax.weights`: decides which encoders are needed."""
    weights: str = "weights"
    frames: int = 81
    """Of a window, 4 n + 1; a clip is cut into as many as fit, evenly spread."""
    area: int = 480 * 832
    """Pixels of a picture, of the nearest of `buckets.RATIOS`."""
    fps: int = 25
    """Frames a second that the family was trained with."""
    numbers: Literal["bf16", "fp32"] = "bf16"
    """In which text and pictures are read; sound and latents are float32."""


@dataclass(frozen=True)
class Shards:
    """How finished sets are laid out."""

    clips: int = 256
    heldout: float = 0.02
    """Share of the sources whose clips go into the held-out split."""
    crf: int = 17


@dataclass(frozen=True)
class Settings:
    """All of a build. `reviewed`: only clips that people accepted go into the sets."""

    normalise: Normalise = field(default_factory=Normalise)
    cut: Cut = field(default_factory=Cut)
    faces: Faces = field(default_factory=Faces)
    speech: Speech = field(default_factory=Speech)
    experts: Experts = field(default_factory=Experts)
    dedup: Dedup = field(default_factory=Dedup)
    encode: Encode = field(default_factory=Encode)
    shards: Shards = field(default_factory=Shards)
    reviewed: bool = False
