"""Small copies of videos that fit into a page: H.264 with mono sound, 192 pixels high, ten seconds at most."""

import base64
import contextlib
import itertools
from fractions import Fraction
from pathlib import Path

import av
from av.audio.resampler import AudioResampler
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError

HEIGHT, LONGEST_S = 192, 10.0
FASTEST = 30
"""Frames a second; of faster videos every second frame and so on is left out."""
SOUND_RATE, SOUND_BITS = 24_000, 32_000


def preview(video: Path, path: Path) -> Path | None:
    """Make the copy, or return the one that is there; None where the video cannot be copied."""
    if path.is_file():
        return path
    part = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with av.open(str(video), metadata_errors="ignore") as source, av.open(str(part), "w", format="mp4") as target:
            copy(source, target)
        part.replace(path)
    except (OSError, FFmpegError, ValueError, IndexError):
        return None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return path


def copy(source: InputContainer, target: OutputContainer) -> None:
    """Pictures, then sound: a file this small need not be interleaved."""
    picture = source.streams.video[0]
    fps = Fraction(picture.average_rate or 25)
    every = -(-fps // FASTEST)
    made = target.add_stream("libx264", rate=fps / every, options={"crf": "30", "preset": "veryfast"})
    made.pix_fmt = "yuv420p"
    made.height = HEIGHT
    made.width = max(2, round(HEIGHT * picture.width / picture.height / 2) * 2)
    made.codec_context.time_base = every / fps
    sound = target.add_stream("aac", rate=SOUND_RATE, layout="mono") if source.streams.audio else None
    frames = itertools.islice(source.decode(picture), 0, round(LONGEST_S * fps), every)
    for number, frame in enumerate(frames):
        small = frame.reformat(made.width, made.height, "yuv420p")
        small.pts, small.time_base = number, every / fps
        target.mux(made.encode(small))
    target.mux(made.encode(None))
    if sound is not None:
        sound.bit_rate = SOUND_BITS
        source.seek(0)
        resampler = AudioResampler(format="fltp", layout="mono", rate=SOUND_RATE)
        samples = 0
        for frame in source.decode(source.streams.audio[0]):
            frame.pts = None
            for part in resampler.resample(frame):
                part.pts, part.time_base = samples, Fraction(1, SOUND_RATE)
                samples += part.samples
                target.mux(sound.encode(part))
            if samples > LONGEST_S * SOUND_RATE:
                break
        target.mux(sound.encode(None))


def as_data(path: Path) -> str:
    """The file as a data URI."""
    return f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}"
