"""What a portrait hides and a moving head shows: the background behind the person, the skin behind the features."""

import cv2
import numpy as np
from jaxtyping import Bool, Float

from avatar_jax.models.portrait_layers import CLEAR, COUNTS, SIZE, PortraitLayers
from avatar_jax.sampling.completion import completed, square

MARGIN = 4 / 256
"""Widths about a person that count as hidden: outlines are a mixture of both."""
SKIN_SIDE, SKIN_REACH, SKIN_COLOUR = 128, 0.08, 0.1
"""Skin is made at this side, of skin about so many widths away whose colour differs by about so much."""


def uncovered(layers: PortraitLayers) -> PortraitLayers:
    """The layers (float, in [0, 1], without a leading axis), what they hide of background and skin completed."""
    hidden = covered(*(np.asarray(layer)[..., 3] for layer in (layers.back, layers.body, layers.head, layers.face)))
    picture = np.round(255 * np.asarray(layers.background)).clip(0, 255).astype(np.uint8)
    background = completed(picture, hidden).astype(np.float32) / 255
    return layers._replace(background=background, head=bare(np.asarray(layers.head), np.asarray(layers.face)[..., 3]))


def bare(head: Float[np.ndarray, "S S 4"], features: Float[np.ndarray, "S S"]) -> Float[np.ndarray, "S S 4"]:
    """The head behind the features (their alpha), without what the network still painted of them.

    Every pixel becomes a mean of the head's seen pixels, nearer ones and those of the painted colour more: skin is even
    skin again, and hair beside it stays hair (a joint bilateral filter, Petschnig et al. 2004).
    """
    side, small = len(head), (SKIN_SIDE, SKIN_SIDE)
    alpha = head[..., 3:]
    colour = head[..., :3] / np.maximum(alpha, 1e-3)
    cover = np.minimum(COUNTS * cv2.dilate(features, square(CLEAR * max(1, side // SIZE))), 1)
    there = cv2.resize(alpha[..., 0], small, interpolation=cv2.INTER_AREA)
    found = cv2.resize(head[..., :3], small, interpolation=cv2.INTER_AREA) / np.maximum(there, 1e-3)[..., None]
    covered = cv2.dilate(cv2.resize(cover, small, interpolation=cv2.INTER_AREA), square(1))
    to, of = np.argwhere((covered > 0.02) & (there > 0.05)), np.argwhere((covered < 0.05) & (there > 0.9))
    if not len(to) or not len(of):
        return head
    even = cv2.GaussianBlur(found * there[..., None], (0, 0), 2.5)
    even /= np.maximum(cv2.GaussianBlur(there, (0, 0), 2.5), 1e-3)[..., None]
    painted, seen = even[tuple(to.T)], found[tuple(of.T)]
    away = squared(to / SKIN_SIDE, of / SKIN_SIDE) / SKIN_REACH**2 + squared(painted, seen) / SKIN_COLOUR**2
    weight = np.exp(-away / 2)
    total = weight.sum(1, keepdims=True)
    known = np.minimum(total / 1e-3, 1)
    found[tuple(to.T)] = known * (weight @ seen) / np.maximum(total, 1e-12) + (1 - known) * painted
    skin = cv2.resize(found, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.concatenate([(cover[..., None] * skin + (1 - cover[..., None]) * colour) * alpha, alpha], axis=-1)


def squared(a: Float[np.ndarray, "n k"], b: Float[np.ndarray, "m k"]) -> Float[np.ndarray, "n m"]:
    """Squared distances of all pairs."""
    return ((a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T).astype(np.float32)


def covered(*alphas: Float[np.ndarray, "S S"]) -> Bool[np.ndarray, "S S"]:
    """The pixels at which layers of these alphas hide the background, and MARGIN around them."""
    hidden = np.prod([1 - alpha for alpha in alphas], axis=0) < 0.98
    return cv2.dilate(hidden.astype(np.uint8), square(max(1, round(MARGIN * len(hidden))))) > 0
