"""Endless training data for the codec's two networks, drawn when asked for: characters taken apart.

`portrait_batch` is for `training.layers_stage`, `face_batch` for `training.codec_stage`; both depend on their random
generator alone. Held-out characters have their own range of seeds.
"""

import cv2
import numpy as np

from avatar_jax.models.portrait_layers import HAND_DENSITY, SIZE
from avatar_jax.models.pose import FACE_WINDOW, PARALLAX, POSE
from data_pipeline.synthetic.clip import HELD_OUT_IDENTITIES
from data_pipeline.synthetic.draw.hand import draw_hand
from data_pipeline.synthetic.identity import Identity, make_identity
from data_pipeline.synthetic.layers import behind_face, face_layers, hand_sprite, paint, portrait_layers
from data_pipeline.synthetic.render import landmarks, portrait
from data_pipeline.synthetic.state import COLUMN, STATE
from data_pipeline.synthetic.stills import random_state

Batch = dict[str, np.ndarray]


def random_identity(rng: np.random.Generator, held_out: bool = False) -> Identity:
    return make_identity(int(rng.integers(HELD_OUT_IDENTITIES)) + (HELD_OUT_IDENTITIES if held_out else 0))


def lighting(rng: np.random.Generator, size: int) -> np.ndarray:
    """[size, size, 3] float32: a smooth gain about 1, as of a lamp with a colour; half of the time none."""
    if rng.random() < 0.5:
        return np.ones((size, size, 3), np.float32)
    coarse = np.exp(rng.normal(0, 0.12, (3, 3, 1)) + rng.normal(0, 0.05, 3)).astype(np.float32)
    return np.minimum(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), 1.15)


def lit(layer: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """A premultiplied uint8 layer as float32 in [0, 1], its colours multiplied; no brighter than its alpha."""
    x = layer.astype(np.float32) / 255
    x[..., :3] = np.minimum(x[..., :3] * gain, x[..., 3:])
    return x


def portrait_batch(rng: np.random.Generator, count: int, held_out: bool = False) -> Batch:
    """`count` portraits float32 [count, 256, 256, 3] in [0, 1] with their layers and hands."""
    rows: dict[str, list[np.ndarray]] = {}
    for _ in range(count):
        who, gain = random_identity(rng, held_out), lighting(rng, SIZE)
        layers = {name: lit(layer, gain) for name, layer in portrait_layers(who, SIZE).items()}
        layers["hand"] = lit(hand_sprite(who, HAND_DENSITY), gain[SIZE // 2, SIZE // 2])
        whole = portrait(who, SIZE).astype(np.float32) / 255
        layers["portrait"] = np.minimum(whole * gain, 1)
        for name, picture in layers.items():
            rows.setdefault(name, []).append(picture)
    return {name: np.stack(pictures) for name, pictures in rows.items()}


def face_batch(rng: np.random.Generator, identities: int, each: int, held_out: bool = False) -> Batch:
    """`each` expressions of `identities` characters, float32 in [0, 1], all in FACE_WINDOW at SIZE pixels per width.

    frame, portrait: what is seen there [B, W, W, 3], the frame un-warped to the portrait's pose; face, portrait_face:
    the face layer alone [B, W, W, 4]; under: what lies behind it [B, W, W, 3]; landmarks [B, 7]: mouth x, y, half
    width, left eye x, y, right eye x, y in portrait coordinates. Half of the frames show the head behind the features
    moved by parallax, a hand in front, or the blur of a smaller video: what un-warping a real frame gives.
    """
    rows: dict[str, list[np.ndarray]] = {}
    for _ in range(identities):
        who = random_identity(rng, held_out)
        states = np.stack([random_state(rng)[0] for _ in range(each)])
        side = round((FACE_WINDOW[2] - FACE_WINDOW[0]) * SIZE)
        gain = lighting(rng, side)
        neutral, *faces = (lit(f, gain) for f in face_layers(who, np.concatenate([0 * states[:1], states]), SIZE))
        under = lit(behind_face(who, FACE_WINDOW, SIZE), gain)[..., :3]
        marks = landmarks(who)
        points = np.array([*marks["mouth"], *marks["eye_l"], *marks["eye_r"]], np.float32)
        seen = neutral[..., :3] + (1 - neutral[..., 3:]) * under
        for state, face in zip(states, faces, strict=True):
            frame = face[..., :3] + (1 - face[..., 3:]) * under
            row = {"frame": disturbed(rng, who, state, face, frame, gain), "portrait": seen, "face": face}
            row |= {"portrait_face": neutral, "under": under, "landmarks": points, "state": state}
            for name, value in row.items():
                rows.setdefault(name, []).append(value)
    return {name: np.stack(values) for name, values in rows.items()}


def shut_batch(rng: np.random.Generator, count: int, held_out: bool = False) -> Batch:
    """`count` characters at rest, [count, W, W, 3] in [0, 1]: `frame` with closed eyes, `portrait` with open ones."""
    rows: dict[str, list[np.ndarray]] = {"frame": [], "portrait": []}
    states = np.zeros((2, len(STATE)), np.float32)
    states[1, COLUMN["blink"]] = 1
    for _ in range(count):
        who = random_identity(rng, held_out)
        gain = lighting(rng, round((FACE_WINDOW[2] - FACE_WINDOW[0]) * SIZE))
        under = lit(behind_face(who, FACE_WINDOW, SIZE), gain)[..., :3]
        for name, face in zip(("portrait", "frame"), face_layers(who, states, SIZE), strict=True):
            layer = lit(face, gain)
            rows[name].append(layer[..., :3] + (1 - layer[..., 3:]) * under)
    return {name: np.stack(pictures) for name, pictures in rows.items()}


def disturbed(
    rng: np.random.Generator, who: Identity, state: np.ndarray, face: np.ndarray, frame: np.ndarray, gain: np.ndarray
) -> np.ndarray:
    """The frame as un-warping would give it: at times with parallax, a hand, or blur."""
    if rng.random() < 0.35:
        yaw, pitch = (state[COLUMN[POSE[i]]] for i in (6, 7))
        x, y = PARALLAX[0] * yaw, PARALLAX[1] * pitch
        left, top, right, bottom = FACE_WINDOW
        shown = behind_face(who, (left + x, top + y, right + x, bottom + y), SIZE)
        moved = lit(shown, gain)[..., :3]
        frame = face[..., :3] + (1 - face[..., 3:]) * moved
    if rng.random() < 0.12:
        palm = (rng.uniform(0.3, 0.7), rng.uniform(0.55, 0.85))
        hand = lit(paint(lambda canvas: draw_hand(canvas, who, palm, rng.normal(0, 0.2)), FACE_WINDOW, SIZE), gain)
        frame = hand[..., :3] + (1 - hand[..., 3:]) * frame
    if rng.random() < 0.3:
        side, small = frame.shape[0], int(frame.shape[0] * rng.uniform(0.4, 0.9))
        frame = cv2.resize(cv2.resize(frame, (small, small), interpolation=cv2.INTER_AREA), (side, side))
    return frame
