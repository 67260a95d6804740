"""Renderer: an identity and the states of frames become pictures, layer by layer, with the transforms of `models.pose`.

What does not change from frame to frame is recorded once as a Skia picture and played back through the layer's
matrix, so it stays sharp at every zoom.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import skia
from jaxtyping import Float, UInt8

from avatar_jax.models.pose import portrait_to_screen
from data_pipeline.synthetic.draw.accessories import draw_glasses, draw_hat, draw_whiskers
from data_pipeline.synthetic.draw.background import draw_background
from data_pipeline.synthetic.draw.body import draw_body
from data_pipeline.synthetic.draw.eyes import cheeks, draw_eyes
from data_pipeline.synthetic.draw.hair import draw_back_hair, draw_front_hair
from data_pipeline.synthetic.draw.hand import cover, draw_hand, placement
from data_pipeline.synthetic.draw.head import draw_flaps, draw_head, draw_muzzle
from data_pipeline.synthetic.draw.mouth import draw_mouth, draw_nose
from data_pipeline.synthetic.identity import Identity
from data_pipeline.synthetic.state import COLUMN, POSE_COLUMNS, neutral

BACKGROUND, BODY, HEAD, FACE = range(4)


def _record(draw: Callable[[skia.Canvas], None]) -> skia.Picture:
    recorder = skia.PictureRecorder()
    draw(recorder.beginRecording(skia.Rect.MakeLTRB(-4, -4, 5, 5)))
    return recorder.finishRecordingAsPicture()


@lru_cache(maxsize=16)
def still_parts(who: Identity) -> dict[str, skia.Picture]:
    """Everything that is the same in all frames of a character."""

    def base(canvas: skia.Canvas) -> None:
        draw_head(canvas, who)
        draw_front_hair(canvas, who)
        draw_flaps(canvas, who)

    def features(canvas: skia.Canvas) -> None:
        if who.kind == "animal":
            draw_muzzle(canvas, who)
        draw_nose(canvas, who)
        draw_whiskers(canvas, who)

    return {
        "background": _record(lambda canvas: draw_background(canvas, who)),
        "back_hair": _record(lambda canvas: draw_back_hair(canvas, who)),
        "body": _record(lambda canvas: draw_body(canvas, who)),
        "head": _record(base),
        "features": _record(features),
        "glasses": _record(lambda canvas: draw_glasses(canvas, who)),
        "hat": _record(lambda canvas: draw_hat(canvas, who)),
    }


def render(
    identity: Identity, states_TS: Float[np.ndarray, "t state"], size: int = 128
) -> UInt8[np.ndarray, "t h w 3"]:
    """Draw one frame of size x size pixels, RGB, for every state."""
    parts = still_parts(identity)
    layers_T44 = portrait_to_screen(np.asarray(states_TS)[:, POSE_COLUMNS].astype(np.float64)) * size
    palms_T2, tilts_T = placement(identity, states_TS)
    frames = np.empty((len(states_TS), size, size, 3), np.uint8)
    pixels = np.zeros((size, size, 4), np.uint8)
    canvas = skia.Surface(pixels, colorType=skia.kRGBA_8888_ColorType).getCanvas()
    for t, (layers, state) in enumerate(zip(layers_T44.tolist(), np.asarray(states_TS).tolist(), strict=True)):
        matrices = [skia.Matrix.MakeAll(a, -b, x, b, a, y, 0, 0, 1) for a, b, x, y in layers]
        for layer, name in ((BACKGROUND, "background"), (HEAD, "back_hair"), (BODY, "body"), (HEAD, "head")):
            canvas.setMatrix(matrices[layer])
            canvas.drawPicture(parts[name])
        canvas.setMatrix(matrices[FACE])
        cheeks(canvas, identity, state[COLUMN["smile"]])
        canvas.drawPicture(parts["features"])
        draw_mouth(canvas, identity, state)
        draw_eyes(canvas, identity, state)
        canvas.drawPicture(parts["glasses"])
        canvas.setMatrix(matrices[HEAD])
        canvas.drawPicture(parts["hat"])
        if state[COLUMN["hand"]] > 0:
            canvas.setMatrix(matrices[BODY])
            draw_hand(canvas, identity, (float(palms_T2[t, 0]), float(palms_T2[t, 1])), float(tilts_T[t]))
            canvas.resetMatrix()
        frames[t] = pixels[..., :3]
    return frames


def portrait(identity: Identity, size: int = 128) -> UInt8[np.ndarray, "h w 3"]:
    """The neutral picture of a character, mouth closed."""
    return render(identity, neutral()[None], size)[0]


def landmarks(identity: Identity) -> dict[str, tuple[float, ...]]:
    """Places in the neutral portrait: mouth (x, y, half width), eyes (x, y), face_box (x0, y0, x1, y1)."""
    return {
        "mouth": (0.5, identity.mouth_y, identity.mouth_w),
        "eye_l": (0.5 - identity.eye_gap, identity.eye_y),
        "eye_r": (0.5 + identity.eye_gap, identity.eye_y),
        "face_box": (0.5 - identity.head_w, 0.695 - identity.head_h, 0.5 + identity.head_w, 0.695),
    }


def occlusion(identity: Identity, states_TS: Float[np.ndarray, "*t state"]) -> Float[np.ndarray, "*t"]:
    """Part of the mouth in 0 to 1 that the hand covers in each frame: the value of the column `occlude`."""
    x, y, half_w = landmarks(identity)["mouth"]
    return cover(identity, states_TS, (x, y, half_w)).astype(np.float32)
