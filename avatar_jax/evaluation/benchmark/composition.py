"""The 375-case composition as a quota table, and what a set lacks of it.

Kling-Avatar publishes the counts of portraits by origin and kind and of recordings by language; of all else it says
what is there ("several ethnicities, half and full body, speech and song, several rates ..."). Those quotas are ours,
as least numbers.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Tags = Mapping[str, str]

SHORTEST_S, LONGEST_S = 8.0, 120.0
LENGTHS = {
    "under 8 s": (0.0, 8.0),
    "8-15 s": (8.0, 15.0),
    "15-30 s": (15.0, 30.0),
    "30-60 s": (30.0, 60.0),
    "60-120 s": (60.0, 120.001),
}
BANDS = {"low": 0.4, "medium": 0.7, "high": 1.01}
"""Intensity below which an emotion has this name."""
ANY = ("*",)
"""Values of a quota that any text but an empty one meets."""


@dataclass(frozen=True)
class Quota:
    """`count` cases whose tag `tag` is one of `values`; `exact`: neither less nor more."""

    tag: str
    name: str
    count: int
    exact: bool = False
    values: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        return "published" if self.exact else "ours"

    def meets(self, tags: Tags) -> bool:
        value = tags.get(self.tag, "")
        return bool(value) if self.values == ANY else value in (self.values or (self.name,))


def exactly(tag: str, **counts: int) -> tuple[Quota, ...]:
    return tuple(Quota(tag, name.replace("_", "-"), count, exact=True) for name, count in counts.items())


def least(tag: str, count: int, *names: str) -> tuple[Quota, ...]:
    return tuple(Quota(tag, name, count) for name in names)


PORTRAIT = (
    *exactly("origin", real=188, generated=187),
    *exactly("kind", human=340, non_human=35),
    *least("ethnicity", 40, "east-asian", "south-asian", "black", "white", "latin", "middle-eastern"),
    *least("framing", 60, "half-body", "full-body"),
    *least("aspect", 60, "vertical", "horizontal", "square"),
)
RECORDING = (
    *exactly("language", zh=150, en=150, ko=35, ja=40),
    *least("voice", 60, "speech", "song"),
    *least("rate", 60, "slow", "normal", "fast"),
    *least("length", 40, "8-15 s", "15-30 s", "30-60 s", "60-120 s"),
)
PROMPT = (
    *least("emotion", 45, "calm", "excitement", "confusion", "sadness", "surprise", "anger"),
    *least("intensity", 75, *BANDS),
    *least("action", 20, "nod", "shake_head", "raise_hand", "wave", "none"),
    Quota("action", "turn", 20, values=("look_left", "look_right")),
    Quota("camera", "static", 60),
    Quota("camera", "pan", 45, values=("pan_left", "pan_right")),
    Quota("camera", "zoom", 45, values=("push_in", "pull_out")),
    Quota("background", "described", 75, values=ANY),
)
COMPOSITION = (*PORTRAIT, *RECORDING, *PROMPT)
CASES = 375

DRAWN = ("kind", "language", "voice", "rate", "length", "emotion", "intensity", "action", "camera", "background")
"""Tags whose quotas the embedded edition meets. Its portraits are all generated, square, and without ethnicity."""
EMBEDDED = tuple(quota for quota in COMPOSITION if quota.tag in DRAWN)


def length_of(seconds: float) -> str:
    """The tag of a recording's length."""
    return next((name for name, (low, high) in LENGTHS.items() if low <= seconds < high), "over 120 s")


def band_of(intensity: float) -> str:
    """The tag of an emotion's intensity."""
    return next(name for name, limit in BANDS.items() if intensity < limit)


@dataclass(frozen=True)
class Held:
    """How many cases a set holds for a quota."""

    quota: Quota
    count: int

    @property
    def missing(self) -> int:
        """Cases too few (or, of an exact quota, too many: a negative number)."""
        away = self.quota.count - self.count
        return away if self.quota.exact else max(0, away)


def held(quotas: Sequence[Quota], cases: Iterable[Tags]) -> list[Held]:
    """Every quota with the number of cases that meet it."""
    counts: Counter[Quota] = Counter()
    for tags in cases:
        counts.update(quota for quota in quotas if quota.meets(tags))
    return [Held(quota, counts[quota]) for quota in quotas]


def as_text(rows: Sequence[Held]) -> str:
    """The quota table in Markdown, and one line that says what is unmet."""
    lines = ["| tag | value | quota | held | missing | quota is |", "|---|---|---|---|---|---|"]
    for row in rows:
        quota = row.quota
        wanted = f"{quota.count}" if quota.exact else f"at least {quota.count}"
        away = str(row.missing) if row.missing >= 0 else f"{-row.missing} too many"
        lines.append(f"| {quota.tag} | {quota.name} | {wanted} | {row.count} | {away} | {quota.source} |")
    unmet = [row for row in rows if row.missing]
    told = ", ".join(f"{row.quota.tag} {row.quota.name} ({row.missing})" for row in unmet)
    return "\n".join([*lines, "", f"unmet: {told}" if unmet else f"all {len(rows)} quotas are met"])
