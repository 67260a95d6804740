"""The held-out clips on which each expert is calibrated and measured: two sets that share no character.

Set 0 sets thresholds, set 1 is for reports. No network trains on either.
"""

from collections.abc import Iterator

from data_pipeline.experts.calibration import Example
from data_pipeline.experts.mouth_set import spoilt_clip
from data_pipeline.experts.splices import SPLICES, spliced_clip
from data_pipeline.experts.spoil import KINDS
from data_pipeline.experts.sync_set import shifted_clips
from data_pipeline.synthetic.clip import HELD_OUT_IDENTITIES

APART = 1_000_000
"""Seeds between the two sets."""


def mouths(part: int, count: int) -> Iterator[Example]:
    """As many clear clips as spoilt ones, the kinds in turn; `count` of each."""
    first = HELD_OUT_IDENTITIES + APART * (part + 1)
    for i in range(count):
        yield Example(spoilt_clip(first + 2 * i, "clear"), True, "clear")
        kind = list(KINDS)[i % len(KINDS)]
        yield Example(spoilt_clip(first + 2 * i + 1, kind), False, kind)


def cameras(part: int, count: int) -> Iterator[Example]:
    """As many continuous clips as spliced ones, the kinds in turn; `count` of each."""
    first = APART * (part + 1)
    for i in range(count):
        yield Example(spliced_clip(first + 2 * i, "continuous"), True, "continuous")
        kind = list(SPLICES)[i % len(SPLICES)]
        yield Example(spliced_clip(first + 2 * i + 1, kind), False, kind)


def syncs(part: int, count: int) -> Iterator[Example]:
    """Clips with their own sound, moved by -10 to 10 frames, and the same with another clip's; `count` of each."""
    for clip, shift, kind in shifted_clips(APART * (part + 1), count):
        moved = kind == "moved"
        yield Example(clip, moved, kind, shift if moved else None)
