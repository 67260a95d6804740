"""The embedded model against ground truth: held-out characters with held-out voices, through the whole cascade.

Every case is a synthetic clip whose mouth is known at every frame. The video that `sample.py` makes for its portrait,
sound and storyline is read back from the mp4 and read by the `judge`, a network that the cascade never uses. What the
judge reads from the true frames is the ceiling: no video can be expected to score higher.
"""

import contextlib
import io
import json
import resource
import sys
import time
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from avatar_jax.media import BadInput, read_frames
from avatar_jax.metrics import quality, sync
from avatar_jax.metrics.reading import read_frames as read
from avatar_jax.models.reader import ReaderConfig, Reading
from avatar_jax.weights import ship

CLOSED = 0.12
"""A true mouth opening below this is a shut mouth."""
SHUT = 0.3
"""A reading below this counts as shut. Lenient: see `closure_recall_swapped` for what chance reaches."""
LIPS = ("p", "b", "m")
FIRST_SEED = 5000


@dataclass(frozen=True)
class EmbeddedConfig:
    """`cases` clips of `seconds` each; `out` keeps inputs and videos; `weights` is a folder of exported networks;
    `overrides` go to sample.py as they are, for comparisons."""

    cases: int = 16
    seconds: float = 4.0
    out: Path = Path("out/evaluation")
    weights: Path = ship.SHIPPED
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One clip with what was read from its true frames and from the frames made for it."""

    open_T: np.ndarray
    lips_shut_T: np.ndarray
    true: Reading
    made: Reading
    portrait: Reading
    frames_THW3: np.ndarray
    psnr: float
    seconds: float


def run(config: EmbeddedConfig) -> dict[str, Any]:
    """Make and read every case; scores pooled over all frames, `by_case` holds the spread."""
    from data_pipeline.synthetic import latents, render
    from data_pipeline.synthetic.clip import FPS, SAMPLE_RATE, make_clip
    from data_pipeline.synthetic.state import COLUMN, POSE_COLUMNS

    judge, note = ship.load(config.weights / "judge.safetensors")
    reader = ReaderConfig(**note["config"]["model"])
    encoders = latents.load_encoders(config.weights / "codec.safetensors", config.weights / "audio.safetensors")
    codec = AvatarCodec(encoders.codec_config)
    cases = []
    for number in tqdm(range(config.cases), "cases", disable=not sys.stderr.isatty()):
        clip = make_clip(FIRST_SEED + number, "heldout", (config.seconds, config.seconds))
        folder = config.out / f"case_{number:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(clip.portrait(512)).save(folder / "portrait.png")
        with wave.open(str(folder / "speech.wav"), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(SAMPLE_RATE)
            sound.writeframes(clip.speech.wave.tobytes())
        clip.storyline.save(folder / "wanted.json")
        began = time.monotonic()
        made = sampled(folder, config)
        elapsed = time.monotonic() - began

        true = clip.frames()
        times = np.arange(len(true)) / FPS
        shut = np.zeros(len(true), bool)
        for phone in clip.speech.phones:
            if phone.ipa.strip("ˈˌː") in LIPS:
                shut |= (times >= phone.start) & (times < phone.end)
        stored = latents.encode_frames(encoders, true, clip.states_TS[:, POSE_COLUMNS], clip.portrait())
        decoded = np.concatenate(
            [decode(codec, encoders.codec, stored[i : i + 20], clip.portrait()) for i in range(0, len(stored), 20)]
        )
        face = render.portrait(clip.identity, 128)
        cases.append(
            Case(
                open_T=clip.states_TS[:, COLUMN["open"]],
                lips_shut_T=shut & (clip.states_TS[:, COLUMN["open"]] < CLOSED),
                true=read(judge, reader, true),
                made=read(judge, reader, made),
                portrait=read(judge, reader, [face]),
                frames_THW3=made,
                psnr=quality.psnr(decoded, true),
                seconds=elapsed,
            )
        )
    return scores(cases, config)


def decode(codec: Any, params: Any, latents_TPC: np.ndarray, portrait_HW3: np.ndarray) -> np.ndarray:
    """uint8 128 px frames of stored latents."""
    portrait = portrait_HW3[None].astype(np.float32) / 127.5 - 1
    frames = codec.apply({"params": params}, latents_TPC[None].astype(np.float32), portrait, None, 128, method="decode")
    return np.clip(np.asarray(frames[0]) * 127.5 + 127.5, 0, 255).round().astype(np.uint8)


def sampled(folder: Path, config: EmbeddedConfig) -> np.ndarray:
    """Frames of the video that the command line makes from the inputs in `folder`."""
    import sample

    arguments = [
        "--image",
        folder / "portrait.png",
        "--audio",
        folder / "speech.wav",
        "--storyline",
        folder / "wanted.json",
    ]
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        status = sample.main(
            [str(a) for a in (*arguments, "--out", folder / "video", "--weights", config.weights, *config.overrides)]
        )
    if status == 2:
        what, *_ = told.getvalue().strip().splitlines()[-3:]
        raise BadInput("sample.py refused a case", what, "overrides name values of its config", "correct the override")
    if status != 0:
        raise RuntimeError(f"sample.py ended with {status} in {folder}: {told.getvalue()[-500:]}")
    return np.stack(list(read_frames(folder / "video" / "video.mp4")))


def scores(cases: list[Case], config: EmbeddedConfig) -> dict[str, Any]:
    """All numbers of the evaluation from the cases' readings."""
    opened = np.concatenate([c.open_T for c in cases])
    made = np.concatenate([c.made.of("open") for c in cases])
    true = np.concatenate([c.true.of("open") for c in cases])
    others = np.concatenate([c.open_T for c in cases[1:] + cases[:1]])
    by_case = [sync.correlation(np.asarray(c.made.of("open")), c.open_T) for c in cases]
    closures = [sync.closure_recall(np.asarray(c.made.of("open")), c.lips_shut_T, SHUT) for c in cases]
    # Lips also shut by chance: the same score against another case's closures is its floor.
    by_chance = [
        sync.closure_recall(np.asarray(c.made.of("open")), other.lips_shut_T, SHUT)
        for c, other in zip(cases, cases[1:] + cases[:1], strict=True)
    ]
    offsets = [sync.best_offset(np.asarray(c.made.of("open")), c.open_T, 5) for c in cases]
    gallery = np.concatenate([c.portrait.identity for c in cases])
    found = [np.mean(np.argmax(c.made.identity @ gallery.T, axis=1) == i) for i, c in enumerate(cases)]
    # The first case compiles; the others show the speed that a user sees from the second video on.
    warm = [c.seconds for c in cases[1:]] or [cases[0].seconds]
    return {
        "cases": len(cases),
        "seconds_each": config.seconds,
        "sync_corr": sync.correlation(made, opened),
        "sync_corr_ceiling": sync.correlation(true, opened),
        "sync_corr_swapped": sync.correlation(made, others) if len(cases) > 1 else float("nan"),
        "sync_corr_by_case": spread(by_case),
        "sync_offset_zero_share": float(np.mean(np.abs(offsets) == 0)),
        "closure_recall": float(np.nanmean(closures)),
        "closure_recall_swapped": float(np.nanmean(by_chance)),
        "mouth_amplitude": float(made.std() / opened.std()),
        "identity_top1": float(np.mean(found)),
        "identity_candidates": len(cases),
        "codec_psnr": spread([c.psnr for c in cases]),
        "color_drift_per_10s": float(np.mean([quality.color_drift(c.frames_THW3, 25) for c in cases])),
        "lifeless": [quality.is_lifeless(c.frames_THW3) for c in cases if quality.is_lifeless(c.frames_THW3)],
        "seconds_per_video_second": float(np.median(warm) / config.seconds),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def spread(values: list[float]) -> dict[str, float]:
    """Median, lowest and highest of one number per case."""
    return {"median": float(np.nanmedian(values)), "min": float(np.nanmin(values)), "max": float(np.nanmax(values))}


def as_json(result: dict[str, Any]) -> str:
    """One line; numbers with four significant digits, null where a number does not exist."""

    def short(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: short(x) for name, x in value.items()}
        if isinstance(value, float):
            return float(f"{value:.4g}") if np.isfinite(value) else None
        return value

    return json.dumps(short(result))
