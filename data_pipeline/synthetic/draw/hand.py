"""The hand that rises from below: capsules, so that what it covers is known exactly."""

import numpy as np
import skia

from avatar_jax.models.pose import apply, inverse, portrait_to_screen
from data_pipeline.synthetic.draw.brush import STYLES, Point, darker, lighter, line
from data_pipeline.synthetic.identity import Identity
from data_pipeline.synthetic.state import COLUMN, POSE_COLUMNS

PLACE = (0.5, 0.62)
"""Where the palm is at hand 1, hand_x = hand_y = 0: about the mouth."""
REST_Y = 1.8
"""Palm at hand 0: no zoom-out and pan of RANGES shows it."""
Capsule = tuple[float, float, float, float, float]
FOREARM: Capsule = (0.0, 0.09, 0.0, 1.6, 0.05)
SLEEVE: Capsule = (0.0, 0.27, 0.0, 1.6, 0.068)
_HUMAN: tuple[Capsule, ...] = (
    (0.0, 0.035, 0.0, 0.0, 0.062),
    (-0.022, -0.018, 0.022, -0.018, 0.044),
    (-0.046, -0.03, -0.066, -0.115, 0.0175),
    (-0.017, -0.04, -0.023, -0.152, 0.0185),
    (0.015, -0.04, 0.019, -0.155, 0.0185),
    (0.045, -0.03, 0.058, -0.135, 0.0175),
    (0.035, 0.04, 0.098, -0.038, 0.02),
)
_PAW: tuple[Capsule, ...] = (
    (0.0, 0.03, 0.0, 0.0, 0.074),
    (-0.052, -0.03, -0.06, -0.07, 0.029),
    (-0.018, -0.05, -0.02, -0.098, 0.03),
    (0.02, -0.05, 0.022, -0.098, 0.03),
    (0.054, -0.03, 0.062, -0.07, 0.029),
)
_GRIPPER: tuple[Capsule, ...] = (
    (-0.02, 0.02, 0.02, 0.02, 0.058),
    (-0.05, -0.02, -0.062, -0.125, 0.021),
    (0.0, -0.03, 0.0, -0.15, 0.021),
    (0.05, -0.02, 0.062, -0.125, 0.021),
    (0.04, 0.04, 0.1, -0.01, 0.021),
)


def shape(identity: Identity) -> tuple[Capsule, ...]:
    """Capsules (x0, y0, x1, y1, radius) of the hand about its palm, fingers up; the palm comes first."""
    return {"human": _HUMAN, "animal": _PAW, "robot": _GRIPPER}[identity.kind]


def placement(identity: Identity, states_TS: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Palm centre [..., 2] in portrait coordinates (body layer) and tilt [...] in radians."""
    amount = np.clip(states_TS[..., COLUMN["hand"]].astype(np.float64), 0, 1)
    eased = amount * amount * (3 - 2 * amount)
    x = PLACE[0] + states_TS[..., COLUMN["hand_x"]]
    y = REST_Y + (PLACE[1] + states_TS[..., COLUMN["hand_y"]] - REST_Y) * eased
    return np.stack([x, y], -1), 0.9 * (x - (PLACE[0] + 0.22 * identity.handed))


def cover(identity: Identity, states_TS: np.ndarray, mouth: tuple[float, float, float]) -> np.ndarray:
    """Part of the mouth [...] in 0 to 1 that the hand hides, from the capsules and the exact layer transforms."""
    u, v = np.meshgrid(np.linspace(-1, 1, 13), np.linspace(-1, 1, 9))
    inside = u * u + v * v <= 1
    spots_M2 = np.stack([mouth[0] + mouth[2] * u[inside], mouth[1] + 0.6 * mouth[2] * v[inside]], -1)
    layers = portrait_to_screen(states_TS[..., POSE_COLUMNS].astype(np.float64))
    body, face = layers[..., None, 1, :], layers[..., None, 3, :]
    centre, tilt = placement(identity, states_TS)
    away = apply(inverse(body), apply(face, spots_M2)) - centre[..., None, :]
    cos, sin = np.cos(tilt)[..., None], np.sin(tilt)[..., None]
    x = (cos * away[..., 0] + sin * away[..., 1]) * identity.handed
    y = cos * away[..., 1] - sin * away[..., 0]
    hidden = np.zeros(x.shape, bool)
    for x0, y0, x1, y1, radius in (*shape(identity), FOREARM, SLEEVE):
        dx, dy = x1 - x0, y1 - y0
        t = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
        hidden |= (x - x0 - t * dx) ** 2 + (y - y0 - t * dy) ** 2 <= radius * radius
    return hidden.mean(-1) * (states_TS[..., COLUMN["hand"]] > 0)


def draw_hand(canvas: skia.Canvas, identity: Identity, centre: Point, tilt: float) -> None:
    """Draw the hand into the body layer, in front of everything."""
    brush, skin = STYLES[identity.style], identity.skin
    canvas.translate(*centre)
    canvas.rotate(np.degrees(tilt))
    canvas.scale(identity.handed, 1)
    edge = brush.outline or 0.005
    sleeve = skin if identity.kind == "animal" else identity.cloth
    _strokes(canvas, (FOREARM, *shape(identity)), brush.contour(skin) if brush.outline else darker(skin, 0.38), edge)
    _strokes(canvas, (FOREARM, *shape(identity)), skin, 0.0)
    for x0, y0, x1, y1, radius in shape(identity)[2:]:
        nearer = (x0 + 0.55 * (x1 - x0), y0 + 0.55 * (y1 - y0))
        canvas.drawLine(*nearer, x1, y1, line(lighter(skin, 0.12), radius))
    fold = line(darker(skin, 0.3), 0.005)
    for x in (-0.031, 0.0, 0.03) if identity.kind == "human" else ():
        canvas.drawLine(x, -0.035, x, -0.055, fold)
    _strokes(canvas, (SLEEVE,), brush.contour(sleeve) if brush.outline else darker(sleeve, 0.3), edge)
    _strokes(canvas, (SLEEVE,), sleeve, 0.0)


def _strokes(canvas: skia.Canvas, capsules: tuple[Capsule, ...], colour: tuple[int, int, int], grow: float) -> None:
    for x0, y0, x1, y1, radius in capsules:
        canvas.drawLine(x0, y0, x1, y1, line(colour, 2 * radius + 2 * grow))
