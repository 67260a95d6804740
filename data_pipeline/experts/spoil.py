"""Ways in which a mouth stops being clear, applied to a picture whose middle is the mouth.

The picture is `CONTEXT` pixels long, one head width; what the expert looks at is its middle, `framing.MOUTH_EXTENT`
of that. Severities begin where a person sees the damage at a glance: what lies between is in nobody's training set.
"""

from collections.abc import Callable

import cv2
import numpy as np

from data_pipeline.experts.framing import MOUTH_EXTENT

CONTEXT = 128
SQUARE = MOUTH_EXTENT * CONTEXT
"""Side of the mouth's square in pixels of the context."""
SEEN = 64
"""Side of what the classifier sees."""
View = tuple[float, float, float]
"""Middle x, y and side of the square that is cut out, in pixels of the context."""
MIDDLE: View = (CONTEXT / 2, CONTEXT / 2, SQUARE)
Rng = np.random.Generator
Spoiled = tuple[np.ndarray, View]


def blur(rng: Rng, picture: np.ndarray) -> Spoiled:
    """Out of focus, or smeared by motion."""
    if rng.random() < 0.6:
        return cv2.GaussianBlur(picture, (0, 0), rng.uniform(2.2, 7)), MIDDLE
    length, angle = int(rng.integers(9, 25)), rng.uniform(0, np.pi)
    kernel = np.zeros((length, length), np.float32)
    middle, reach = (length - 1) / 2, (length - 1) / 2 * np.array([np.cos(angle), np.sin(angle)])
    ends = [tuple(int(v) for v in np.round(middle + sign * reach)) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return cv2.filter2D(picture, -1, kernel / kernel.sum()), MIDDLE


def noise(rng: Rng, picture: np.ndarray) -> Spoiled:
    """Of a sensor in the dark, in grey or in colour, fine or in blotches; or single wild pixels."""
    side = picture.shape[0]
    if rng.random() < 0.2:
        wild = rng.random((side, side)) < rng.uniform(0.03, 0.15)
        out = picture.copy()
        out[wild] = rng.choice(np.array([0, 255], np.uint8), (int(wild.sum()), 1))
        return out, MIDDLE
    coarse = int(rng.choice([1, 1, 2, 3]))
    cells = -(-side // coarse)
    grain = rng.normal(0, rng.uniform(16, 55), (cells, cells, 1 if rng.random() < 0.4 else 3)).astype(np.float32)
    grain = np.broadcast_to(cv2.resize(grain, (side, side)).reshape(side, side, -1), picture.shape)
    return np.clip(picture + grain, 0, 255).astype(np.uint8), MIDDLE


def compression(rng: Rng, picture: np.ndarray) -> Spoiled:
    """Blocks of a starved codec, or a face enlarged from far too few pixels."""
    if rng.random() < 0.6:
        return jpeg(picture, int(rng.integers(2, 11))), MIDDLE
    few = int(rng.integers(9, 26))
    tiny = cv2.resize(picture, (few, few), interpolation=cv2.INTER_AREA)
    how = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST]))
    return cv2.resize(tiny, picture.shape[:2], interpolation=how), MIDDLE


def occlusion(rng: Rng, picture: np.ndarray) -> Spoiled:
    """Something plain, striped or taken from elsewhere in the picture hides a third of the mouth or more."""
    side = picture.shape[0]
    mouth = np.zeros((side, side), np.uint8)
    cv2.ellipse(mouth, (side // 2, side // 2), (int(0.2 * side), int(0.11 * side)), 0, 0, 360, 1, -1)
    cover = mouth
    for _ in range(20):
        cover = np.zeros_like(mouth)
        at = (side / 2 + rng.normal(0, 0.12 * side, 2)).tolist()
        axes = rng.uniform(0.1, 0.42, 2) * side
        if rng.random() < 0.5:
            cv2.ellipse(cover, [int(v) for v in at], [int(v) for v in axes], rng.uniform(0, 180), 0, 360, 1, -1)
        else:
            corners = cv2.boxPoints((at, (2 * axes).tolist(), rng.uniform(0, 180)))
            cv2.fillPoly(cover, [corners.astype(np.int32)], 1)
        if cover[mouth > 0].mean() > 0.35:
            break
    soft = cv2.GaussianBlur(cover.astype(np.float32), (0, 0), rng.uniform(0.4, 2))[..., None]
    return np.clip(soft * stuff(rng, picture) + (1 - soft) * picture, 0, 255).astype(np.uint8), MIDDLE


def stuff(rng: Rng, picture: np.ndarray) -> np.ndarray:
    """What an occluder is made of, [side, side, 3] float."""
    side = picture.shape[0]
    kind = rng.random()
    if kind < 0.35:
        patch = picture[: side // 3, : side // 3] if rng.random() < 0.5 else picture[-side // 3 :, : side // 3]
        return cv2.resize(patch, (side, side)).astype(np.float32)
    colour = rng.uniform(0, 255, 3) * np.ones((side, side, 3))
    if kind < 0.5:
        wave = np.sin(np.arange(side) * rng.uniform(0.1, 1.0))[:, None, None]
        colour = colour * (0.75 + 0.25 * wave)
    shade = np.linspace(rng.uniform(0.7, 1), rng.uniform(0.8, 1.2), side)[None, :, None]
    return (colour * shade + rng.normal(0, rng.uniform(0, 6), (side, side, 1))).astype(np.float32)


def misalignment(rng: Rng, picture: np.ndarray) -> Spoiled:
    """A track that lost the mouth: the square lies beside it, or holds a far larger or smaller part of the head."""
    if rng.random() < 0.75:
        angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.42, 0.9) * SQUARE
        return picture, (CONTEXT / 2 + far * np.cos(angle), CONTEXT / 2 + far * np.sin(angle), SQUARE)
    return picture, (CONTEXT / 2, CONTEXT / 2, SQUARE * float(rng.choice([rng.uniform(0.2, 0.4), rng.uniform(2, 3)])))


KINDS: dict[str, Callable[[Rng, np.ndarray], Spoiled]] = {
    "blur": blur,
    "noise": noise,
    "compression": compression,
    "occlusion": occlusion,
    "misalignment": misalignment,
}


def lived_in(rng: Rng, picture: np.ndarray, view: View) -> Spoiled:
    """What any good recording has: light, a little grain, a good codec, a finder that is a little off."""
    out = picture.astype(np.float32) * rng.uniform(0.75, 1.2) * rng.normal(1, 0.04, 3) + rng.uniform(-12, 12)
    if rng.random() < 0.5:
        out = out + rng.normal(0, rng.uniform(0, 4), picture.shape)
    if rng.random() < 0.4:
        out = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.2, 0.7))
    out = np.clip(out, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        out = jpeg(out, int(rng.integers(60, 96)))
    x, y, side = view
    off = rng.normal(0, 0.045, 2) * SQUARE
    return out, (x + off[0], y + off[1], side * rng.uniform(0.88, 1.14))


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def cut_out(picture: np.ndarray, view: View, side: int = SEEN) -> np.ndarray:
    """The square of a view at `side` pixels; what lies outside repeats the edge."""
    x, y, length = view
    scale = length / side
    start = (x - length / 2 + scale / 2 - 0.5, y - length / 2 + scale / 2 - 0.5)
    matrix = np.array([[scale, 0, start[0]], [0, scale, start[1]]])
    if scale > 1.5:
        picture = cv2.GaussianBlur(picture, (0, 0), 0.4 * scale)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
