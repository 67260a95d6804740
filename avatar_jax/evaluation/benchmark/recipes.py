"""What each of the 375 cases of the embedded edition is made of: a table from one seed, which meets the quotas."""

from dataclasses import dataclass

import numpy as np

from avatar_jax.evaluation.benchmark.composition import BANDS, CASES, LONGEST_S, SHORTEST_S, band_of

SEED = 375
COUNTS: dict[str, dict[str, int]] = {
    "language": {"zh": 150, "en": 150, "ko": 35, "ja": 40},
    "kind": {"human": 340, "animal": 22, "robot": 13},
    "voice": {"speech": 300, "song": 75},
    "rate": {"slow": 110, "normal": 155, "fast": 110},
    "emotion": {"calm": 63, "excitement": 63, "confusion": 63, "sadness": 62, "surprise": 62, "anger": 62},
    "intensity": dict.fromkeys(BANDS, 125),
    "action": {"none": 115, "nod": 40, "shake_head": 40, "tilt_head": 30, "raise_hand": 40, "wave": 40}
    | {"look_left": 25, "look_right": 25, "lean_in": 20},
    "camera": {"static": 155, "push_in": 60, "pull_out": 50, "pan_left": 35, "pan_right": 35}
    | {"tilt_up": 20, "tilt_down": 20},
}
"""How many of the 375 have which value."""
PACES = {"slow": (0.0, 0.33), "normal": (0.33, 0.67), "fast": (0.67, 1.0)}
"""Part of the synthesiser's range of speaking rates."""
STRENGTHS = {"low": (0.25, 0.4), "medium": (0.4, 0.7), "high": (0.7, 1.0)}
SHOT_S = 6.0
"""Mean length of a shot."""


@dataclass(frozen=True)
class Recipe:
    """One case; `number` is its place among the 375 and seeds all chance in it. Emotion, action and camera are those
    of its first shot; the others draw theirs."""

    number: int
    seconds: float
    language: str
    kind: str
    voice: str
    rate: str
    emotion: str
    intensity: float
    action: str
    camera: str

    @property
    def name(self) -> str:
        return f"{self.language}-{self.voice}-{self.number:04d}"

    @property
    def pace(self) -> tuple[float, float]:
        return PACES[self.rate]

    @property
    def strength(self) -> str:
        return band_of(self.intensity)


def spread(counts: dict[str, int]) -> list[str]:
    """The values so that every prefix of the list has about its share of each."""
    places = [((i + 0.5) / count, value) for value, count in counts.items() for i in range(count)]
    return [value for _, value in sorted(places)]


def shuffled(counts: dict[str, int], rng: np.random.Generator) -> list[str]:
    every = [value for value, count in counts.items() for _ in range(count)]
    return [every[i] for i in rng.permutation(len(every))]


def recipes(cases: int = CASES, seconds: float | None = None) -> list[Recipe]:
    """The first `cases` of the table. Lengths go from 8 s to 2 min, evenly on a logarithmic scale, unless all are
    `seconds`. What a case is apart from its length depends on neither argument."""
    rng = np.random.default_rng(SEED)
    columns = {name: shuffled(counts, rng) for name, counts in COUNTS.items() if name != "language"}
    columns["language"] = spread(COUNTS["language"])
    ratio = LONGEST_S / SHORTEST_S
    lengths = SHORTEST_S * ratio ** ((rng.permutation(CASES) + 0.5) / CASES)
    intensities = [float(rng.uniform(*STRENGTHS[band])) for band in columns.pop("intensity")]
    return [
        Recipe(
            number=i + 1,
            seconds=round(seconds or float(lengths[i]), 2),
            # Tenths, as local prompts tell them; rounded down, so that the band stays.
            intensity=int(10 * intensities[i]) / 10,
            **{name: values[i] for name, values in columns.items()},
        )
        for i in range(cases)
    ]
