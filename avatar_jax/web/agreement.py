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


def fleiss_kappa(items: Sequence[Sequence[str]]) -> float | None:
    """Fleiss' kappa (Fleiss 1971) for any number of raters; `items` holds every item's answers.

    Items with fewer than two answers say nothing and are left out; others may have different numbers of answers (the
    share of agreeing pairs is taken of each item's own pairs). None as for Cohen's.
    """
    counted = [Counter(answers) for answers in items if len(answers) >= 2]
    if not counted:
        return None
    pairs = [(sum(n * (n - 1) for n in found.values()), found.total() * (found.total() - 1)) for found in counted]
    observed = sum(equal / every for equal, every in pairs) / len(pairs)
    total = Counter[str]()
    for found in counted:
        total.update(found)
    chance = sum((n / total.total()) ** 2 for n in total.values())
    return None if len(total) == 1 else (observed - chance) / (1 - chance)
