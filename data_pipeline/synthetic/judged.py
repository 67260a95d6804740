"""Endless training data for the judge, drawn when asked for: frames beside their portraits, with all labels."""

import itertools

import cv2
import numpy as np

from avatar_jax.metrics.judging import AT_HOME, face_at, rest_of, small
from avatar_jax.models.judge import COLUMNS, EMOTIONS, FACE_POINT, FRAME, VISEMES
from avatar_jax.models.pose import apply, portrait_to_screen
from data_pipeline.synthetic.draw.hand import placement
from data_pipeline.synthetic.faces import random_identity
from data_pipeline.synthetic.identity import Identity, with_background
from data_pipeline.synthetic.phonemes import PHONES, Phone, visemes
from data_pipeline.synthetic.render import occlusion, portrait, render
from data_pipeline.synthetic.state import COLUMN, POSE_COLUMNS, bound, emotion_face, neutral, open_gain

Batch = dict[str, np.ndarray]
FELT = 0.4
"""Least intensity of an emotion shown in training; weaker ones look like each other."""
MISPLACED = (0.012, 0.012, 0.03, 0.03)
"""How far, in the order of PLACE, the second look misses the face in training: about as far as the first look does."""
HAND_SEEN, HAND_PALM = 1.12, 0.62
"""y of the palm at which a rising hand enters the picture, and at which it is before the mouth."""


def spoken_mouth(rng: np.random.Generator) -> np.ndarray:
    """(open, spread, teeth, tongue) of an instant in a random string of sounds."""
    edges = np.cumsum(np.concatenate([[0.0], rng.uniform(0.04, 0.16, 5)]))
    phones = [Phone(str(rng.choice(PHONES[1:])), float(a), float(b)) for a, b in itertools.pairwise(edges)]
    return visemes(phones, np.array([rng.uniform(edges[1], edges[-2])]))[0]


def random_state(rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """A state and its emotion: mouths as in speech or of any shape, the other parts as wide as clips show them."""
    state = neutral()

    def put(**values: float) -> None:
        for name, value in values.items():
            state[COLUMN[name]] += value

    emotion, strength = str(rng.choice(EMOTIONS)), float(rng.choice([1.0, rng.uniform(FELT, 1)]))
    kind = rng.random()
    if kind < 0.6:
        state[:4] = spoken_mouth(rng)
        state[0] *= open_gain(emotion, strength)
    elif kind < 0.9:
        put(open=rng.uniform(0, 1.1), spread=rng.uniform(-1, 1))
        put(teeth=rng.uniform() * (rng.random() < 0.6), tongue=rng.uniform() * (rng.random() < 0.4))
    put(**emotion_face(emotion, strength))
    put(smile=rng.normal(0, 0.04), brow=rng.normal(0, 0.05))
    put(blink=rng.choice([1.0, rng.uniform()]) * (rng.random() < 0.15))
    put(gaze_x=rng.normal(0, 0.5) * (rng.random() < 0.6), gaze_y=rng.normal(0, 0.35) * (rng.random() < 0.6))
    put(head_x=rng.normal(0, 0.02), head_y=rng.normal(0, 0.015), roll=rng.normal(0, 0.08))
    put(yaw=rng.normal(0, 0.5), pitch=rng.normal(0, 0.42))
    if rng.random() < 0.7:
        put(log_zoom=rng.uniform(np.log(0.75), np.log(1.65)))
    if rng.random() < 0.5:
        put(pan_x=rng.uniform(-0.18, 0.18), pan_y=rng.uniform(-0.1, 0.1))
    if rng.random() < 0.3:
        put(hand=rng.choice([1.0, rng.uniform(0.3, 1)]), hand_y=rng.uniform(-0.1, 0.15))
        put(hand_x=rng.choice([-1, 1]) * rng.uniform(0.15, 0.38) if rng.random() < 0.85 else rng.normal(0, 0.08))
    return bound(state), emotion


def viseme_classes(states_TS: np.ndarray) -> np.ndarray:
    """[T, 2]: the class in VISEMES of the mouth's shape, and 1 where no other class is nearly as near, else 0.

    Teeth and tongue count as far as an open mouth shows them.
    """
    shape = np.asarray(states_TS)[:, :4] * np.array([1.6, 0.6, 0.7, 0.6])
    stand_for = np.array(list(VISEMES.values())) * np.array([1.6, 0.6, 0.7, 0.6])
    seen = np.clip(np.asarray(states_TS)[:, :1] / 0.1, 0, 1)
    weight = np.concatenate([np.ones_like(seen), np.clip(4 * seen, 0.3, 1), seen, seen], axis=-1)
    away = np.linalg.norm((shape[:, None] - stand_for[None]) * weight[:, None], axis=-1)
    nearest = np.sort(away, axis=-1)
    clear = nearest[:, 0] < 0.7 * nearest[:, 1]
    return np.stack([away.argmin(-1), clear], axis=-1)


def labels(who: Identity, states_TS: np.ndarray) -> np.ndarray:
    """[T, 22] readings, in the order of `judge.COLUMNS`."""
    face = portrait_to_screen(states_TS[:, POSE_COLUMNS].astype(np.float64))[:, 3]
    x, y = apply(face, np.array(FACE_POINT)).T
    palm, _ = placement(who, states_TS)
    shown = (states_TS[:, COLUMN["hand"]] > 0) * np.clip((HAND_SEEN - palm[:, 1]) / (HAND_SEEN - HAND_PALM), 0, 1.3)
    own = {"face_x": x, "face_y": y, "hand": shown, "hand_x": palm[:, 0] - 0.5, "occlude": occlusion(who, states_TS)}
    columns = [own[name] if name in own else states_TS[:, COLUMN[name]] for name in COLUMNS]
    return np.stack(columns, axis=-1).astype(np.float32)


def worn(rng: np.random.Generator, frame: np.ndarray) -> np.ndarray:
    """A 256 px frame as a codec or a smaller video would leave it: at times compressed, softened, tinted, noisy."""
    if rng.random() < 0.3:
        side = int(rng.uniform(0.5, 0.95) * FRAME)
        little = cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA)
        frame = cv2.resize(little, (FRAME, FRAME), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.2:
        frame = cv2.GaussianBlur(frame, (0, 0), rng.uniform(0.3, 1.2))
    if rng.random() < 0.3:
        gain = rng.uniform(0.95, 1.05, 3) * rng.uniform(0.96, 1.04)
        frame = np.clip(frame * gain + rng.uniform(-4, 4), 0, 255).astype(np.uint8)
    if rng.random() < 0.15:
        frame = np.clip(frame + rng.normal(0, rng.uniform(1, 5), frame.shape), 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        packed = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(35, 95))])[1]
        frame = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))
    return frame


def judged_batch(rng: np.random.Generator, identities: int, each: int, held_out: bool = False) -> Batch:
    """`each` frames of `identities` characters, uint8, axes [identities, each, ...]; portraits have no axis of frames.

    frame, portrait (256 px); small, portrait_small, face, portrait_face: the two looks, the second one missing the face
    a little; values: `labels`; rest: what it missed by; emotion, viseme: classes. Half of the characters stand before
    another background in every frame. Held-out ones are not worn, and their second look misses nothing.
    """
    rows: dict[str, list[np.ndarray]] = {}
    for _ in range(identities):
        who = random_identity(rng, held_out)
        drawn = [random_state(rng) for _ in range(each)]
        states = np.stack([state for state, _ in drawn])
        if rng.random() < 0.5:
            walls = [with_background(who, int(rng.integers(1 << 31))) for _ in drawn]
            frames = np.concatenate([render(w, s[None], FRAME) for w, s in zip(walls, states, strict=True)])
        else:
            frames = render(who, states, FRAME)
        values, neutral_picture = labels(who, states), portrait(who, FRAME)
        true = values[:, [COLUMNS.index(name) for name in ("face_x", "face_y", "log_zoom", "roll")]].astype(np.float64)
        place = true
        if not held_out:
            frames = np.stack([worn(rng, frame) for frame in frames])
            # Also as far off as after a first correction.
            place = true + rng.normal(size=true.shape) * MISPLACED * rng.choice([0.2, 1.0, 2.0], (each, 1))
        row = {
            "frame": frames,
            "portrait": neutral_picture,
            "small": np.stack([small(frame) for frame in frames]),
            "portrait_small": small(neutral_picture),
            "face": np.stack([face_at(frame, p) for frame, p in zip(frames, place, strict=True)]),
            "portrait_face": face_at(neutral_picture, AT_HOME),
            "values": values,
            "rest": rest_of(place, true).astype(np.float32),
            "emotion": np.array([EMOTIONS.index(emotion) for _, emotion in drawn], np.int32),
            "viseme": viseme_classes(states)[:, 0].astype(np.int32),
        }
        for name, value in row.items():
            rows.setdefault(name, []).append(value)
    return {name: np.stack(parts) for name, parts in rows.items()}
