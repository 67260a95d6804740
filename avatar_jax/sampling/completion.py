"""A picture with a hidden part, completed from patches of what is seen (Wexler, Shechtman and Irani 2007).

Behind a person, smooth colours from around leave a halo as soon as the head moves: stripes, shelves and hills end where
it stood. Here every patch that reaches into the hidden part looks like some patch that is seen whole. A first guess
grows inwards from the edge (Criminisi, Perez and Toyama 2004, without their order); then, from coarse to fine, the
nearest seen patch is found for each patch (all are compared, in one product of matrices), and each hidden pixel becomes
what the patches over it say. At the picture's own size they are copied from the picture's own pixels.
"""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

RADIUS, FIRST_RADIUS = 2, 3
"""Of a patch, in pixels of its level; of those of the first guess, which lines follow."""
ROUNDS = {64: 3, 128: 2}
"""Search and vote so often at these sides."""
FINEST = max(ROUNDS)
RIM = 0.12
"""Widths from what is seen, up to which patches are sought at the finest level: no head moves farther."""
NEAR = 0.005
"""Squared difference of colour that a picture width of distance counts as: patches nearby are preferred."""
SHARP = 2e-3
"""Mean squared difference of two patches at which the worse one's vote is a third of the better one's."""


def completed(picture: UInt8[np.ndarray, "S S 3"], hidden: Bool[np.ndarray, "S S"]) -> UInt8[np.ndarray, "S S 3"]:
    """The picture with its hidden part filled in; what is seen stays as it is, bit for bit.

    Where nothing is hidden, or too little is seen to copy from, the picture itself.
    """
    unit = picture.astype(np.float32) / 255
    guess: np.ndarray | None = None
    found = None
    for side, rounds in ROUNDS.items():
        small, unseen = reduced(unit, hidden, side)
        sources, wide = (whole_patches(~unseen, radius) for radius in (RADIUS, FIRST_RADIUS))
        if not unseen.any() or min(len(sources), len(wide)) < side:
            return picture
        guess = peeled(small, unseen, wide) if guess is None else cv2.resize(guess, (side, side))
        guess[~unseen] = small[~unseen]
        sought = unseen if side < FINEST else unseen & (distance_to(~unseen) <= RIM * side)
        for _ in range(rounds):
            found = nearest(guess, sought, sources, small)
            guess[sought] = voted(small, sought, found)[sought]
    assert guess is not None and found is not None
    filled = at_full_size(unit, hidden, cv2.resize(guess, hidden.shape[::-1]), found)
    return np.where(hidden[..., None], np.round(255 * filled).clip(0, 255), picture).astype(np.uint8)


def reduced(unit: np.ndarray, hidden: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture of seen pixels alone and what is hidden, at this side: a pixel is seen where half of it was."""
    seen = (~hidden).astype(np.float32)
    share = cv2.resize(seen, (side, side), interpolation=cv2.INTER_AREA)
    colour = cv2.resize(unit * seen[..., None], (side, side), interpolation=cv2.INTER_AREA)
    return colour / np.maximum(share, 1e-6)[..., None], share < 0.5


def distance_to(there: np.ndarray) -> np.ndarray:
    """Pixels to the nearest one that is there."""
    return cv2.distanceTransform((~there).astype(np.uint8), cv2.DIST_L2, 3)


def shifts(radius: int) -> list[tuple[int, int]]:
    """(row, column) of every pixel of a patch from its middle."""
    line = range(-radius, radius + 1)
    return [(dy, dx) for dy in line for dx in line]


def square(radius: int) -> np.ndarray:
    """Of ones, for dilating by so many pixels."""
    return np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)


def whole_patches(seen: np.ndarray, radius: int) -> np.ndarray:
    """[N, 2] row and column of the patches that are seen whole."""
    inner = cv2.erode(seen.astype(np.uint8), square(radius), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.argwhere(inner > 0)


def patches(picture: np.ndarray, centres: np.ndarray, radius: int) -> np.ndarray:
    """[N, P * channels] colours about the centres; beyond the edges those of the edge."""
    wide = np.pad(picture, ((radius, radius), (radius, radius), (0, 0)), mode="edge")
    y, x = centres[:, 0] + radius, centres[:, 1] + radius
    return np.concatenate([wide[y + dy, x + dx] for dy, dx in shifts(radius)], axis=1)


def places(centres: np.ndarray, side: int, numbers: int) -> np.ndarray:
    """[N, 2] such that squared distances are those that NEAR adds to patches of so many numbers."""
    return centres.astype(np.float32) * np.sqrt(NEAR * numbers, dtype=np.float32) / side


def peeled(small: np.ndarray, unseen: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """A first guess from the edge inwards, ring by ring: the middle of the seen patch that agrees with what is known
    around each pixel, so that lines go on in their direction."""
    guess, known = small * ~unseen[..., None], ~unseen
    have = patches(small, sources, FIRST_RADIUS)
    lengths, at = have * have, places(sources, len(small), have.shape[1])
    while not known.all():
        ring = np.argwhere(~known & (cv2.dilate(known.astype(np.uint8), square(1)) > 0))
        counts = patches(np.dstack([known] * 3).astype(np.float32), ring, FIRST_RADIUS)
        want = patches(guess, ring, FIRST_RADIUS) * counts
        here = places(ring, len(small), have.shape[1])
        # Squared distance over what is known alone, and that of the places; what all sources share is left out.
        apart = counts @ lengths.T - 2 * want @ have.T + (at * at).sum(1) - 2 * here @ at.T
        guess[ring[:, 0], ring[:, 1]] = small[tuple(sources[apart.argmin(1)].T)]
        known[ring[:, 0], ring[:, 1]] = True
    return guess


class Found(NamedTuple):
    """Row and column of the patches that reach into what is sought, of the seen patch nearest to each, and its vote."""

    targets: Int[np.ndarray, "n 2"]
    sources: Int[np.ndarray, "n 2"]
    vote: Float[np.ndarray, "n"]


def nearest(guess: np.ndarray, sought: np.ndarray, sources: np.ndarray, small: np.ndarray) -> Found:
    """The seen patch that is nearest to each patch of the guess."""
    targets = np.argwhere(cv2.dilate(sought.astype(np.uint8), square(RADIUS)) > 0)
    have, want = patches(small, sources, RADIUS), patches(guess, targets, RADIUS)
    numbers = have.shape[1]
    have = np.concatenate([have, places(sources, len(guess), numbers)], 1)
    want = np.concatenate([want, places(targets, len(guess), numbers)], 1)
    length = (have * have).sum(1)
    best, unlike = np.empty(len(targets), np.int64), (want * want).sum(1)
    for start in range(0, len(targets), 1024):
        rows = slice(start, start + 1024)
        apart = length - 2 * want[rows] @ have.T
        best[rows] = apart.argmin(1)
        unlike[rows] += apart.min(1)
    return Found(targets, sources[best], np.exp(-np.maximum(unlike, 0) / (numbers * SHARP)) + 1e-6)


def voted(picture: np.ndarray, sought: np.ndarray, found: Found) -> np.ndarray:
    """What the patches over each sought pixel say, those that fit well most."""
    side = len(picture)
    total, weight = np.zeros((side, side, 3), np.float32), np.zeros((side, side, 1), np.float32)
    for dy, dx in shifts(RADIUS):
        y, x = found.targets[:, 0] + dy, found.targets[:, 1] + dx
        inside = (y >= 0) & (y < side) & (x >= 0) & (x < side)
        vote, said = found.vote[inside, None], found.sources[inside]
        # Every target has one pixel under this shift, so nothing is written twice.
        total[y[inside], x[inside]] += vote * picture[said[:, 0] + dy, said[:, 1] + dx]
        weight[y[inside], x[inside]] += vote
    return np.where(sought[..., None] & (weight > 0), total / np.maximum(weight, 1e-12), picture)


def at_full_size(unit: np.ndarray, hidden: np.ndarray, coarse: np.ndarray, found: Found) -> np.ndarray:
    """The sources of the patches over each hidden pixel, from the picture itself; `coarse` where there is none."""
    size = len(unit)
    scale = size / FINEST
    moves, votes = np.zeros((FINEST, FINEST, 2), np.float32), np.zeros((FINEST, FINEST), np.float32)
    moves[tuple(found.targets.T)] = found.sources - found.targets
    votes[tuple(found.targets.T)] = found.vote
    y, x = np.nonzero(hidden)
    total, weight = np.zeros((len(y), 3), np.float32), np.zeros((len(y), 1), np.float32)
    for dy, dx in shifts(RADIUS):
        cell = tuple(np.clip((v / scale).astype(int) + d, 0, FINEST - 1) for v, d in ((y, dy), (x, dx)))
        move = moves[cell] * scale
        there = tuple(np.clip(np.round(v + move[:, i]).astype(int), 0, size - 1) for i, v in enumerate((y, x)))
        vote = (votes[cell] * ~hidden[there])[:, None]
        total, weight = total + vote * unit[there], weight + vote
    filled = coarse.copy()
    known = weight[:, 0] > 0
    filled[y[known], x[known]] = total[known] / weight[known]
    return filled
