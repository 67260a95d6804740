"""From clips of a finished `latents` set to what generators are trained on: windows of a video model, or whole clips of
the embedded one.

Indexes are read first, so that a set that lacks something is told before a step is made.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from avatar_jax.director.plan import fullest, shots_at
from avatar_jax.director.storyline import parse
from avatar_jax.media import BadInput
from avatar_jax.models.segment import FACE_LABELS
from avatar_jax.models.umt5 import LENGTH
from avatar_jax.models.vae_stages import TIME_FACTOR
from data_pipeline.dataset.reader import Chosen, SetSource
from data_pipeline.dataset.shard import read_index
from data_pipeline.loader import Part, Transform
from data_pipeline.records import FPS
from data_pipeline.source import Numbered
from data_pipeline.synthetic.state import COLUMN, STATE
from data_pipeline.transforms import coverage, per_latent

SHOTS = 3
"""Prompts of a window, as sub-clips are sampled with."""
HEARD_BESIDE = 2
"""Frames on either side of a window whose sound is heard."""
WINDOWED = ("latents_TPC", "shown_first_TPC", "texts_SLE")
"""Without these a clip is no example of a video model."""
LABELLED = ("labels_TK", "face_points_32", "portrait_PC")
"""Without these the embedded generator does not know whose face it moves, nor its loss where it is and what it does."""


def window_groups(folder: Path, window: Transform, together: bool = False) -> list[list[Part]]:
    """Groups for `loader.mixed_batches`: the clips of one grid, a source a part.

    A source counts by its windows, its clips count the same. `window` gets (number in the set, clip).

    Args:
        together: all grids in one group, because `window` gives all the same shape.

    Raises:
        BadInput: the set was made for no video model.
    """
    rows: dict[tuple[Any, str], list[tuple[int, int]]] = {}
    lines = list(read_index(folder))
    for number, line in enumerate(lines):
        if line.get("windows") and set(WINDOWED) <= set(line.get("arrays", ())):
            shape = () if together else tuple(line["grid"])
            rows.setdefault((shape, line["source"]), []).append((number, line["windows"]))
    if not rows:
        got = f"{len(lines)} clips without windows of a video model (shown frames and prompts of every shot)"
        fix = "data_pipeline build ... --encode.encoder=public --encode.family=NAME --encode.weights=DIR"
        raise BadInput(f"set {folder}", got, "each clip holds what sampling would show the model", fix)
    records = Numbered(SetSource(folder))
    groups: dict[Any, list[Part]] = {}
    for (shape, source), some in sorted(rows.items()):
        numbers = np.array([number for number, _ in some])
        groups.setdefault(shape, []).append(
            Part(source, Chosen(records, numbers), window, float(sum(windows for _, windows in some)))
        )
    return list(groups.values())


def video_window(clip: Mapping[str, Any], rng: np.random.Generator, shots: int = SHOTS) -> dict[str, Any]:
    """One window of a clip, drawn with `rng`: a record as `training.video_windows` tells."""
    count, (rows, columns) = len(clip["starts"]), (int(side) for side in clip["grid"])
    chosen, fps = int(rng.integers(count)), float(clip["fps"])
    T = len(clip["latents_TPC"]) // count
    frames, first = 1 + TIME_FACTOR * (T - 1), round(float(clip["starts"][chosen]) * fps)

    def grid(name: str) -> np.ndarray:
        return clip[name][chosen * T : (chosen + 1) * T].reshape(T, rows, columns, -1)

    def covered(name: str) -> np.ndarray:
        boxes_F4 = clip[name][first : first + frames]
        boxes_F4 = boxes_F4 if len(boxes_F4) else np.zeros((frames, 4), np.float32)
        return per_latent(coverage(boxes_F4, rows, columns), TIME_FACTOR)

    used, shares_TS = shots_of(clip["storyline"], (first + middles(T)) / fps, shots)
    text_SLE = clip["texts_SLE"][used]
    record = {
        "latents_THWC": grid("latents_TPC"),
        **{f"shown_{name}_THWC": grid(f"shown_{name}_TPC") for name in ("first", "ends", "mid")},
        "mid_frame": clip["mids_W"][chosen],
        "last_HWC": clip["last_WPC"][chosen].reshape(rows, columns, -1),
        "text_SLE": np.pad(text_SLE, ((0, 0), (0, LENGTH - text_SLE.shape[1]), (0, 0))),
        "shares_TS": shares_TS,
        "face_THW": covered("faces_T4"),
        "mouth_THW": covered("mouths_T4"),
        "empty_C": clip["empty_C"],
    }
    if len(clip["pictures_WIE"]):
        record["picture_IE"] = clip["pictures_WIE"][chosen]
    if len(clip["audio_FM"]):
        near = np.arange(first - HEARD_BESIDE, first + frames + HEARD_BESIDE)
        heard_FM = clip["audio_FM"][np.clip(near, 0, len(clip["audio_FM"]) - 1)]
        record["heard_FLC"] = heard_FM.reshape(len(near), int(clip["audio_layers"]), -1)
    return record


def middles(latents: int) -> np.ndarray:
    """Frame in the middle of each latent's frames, the first of which is one frame."""
    return np.concatenate([[0.0], TIME_FACTOR * np.arange(1, latents) - (TIME_FACTOR - 1) / 2])


def shots_of(storyline: str, seconds_T: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(numbers of `count` shots, their shares [T, count]) at these instants, as sampling chooses them."""
    used_BS, shares_BTS = fullest(shots_at(parse(storyline), seconds_T)[None], count)
    return used_BS[0], shares_BTS[0]


class LabelledClips(Sequence[dict[str, Any]]):
    """Clips of a split that the embedded generator can be trained on, named as `synthetic.windows` reads them.

    `left_out`: clips of the split that lack true labels. A set whose split has none of these clips has no length.
    """

    def __init__(self, folder: Path, split: str = "train"):
        lines = list(read_index(folder, split))
        whole = [i for i, line in enumerate(lines) if set(LABELLED) <= set(line.get("arrays", ()))]
        self.left_out = len(lines) - len(whole)
        self.clips = Chosen(SetSource(folder, split), np.array(whole)) if whole else ()

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return labelled(self.clips[index])


def labelled(clip: Mapping[str, Any]) -> dict[str, Any]:
    """A clip of the set as a record of `synthetic.latents`.

    Raises:
        ValueError: its labels are not those of drawn avatars, or it has another rate of frames.
    """
    names = list(clip["label_names"])
    if lacking := set(FACE_LABELS) - set(names):
        raise ValueError(f"clip {clip['clip']}: no labels {', '.join(sorted(lacking))}; labels_TK tells all of a face")
    if clip["fps"] != FPS or len(clip["labels_TK"]) != len(clip["latents_TPC"]):
        raise ValueError(f"clip {clip['clip']}: {clip['fps']:g} frames/s; want {FPS}, and a label for every latent")
    states_TS = np.zeros((len(clip["labels_TK"]), len(STATE)), np.float32)
    for place, name in enumerate(names):
        if name in COLUMN:
            states_TS[:, COLUMN[name]] = clip["labels_TK"][:, place]
    return {
        "latents_TPC": clip["latents_TPC"],
        "audio_FM": clip["audio_FM"],
        "states_TS": states_TS,
        "spans_S2": clip["shots_S2"],
        "storyline": clip["storyline"],
        "face_points_32": clip["face_points_32"],
        "portrait_PC": clip["portrait_PC"],
    }
