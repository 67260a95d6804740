"""What the drawing of frames gains: hidden backgrounds, skin behind features, sharpness, each against the drawn truth.

No generator is in it. Held-out characters are known layer by layer, so what a person hides can be compared with what is
there, and frames put together from true layers with frames drawn as they should be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.metrics.sharpness import sharpness
from avatar_jax.models import avatar_codec as ac
from avatar_jax.models.portrait_layers import (
    FRONT_TO_BACK,
    HAND_DENSITY,
    SIZE,
    LayersConfig,
    PortraitLayers,
    PortraitLayersNet,
    assemble,
    filled,
)
from avatar_jax.sampling.completion import completed
from avatar_jax.sampling.compositor import Compositor
from avatar_jax.sampling.hidden import bare, covered
from avatar_jax.weights import ship
from data_pipeline.synthetic.clip import HELD_OUT_IDENTITIES
from data_pipeline.synthetic.identity import Identity, make_identity
from data_pipeline.synthetic.layers import hand_poses, hand_sprite, portrait_layers
from data_pipeline.synthetic.render import portrait, render
from data_pipeline.synthetic.state import COLUMN, POSE_COLUMNS, neutral

SIDE = 512
RIM = 0.06
"""Picture widths from what is seen: what a moving head uncovers."""
NEAR = 6
"""Pixels about the features in which skin is compared."""
POSES = ({}, {"yaw": 0.21, "head_x": 0.013, "roll": 0.03}, {"pitch": -0.3, "head_y": 0.007, "log_zoom": 0.3})
"""Heads between pixels, the last one nearer."""


@dataclass(frozen=True)
class PicturesConfig:
    """`cases` held-out characters; `weights` holds layers.safetensors."""

    cases: int = 16
    weights: Path = ship.SHIPPED


def run(config: PicturesConfig) -> dict[str, Any]:
    """Mean over characters of every figure, and over how many: PSNR in dB, sharpness as a share of the truth's."""
    network = take_apart(config.weights)
    rows = [row_of(make_identity(HELD_OUT_IDENTITIES + i), network) for i in range(config.cases)]
    means = {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}
    return {"cases": config.cases, "side": SIDE} | means


def take_apart(weights: Path) -> Callable[[np.ndarray], PortraitLayers]:
    """(portrait [S, S, 3] in [0, 1]) -> its layers as the network says, without a leading axis."""
    params, note = ship.load(weights / "layers.safetensors")
    net = PortraitLayersNet(LayersConfig(**note["config"]["model"]))

    @jax.jit
    def found(small: jax.Array, whole: jax.Array) -> PortraitLayers:
        parts: Any = net.apply({"params": params}, 2 * small[None] - 1)
        return jax.tree.map(lambda x: x[0], assemble(parts, 2 * whole[None] - 1))

    return lambda whole: found(cv2.resize(whole, (SIZE, SIZE), interpolation=cv2.INTER_AREA), whole)


def row_of(who: Identity, network: Callable[[np.ndarray], PortraitLayers]) -> dict[str, float]:
    picture = portrait(who, SIDE)
    true = {name: layer.astype(np.float32) / 255 for name, layer in portrait_layers(who, SIDE).items()}
    return background(picture, true) | skin(picture, true, network) | sharp(who, true)


def background(picture: np.ndarray, true: dict[str, np.ndarray]) -> dict[str, float]:
    """PSNR of the background's rim behind the person, filled in smoothly and completed from patches."""
    hidden = covered(*(true[name][..., 3] for name in FRONT_TO_BACK))
    rim = hidden & (cv2.distanceTransform(hidden.astype(np.uint8), cv2.DIST_L2, 3) < RIM * SIDE)
    seen = jnp.asarray(~hidden, jnp.float32)[None, ..., None]
    smooth = np.asarray(filled(jnp.asarray(picture / 255, jnp.float32)[None], seen)[0])
    patches = completed(picture, hidden) / 255
    behind = true["background"][..., :3]
    return {"rim_smooth_db": psnr(smooth, behind, rim), "rim_patches_db": psnr(patches, behind, rim)}


def skin(
    picture: np.ndarray, true: dict[str, np.ndarray], network: Callable[[np.ndarray], PortraitLayers]
) -> dict[str, float]:
    """PSNR of the head about the features, painted, and painted and evened out."""
    layers = network(picture.astype(np.float32) / 255)
    head, features = np.asarray(layers.head), np.asarray(layers.face)[..., 3]
    near = cv2.dilate((true["face"][..., 3] > 0.02).astype(np.uint8), np.ones((2 * NEAR + 1,) * 2, np.uint8)) > 0
    compare = partial(psnr, true=true["head"][..., :3], where=near)
    return {"skin_painted_db": compare(head[..., :3]), "skin_even_db": compare(bare(head, features)[..., :3])}


def sharp(who: Identity, true: dict[str, np.ndarray]) -> dict[str, float]:
    """Frames put together from true layers, plain and for the eye, against frames drawn in that pose."""
    hand = hand_sprite(who, HAND_DENSITY).astype(np.float32) / 255
    whole = true | {"background": true["background"][..., :3], "hand": hand}
    layers = PortraitLayers(**{name: jnp.asarray(layer) for name, layer in whole.items()})
    states = np.stack([neutral()] * len(POSES))
    for state, pose in zip(states, POSES, strict=True):
        for name, value in pose.items():
            state[COLUMN[name]] = value
    drawn = render(who, states, SIDE)
    poses = np.concatenate([states[:, POSE_COLUMNS], hand_poses(who, states)], axis=-1)
    window = (ac.WINDOW, ac.WINDOW)
    fields = np.zeros((*window, 4)), np.ones((*window, 1)), np.zeros((*window, 2))
    found: dict[str, float] = {}
    for name, fine in (("plain", False), ("fine", True)):
        compositor = Compositor(layers, SIDE, fine)
        frames = [compositor.frame(*fields, pose) for pose in poses]
        found[f"{name}_db"] = psnr(np.stack(frames) / 255, drawn / 255, np.ones(drawn.shape[:3], bool))
        found[f"{name}_sharpness"] = float(
            np.mean([sharpness(a) / sharpness(b) for a, b in zip(frames, drawn, strict=True)])
        )
    return found


def psnr(made: np.ndarray, true: np.ndarray, where: np.ndarray) -> float:
    """In dB, over the pixels `where`, of colours in [0, 1]."""
    return float(-10 * np.log10(np.mean((made - true)[where] ** 2) + 1e-9))


def as_text(result: dict[str, Any]) -> str:
    """A line a figure."""
    return "\n".join(f"{name:<18}{value:>9.4g}" for name, value in result.items())
