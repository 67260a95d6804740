"""Pose token of the avatar codec: 8 numbers per frame and the four layers that they move.

The portrait is the picture at the neutral pose (all zeros). Coordinates are in picture widths, x to the right,
y down, [0, 1]. A pose is

    (log_zoom, pan_x, pan_y, head_x, head_y, roll, yaw, pitch)

log_zoom: natural logarithm of the camera's zoom; pan: where the camera looks; head: translation of the head;
roll: radians, clockwise on screen; yaw, pitch: about -1 to 1, seen as a parallax of the facial features.
Every layer (background, body, head, face) moves by a similarity transform, so a warp of the portrait's own pixels
needs only these numbers plus a small learned flow. The renderer of `data_pipeline/synthetic` draws with the same
transforms, which makes the labels exact.
"""

from typing import Any

POSE = ("log_zoom", "pan_x", "pan_y", "head_x", "head_y", "roll", "yaw", "pitch")
LAYERS = ("background", "body", "head", "face")
CHIN = (0.5, 0.695)
"""Pivot of a rolling head, the same for every portrait because portraits are framed alike."""
PARALLAX = (0.055, 0.04)
"""Shift of the facial features, in picture widths, at yaw 1 and pitch 1."""
BACKGROUND_PAN, BODY_SWAY = 0.7, 0.35

LAYERS_DRAWN = ("background", "back", "body", "head", "face")
"""What a portrait is taken apart into, back to front; `back` is the hair behind the body, which moves as the head."""
FACE_WINDOW = (0.25, 0.25, 0.75, 0.75)
"""Left, top, right, bottom of the part of the portrait that holds all of the face layer."""

HAND = ("hand_lift", "hand_x", "hand_side")
"""The raised hand, in the body's layer: lift 0 below the picture to 1 before the mouth; x of the palm from the middle;
side 1 right hand, -1 left, 0 none."""
HAND_PLACE, HAND_REST = (0.5, 0.62), 1.446
"""Where the palm is at lift 1, x 0; and its y at lift 0."""
HAND_WINDOW = (-0.16, -0.2, 0.16, 0.44)
"""The hand's own picture about its palm, fingers up; below it the sleeve goes on as its last row."""
HAND_TILT, HAND_REACH = 0.9, 0.22
"""Radians per width, and where a hand is upright: the further in, the more it leans."""

Array = Any
"""A NumPy or JAX array; the functions here run on either."""


def portrait_to_screen(pose_Z: Array) -> Array:
    """[..., 8] pose -> [..., 4, 4]: for each layer (a, b, x, y) with screen = (a q0 - b q1 + x, b q0 + a q1 + y)."""
    xp = pose_Z.__array_namespace__()
    log_zoom, pan_x, pan_y, head_x, head_y, roll, yaw, pitch = (pose_Z[..., i] for i in range(8))
    zoom, cos, sin, zero, one = xp.exp(log_zoom), xp.cos(roll), xp.sin(roll), xp.zeros_like(roll), xp.ones_like(roll)

    def layer(c: Array, s: Array, move_x: Array, move_y: Array, share: float) -> Array:
        """Rotate about the chin by (c, s), move, then look through the camera."""
        x = CHIN[0] - c * CHIN[0] + s * CHIN[1] + move_x
        y = CHIN[1] - s * CHIN[0] - c * CHIN[1] + move_y
        x = 0.5 + zoom * (x - 0.5 - share * pan_x)
        y = 0.5 + zoom * (y - 0.5 - share * pan_y)
        return xp.stack([zoom * c, zoom * s, x, y], axis=-1)

    shift_x, shift_y = PARALLAX[0] * yaw, PARALLAX[1] * pitch
    return xp.stack(
        [
            layer(one, zero, zero, zero, BACKGROUND_PAN),
            layer(one, zero, BODY_SWAY * head_x, BODY_SWAY * head_y, 1.0),
            layer(cos, sin, head_x, head_y, 1.0),
            layer(cos, sin, head_x + cos * shift_x - sin * shift_y, head_y + sin * shift_x + cos * shift_y, 1.0),
        ],
        axis=-2,
    )


def inverse(similarity: Array) -> Array:
    """Inverse of similarities [..., 4] as given by `portrait_to_screen`."""
    xp = similarity.__array_namespace__()
    a, b, x, y = (similarity[..., i] for i in range(4))
    d = a * a + b * b
    p, q = a / d, -b / d
    return xp.stack([p, q, -(p * x - q * y), -(q * x + p * y)], axis=-1)


def screen_to_portrait(pose_Z: Array) -> Array:
    """[..., 8] pose -> [..., 4, 4]: for each layer the similarity from screen back to portrait coordinates."""
    return inverse(portrait_to_screen(pose_Z))


def screen_to_hand(pose_Z: Array, hand_H: Array) -> tuple[Array, Array]:
    """([..., 4], [...]): the similarity from screen to HAND_WINDOW's coordinates, and the factor (1 or -1) for x after
    it, which mirrors a left hand."""
    xp = pose_Z.__array_namespace__()
    lift, x, side = (hand_H[..., i] for i in range(3))
    # A side is one, and guidance towards a raised hand overshoots in all three alike.
    beyond = xp.maximum(xp.abs(side), 1.0)
    lift, x, side = lift / beyond, x / beyond, xp.where(side < 0, -1.0, 1.0)
    tilt = HAND_TILT * (x - HAND_REACH * side)
    palm_x, palm_y = HAND_PLACE[0] + x, HAND_REST - lift * (HAND_REST - HAND_PLACE[1])
    to_body = xp.stack([xp.cos(tilt), xp.sin(tilt), palm_x, palm_y], axis=-1)
    return chain(inverse(to_body), screen_to_portrait(pose_Z)[..., 1, :]), side


def chain(outer: Array, inner: Array) -> Array:
    """The similarity [..., 4] that applies `inner` first, then `outer` (broadcast against each other)."""
    xp = outer.__array_namespace__()
    a, b, x, y = (outer[..., i] for i in range(4))
    c, d, u, v = (inner[..., i] for i in range(4))
    return xp.stack([a * c - b * d, a * d + b * c, a * u - b * v + x, b * u + a * v + y], axis=-1)


def apply(similarity: Array, points: Array) -> Array:
    """Move points [..., 2] by similarities [..., 4] (broadcast against each other)."""
    xp = points.__array_namespace__()
    a, b, x, y = (similarity[..., i] for i in range(4))
    p, q = points[..., 0], points[..., 1]
    return xp.stack([a * p - b * q + x, b * p + a * q + y], axis=-1)
