"""Finished videos: frames streamed into H.264 beside the original sound, whole or not at all; and back to frames."""

import contextlib
import errno
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.container import OutputContainer
from av.error import FFmpegError
from jaxtyping import UInt8

from avatar_jax.media.errors import BadInput, unwritable

SOUND_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Sample rates that players handle in AAC; others are resampled to the next higher one."""
SOUND_BITS = 160_000


def write_video(
    path: str | Path,
    frames: Iterable[UInt8[np.ndarray, "H W 3"]],
    fps: Fraction | int | str,
    count: int | None = None,
    audio: str | Path | None = None,
    crf: int = 17,
) -> int:
    """Encode `frames` (RGB, one size, even sides) at `fps` to the mp4 file `path`; returns how many were written.

    Frames are encoded as they come, so a long video never sits in memory. With `count`, a stream that ends early or
    goes on is an error. With `audio`, all sound of that file is carried, mono or stereo, from its first sample to its
    last. The file appears under its name only when it is complete; a failure leaves nothing behind.

    Raises:
      BadInput: `path` cannot be written, or the device is full.
      ValueError: the number of frames is not `count`, or a frame has another shape than the first.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise BadInput(
                f"cannot write {path}", "a folder of that name", "the output is a file", "choose another --out"
            )
        # Opened here first: FFmpeg's own message for an unwritable file does not say why.
        part.touch()
        with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            written = _encode(container, frames, Fraction(fps), count, audio, crf)
        part.replace(path)
    except FFmpegError as error:
        if error.errno in errno.errorcode:
            raise unwritable(path, OSError(error.errno, error.strerror)) from error
        raise BadInput(f"recording {audio}", f"damaged sound ({error})", "a whole file", "convert it to wav") from error
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return written


def _encode(
    container: OutputContainer,
    frames: Iterable[np.ndarray],
    fps: Fraction,
    count: int | None,
    audio: str | Path | None,
    crf: int,
) -> int:
    video = container.add_stream("libx264", rate=fps, options={"crf": str(crf), "preset": "veryfast"})
    video.pix_fmt = "yuv420p"
    # Frame i shows the instant i / fps exactly, whatever the rate.
    video.codec_context.time_base = 1 / fps
    sound = _Sound(container, audio) if audio is not None else None
    written, shape = 0, (0, 0, 3)
    for image in frames:
        if written == 0:
            shape = image.shape
            if image.ndim != 3 or shape[2] != 3 or shape[0] % 2 or shape[1] % 2 or image.dtype != np.uint8:
                raise ValueError(f"frame 0 is {image.dtype} {shape}; frames are uint8 [even H, even W, 3]")
            video.height, video.width = shape[:2]
        if image.shape != shape:
            raise ValueError(f"frame {written} is {image.shape}; all frames are {shape}")
        if written == count:
            raise ValueError(f"more than the {count} frames of the timeline")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = written, 1 / fps
        container.mux(video.encode(frame))
        written += 1
        if sound is not None:
            sound.write_until(written / fps)
    if written == 0 or (count is not None and written != count):
        raise ValueError(f"got {written} frames, the timeline has {count or 'at least one'}")
    container.mux(video.encode(None))
    if sound is not None:
        sound.finish()
    return written


class _Sound:
    """The original sound, decoded and encoded in step with the pictures so that neither waits in memory."""

    def __init__(self, container: OutputContainer, path: str | Path):
        self.container = container
        self.source = av.open(str(path), metadata_errors="ignore")
        origin = self.source.streams.audio[0]
        rate = next((r for r in SOUND_RATES if r >= origin.rate), SOUND_RATES[-1])
        layout = "mono" if origin.codec_context.layout.nb_channels == 1 else "stereo"
        self.stream = container.add_stream("aac", rate=rate, layout=layout)
        self.stream.bit_rate = SOUND_BITS
        self.resampler = AudioResampler(format="fltp", layout=layout, rate=rate)
        self.decoded = self.source.decode(origin)
        self.rate, self.samples = rate, 0

    def write_until(self, seconds: Fraction) -> None:
        while self.samples < seconds * self.rate and (frame := next(self.decoded, None)) is not None:
            # Times in the source may jump or start late; samples are laid end to end, as `load_audio` counts them.
            frame.pts = None
            self._encode(self.resampler.resample(frame))

    def finish(self) -> None:
        for frame in self.decoded:
            frame.pts = None
            self._encode(self.resampler.resample(frame))
        self._encode(self.resampler.resample(None))
        self.container.mux(self.stream.encode(None))
        self.source.close()

    def _encode(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            frame.pts, frame.time_base = self.samples, Fraction(1, self.rate)
            self.samples += frame.samples
            self.container.mux(self.stream.encode(frame))


def read_frames(path: str | Path) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """The frames of a video as RGB, one after the other.

    Raises:
      BadInput: missing, or not a video that can be decoded.
    """
    path = Path(path)
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise BadInput(f"video {path}", "no picture in it", "a video file", "choose another file")
            for frame in container.decode(container.streams.video[0]):
                yield frame.to_ndarray(format="rgb24")
    except (OSError, FFmpegError) as error:
        got = "no such file" if not path.exists() else f"not a video that can be read ({error})"
        raise BadInput(f"video {path}", got, "a whole mp4 file", "make it again") from error
