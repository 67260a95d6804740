"""Recordings from any sound or video file: mono float samples for the models, the exact length of the original."""

import warnings
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from jaxtyping import Float32

from avatar_jax.media.errors import BadInput

MODEL_RATE = 16_000
"""Samples per second that the audio encoder hears."""
SHORTEST, LONGEST = Fraction(1, 5), Fraction(20 * 60)
"""Seconds of sound that are accepted."""

STREAMED = 0x7FFFF000
"""Lengths in a wav header from here on mean "not known"."""

KINDS = "wav, mp3, ogg, flac, m4a or mp4"


@dataclass(frozen=True, eq=False)
class Recording:
    """One recording; equal to itself alone.

    mono: [n] float32 in [-1, 1] at `MODEL_RATE`, n = samples * MODEL_RATE / sample_rate rounded up.
    samples, sample_rate: the exact length of the original sound, which decides the number of video frames.
    path: the file, whose sound the finished video carries.
    """

    mono: Float32[np.ndarray, " n"]
    samples: int
    sample_rate: int
    path: Path

    @property
    def seconds(self) -> Fraction:
        return Fraction(self.samples, self.sample_rate)


def load_audio(path: str | Path) -> Recording:
    """The first sound stream of `path`, all channels mixed to one. Silence is a recording like any other.

    Raises:
      BadInput: missing, empty, cut short, without sound, not a number, under `SHORTEST` or over `LONGEST` seconds.
    """
    path = Path(path)
    if not path.is_file():
        got = "it is a folder" if path.is_dir() else "no such file"
        raise BadInput(f"recording {path}", got, f"--audio names a {KINDS} file", "check the path")
    if path.stat().st_size == 0:
        raise BadInput(f"recording {path}", "an empty file", f"a recording is a {KINDS} file", "record it again")
    _require_whole_wav(path)
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            return _decode(path, container)
    except (FFmpegError, OSError, UnicodeError) as error:
        got = f"not a sound file that can be read ({error})"
        raise BadInput(f"recording {path}", got, f"a whole {KINDS} file", "convert it to wav") from error


def _require_whole_wav(path: Path) -> None:
    """FFmpeg takes a wav file that was cut for a shorter one; its data chunk still says how long it was."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        if start[:4] != b"RIFF" or start[8:] != b"WAVE":
            return
        while len(head := file.read(8)) == 8:
            name, length = head[:4], int.from_bytes(head[4:], "little")
            if name == b"data":
                here = size - file.tell()
                # Recorders that stream leave 0 or a huge number where the length belongs.
                if 0 < length < STREAMED and here < 0.98 * length:
                    got = f"the file is cut short: {here} of {length} bytes of sound"
                    raise BadInput(f"recording {path}", got, "the file must be whole", "download or record it again")
                return
            file.seek(length + length % 2, 1)


def _decode(path: Path, container: InputContainer) -> Recording:
    if not container.streams.audio:
        raise BadInput(f"recording {path}", "a file without sound", "it needs a sound stream", "choose another file")
    stream = container.streams.audio[0]
    resampler = AudioResampler(format="fltp", layout="mono", rate=MODEL_RATE)
    parts: list[np.ndarray] = []
    samples, sample_rate = 0, 0
    failure: FFmpegError | None = None
    try:
        for frame in container.decode(stream):
            sample_rate = sample_rate or frame.sample_rate
            samples += frame.samples
            if Fraction(samples, sample_rate) > LONGEST:
                _refuse_length(path, f"more than {float(LONGEST) / 60:g} minutes")
            parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
    except FFmpegError as error:
        failure = error
    announced = _announced_seconds(container, stream)
    if samples == 0:
        got = "no sound could be decoded" if failure is None else f"damaged sound ({failure})"
        raise BadInput(f"recording {path}", got, f"a whole {KINDS} file", "record or convert it again")
    seconds = Fraction(samples, sample_rate)
    if failure is not None or (announced is not None and seconds < announced * Fraction(9, 10) - Fraction(1, 10)):
        whole = f" of {float(announced):.2f} s" if announced else ""
        got = f"the file is cut short: {float(seconds):.2f} s{whole} could be decoded"
        raise BadInput(f"recording {path}", got, "the file must be whole", "download or record it again")
    if seconds < SHORTEST:
        _refuse_length(path, f"{float(seconds):.3f} s")
    parts += [part.to_ndarray()[0] for part in resampler.resample(None)]
    return Recording(_fit(path, np.concatenate(parts), seconds), samples, sample_rate, path)


def _announced_seconds(container: InputContainer, stream: AudioStream) -> Fraction | None:
    """What the header says, where it is worth believing: formats with an index, and wav whose size field is set."""
    believable = {"wav", "mov", "mp4", "m4a", "flac", "ogg", "matroska", "webm"}
    if not believable & set(container.format.name.split(",")):
        return None
    if stream.duration and stream.time_base:
        return Fraction(stream.duration) * stream.time_base
    return Fraction(container.duration, av.time_base) if container.duration else None


def _refuse_length(path: Path, got: str) -> None:
    rule = f"a recording lasts {float(SHORTEST):g} seconds to {float(LONGEST) / 60:g} minutes"
    raise BadInput(f"recording {path}", got, rule, "use a longer recording" if "more" not in got else "split it")


def _fit(path: Path, mono: np.ndarray, seconds: Fraction) -> np.ndarray:
    """Exactly as many samples as the original lasts, all of them finite and within [-1, 1]."""
    wanted = -int(-seconds * MODEL_RATE // 1)
    finite = np.isfinite(mono)
    if not finite.all():
        bad = 1 - finite.mean()
        if bad > 0.01:
            got = f"{100 * bad:.0f} % of the samples are not numbers (NaN or infinite)"
            raise BadInput(f"recording {path}", got, "samples are finite", "export the sound again as 16-bit wav")
        warnings.warn(f"recording {path}: {int((~finite).sum())} samples were not numbers; set to 0", stacklevel=3)
        mono = np.where(finite, mono, 0)
    mono = np.pad(mono[:wanted], (0, max(0, wanted - len(mono))))
    # Channels that say the same add up beyond 1 when mixed, and float files may be that loud: quieter, never clipped.
    return (mono / max(1.0, np.abs(mono).max())).astype(np.float32)
