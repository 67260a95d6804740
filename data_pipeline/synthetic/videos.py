"""Drawn avatars as raw video files with a source list, for the pipeline; and the same, damaged in every known way."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from data_pipeline.records import FPS, SOUND_RATE
from data_pipeline.synthetic.clip import Clip, make_clip
from data_pipeline.synthetic.latents import face_points
from data_pipeline.synthetic.state import STATE

LICENCE, CONSENT = "Apache-2.0", "not needed: every face is drawn and every voice is synthetic"
HOUR = 3600


@dataclass(frozen=True)
class Take:
    """What a file shows: frames [T, H, W, 3] at `times` (seconds), and int16 sound at 16 kHz."""

    frames: np.ndarray
    wave: np.ndarray
    times: Sequence[Fraction]


def take_of(clip: Clip, size: int) -> Take:
    return Take(clip.frames(size), clip.speech.wave, [Fraction(i, FPS) for i in range(len(clip.states_TS))])


def write_take(
    path: Path,
    take: Take,
    sound: str = "aac",
    rate: int = 48_000,
    picture: dict[str, str] | None = None,
    pixels: str = "yuv420p",
    faststart: bool = False,
) -> None:
    """Encode a take; the container follows from the name. `sound`: a codec, or "" for none."""
    options = {"movflags": "+faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        video: Any = container.add_stream(
            "libx264", rate=FPS, options={"crf": "18", "preset": "ultrafast"} | (picture or {})
        )
        video.height, video.width = take.frames.shape[1:3]
        video.pix_fmt = pixels
        video.codec_context.time_base = Fraction(1, 90_000)
        audio: Any = container.add_stream(sound, rate=rate, layout="mono") if sound else None
        for image, at in zip(take.frames, take.times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = int(at * 90_000), Fraction(1, 90_000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            heard = av.AudioFrame.from_ndarray(take.wave[None].astype(np.int16), format="s16", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
            resampler = av.AudioResampler(format=audio.codec_context.format or "fltp", layout="mono", rate=rate)
            for part in [*resampler.resample(heard), *resampler.resample(None)]:
                container.mux(audio.encode(part))
            container.mux(audio.encode(None))


def turned(path: Path) -> None:
    """Ask players to turn the picture by 90 degrees, as phones do: the matrix in the first track's header (tkhd)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    for i, value in enumerate((0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)):
        data[at + 4 * i : at + 4 * i + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(data)


def _cut_file(path: Path, take: Take, faststart: bool, share: float) -> None:
    write_take(path, take, faststart=faststart)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])


def _uneven(path: Path, take: Take) -> None:
    kept = [i for i in range(len(take.frames)) if i % 7 < 3 or i % 11 == 5]
    write_take(path, Take(take.frames[kept], take.wave, [take.times[i] for i in kept]))


def _hdr(path: Path, take: Take) -> None:
    tags = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
    dim = (take.frames.astype(np.float32) * 0.6).astype(np.uint8)
    write_take(path, Take(dim, take.wave, take.times), picture={"x264-params": tags}, pixels="yuv420p10le")


def _turned(path: Path, take: Take) -> None:
    write_take(path, Take(np.rot90(take.frames, 1, (1, 2)), take.wave, take.times))
    turned(path)


def _long(path: Path, take: Take) -> None:
    write_take(path, Take(take.frames[:3], take.wave, [Fraction(0), Fraction(5 * HOUR), Fraction(10 * HOUR)]))


def _silent(path: Path, take: Take) -> None:
    write_take(path, Take(take.frames, np.zeros_like(take.wave), take.times))


def _spliced(path: Path, take: Take) -> None:
    """Two shots in one file: the second is the first, mirrored, in other colours and from its middle on."""
    other = np.roll(take.frames[:, :, ::-1, ::-1], len(take.frames) // 2, axis=0)
    frames = np.concatenate([take.frames, other])
    write_take(path, Take(frames, np.tile(take.wave, 2), [Fraction(i, FPS) for i in range(len(frames))]))


def _noise(path: Path, take: Take) -> None:
    path.write_bytes(np.random.default_rng(0).integers(0, 256, 50_000, np.uint8).tobytes())


DAMAGED: dict[str, Callable[[Path, Take], object]] = {
    "truncated.mp4": lambda path, take: _cut_file(path, take, True, 0.5),
    "truncated-index.mp4": lambda path, take: _cut_file(path, take, False, 0.6),
    "no-sound.mp4": lambda path, take: write_take(path, take, sound=""),
    "silent.mp4": _silent,
    "variable-rate.mp4": _uneven,
    "rotated-phone.mp4": _turned,
    "hdr.mp4": _hdr,
    "8-bit-8-khz.avi": lambda path, take: write_take(path, take, sound="pcm_u8", rate=8000),
    "zero-length.mp4": lambda path, take: path.write_bytes(b""),
    "ten-hours.mp4": _long,
    "noise.mp4": _noise,
    "page.mp4": lambda path, take: path.write_text("<html><body>404 Not Found</body></html>\n" * 20),
    "short.mp4": lambda path, take: write_take(path, Take(take.frames[:20], take.wave[:12800], take.times[:20])),
    "spliced.mp4": _spliced,
    "copy-in-other-bytes.mp4": lambda path, take: write_take(path, take, picture={"crf": "26"}),
}
"""What is wrong with each damaged file, by its name."""

NAMES = ("日本語 видео 🎬.mp4", "-rf $(reboot); 'x' \"y\".mp4", "new\nline\ttab.mp4", "not-utf8-\udcff\udcfe.mp4")
"""Names that careless programs stumble over; the files are good."""


def write_videos(out: Path, seeds: Sequence[int], size: int = 256, damaged: bool = False, seconds: float = 4.0) -> int:
    """Good videos with true storylines and labels and a source list; with `damaged`, every damage too; how many."""
    out.mkdir(parents=True, exist_ok=True)
    rows, count = [], 0
    for seed in seeds:
        clip = make_clip(seed, seconds=(seconds, seconds))
        name = f"drawn-{seed:05d}"
        write_take(out / f"{name}.mp4", take_of(clip, size))
        clip.storyline.save(out / f"{name}.json")
        points = face_points(clip)
        np.savez(out / f"{name}.npz", labels_TK=clip.states_TS, label_names=np.array(STATE), face_points_32=points)
        rows.append(_row(f"{name}.mp4", f"{name}.json"))
        count += 1
    if damaged:
        take = take_of(make_clip(seeds[0], seconds=(seconds, seconds)), size)
        for name, damage in DAMAGED.items():
            damage(out / name, take)
            rows.append(_row(name))
        for i, name in enumerate(NAMES):
            again = take_of(make_clip(seeds[-1] + 1 + i, seconds=(seconds, seconds)), size)
            write_take(out / "part.mp4", again)
            (out / "part.mp4").replace(out / name)
            rows.append(_row(name))
        count += len(DAMAGED) + len(NAMES)
    (out / "sources.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return count


def _row(uri: str, labels: str = "") -> dict[str, str]:
    return {"uri": uri, "licence": LICENCE, "consent": CONSENT, "origin": "synthetic", "labels": labels}
