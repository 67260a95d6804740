"""From cases to the numbers of the evaluation: pooled, with their spread, beside the same read from true frames."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from avatar_jax.evaluation import columns as c
from avatar_jax.evaluation.case import Case
from avatar_jax.metrics import shots, sync
from avatar_jax.models.judge import COLUMNS

TRUSTED = 0.9
"""A reading that agrees less than this with the labels of true frames is not to be quoted."""
SHARES = (
    "sync_corr", "sync_corr_seam", "sync_corr_inserted", "sync_offset_zero_share", "closure_recall", "viseme_acc",
    "identity_top1", "emotion_acc", "camera_acc", "gesture_acc",
)  # fmt: skip
"""Columns that would be 1 for a perfect video and a perfect reader."""
IN_TABLES = ("sync_corr", "closure_recall", "viseme_acc", "identity_top1", "emotion_acc", "camera_acc", "gesture_acc")
HIDDEN = 0.3
"""Occlusion from which the mouth's readings are left out of the reader's own scores."""


def shut_threshold(cases: Sequence[Case]) -> float:
    """The reading of the opening that counts as shut, calibrated on the cases' true frames."""
    read = [case.looks["true"].judged.of("open") for case in cases]
    return sync.shut_threshold(read, [case.closed_T for case in cases])


def all_columns(threshold: float, gallery_ND: np.ndarray) -> dict[str, c.Column]:
    """Every column that can be read from made and from true frames, by its name."""
    return {
        "sync_corr": c.sync_where(lambda case: np.ones(case.length, bool)),
        "sync_corr_swapped": c.sync_swapped,
        "sync_corr_seam": c.sync_where(c.at_seams),
        "sync_corr_inserted": c.sync_where(lambda case: case.inserted_T),
        "sync_offset_zero_share": c.sync_offset_zero_share,
        "closure_recall": c.closure_recall(threshold),
        "closure_recall_chance": c.closure_recall(threshold, own=False),
        "mouth_amplitude": c.mouth_amplitude,
        "viseme_acc": c.viseme_acc,
        "identity_top1": c.identity_top1(gallery_ND),
        "emotion_acc": c.share_hit(c.emotion_hit),
        "camera_acc": c.share_hit(c.camera_hit),
        "gesture_acc": c.share_hit(c.gesture_hit),
        "hit_at_segment": c.hit_at_segment,
        "seam_ratio": c.seam_ratio,
        "identity_drift_per_10s": c.identity_drift,
        "color_drift_per_10s": c.color_drift,
        "silence_mouth_motion": c.silence_mouth_motion,
        "blinks_per_minute": c.blinks_per_minute,
        "pose_jitter": c.pose_jitter,
        "pose_jitter_of_labels": c.pose_jitter_of_labels,
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, lowest and highest of one number per case; nan where no case has one."""
    kept = np.asarray(values, np.float64)
    kept = kept[np.isfinite(kept)]
    if not len(kept):
        return dict.fromkeys(("median", "min", "max"), float("nan"))
    return {"median": float(np.median(kept)), "min": float(kept.min()), "max": float(kept.max())}


def summarise(cases: Sequence[Case], wanted: Mapping[str, c.Column]) -> dict[str, Any]:
    """The columns of made frames; `spread` over cases; the same numbers `on_true_frames`, with their spread, and
    `on_codec_frames`; what `not_to_quote` because the reader itself is too weak there."""
    looks = set.intersection(*(set(case.looks) for case in cases))
    value = {look: {name: column(cases, look) for name, column in wanted.items()} for look in looks}
    true = value["true"]
    out: dict[str, Any] = dict(value["made"])
    out["sync_corr_ceiling"] = true["sync_corr"]
    out["spread"] = {name: spread([column([case], "made") for case in cases]) for name, column in wanted.items()}
    out["on_true_frames"] = true
    out["spread_on_true_frames"] = {
        name: spread([column([case], "true") for case in cases]) for name, column in wanted.items()
    }
    if "coded" in value:
        out["on_codec_frames"] = {name: value["coded"][name] for name in SHARES}
    out["not_to_quote"] = [name for name in SHARES if true[name] < TRUSTED]
    return out


def readings(cases: Sequence[Case], look: str) -> dict[str, float]:
    """Correlation of every reading with its label over the cases' frames, where there is anything to be read."""
    out = {}
    for name in COLUMNS:
        read, true, kept = [], [], []
        for case in cases:
            read.append(case.looks[look].judged.of(name))
            true.append(case.truth[name])
            kept.append(seen(case, name))
        picked = np.concatenate(kept)
        out[name] = sync.correlation(
            np.concatenate(read)[picked].astype(np.float64), np.concatenate(true)[picked].astype(np.float64)
        )
    return out


def reader(cases: Sequence[Case]) -> dict[str, Any]:
    """The judge's own agreement with the labels, on true frames and on what the codec gives back."""
    true = readings(cases, "true")
    out: dict[str, Any] = {"on_true_frames": true}
    if all("coded" in case.looks for case in cases):
        out["on_codec_frames"] = readings(cases, "coded")
    return out | {"not_to_quote": [name for name, value in true.items() if value < TRUSTED]}


def seen(case: Case, name: str) -> np.ndarray:
    """[T] whether a reading can be seen in the frame at all."""
    if name in ("open", "spread", "smile"):
        return case.truth["occlude"] < HIDDEN
    if name in ("teeth", "tongue"):
        return (case.truth["occlude"] < HIDDEN) & (case.truth["open"] > 0.1)
    if name in ("gaze_x", "gaze_y", "squint"):
        return case.truth["blink"] < 0.4
    if name == "hand":
        return shots.in_picture(case.truth) | (case.truth["hand"] <= 0)
    if name == "hand_x":
        return shots.in_picture(case.truth) & (case.truth["hand"] > 0.15)
    return np.ones(case.length, bool)


def grouped(cases: Sequence[Case], by: str) -> dict[str, list[Case]]:
    """Cases by language, style, kind or voice; by emotion, the shots of each emotion as cases of their own."""
    out: dict[str, list[Case]] = {}
    for case in cases:
        if by == "emotion":
            for shot in case.shots:
                if shot.stop - shot.first >= 3:
                    out.setdefault(shot.emotion, []).append(case.part(shot.first, shot.stop))
        else:
            out.setdefault(case.groups[by], []).append(case)
    return dict(sorted(out.items()))


def table(cases: Sequence[Case], by: str, wanted: Mapping[str, c.Column]) -> dict[str, dict[str, float]]:
    """The columns of IN_TABLES for every group, with the number of cases and the ceiling of the lip sync."""
    rows = {}
    for group, members in grouped(cases, by).items():
        row = {"cases": float(len(members)), "sync_corr_ceiling": wanted["sync_corr"](members, "true")}
        rows[group] = row | {name: wanted[name](members, "made") for name in IN_TABLES}
    return rows


def as_json(result: Mapping[str, Any]) -> str:
    """One line; numbers with four significant digits, null where a number does not exist."""

    def short(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: short(x) for name, x in value.items()}
        if isinstance(value, float):
            return float(f"{value:.4g}") if np.isfinite(value) else None
        return value

    return json.dumps(short(result))


def as_text(result: Mapping[str, Any]) -> str:
    """For people: a line per column with its spread, its ceiling and a warning; then the reader, then the tables."""
    true, spreads = result["on_true_frames"], result["spread"]
    lines = [f"{'':28}{'made':>9}{'median':>9}{'lowest':>9}{'highest':>9}{'on truth':>10}"]
    for name, value in result.items():
        if not isinstance(value, int | float):
            continue
        numbers = [value, *(spreads.get(name, {}).get(x, float("nan")) for x in ("median", "min", "max"))]
        numbers.append(true.get(name, float("nan")))
        warning = "   do not quote: the reader" if name in result["not_to_quote"] else ""
        lines.append(f"{name:28}" + "".join(f"{x:>9.3f}" if np.isfinite(x) else f"{'':>9}" for x in numbers) + warning)
    lines += ["", f"{'the reader itself':28}{'true':>9}{'codec':>9}"]
    reader = result["reader"]
    for name, value in reader["on_true_frames"].items():
        coded = reader.get("on_codec_frames", {}).get(name, float("nan"))
        warning = "   do not quote" if value < TRUSTED else ""
        lines.append(f"{name:28}{value:>9.3f}" + (f"{coded:>9.3f}" if np.isfinite(coded) else "") + warning)
    for by, rows in result.get("by", {}).items():
        names = list(next(iter(rows.values())))
        lines += ["", f"{'by ' + by:14}" + "".join(f"{name:>19}" for name in names)]
        lines += [f"{group:14}" + "".join(f"{row[name]:>19.3f}" for name in names) for group, row in rows.items()]
    return "\n".join(lines)
