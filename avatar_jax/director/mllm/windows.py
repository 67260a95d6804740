"""Long recordings in windows that a model can hear at once, cut in pauses."""

from fractions import Fraction

from avatar_jax.director.experts.audio import Span

LONGEST = Fraction(30)
"""Seconds of a window: what the audio encoders of today's open models take."""
LOOK_BACK = Fraction(10)
"""Seconds before the latest possible cut in which a pause is looked for."""


def windows(seconds: Fraction, pauses: list[Span], longest: Fraction = LONGEST) -> list[Span]:
    """Spans of at most `longest` that cover [0, seconds) without gaps, each ended by a pause where one is near.

    What is left for two windows is shared between them.
    """
    out: list[Span] = []
    start = Fraction(0)
    while (left := seconds - start) > longest:
        latest = start + (longest if left >= 2 * longest else left / 2)
        inside = [(a + b) / 2 for a, b in pauses if latest - LOOK_BACK < (a + b) / 2 <= latest]
        end = max(inside, default=latest)
        end = end if end - start >= longest / 4 else latest
        out.append((start, end))
        start = end
    return [*out, (start, seconds)]
