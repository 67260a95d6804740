"""What is known of a case before its video is looked at: portrait, sound, labels of every instant, what was asked."""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avatar_jax.director import storyline
from avatar_jax.evaluation.benchmark.manifest import SetCase
from avatar_jax.evaluation.case import ShotSpan
from avatar_jax.media import BadInput, Recording, load_audio, load_portrait
from avatar_jax.models.judge import COLUMNS

FLAGS = ("closed", "silent")


@dataclass(frozen=True)
class Known:
    """labels: tracks by the judge's names, and the flags closed and silent, all [N] at `labels_fps`; {} where nobody
    knows them. shots: of the storyline, in order."""

    portrait: np.ndarray | None = None
    sound: Recording | None = None
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    labels_fps: float = 25.0
    shots: tuple[storyline.Shot, ...] = ()

    @property
    def labelled(self) -> bool:
        return "open" in self.labels

    def covered(self, times_T: np.ndarray) -> int:
        """How many of the first frames, shown at `times_T` seconds, the labels speak of."""
        count = len(self.labels["open"])
        return int(np.searchsorted(times_T * self.labels_fps, count - 0.5))

    def at(self, times_T: np.ndarray) -> dict[str, np.ndarray]:
        """Labels at any instants: flags of the nearest label, tracks along the straight line between two."""
        own = np.arange(len(self.labels.get("open", ()))) / self.labels_fps
        nearest = np.clip(np.round(times_T * self.labels_fps).astype(int), 0, len(own) - 1)
        return {
            name: track[nearest] if name in FLAGS else np.interp(times_T, own, track)
            for name, track in self.labels.items()
        }

    def spans(self, times_T: np.ndarray) -> tuple[ShotSpan, ...]:
        """The frames of every shot that has any."""
        found = []
        for shot in self.shots:
            first, stop = (int(i) for i in np.searchsorted(times_T, [float(shot.start), float(shot.end)]))
            if stop > first:
                found.append(ShotSpan(first, stop, shot.emotion, shot.intensity, shot.action, shot.camera))
        return tuple(found)


def known_of(folder: Path, case: SetCase) -> Known:
    """All that a set holds about a case.

    Raises:
      BadInput: a file of it is damaged.
    """
    labels, fps = read_labels(folder / case.labels) if case.labels else ({}, 25.0)
    return Known(
        load_portrait(folder / case.portrait),
        load_audio(folder / case.audio),
        labels,
        fps,
        tuple(storyline.load(folder / case.storyline).shots) if case.storyline else (),
    )


def read_labels(path: Path) -> tuple[dict[str, np.ndarray], float]:
    """Tracks and flags of a file of labels without their ending _T, and their rate; arrays of other names are left.

    Raises:
      BadInput: it is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name.removesuffix("_T"): file[name] for name in file.files}
        fps = float(arrays["fps"])
        count = len(arrays["open"])
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        rule = "an npz file with fps and open_T"
        raise BadInput(f"labels {path.name}", error, rule, "make the set anew") from error
    tracks = {name: np.asarray(arrays[name], np.float64) for name in COLUMNS if name in arrays}
    flags = {name: np.asarray(arrays.get(name, np.zeros(count)), bool) for name in FLAGS}
    found = tracks | flags
    if fps <= 0 or count == 0 or any(x.shape != (count,) for x in found.values()):
        raise BadInput(f"labels {path.name}", f"{count} at {fps} a second", "tracks of one length", "make the set anew")
    return found, fps
