"""The people who judge: their names, and an order of their own for each."""

import hashlib

import numpy as np

LONGEST_NAME = 40


class Refused(ValueError):
    """A request that the page would not send: another tab has voted, or somebody writes their own."""


def known_rater(name: object) -> str:
    """The name, if it is one.

    Raises:
        Refused: empty, too long, or not printable.
    """
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= LONGEST_NAME or not name.isprintable():
        raise Refused(f"a name has 1 to {LONGEST_NAME} printable characters")
    return name


def rater_rng(seed: int, rater: str) -> np.random.Generator:
    """Draws that are this rater's own, and the same on every day."""
    return np.random.default_rng(list(hashlib.sha256(f"{seed} {rater}".encode()).digest()))
