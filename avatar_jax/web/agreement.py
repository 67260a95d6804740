"""How far raters agree, beyond what chance would give."""

from collections import Counter
from collections.abc import Sequence


def agreement(a: Sequence[str], b: Sequence[str]) -> float | None:
    """Share of places where two lists of answers to the same items are equal; None without items."""
    return sum(x == y for x, y in zip(a, b, strict=True)) / len(a) if a else None


def cohen_kappa(a: Sequence[str], b: Sequence[str]) -> float | None:
    """Cohen's kappa (Cohen 1960): (observed - chance) / (1 - chance) for two raters' answers to the same items.

    None without items, or where both gave one and the same answer throughout: chance then explains everything.
    """
    observed = agreement(a, b)
    if observed is None:
        return None
    mine, theirs = Counter(a), Counter(b)
    chance = sum(mine[answer] * theirs[answer] for answer in mine) / len(a) ** 2
    return None if chance == 1 else (observed - chance) / (1 - chance)
