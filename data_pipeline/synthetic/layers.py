"""A character taken apart: its layers at the neutral pose, its face layer in any expression, its hand.

These are the targets of the codec (`models.portrait_layers`, `models.avatar_codec`). All pictures are RGBA with
premultiplied alpha; layers lie in portrait coordinates, the face layer in `FACE_WINDOW`, the hand in `HAND_WINDOW`.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import skia
from jaxtyping import Float, UInt8

from avatar_jax.models.pose import FACE_WINDOW, HAND_PLACE, HAND_REST, HAND_WINDOW, LAYERS_DRAWN
from data_pipeline.synthetic.draw.eyes import cheeks, draw_eyes
from data_pipeline.synthetic.draw.hand import draw_hand, placement
from data_pipeline.synthetic.draw.mouth import draw_mouth
from data_pipeline.synthetic.identity import Identity
from data_pipeline.synthetic.render import still_parts
from data_pipeline.synthetic.state import COLUMN, neutral

Window = tuple[float, float, float, float]
"""Left, top, right, bottom, in picture widths."""


def paint(draw: Callable[[skia.Canvas], None], window: Window, pixels_per_width: float) -> UInt8[np.ndarray, "h w 4"]:
    """What `draw` draws inside a window, on a transparent ground."""
    left, top, right, bottom = window
    height, width = round((bottom - top) * pixels_per_width), round((right - left) * pixels_per_width)
    pixels = np.zeros((height, width, 4), np.uint8)
    canvas = skia.Surface(pixels, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType).getCanvas()
    canvas.scale(pixels_per_width, pixels_per_width)
    canvas.translate(-left, -top)
    draw(canvas)
    return pixels


def _draw_face(canvas: skia.Canvas, who: Identity, state: list[float]) -> None:
    """The face layer of one state, less what a hat hides."""
    parts = still_parts(who)
    cheeks(canvas, who, state[COLUMN["smile"]])
    canvas.drawPicture(parts["features"])
    draw_mouth(canvas, who, state)
    draw_eyes(canvas, who, state)
    canvas.drawPicture(parts["glasses"])
    if who.hat != "none":
        hidden = skia.Paint(BlendMode=skia.BlendMode.kDstOut)
        canvas.saveLayer(None, hidden)
        canvas.drawPicture(parts["hat"])
        canvas.restore()


def face_layers(identity: Identity, states_TS: Float[np.ndarray, "t state"], size: int) -> UInt8[np.ndarray, "t h w 4"]:
    """The face layer in FACE_WINDOW for every state, poses ignored; `size` is pixels per picture width."""
    return np.stack(
        [
            paint(lambda canvas, state=state: _draw_face(canvas, identity, state), FACE_WINDOW, size)
            for state in np.asarray(states_TS).tolist()
        ]
    )


def behind_face(identity: Identity, window: Window, size: int) -> UInt8[np.ndarray, "h w 4"]:
    """All layers but the face's, in a window of the neutral portrait."""
    parts = still_parts(identity)

    def draw(canvas: skia.Canvas) -> None:
        for name in ("background", "back_hair", "body", "head", "hat"):
            canvas.drawPicture(parts[name])

    return paint(draw, window, size)


def unwarped_faces(
    identity: Identity, states_TS: Float[np.ndarray, "t state"], size: int
) -> UInt8[np.ndarray, "t h w 3"]:
    """FACE_WINDOW of every state as the neutral pose would show it, no hand before it: what the encoder reads."""
    under = behind_face(identity, FACE_WINDOW, size)[..., :3].astype(np.float32)
    faces = face_layers(identity, states_TS, size).astype(np.float32)
    return np.round(faces[..., :3] + (1 - faces[..., 3:] / 255) * under).astype(np.uint8)


def portrait_layers(identity: Identity, size: int) -> dict[str, UInt8[np.ndarray, "h w 4"]]:
    """Every layer of LAYERS_DRAWN at the neutral pose, back to front, complete behind what stands before it."""
    parts, whole = still_parts(identity), (0.0, 0.0, 1.0, 1.0)

    def head(canvas: skia.Canvas) -> None:
        canvas.drawPicture(parts["head"])
        canvas.drawPicture(parts["hat"])

    draw: dict[str, Callable[[skia.Canvas], None]] = {
        "background": lambda canvas: canvas.drawPicture(parts["background"]),
        "back": lambda canvas: canvas.drawPicture(parts["back_hair"]),
        "body": lambda canvas: canvas.drawPicture(parts["body"]),
        "head": head,
        "face": lambda canvas: _draw_face(canvas, identity, neutral().tolist()),
    }
    return {name: paint(draw[name], whole, size) for name in LAYERS_DRAWN}


def hand_sprite(identity: Identity, size: int) -> UInt8[np.ndarray, "h w 4"]:
    """The right hand (left ones are mirrored when shown), palm at the origin of HAND_WINDOW, fingers up."""
    who = replace(identity, handed=1)
    return paint(lambda canvas: draw_hand(canvas, who, (0.0, 0.0), 0.0), HAND_WINDOW, size)


def hand_poses(identity: Identity, states_TS: Float[np.ndarray, "*t state"]) -> Float[np.ndarray, "*t 3"]:
    """(lift, x, side) as in `models.pose.HAND`; all zero where no hand is raised."""
    palm, _ = placement(identity, states_TS)
    lift = np.clip((HAND_REST - palm[..., 1]) / (HAND_REST - HAND_PLACE[1]), 0, None)
    shown = (lift > 0) & (states_TS[..., COLUMN["hand"]] > 0)
    hand = np.stack([lift, palm[..., 0] - HAND_PLACE[0], np.full_like(lift, identity.handed)], -1)
    return np.where(shown[..., None], hand, 0.0).astype(np.float32)
