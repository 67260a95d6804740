"""A source's sound as it should have been: 16 kHz mono that begins with the first picture, of one loudness."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from jaxtyping import Float32, Int16
from scipy.signal import lfilter

from data_pipeline.records import SOUND_RATE
from data_pipeline.stages.probe import bad

HOLE = SOUND_RATE // 10
"""Samples that time stamps may jump before silence is put in."""
SILENT = -70.0
"""LUFS below which sound counts as silence (absolute gate of BS.1770)."""
FULL = 0.999
"""Samples beyond are clipped."""


def read_sound(path: Path, start: Fraction, samples: int) -> tuple[Float32[np.ndarray, " n"], list[str]]:
    """Exactly `samples` of mono sound from the instant `start` of the file on, and what is odd about it.

    Raises:
        BadInput: none of it can be decoded, or it ends long before the pictures.
    """
    out = np.zeros(samples, np.float32)
    at, last, notes = 0, 0, list[str]()
    try:
        with av.open(str(path), metadata_errors="ignore") as container:
            stream = container.streams.audio[0]
            context = stream.codec_context
            if context.sample_rate < SOUND_RATE:
                notes.append(
                    f"narrow sound: {context.sample_rate} Hz, nothing above {context.sample_rate / 2000:g} kHz"
                )
            if (context.format and context.format.name.startswith("u8")) or context.name == "pcm_u8":
                notes.append("8-bit sound: hiss at -48 dB")
            for at, part in _placed(container, stream, start):
                begin, end = max(0, at), min(samples, at + len(part))
                if begin < end:
                    out[begin:end] = part[begin - at : end - at]
                    last = end
                if at >= samples:
                    break
    except FFmpegError as error:
        if last < 0.9 * samples:
            words = error.strerror or type(error).__name__
            raise bad(f"damaged sound after {last / SOUND_RATE:.2f} s: {words}", "the file must be whole") from error
    if last < 0.9 * samples - SOUND_RATE / 5:
        got = f"sound for {last / SOUND_RATE:.2f} of {samples / SOUND_RATE:.2f} s"
        raise bad(got, "sound as long as the pictures")
    if not np.isfinite(out).all():
        notes.append("broken sound: samples that are not numbers, set to 0")
        out = np.nan_to_num(out, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(out, -1, 1), notes


def _placed(container: InputContainer, stream: AudioStream, start: Fraction) -> Iterator:
    """(first sample, samples) of every decoded piece, at the time that its stamp says."""
    resampler = AudioResampler(format="fltp", layout="mono", rate=SOUND_RATE)
    place: int | None = None
    for frame in container.decode(stream):
        stamped = (
            None if frame.pts is None else int((Fraction(frame.pts) * (frame.time_base or 0) - start) * SOUND_RATE)
        )
        if place is None:
            place = stamped or 0
        elif stamped is not None and stamped - place > HOLE:
            place = stamped
        frame.pts = None
        for part in resampler.resample(frame):
            samples = part.to_ndarray()[0]
            yield place, samples
            place += len(samples)
    for part in resampler.resample(None):
        yield place or 0, part.to_ndarray()[0]


def loudness(mono: Float32[np.ndarray, " n"], rate: int = SOUND_RATE) -> float:
    """Integrated loudness in LUFS of mono sound (ITU-R BS.1770-4: K weighting, blocks of 400 ms, two gates)."""
    weighted = mono
    for b, a in (_shelf(rate), _highpass(rate)):
        weighted = lfilter(b, a, weighted)
    block, hop = int(0.4 * rate), int(0.1 * rate)
    if len(mono) < block:
        return SILENT
    total = np.concatenate([[0.0], np.cumsum(np.square(weighted, dtype=np.float64))])
    starts = np.arange(0, len(mono) - block + 1, hop)
    power = (total[starts + block] - total[starts]) / block
    power = power[_lufs(power) > SILENT]
    if not len(power):
        return SILENT
    loud = power[_lufs(power) > _lufs(power.mean()) - 10]
    return float(_lufs(loud.mean()))


def _lufs(power: np.ndarray | float) -> np.ndarray:
    return -0.691 + 10 * np.log10(np.asarray(power) + 1e-12)


def _shelf(rate: int) -> tuple[np.ndarray, np.ndarray]:
    """The head's high shelf of K weighting, for any sample rate."""
    gain, q, k = 10 ** (3.999843853973347 / 20), 0.7071752369554196, np.tan(np.pi * 1681.974450955533 / rate)
    middle = gain**0.4996667741545416
    a = np.array([1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k])
    b = np.array([gain + middle * k / q + k * k, 2 * (k * k - gain), gain - middle * k / q + k * k])
    return b / a[0], a / a[0]


def _highpass(rate: int) -> tuple[np.ndarray, np.ndarray]:
    """The low cut of K weighting."""
    q, k = 0.5003270373238773, np.tan(np.pi * 38.13547087602444 / rate)
    a = np.array([1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k])
    return np.array([1.0, -2.0, 1.0]), a / a[0]


def levelled(mono: np.ndarray, target: float, peak: float) -> tuple[Int16[np.ndarray, " n"], dict[str, float]]:
    """16-bit sound at the target loudness as far as its peak allows, and its measures; silence stays as it is."""
    measured, top = loudness(mono), float(np.abs(mono).max(initial=0.0))
    room = peak - 20 * np.log10(max(top, 1e-6))
    gain = min(target - measured, room) if measured > SILENT else 0.0
    facts = {
        "loudness": round(measured, 2),
        "gain": round(float(gain), 2),
        "clipped": round(float((np.abs(mono) > FULL).mean()), 6),
    }
    return np.clip(np.round(mono * 10 ** (gain / 20) * 32768), -32768, 32767).astype(np.int16), facts
