"""From what was gleaned and read of one video, and what is known of its case, to its numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from avatar_jax.evaluation import columns as c
from avatar_jax.evaluation.case import Case, Look
from avatar_jax.evaluation.scoring.glean import LIKENESS_S, Gleaned
from avatar_jax.evaluation.scoring.known import FLAGS, Known
from avatar_jax.metrics import jumps, length, liveness, motion, quality, sync
from avatar_jax.metrics.lip_closure import closure_contrast
from avatar_jax.metrics.quiet import quiet
from avatar_jax.metrics.sharpness import sharpness
from avatar_jax.models.judge import COLUMNS, SCALE

SHUT_BELOW = 0.14
"""Reading of the judge below which a mouth counts as shut."""
OFFSET_S, APART_S = 0.4, 0.4
HEAD = ("yaw", "pitch", "roll")
HAND_UP = 0.4
"""Reading from which a hand is up."""
MOVES = 0.05
"""Least spread of a true opening in which anything can be followed."""
STILL_MOUTH = 0.01
"""Least spread of an opening read in a mouth that moves: less is what a codec does to a still picture."""
DEAD = 0.9
"""Share of frozen or of black frames from which a video is neither alive nor a success."""
NAN = float("nan")
Numbers = dict[str, float]


@dataclass(frozen=True)
class Read:
    """One video as it was read. likeness: to the portrait, [N] at `likeness_fps`; drawn: whether the judge's readings
    of face and body mean anything; portrait: the square that the video was compared with."""

    gleaned: Gleaned
    look: Look
    known: Known
    likeness: np.ndarray
    likeness_fps: float
    portrait: np.ndarray
    portrait_D: np.ndarray
    drawn: bool
    height: int
    """Of the video in pixels."""
    seams: tuple[float, ...] = ()

    @property
    def fps(self) -> float:
        return self.gleaned.fps

    @property
    def times(self) -> np.ndarray:
        return np.array(self.gleaned.times)


def case_of(read: Read) -> Case:
    """The frames that the labels speak of, as a case of `evaluation.columns`; without labels all of them, without a
    truth."""
    known, times = read.known, read.times
    count = known.covered(times) if known.labelled else len(times)
    labels = known.at(times[:count]) if known.labelled else {}
    nothing = np.zeros(count, bool)
    return Case(
        groups={},
        number=0,
        fps=read.fps,
        truth={name: track for name, track in labels.items() if name not in FLAGS},
        viseme_T2=np.zeros((count, 2)),
        closed_T=labels.get("closed", nothing),
        silent_T=labels["silent"] if known.labelled else silence_of(read),
        inserted_T=nothing,
        seams=(),
        shots=known.spans(times[:count]),
        looks={"made": read.look.part(0, count)},
        portrait_D=read.portrait_D,
        codec_psnr=NAN,
        seconds=NAN,
    )


def silence_of(read: Read) -> np.ndarray:
    """[T] where the recording says nothing."""
    if read.known.sound is None:
        return np.zeros(len(read.times), bool)
    return quiet(read.known.sound.mono, 16_000, read.times)


def numbers(read: Read) -> Numbers:
    """All that can be measured of a video; nan where a number does not exist."""
    case = case_of(read)
    found = picture(read) | moving(read) | whole(read)
    if not read.drawn:
        return found
    scale = read.fps / 25
    found["silence_mouth_motion"] = scale * c.silence_mouth_motion([case], "made")
    found["head_diversity"] = head_diversity(case)
    found["hand_variance"] = hand_variance(case)
    if case.truth:
        found |= lips(case)
    return found | plan(case)


def lips(case: Case) -> Numbers:
    """Against the labels."""
    read, true = case.looks["made"].judged.of("open"), case.truth["open"]
    recall = sync.closure_recall(read, case.closed_T, SHUT_BELOW)
    contrast = closure_contrast(read, true, case.closed_T, SHUT_BELOW)
    found = {"closure_recall": recall, "closure_contrast": contrast}
    if set(c.STEADY) <= set(case.truth):
        found["pose_jitter"] = c.pose_jitter_of_labels([case], "made")
    if true.std() <= MOVES:
        return found
    moves = read.std() > STILL_MOUTH
    offset = sync.best_offset(read, true, round(OFFSET_S * case.fps)) if moves else NAN
    return found | {
        "sync_corr": sync.correlation(read, true) if moves else 0.0,
        "sync_offset_frames": abs(offset),
        "sync_late_ms": 1000 * offset / case.fps,
        "mouth_amplitude": float(read.std() / true.std()),
    }


def plan(case: Case) -> Numbers:
    """What the storyline asks, where the labels say that it can be seen; emotions need no labels."""
    if not case.shots:
        return {}
    seen = set(COLUMNS) <= set(case.truth)
    fields = tuple(c.HITS) if seen else ("emotion",)
    hits = c.changed_hits([case], "made", fields)
    found = {f"{name}_hit": c.share_hit(c.HITS[name])([case], "made") for name in fields}
    return found | {"hit_at_segment": c.mean(np.array(hits, float))}


def head_diversity(case: Case) -> float:
    judged = case.looks["made"].judged
    return motion.spread(np.stack([judged.of(name) for name in HEAD], axis=-1), np.array([SCALE[n][1] for n in HEAD]))


def hand_variance(case: Case) -> float:
    """Of the palm beside the body's middle, and of how high the hand is."""
    judged = case.looks["made"].judged
    points = np.stack([judged.of("hand_x"), judged.of("hand")], axis=-1)
    return motion.hand_variance(points, judged.of("hand") > HAND_UP)


def picture(read: Read) -> Numbers:
    """Likeness, colour, sharpness, jumps."""
    g, change = read.gleaned, read.look.change_T
    sharp = np.array(g.sharp)
    own = sharpness(read.portrait)
    seams = [round(seconds * read.fps) for seconds in read.seams]
    mean = float(sharp.mean())
    return {
        "identity": float(read.likeness.mean()) if len(read.likeness) else NAN,
        "identity_low": float(np.quantile(read.likeness, 0.05)) if len(read.likeness) else NAN,
        "identity_drift_per_10s": quality.loss(read.likeness, read.likeness_fps),
        "color_drift_per_10s": quality.drift(read.look.colour_T3, read.fps),
        "sharpness": mean,
        "sharpness_to_portrait": mean / own if own > 0 else NAN,
        "sharpness_drift_per_10s": quality.drift(sharp[:, None], read.fps) / mean if mean > 0 else NAN,
        "seam_jump": jumps.seam_jump(change, seams),
        "largest_jump": jumps.largest_jump(change, max(1, round(APART_S * read.fps))),
    }


def moving(read: Read) -> Numbers:
    g = read.gleaned
    cells = np.stack(g.cells) if g.cells else np.zeros((0, motion.CELLS, motion.CELLS, 2))
    return {"motion_amount": c.mean(g.flow), "motion_diversity": motion.diversity(cells)}


def whole(read: Read) -> Numbers:
    """Of the file: its length, whether it lives."""
    g, sound = read.gleaned, read.known.sound
    frozen, black = liveness.frozen_share(np.array(g.most), read.fps), liveness.black_share(np.array(g.brightest))
    found = {
        "fps": read.fps,
        "height": float(read.height),
        "alive": float(read.look.lifeless is None and not max(frozen, black) > DEAD),
        "frozen_share": frozen,
        "black_share": black,
    }
    if sound is not None:
        error = length.length_error(len(g.times), sound.samples, sound.sample_rate, read.fps)
        found |= {"length_error_frames": float(error), "length_exact": float(error == 0)}
    return found


def curves(read: Read) -> Mapping[str, np.ndarray]:
    """What drifts, every LIKENESS_S seconds: likeness, distance of the colour from the first second's, sharpness over
    that of the first second."""
    step, start = max(1, round(LIKENESS_S * read.fps)), max(1, round(read.fps))
    colour, sharp = read.look.colour_T3, np.array(read.gleaned.sharp)
    away = np.abs(colour - colour[:start].mean(axis=0)).max(axis=1)
    moments = np.arange(0, len(sharp), step)
    likeness = np.interp(moments / read.fps, np.arange(len(read.likeness)) / read.likeness_fps, read.likeness)
    return {
        "seconds": moments / read.fps,
        "likeness": likeness,
        "colour": away[::step],
        "sharpness": (sharp / max(sharp[:start].mean(), 1e-9))[::step],
    }
