"""A source's pictures as they should have been: 25 a second, upright, standard dynamic range, not too large."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from jaxtyping import UInt8

from data_pipeline.records import FPS
from data_pipeline.settings import Normalise
from data_pipeline.stages.hdr import TRANSFERS, to_sdr
from data_pipeline.stages.probe import announced, bad, is_cover

UNEVEN, OFTEN = 0.5, 0.02
"""Intervals that differ by this share from the usual one, and how many of them make a frame rate variable."""
SHORT = Fraction(9, 10)
"""Share of the announced length that must be there."""
WIDE = 720
"""Pictures without a colour tag are BT.709 from this height on, BT.601 below, as players assume."""
BT709 = 1


@dataclass
class Pictures:
    """Frames of one source as the normalised video shows them; after iteration it knows what was repaired.

    start: seconds at which the first picture is shown, where sound must begin too.
    """

    path: Path
    limits: Normalise
    notes: list[str] = field(default_factory=list)
    start: Fraction = Fraction(0)
    count: int = 0

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        """RGB frames, frame i at i / 25 s: the source's frame nearest to that instant before the next.

        Raises:
            BadInput: damaged, cut short, or too long.
        """
        try:
            with av.open(str(self.path), metadata_errors="ignore") as container:
                yield from self._frames(container)
        except FFmpegError as error:
            words = error.strerror or type(error).__name__
            raise bad(f"damaged after {self.count / FPS:.2f} s: {words}", "the file must be whole") from error

    def _frames(self, container: Any) -> Iterator[np.ndarray]:
        stream = next(s for s in container.streams.video if not is_cover(s))
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        promised = announced(container, stream)
        step = 1 / Fraction(stream.average_rate or FPS)
        times: list[float] = []
        shown: np.ndarray | None = None
        corrupt = 0
        for number, frame in enumerate(container.decode(stream)):
            at = _time_of(frame, self.start + number * step)
            if number == 0:
                self.start = at
                self._note_kind(frame)
            times.append(float(at - self.start))
            corrupt += bool(frame.is_corrupt)
            place = int((at - self.start) * FPS + Fraction(1, 2))
            if place - self.count > self.limits.gap * FPS:
                got = f"no picture from {self.count / FPS:.2f} s to {place / FPS:.2f} s"
                raise bad(got, f"gaps of at most {self.limits.gap:g} s")
            if place > self.limits.longest * FPS:
                raise bad("longer than its header says", f"at most {self.limits.longest / 3600:g} hours a file")
            # Frame i is the last one whose time rounds to i / 25 or before; decoding order never goes back.
            while shown is not None and self.count < place:
                yield shown
                self.count += 1
            if shown is None or place >= self.count:
                shown = self._upright(frame)
        if shown is None:
            raise bad("no picture could be decoded", "a whole video file")
        yield shown
        self.count += 1
        self._judge(promised, times, corrupt)

    def _judge(self, promised: Fraction, times: list[float], corrupt: int) -> None:
        seconds = Fraction(self.count, FPS)
        if seconds < promised * SHORT - Fraction(1, 5):
            got = f"cut short: {float(seconds):.2f} of {float(promised):.2f} s could be decoded"
            raise bad(got, "the file must be whole")
        if corrupt > OFTEN * len(times):
            raise bad(f"{corrupt} of {len(times)} frames are damaged", "the file must be whole")
        between = np.diff(times)
        if len(between) and (usual := float(np.median(between))) > 0:
            uneven = np.abs(between - usual) > UNEVEN * usual
            if uneven.mean() > OFTEN:
                span = f"{1000 * between.min():.0f} to {1000 * between.max():.0f} ms"
                self.note("variable frame rate", f"{span} between frames")

    def _note_kind(self, frame: Any) -> None:
        if frame.rotation:
            self.note("rotated", f"by {frame.rotation} degrees")
        if int(frame.color_trc) in TRANSFERS:
            self.note("hdr", f"{TRANSFERS[int(frame.color_trc)]}, tone-mapped")

    def note(self, kind: str, detail: str) -> None:
        """Keep in mind what was repaired.

        Raises:
            BadInput: such repairs are not wanted.
        """
        if kind in self.limits.refuse:
            raise bad(f"{kind}: {detail}", "refused by the settings")
        self.notes.append(f"{kind}: {detail}")

    def _upright(self, frame: Any) -> np.ndarray:
        """RGB of even size, turned as the file asks for."""
        scale = min(1.0, self.limits.side / min(frame.width, frame.height))
        width, height = (max(2, 2 * round(n * scale / 2)) for n in (frame.width, frame.height))
        if int(frame.color_trc) in TRANSFERS:
            rgb = to_sdr(frame, width, height)
        else:
            untagged = int(frame.colorspace) not in (1, 4, 5, 6, 7)
            wide = frame.height >= WIDE if untagged else int(frame.colorspace) == BT709
            source = "ITU709" if wide else "ITU601"
            rgb = frame.to_ndarray(
                width=width, height=height, format="rgb24", interpolation="AREA", src_colorspace=source, threads=1
            )
        turns = round(frame.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(rgb, turns)) if turns else rgb


def _time_of(frame: Any, otherwise: Fraction) -> Fraction:
    """Seconds at which the frame is shown; raw streams do not say."""
    return otherwise if frame.pts is None else Fraction(frame.pts) * frame.time_base
