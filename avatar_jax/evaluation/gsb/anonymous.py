"""Copies of videos that do not tell which tool made them: no titles, no encoder's name, one container and sound codec.

Pictures are copied packet by packet wherever browsers play their codec, so size, frame rate and every pixel stay. H.264
carries its encoder's name within the pictures (supplemental messages): these are dropped, players need none. Sound is
decoded and kept without loss as FLAC, because AAC packets name their encoder too.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
from av.audio.resampler import AudioResampler
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from avatar_jax.media import BadInput, nameable

WITHOUT_NAMES = {
    "h264": "filter_units=remove_types=6",
    "vp9": "null",
    "av1": "filter_units=remove_types=5",
}
"""Codecs that browsers play, and the filter that drops messages: SEI of H.264, metadata units of AV1."""
CRF = 12
"""Quality of pictures in another codec, which are encoded again: no difference can be seen."""
NO_TELL = {"movflags": "+faststart", "fflags": "+bitexact"}
"""Without the second FFmpeg writes its own version."""


@dataclass(frozen=True)
class Facts:
    """What the header of a video says. seconds: of the pictures; fps: on average; sound: whether it has any."""

    seconds: float
    fps: float
    width: int
    height: int
    codec: str
    sound: bool


def facts_of(video: Path) -> Facts:
    """Raises BadInput where the file is no video."""
    with _opened(video) as source:
        stream = _pictures(source, video)
        length = stream.duration * stream.time_base if stream.duration and stream.time_base else None
        if length is None:
            length = Fraction(source.duration or 0, av.time_base)
        return Facts(
            round(float(length), 3),
            round(float(stream.average_rate or 0), 3),
            stream.width,
            stream.height,
            _codec(stream),
            bool(source.streams.audio),
        )


def copy_anonymously(video: Path, into: Path, sound: Path | None) -> None:
    """Write the mp4 file `into`, whole or not at all, with the sound of the file `sound`, or with none.

    Raises:
        BadInput: no video, damaged, cut short, or with damaged sound.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".part-", dir=into.parent) as folder:
        part, plain = Path(folder) / "copy", Path(folder) / "h264"
        if facts_of(video).codec not in WITHOUT_NAMES:
            _encode_again(video, plain)
            _copy(plain, part, sound)
        else:
            _copy(video, part, sound)
        # The time of writing goes out in a header, and would tell which files were made together.
        os.utime(part, (0, 0))
        part.replace(into)


@contextlib.contextmanager
def _opened(video: Path) -> Iterator[InputContainer]:
    """FFmpeg's complaints, within the block too, as BadInput."""
    try:
        with av.open(str(nameable("video", video)), metadata_errors="ignore") as source:
            yield source
    except (FFmpegError, OSError) as error:
        got = f"damaged or no video ({error.strerror or error})"
        raise BadInput(f"video {video}", got, "a whole video", "make it again") from error


def _pictures(source: InputContainer, video: Path) -> VideoStream:
    """The first stream of moving pictures; a cover is none."""
    for stream in source.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise BadInput(f"video {video}", "no picture in it", "a video", "choose another file")


def _codec(stream: VideoStream) -> str:
    """h264, vp9, av1 and so on, whichever library reads it."""
    return stream.codec_context.codec.canonical_name


def _copy(video: Path, part: Path, sound: Path | None) -> None:
    with _opened(video) as source, av.open(str(part), "w", format="mp4", options=NO_TELL) as out:
        stream = _pictures(source, video)
        copied = out.add_stream_from_template(stream, opaque=True)
        unnamed = BitStreamFilterContext(WITHOUT_NAMES[_codec(stream)], stream, copied)
        track = _Sound(out, sound) if sound else None
        # Every key picture is decoded: enough to find damage, and many times faster than decoding all.
        stream.codec_context.skip_frame = "NONKEY"
        base = stream.time_base or Fraction(1, av.time_base)
        late = round(Fraction(max(source.start_time or 0, 0), av.time_base) / base)
        packets, decoded, end = 0, 0, 0
        for packet in source.demux(stream):
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise BadInput(f"video {video}", f"damaged at {frame.time:.2f} s", "a whole video", "make it again")
                decoded += 1
            if packet.size == 0:
                continue
            packets += 1
            if packet.pts is not None:
                packet.pts -= late
                end = max(end, packet.pts + (packet.duration or 0))
            if packet.dts is not None:
                packet.dts -= late
            for kept in unnamed.filter(packet):
                kept.stream = copied
                out.mux(kept)
            if track:
                track.write_until(end * base)
        for kept in unnamed.filter(None):
            kept.stream = copied
            out.mux(kept)
        if track:
            track.finish()
        _require_whole(video, source, stream, packets, decoded, end * base)


def _require_whole(
    video: Path, source: InputContainer, stream: VideoStream, packets: int, decoded: int, seconds: Fraction
) -> None:
    """Fewer pictures than the index lists, or than the length that the header gives: the file was cut."""
    if decoded == 0:
        raise BadInput(f"video {video}", "no picture can be decoded", "a whole video", "make it again")
    said = Fraction(source.duration or 0, av.time_base)
    silent = not source.streams.audio
    if packets < 0.99 * stream.frames or (silent and seconds < said * Fraction(9, 10) - Fraction(1, 10)):
        got = f"cut short: {packets} pictures, {float(seconds):.2f} s"
        raise BadInput(f"video {video}", got, f"{stream.frames or ''} pictures, {float(said):.2f} s", "make it again")


def _encode_again(video: Path, part: Path) -> None:
    """Pictures in a codec that browsers do not play, at their own times, as H.264."""
    with _opened(video) as source, av.open(str(part), "w", format="mp4") as out:
        stream = _pictures(source, video)
        if stream.width % 2 or stream.height % 2:
            got = f"{_codec(stream)} of {stream.width}x{stream.height}, which browsers do not play"
            raise BadInput(f"video {video}", got, "even sides, to be made H.264", "convert it to H.264, VP9 or AV1")
        made = out.add_stream("libx264", rate=stream.average_rate or 25, options={"crf": str(CRF), "preset": "fast"})
        made.width, made.height, made.pix_fmt = stream.width, stream.height, "yuv420p"
        if stream.time_base:
            made.codec_context.time_base = stream.time_base
        for frame in source.decode(stream):
            pts, base = frame.pts, frame.time_base
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = pts, base
            out.mux(made.encode(frame))
        out.mux(made.encode(None))


class _Sound:
    """Decoded sound of a file, written as FLAC in step with the pictures, so that a page can play while it loads."""

    def __init__(self, out: OutputContainer, path: Path):
        self.out, self.source = out, av.open(str(path), metadata_errors="ignore")
        origin = self.source.streams.audio[0]
        layout = "mono" if origin.codec_context.layout.nb_channels == 1 else "stereo"
        self.stream = out.add_stream("flac", rate=origin.rate, layout=layout)
        self.stream.codec_context.format = av.AudioFormat("s16")
        self.resampler = AudioResampler(format="s16", layout=layout, rate=origin.rate)
        self.decoded, self.rate = self.source.decode(origin), origin.rate
        self.samples: int | None = None

    def write_until(self, seconds: Fraction) -> None:
        while (self.samples or 0) < seconds * self.rate and (frame := next(self.decoded, None)) is not None:
            if self.samples is None:
                # Sound may begin later than the pictures; from then on samples are laid end to end.
                start = Fraction(frame.pts or 0) * (frame.time_base or 0)
                start -= Fraction(max(self.source.start_time or 0, 0), av.time_base)
                self.samples = max(0, round(start * self.rate))
            frame.pts = None
            self._encode(self.resampler.resample(frame))

    def finish(self) -> None:
        self.write_until(Fraction(10**9))
        self._encode(self.resampler.resample(None))
        self.out.mux(self.stream.encode(None))
        self.source.close()

    def _encode(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            frame.pts, frame.time_base = self.samples, Fraction(1, self.rate)
            self.samples = (self.samples or 0) + frame.samples
            self.out.mux(self.stream.encode(frame))
