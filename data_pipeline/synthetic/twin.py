"""The drawn stand-in whose face the embedded model moves when the portrait is a photograph.

    python -m data_pipeline.synthetic.twin        writes avatar_jax/sampling/twin.png

A plain face with its features where most drawn faces have them: nothing but eyes, brows, nose and a mouth, so that
its frames are easily measured.
"""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from avatar_jax.models.portrait_layers import SIZE
from data_pipeline.synthetic.identity import Identity, make_identity
from data_pipeline.synthetic.layers import portrait_layers

TWIN_LAYERS = ("background", "body", "head", "face")

TWIN = replace(
    make_identity(0), kind="human", species="human", style="flat", head_w=0.19, head_h=0.49, jaw=0.8, chin=0.3,
    skin=(240, 194, 158), blush=0.0, freckles=False, eye_y=0.454, eye_gap=0.084, eye_w=0.042, eye_h=0.031,
    eye_tilt=0.03, iris=(74, 46, 28), iris_size=0.8, lashes=0.0, brow_colour=(48, 34, 30), brow_thick=0.012,
    brow_arch=0.012, brow_gap=0.042, nose="soft", nose_size=0.8, mouth_y=0.588, mouth_w=0.067, mouth_h=0.071,
    lip=(176, 70, 76), lip_full=0.8, hair="buzz", hair_colour=(74, 48, 34), beard="none", glasses="none", hat="none",
    earrings=False, background="plain",
)  # fmt: skip


def twin_picture(who: Identity = TWIN) -> UInt8[np.ndarray, "S 4S 4"]:
    """Its layers TWIN_LAYERS at SIZE, side by side, premultiplied; this face has no hair behind the body."""
    layers = portrait_layers(who, SIZE)
    return np.concatenate([layers[name] for name in TWIN_LAYERS], axis=1)


if __name__ == "__main__":
    path = Path(__file__).resolve().parents[2] / "avatar_jax" / "sampling" / "twin.png"
    cv2.imwrite(str(path), cv2.cvtColor(twin_picture(), cv2.COLOR_RGBA2BGRA), [cv2.IMWRITE_PNG_COMPRESSION, 9])
