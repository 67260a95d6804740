"""The columns of the evaluation: each is a function of cases and the name of a look (true, coded, made) to a number.

Numbers of several cases are pooled over their frames or shots; the same function of one case gives the spread.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from avatar_jax.evaluation.case import Case, ShotSpan
from avatar_jax.metrics import quality, shots, sync
from avatar_jax.models.judge import EMOTIONS

Column = Callable[[Sequence[Case], str], float]
STEADY = ("face_x", "face_y", "log_zoom", "roll", "yaw", "pitch")
"""Readings in which trembling is looked for."""
SEAM_REACH, OFFSET_REACH = 2, 5
TRIM_S, SHORTEST_S = 0.25, 0.8
"""Seconds left out at either end of a shot, where it hands over; least length of what remains."""
LID_SHUT = 0.5
"""Reading of a blink from which the eyes count as closed."""
FELT = 0.5
"""Least intensity of emotions that are scored: weaker ones look like each other, also to people."""
NAN = float("nan")


def mean(values: Sequence[float] | np.ndarray) -> float:
    """Mean without the missing values; nan where nothing is left."""
    kept = np.asarray(values, np.float64)
    kept = kept[np.isfinite(kept)]
    return float(kept.mean()) if len(kept) else NAN


def tracks(cases: Sequence[Case], look: str) -> tuple[np.ndarray, np.ndarray]:
    """Mouth opening (read, true) of all frames."""
    read = [c.looks[look].judged.of("open") for c in cases]
    return np.concatenate(read), np.concatenate([c.truth["open"] for c in cases])


def sync_where(where: Callable[[Case], np.ndarray]) -> Column:
    """Correlation of the mouth opening over the frames that `where` picks."""

    def column(cases: Sequence[Case], look: str) -> float:
        read, true = tracks(cases, look)
        picked = np.concatenate([where(c) for c in cases])
        return sync.correlation(read[picked], true[picked])

    return column


def at_seams(case: Case) -> np.ndarray:
    return sync.near(case.seams, case.length, SEAM_REACH)


def sync_swapped(cases: Sequence[Case], look: str) -> float:
    read, _ = tracks(cases, look)
    return sync.correlation(read, np.concatenate([c.other_open_T for c in cases]))


def moving(cases: Sequence[Case]) -> list[Case]:
    """Cases in which anything is said."""
    return [c for c in cases if c.truth["open"].std() > 0.05]


def sync_offset_zero_share(cases: Sequence[Case], look: str) -> float:
    """Share of cases in which the mouth fits best within +-1 frame."""
    found = [sync.best_offset(c.looks[look].judged.of("open"), c.truth["open"], OFFSET_REACH) for c in moving(cases)]
    return mean([float(abs(offset) <= 1) for offset in found])


def closure_recall(threshold: float, own: bool = True) -> Column:
    """Share of lip closures that are seen; with `own` False those of another case, which is what chance reaches."""

    def column(cases: Sequence[Case], look: str) -> float:
        hits: list[bool] = []
        for c in cases:
            closed = c.closed_T if own else c.other_closed_T
            hits += sync.closures_hit(c.looks[look].judged.of("open"), closed, threshold)
        return mean(np.array(hits, float))

    return column


def mouth_amplitude(cases: Sequence[Case], look: str) -> float:
    read, true = tracks(cases, look)
    return float(read.std() / true.std()) if true.std() > 0.05 else NAN


def viseme_acc(cases: Sequence[Case], look: str) -> float:
    """Over the frames whose true mouth belongs clearly to one class and is not hidden."""
    right = []
    for c in cases:
        scored = (c.viseme_T2[:, 1] > 0) & (c.truth["occlude"] < 0.3)
        right.append((c.looks[look].judged.viseme.argmax(-1) == c.viseme_T2[:, 0])[scored])
    return mean(np.concatenate(right).astype(float))


def identity_top1(gallery_ND: np.ndarray) -> Column:
    """Share of frames whose face is nearest to its own portrait among all of the gallery."""

    def column(cases: Sequence[Case], look: str) -> float:
        found = [(c.looks[look].judged.identity @ gallery_ND.T).argmax(-1) == c.number for c in cases]
        return mean(np.concatenate(found).astype(float))

    return column


def shots_of(cases: Sequence[Case]) -> Iterator[tuple[Case, ShotSpan]]:
    return ((c, s) for c in cases for s in c.shots)


def inside(case: Case, shot: ShotSpan) -> slice | None:
    """The frames of a shot without its ends, None where it is too short."""
    trim = round(TRIM_S * case.fps)
    first, stop = shot.first + trim, shot.stop - trim
    return slice(first, stop) if stop - first >= SHORTEST_S * case.fps else None


def emotion_hit(case: Case, shot: ShotSpan, look: str) -> bool | None:
    """Whether the mean of the logits over the shot names its emotion; None for one too short or too faint to count."""
    frames = inside(case, shot)
    if frames is None or (shot.intensity < FELT and shot.emotion != "neutral"):
        return None
    logits = case.looks[look].judged.emotion[frames].mean(axis=0)
    return EMOTIONS[int(logits.argmax())] == shot.emotion


def camera_hit(case: Case, shot: ShotSpan, look: str) -> bool | None:
    """None where the true camera does not visibly do what was asked: it may have been at its limit already."""
    frames = inside(case, shot)
    if frames is None or shots.camera_of(cut(case.truth, frames)) != shot.camera:
        return None
    return shots.camera_of(read_tracks(case, look, frames)) == shot.camera


def gesture_hit(case: Case, shot: ShotSpan, look: str) -> bool | None:
    """None where the true head or hand does not show by the same rules what was asked."""
    frames = slice(shot.first, shot.stop)
    if inside(case, shot) is None or shots.gesture_of(cut(case.truth, frames), case.fps) != shot.action:
        return None
    return shots.gesture_of(read_tracks(case, look, frames), case.fps) == shot.action


Hit = Callable[[Case, ShotSpan, str], bool | None]
HITS: dict[str, Hit] = {"emotion": emotion_hit, "camera": camera_hit, "action": gesture_hit}
"""By the field of a shot that is read back."""


def share_hit(hit: Hit) -> Column:
    """Over the shots that count."""

    def column(cases: Sequence[Case], look: str) -> float:
        found = [hit(case, shot, look) for case, shot in shots_of(cases)]
        return mean(np.array([x for x in found if x is not None], float))

    return column


def changed_hits(cases: Sequence[Case], look: str, fields: Sequence[str] = tuple(HITS)) -> list[bool]:
    """One for each field of a shot that differs from a neighbouring shot's and can be read."""
    found = []
    for case in cases:
        for i, shot in enumerate(case.shots):
            beside = [case.shots[j] for j in (i - 1, i + 1) if 0 <= j < len(case.shots)]
            for name in fields:
                if any(getattr(other, name) != getattr(shot, name) for other in beside):
                    found.append(HITS[name](case, shot, look))
    return [hit for hit in found if hit is not None]


def hit_at_segment(cases: Sequence[Case], look: str) -> float:
    """Hit@Segment: what the storyline changes from shot to shot (emotion, camera, action) is seen in its own shot."""
    return mean(np.array(changed_hits(cases, look), float))


def cut(of: dict[str, np.ndarray], frames: slice) -> dict[str, np.ndarray]:
    return {name: x[frames] for name, x in of.items()}


def read_tracks(case: Case, look: str, frames: slice) -> dict[str, np.ndarray]:
    return {name: case.looks[look].judged.of(name)[frames] for name in case.truth}


def seam_ratio(cases: Sequence[Case], look: str) -> float:
    """Mean over cases of the change at seams over the change elsewhere."""
    return mean([quality.change_ratio(c.looks[look].change_T, c.seams) for c in cases])


def identity_drift(cases: Sequence[Case], look: str) -> float:
    """Slope of the likeness (cosine) to the portrait, per 10 seconds."""
    return mean([quality.loss(c.looks[look].judged.identity @ c.portrait_D, c.fps) for c in cases])


def color_drift(cases: Sequence[Case], look: str) -> float:
    """Slope of the mean colour in levels of 255 per 10 seconds. A moving camera changes it, too: see the true one."""
    return mean([quality.drift(c.looks[look].colour_T3, c.fps) for c in cases])


def silence_mouth_motion(cases: Sequence[Case], look: str) -> float:
    """Mean change of the opening from frame to frame where nothing is said and the true mouth is shut."""
    moved = []
    for c in cases:
        for first, stop in sync.runs(c.silent_T):
            moved += list(np.abs(np.diff(c.looks[look].judged.of("open")[first:stop])))
    return mean(moved)


def blinks_per_minute(cases: Sequence[Case], look: str) -> float:
    """How often the eyes close."""
    count = sum(len(sync.runs(c.looks[look].judged.of("blink") > LID_SHUT)) for c in cases)
    return 60 * count / sum(c.length / c.fps for c in cases)


def jitter(cases: Sequence[Case], look: str, reference: Callable[[Case, str], np.ndarray]) -> float:
    """Second differences of the pose readings over those of `reference`: geometric mean over readings that move."""
    over = []
    for name in STEADY:
        here = mean([quality.unsteadiness(c.looks[look].judged.of(name)[:, None])[0] for c in cases])
        there = mean([quality.unsteadiness(reference(c, name)[:, None])[0] for c in cases])
        if here > 0 and there > 0:
            over.append(np.log(here / there))
    return float(np.exp(np.mean(over))) if over else NAN


def pose_jitter(cases: Sequence[Case], look: str) -> float:
    """Trembling of head and camera against that read from the true frames: 1 is right."""
    return jitter(cases, look, lambda case, name: case.looks["true"].judged.of(name))


def pose_jitter_of_labels(cases: Sequence[Case], look: str) -> float:
    """The same against the labels: on true frames, how much of the trembling is the reader's own."""
    return jitter(cases, look, lambda case, name: case.truth[name].astype(np.float64))
