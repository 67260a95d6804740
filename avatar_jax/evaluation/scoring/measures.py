"""Every number of a report: what it means, its unit, which way is better, where it comes from.

docs/metrics.md is this table, printed: `python -m avatar_jax.evaluation.scoring.measures`.
"""

from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", "1", "as the truth"]


@dataclass(frozen=True)
class Measure:
    """One column. `span`: values that the radar draws at its middle and at its rim, where it draws it at all."""

    name: str
    unit: str
    better: Better
    definition: str
    source: str
    span: tuple[float, float] | None = None


LIPS = (
    Measure(
        "sync_corr", "-1 to 1", "higher",
        "correlation of the mouth opening that the judge reads with the labels'; 0 for a mouth that never moves",
        "Pearson; labels of the embedded edition", (0.0, 1.0),
    ),
    Measure(
        "sync_offset_frames", "frames of the video", "lower",
        "how far the mouth is from the labels', without its sign, by cross-correlation within 0.4 s", "this project",
    ),
    Measure("sync_late_ms", "ms", "as the truth", "the same with its sign: above 0 the mouth is late", "this project"),
    Measure(
        "closure_recall", "share", "higher", "lip closures (p, b, m) in which the mouth is read shut within a frame",
        "this project",
    ),
    Measure(
        "closure_contrast", "-1 to 1", "higher",
        "closure_recall less the share of wide open frames in which the mouth is read shut: 0 for a still mouth",
        "Youden 1950", (0.0, 1.0),
    ),
    Measure("mouth_amplitude", "ratio", "1", "spread of the opening read over that of the labels", "this project"),
    Measure(
        "silence_mouth_motion", "opening per 1/25 s", "lower",
        "mean change of the mouth opening where nothing is said: labels, or 0.2 s away from all sound", "this project",
    ),
    Measure(
        "sync_c", "distance", "higher", "SyncNet's confidence (Sync-C): median less least mean distance over offsets",
        "Chung and Zisserman 2016; Prajwal et al. 2020",
    ),
    Measure(
        "sync_d", "distance", "lower", "SyncNet's least mean distance (Sync-D)",
        "Chung and Zisserman 2016; Prajwal et al. 2020",
    ),
    Measure(
        "av_offset_frames", "frames at 25 fps", "as the truth", "the offset of that distance; -3: sound 3 frames late",
        "Chung and Zisserman 2016",
    ),
)  # fmt: skip
PICTURE = (
    Measure(
        "identity", "cosine", "higher", "mean likeness of the face to the portrait, by the embedder", "this project",
        (0.5, 1.0),
    ),
    Measure("identity_low", "cosine", "higher", "5 % of frames are less like the portrait than this", "this project"),
    Measure(
        "identity_drift_per_10s", "cosine", "lower", "what the likeness loses: the slope of the line through it",
        "this project", (0.2, 0.0),
    ),
    Measure(
        "color_drift_per_10s", "levels of 255", "lower", "slope of the mean colour, steepest channel, without its sign",
        "this project", (20.0, 0.0),
    ),
    Measure(
        "sharpness", "levels squared", "as the truth", "mean over frames of the Laplacian's variance at 512 px",
        "Pech-Pacheco et al. 2000",
    ),
    Measure(
        "sharpness_to_portrait", "ratio", "as the truth", "sharpness over the portrait's", "Pech-Pacheco et al. 2000"
    ),
    Measure("sharpness_drift_per_10s", "share", "lower", "slope of the sharpness over its mean", "this project"),
    Measure(
        "seam_jump", "ratio", "1", "largest change at a seam over the clip's median, mean over seams; known seams only",
        "this project", (4.0, 1.0),
    ),
    Measure(
        "largest_jump", "ratio", "as the truth", "the three largest changes, 0.4 s apart, over the clip's median",
        "this project",
    ),
)  # fmt: skip
MOTION = (
    Measure(
        "motion_amount", "% of the width a second", "as the truth", "mean optical flow between frames 0.2 s apart",
        "Farneback 2003", (0.0, 8.0),
    ),
    Measure(
        "motion_diversity", "% of the width a second", "as the truth",
        "spread over time of the flow in 4 x 4 cells: 0 for a steady pan", "Farneback 2003",
    ),
    Measure(
        "head_diversity", "usual spreads", "as the truth", "spread over time of yaw, pitch and roll, by the judge",
        "this project",
    ),
    Measure(
        "pose_jitter", "ratio", "as the truth", "second differences of head and camera over the labels'",
        "this project",
    ),
    Measure(
        "hand_variance", "% of squared widths", "as the truth", "variance of a hand's place while it is seen (HKV)",
        "CyberHost, arXiv 2409.01876",
    ),
)  # fmt: skip
PLAN = (
    Measure(
        "hit_at_segment", "share", "higher", "what the storyline changes (emotion, action, camera), seen in its shot",
        "Kling-Avatar, arXiv 2509.09595", (0.0, 1.0),
    ),
    Measure("emotion_hit", "share", "higher", "shots whose emotion (intensity 0.5 or more) is read", "this project"),
    Measure("action_hit", "share", "higher", "shots whose action is seen by fixed rules", "this project"),
    Measure("camera_hit", "share", "higher", "shots whose camera move is seen by fixed rules", "this project"),
)  # fmt: skip
FILE = (
    Measure("fps", "frames a second", "as the truth", "average rate of the file", "its header"),
    Measure("height", "pixels", "as the truth", "height of the pictures", "its header"),
    Measure("length_exact", "0 or 1", "higher", "floor(seconds * fps + 1/2) frames exactly", "exact arithmetic"),
    Measure("length_error_frames", "frames", "as the truth", "frames too many; below 0 too few", "exact arithmetic"),
    Measure("alive", "0 or 1", "higher", "neither black, nor flat, nor frozen for 90 % of its length", "this project"),
    Measure("frozen_share", "share", "lower", "of the video in stops of 0.5 s or more without change", "this project"),
    Measure("black_share", "share", "lower", "of frames without a block of 1/32 above level 16", "this project"),
)  # fmt: skip
MEASURES: tuple[Measure, ...] = (*LIPS, *PICTURE, *MOTION, *PLAN, *FILE)
NAMES = tuple(measure.name for measure in MEASURES)
OF_SETS = (
    Measure(
        "fid", "network's own", "lower", "Frechet distance of the features of pictures to the reference's",
        "Heusel et al. 2017, arXiv 1706.08500",
    ),
    Measure(
        "fvd", "network's own", "lower", "the same of clips of 16 frames", "Unterthiner et al. 2018, arXiv 1812.01717"
    ),
)  # fmt: skip
"""Of all videos of a system together."""


def as_table() -> str:
    """Markdown."""
    lines = ["| name | unit | better | definition | source |", "|---|---|---|---|---|"]
    lines += [f"| `{m.name}` | {m.unit} | {m.better} | {m.definition} | {m.source} |" for m in (*MEASURES, *OF_SETS)]
    return "\n".join(lines)


if __name__ == "__main__":
    print(as_table())
