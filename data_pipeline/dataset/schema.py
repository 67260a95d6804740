"""What one example of a finished set holds: a clip's media, or its latents with all that belongs to them.

Media and latents are separate sets, because a reader decodes whole records: `media` has what people and pixel models
look at, `latents` what training reads. Clips have the same identity (`clip`) in both. The drawn avatars use the very
same examples.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Float, Int16

from data_pipeline.dataset.provenance import Provenance

AUDIO_RATE = 16_000
"""Samples per second of the sound in `media`."""

BINARY = ("video",)
"""Values that are bytes; all others that TFDS returns as bytes are text."""


def _array(shape: tuple[int | None, ...], kind: type = np.float32) -> tfds.features.Tensor:
    """Stored as its plain bytes: neither TensorFlow nor a decoder is needed, and random floats do not compress."""
    return tfds.features.Tensor(shape=shape, dtype=kind, encoding=tfds.features.Encoding.BYTES)


@dataclass(frozen=True)
class Score:
    """What one expert said of a clip; an expert that could not look has no `value` and has passed nothing."""

    value: float | None
    threshold: float | None
    passed: bool
    version: str = ""


@dataclass(frozen=True)
class Example:
    """What both sets tell of a clip. Boxes are x, y, width, height, in shares of the picture, one for every frame.

    clip: the content hash that names it. size: height and width in pixels. fps: of the frames, which are `frames`.
    storyline: JSON of `director.storyline`, or "" where there is only the caption.
    """

    clip: str
    source: Provenance
    fps: float
    frames: int
    size: tuple[int, int]
    caption: str = ""
    storyline: str = ""
    language: str = ""
    scores: Mapping[str, Score] = field(default_factory=dict)
    faces_T4: Float[np.ndarray, "T 4"] = field(default_factory=partial(np.zeros, (0, 4), np.float32))
    mouths_T4: Float[np.ndarray, "T 4"] = field(default_factory=partial(np.zeros, (0, 4), np.float32))

    def line(self) -> dict[str, Any]:
        """The example in an index of its shard: everything that can be asked without reading media."""
        return {
            "clip": self.clip,
            "source": self.source.name,
            "licence": self.source.licence,
            "consent": self.source.consent,
            "fps": self.fps,
            "frames": self.frames,
            "size": list(self.size),
            "language": self.language,
            "scores": {
                name: {"value": score.value, "threshold": score.threshold, "passed": score.passed}
                for name, score in self.scores.items()
            },
        }

    def values(self) -> dict[str, Any]:
        """Values under the names of `FEATURES`; an unavailable score is NaN."""
        return {
            "clip": self.clip,
            "source": self.source.name,
            "licence": self.source.licence,
            "consent": self.source.consent,
            "fps": np.float32(self.fps),
            "frames": np.int32(self.frames),
            "size": np.asarray(self.size, np.int32),
            "caption": self.caption,
            "storyline": self.storyline,
            "language": self.language,
            "faces_T4": np.asarray(self.faces_T4, np.float32),
            "mouths_T4": np.asarray(self.mouths_T4, np.float32),
            "scores": [
                {
                    "expert": name,
                    "version": score.version,
                    "value": _number(score.value),
                    "threshold": _number(score.threshold),
                    "passed": np.bool_(score.passed),
                }
                for name, score in self.scores.items()
            ],
        }


def dense(x: Any, kind: Any) -> np.ndarray:
    """The array to store: NaN for an empty one, since TFDS cannot read one of several unknown lengths back.

    One NaN for two axes, two for three: TFDS takes no array that has fewer bytes than axes.
    """
    x = np.asarray(x, kind)
    return x if x.size else np.full((*(1,) * (x.ndim - 1), x.ndim - 1), np.nan, kind)


def is_there(x: np.ndarray) -> bool:
    """Whether an array that was read is one, not the mark that `dense` left for none."""
    return not (x.size == x.ndim - 1 and bool(np.isnan(x).all()))


def _number(value: float | None) -> np.float32:
    return np.float32(np.nan if value is None else value)


def _features() -> dict[str, Any]:
    text = tfds.features.Text
    return {
        "clip": text(),
        "source": text(),
        "licence": text(),
        "consent": text(),
        "fps": np.float32,
        "frames": np.int32,
        "size": tfds.features.Tensor(shape=(2,), dtype=np.int32),
        "caption": text(),
        "storyline": text(),
        "language": text(),
        "faces_T4": _array((None, 4)),
        "mouths_T4": _array((None, 4)),
        "scores": tfds.features.Sequence(
            {
                "expert": text(),
                "version": text(),
                "value": np.float32,
                "threshold": np.float32,
                "passed": np.bool_,
            }
        ),
    }


@dataclass(frozen=True)
class MediaExample(Example):
    """A clip to see and hear: an mp4 file, and its sound once more as 16 kHz mono samples from its first frame on."""

    video: bytes = b""
    audio: Int16[np.ndarray, " n"] = field(default_factory=partial(np.zeros, 0, np.int16))

    SET: ClassVar[str] = "media"
    FEATURES: ClassVar[Any] = tfds.features.FeaturesDict(
        {
            **_features(),
            # `features.Video` and `features.Audio` would need TensorFlow.
            "video": tfds.features.Scalar(dtype=np.object_),
            "audio": _array((None,), np.int16),
        }
    )

    def values(self) -> dict[str, Any]:
        return super().values() | {"video": self.video, "audio": np.asarray(self.audio, np.int16)}


@dataclass(frozen=True)
class LatentExample(Example):
    """A clip as generators are trained on it.

    latents_TPC: [latent frames, places, channels], rows of a picture grid one after the other.
    grid: rows and columns of the places; (0, 0) where they are no grid (the embedded model's codec).
    frames_per_latent: 1, or what a causal codec packs into each latent after the first.
    starts: seconds at which separately encoded windows of equal length begin, each with its own first latent; none
      where the clip was encoded as one and any latent may come first.
    audio_FM, audio_rate: features of the sound and how many there are in a second; feature i is heard at i / rate.
    audio_layers: hidden states of a speech encoder that lie side by side in a feature, 1 where it is one vector.
    text_LE: encoder states of the caption, empty where the text is encoded while training.
    texts_SLE: encoder states of every shot's prompt (`director.plan.shot_prompt`), zero after its end.
    shots_S2: start and end of every shot in seconds (outer ones may reach beyond the clip).
    shown_first_TPC, shown_ends_TPC, shown_mid_TPC: latents, window by window, of videos of which only the first frame
      is there, the first and last, the first and the one that mids_W tells; the others are grey.
    last_WPC: the last frame of every window as a picture of its own; empty_C: of an empty picture, mean of its places.
    pictures_WIE: tokens of each window's first frame, or of its first and last, as the model reads them.
    labels_TK, label_names: known truth about every frame (drawn avatars), empty otherwise.
    face_points_32: mouth, left and right eye in shares of the face window, zeros where not known.
    portrait_PC: the portrait's own latent, where the others are deviations from it (the embedded model's codec).

    Of windows of a video model, `size` and boxes are those of the picture that was encoded, which may be cropped.
    """

    latents_TPC: np.ndarray = field(default_factory=partial(np.zeros, (0, 1, 1), np.float32))
    grid: tuple[int, int] = (0, 0)
    frames_per_latent: int = 1
    starts: tuple[float, ...] = ()
    audio_FM: np.ndarray = field(default_factory=partial(np.zeros, (0, 1), np.float32))
    audio_rate: float = 50.0
    audio_layers: int = 1
    text_LE: np.ndarray = field(default_factory=partial(np.zeros, (0, 1), np.float32))
    texts_SLE: np.ndarray = field(default_factory=partial(np.zeros, (0, 1, 1), np.float16))
    shots_S2: np.ndarray = field(default_factory=partial(np.zeros, (0, 2), np.float32))
    shown_first_TPC: np.ndarray = field(default_factory=partial(np.zeros, (0, 1, 1), np.float16))
    shown_ends_TPC: np.ndarray = field(default_factory=partial(np.zeros, (0, 1, 1), np.float16))
    shown_mid_TPC: np.ndarray = field(default_factory=partial(np.zeros, (0, 1, 1), np.float16))
    mids_W: tuple[int, ...] = ()
    last_WPC: np.ndarray = field(default_factory=partial(np.zeros, (0, 1, 1), np.float16))
    empty_C: tuple[float, ...] = ()
    pictures_WIE: np.ndarray = field(default_factory=partial(np.zeros, (0, 1, 1), np.float16))
    labels_TK: np.ndarray = field(default_factory=partial(np.zeros, (0, 1), np.float32))
    label_names: tuple[str, ...] = ()
    face_points_32: np.ndarray = field(default_factory=partial(np.zeros, (3, 2), np.float32))
    portrait_PC: np.ndarray = field(default_factory=partial(np.zeros, (0, 1), np.float16))

    SET: ClassVar[str] = "latents"
    FEATURES: ClassVar[Any] = tfds.features.FeaturesDict(
        {
            **_features(),
            "latents_TPC": _array((None, None, None), np.float16),
            "grid": tfds.features.Tensor(shape=(2,), dtype=np.int32),
            "frames_per_latent": np.int32,
            "starts": _array((None,)),
            "audio_FM": _array((None, None), np.float16),
            "audio_rate": np.float32,
            "audio_layers": np.int32,
            "text_LE": _array((None, None), np.float16),
            "texts_SLE": _array((None, None, None), np.float16),
            "shots_S2": _array((None, 2)),
            "shown_first_TPC": _array((None, None, None), np.float16),
            "shown_ends_TPC": _array((None, None, None), np.float16),
            "shown_mid_TPC": _array((None, None, None), np.float16),
            "mids_W": _array((None,), np.int32),
            "last_WPC": _array((None, None, None), np.float16),
            "empty_C": _array((None,), np.float16),
            "pictures_WIE": _array((None, None, None), np.float16),
            "labels_TK": _array((None, None)),
            "label_names": tfds.features.Sequence(tfds.features.Text()),
            "face_points_32": _array((3, 2)),
            "portrait_PC": _array((None, None), np.float16),
        }
    )

    def line(self) -> dict[str, Any]:
        """With its grid, its windows, and the names of the arrays that it has: loaders choose by these."""
        arrays = {name: x for name, x in vars(self).items() if isinstance(x, np.ndarray)}
        return super().line() | {
            "grid": list(self.grid),
            "windows": len(self.starts),
            "arrays": sorted(name for name, x in arrays.items() if x.any()),
        }

    def values(self) -> dict[str, Any]:
        return super().values() | {
            "latents_TPC": dense(self.latents_TPC, np.float16),
            "grid": np.asarray(self.grid, np.int32),
            "frames_per_latent": np.int32(self.frames_per_latent),
            "starts": np.asarray(self.starts, np.float32),
            "audio_FM": dense(self.audio_FM, np.float16),
            "audio_rate": np.float32(self.audio_rate),
            "audio_layers": np.int32(self.audio_layers),
            "text_LE": dense(self.text_LE, np.float16),
            "texts_SLE": dense(self.texts_SLE, np.float16),
            "shots_S2": np.asarray(self.shots_S2, np.float32).reshape(-1, 2),
            "shown_first_TPC": dense(self.shown_first_TPC, np.float16),
            "shown_ends_TPC": dense(self.shown_ends_TPC, np.float16),
            "shown_mid_TPC": dense(self.shown_mid_TPC, np.float16),
            "mids_W": np.asarray(self.mids_W, np.int32),
            "last_WPC": dense(self.last_WPC, np.float16),
            "empty_C": np.asarray(self.empty_C, np.float16),
            "pictures_WIE": dense(self.pictures_WIE, np.float16),
            "labels_TK": dense(self.labels_TK, np.float32),
            "label_names": list(self.label_names),
            "face_points_32": np.asarray(self.face_points_32, np.float32),
            "portrait_PC": dense(self.portrait_PC, np.float16),
        }


EXAMPLES: dict[str, type[MediaExample] | type[LatentExample]] = {e.SET: e for e in (MediaExample, LatentExample)}
"""Types by the name of their set."""
