"""Two systems' folders of tiny videos, and a set with portraits, prompts and tags."""

import json
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from avatar_jax.media import write_video

RATE = 16_000
TELLS = (b"x264", b"Lavc", b"Lavf", b"SecretTool", b"ffmpeg")
"""What tools leave in their files."""


def write_tone(path: Path, seconds: float, hertz: float = 220) -> Path:
    samples = 8000 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype(np.int16).tobytes())
    return path


def pictures(seconds: float, fps: int, side: int, level: int) -> list[np.ndarray]:
    return [np.full((side, side, 3), (level + 3 * i) % 250, np.uint8) for i in range(round(seconds * fps))]


def write_systems(root: Path, cases: int, seconds: float = 1.0) -> tuple[Path, Path]:
    """`root/ours` with 64 x 64 at 25 a second, `root/theirs` with 96 x 96 at 10 a second; the same sound."""
    root.mkdir(parents=True, exist_ok=True)
    tone, folders = write_tone(root / "tone.wav", seconds), (root / "ours", root / "theirs")
    for folder, fps, side in zip(folders, (25, 10), (64, 96), strict=True):
        for case in range(cases):
            write_video(folder / f"case-{case}.mp4", pictures(seconds, fps, side, 20 * case), fps, audio=tone)
    return folders


def write_titled(path: Path, codec: str, sound: str | None = None, side: int = 64) -> None:
    """Half a second as a tool with a name of its own would write it, in any codec."""
    with av.open(str(path), "w") as out:
        out.metadata.update(title="SecretTool", comment="made by SecretTool")
        pictured = out.add_stream(codec, rate=25)
        pictured.width, pictured.height, pictured.pix_fmt = side, side, "yuv420p"
        heard = out.add_stream(sound, rate=48_000, layout="stereo") if sound else None
        for number, picture in enumerate(pictures(0.5, 25, side, 40)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(pictured.encode(frame))
            if heard:
                quiet = av.AudioFrame.from_ndarray(np.zeros((2, 1920), np.float32), format="fltp", layout="stereo")
                quiet.rate, quiet.pts, quiet.time_base = 48_000, 1920 * number, Fraction(1, 48_000)
                out.mux(heard.encode(quiet))
        out.mux(pictured.encode(None))
        if heard:
            out.mux(heard.encode(None))


def write_set(root: Path, cases: int, seconds: float = 1.0) -> Path:
    """A set of which the first half speaks English, the second Chinese."""
    root.mkdir(parents=True)
    Image.new("RGB", (60, 80), (200, 150, 120)).save(root / "face.png")
    write_tone(root / "voice.wav", seconds)
    lines = [
        {
            "case": f"case-{case}",
            "portrait": "face.png",
            "audio": "voice.wav",
            "prompt": f"smile <b>{case}</b>",
            "seconds": seconds,
            "licence": "CC0",
            "tags": {"language": "en" if case < cases / 2 else "zh"},
        }
        for case in range(cases)
    ]
    (root / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root
