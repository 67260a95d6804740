"""A portrait taken apart once per clip: background, back hair, body, head, face, and the hand it never showed.

Every layer is complete behind what stands before it and moves by its own similarity (`models.pose`), so a head may
turn before its background with edges as sharp as the portrait's. Where the portrait shows a layer, its own pixels are
used, at the portrait's own size; the network decides which pixel belongs to which layer and paints only what is hidden.
Edges of layers follow the portrait's own (`models.matting`).

Layers hold premultiplied RGBA in [0, 1].
"""

from dataclasses import dataclass
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from avatar_jax.models.conv import Residual
from avatar_jax.models.matting import REACH, guided
from avatar_jax.models.pose import HAND_WINDOW
from avatar_jax.models.warp import depth_to_space, space_to_depth

SIZE = 256
"""Pixels per picture width of the portrait that the network sees."""
BLOCK = 4
HAND_DENSITY = 200
"""Pixels per picture width of the hand's picture."""
HAND_COLUMNS = round((HAND_WINDOW[2] - HAND_WINDOW[0]) * HAND_DENSITY)
HAND_ROWS = round((HAND_WINDOW[3] - HAND_WINDOW[1]) * HAND_DENSITY)
HAND_BLOCK = 8
FRONT_TO_BACK = ("face", "head", "body", "back")
COPIED = (0.2, 0.5)
"""How far a layer must be seen at a pixel for the portrait's pixel to be taken: none below the first, all above."""
CLEAR, COUNTS = 1, 2.0
"""Pixels of SIZE about the face's features within which the head's colours are painted, and how much a little alpha
counts: rims of glasses would stay behind as ghosts when the face moves."""
FIRMER = {"body": 1.3, "head": 1.3}
"""How much steeper than the network says an alpha crosses one half: outlines in ink stay whole with their layer."""


@dataclass(frozen=True)
class LayersConfig:
    """Widths at 64 x 64, 32 x 32, 16 x 16 and 8 x 8 cells, and of the hand's 16 x 8."""

    cells_64: int = 56
    cells_32: int = 80
    cells_16: int = 112
    cells_8: int = 128
    hand: int = 64


class PortraitLayers(NamedTuple):
    """Premultiplied RGBA; the background is opaque and has no alpha."""

    background: Float[Array, "B S S 3"]
    back: Float[Array, "B S S 4"]
    body: Float[Array, "B S S 4"]
    head: Float[Array, "B S S 4"]
    face: Float[Array, "B S S 4"]
    hand: Float[Array, "B Y X 4"]


class Parts(NamedTuple):
    """What the network says: logits of alpha of FRONT_TO_BACK, their colours (straight, in [0, 1]), and the hand's
    colour and logit of alpha."""

    logits: Float[Array, "B S S 4"]
    paint: Float[Array, "B S S 12"]
    hand: Float[Array, "B Y X 4"]


class PortraitLayersNet(nn.Module):
    """A portrait [B, 256, 256, 3] in [-1, 1] -> Parts."""

    config: LayersConfig = LayersConfig()

    @nn.compact
    def __call__(self, portrait: Float[Array, "B 256 256 3"]) -> Parts:
        c = self.config
        down = lambda x, width: nn.Dense(width)(space_to_depth(x, 2))  # noqa: E731
        place = jnp.broadcast_to(_place(SIZE // BLOCK), (portrait.shape[0], SIZE // BLOCK, SIZE // BLOCK, 4))
        fold = jnp.concatenate([space_to_depth(portrait, BLOCK), place], axis=-1)
        x64 = Residual()(nn.Conv(c.cells_64, (3, 3))(fold))
        x32 = Residual()(down(x64, c.cells_32))
        x16 = Residual()(Residual()(down(x32, c.cells_16)))
        x8 = Residual()(Residual()(down(x16, c.cells_8)))
        whole = nn.silu(nn.Dense(c.cells_8)(jnp.concatenate([x8.mean((1, 2)), x8.max((1, 2))], axis=-1)))
        x8 = x8 + nn.Dense(c.cells_8)(whole)[:, None, None]
        x16 = Residual()(x16 + depth_to_space(nn.Dense(4 * c.cells_16)(Residual()(x8)), 2))
        x32 = Residual()(x32 + depth_to_space(nn.Dense(4 * c.cells_32)(x16), 2))
        x64 = Residual()(x64 + depth_to_space(nn.Dense(4 * c.cells_64)(x32), 2))
        x64 = nn.silu(nn.Conv(2 * c.cells_64, (3, 3))(jnp.concatenate([nn.RMSNorm()(x64), fold], axis=-1)))
        out = depth_to_space(nn.Dense(4 * BLOCK * BLOCK * len(FRONT_TO_BACK))(x64), BLOCK)
        hand = HandPicture(c.hand, name="hand")(jnp.concatenate([whole, palette(portrait)], axis=-1), x32, portrait)
        return Parts(out[..., :4], nn.sigmoid(out[..., 4:]), hand)


def palette(portrait: Float[Array, "B S S 3"]) -> Float[Array, "B 24"]:
    """Colours of skin and clothes, by which the hand is shaded: means of eight patches of face and chest, [-1, 1]."""
    side = portrait.shape[1]

    def mean(x: float, y: float) -> Array:
        column, row, half = round(x * side), round(y * side), side // 32
        return portrait[:, row - half : row + half, column - half : column + half].mean((1, 2))

    places = [
        (0.45, 0.56),
        (0.55, 0.56),
        (0.5, 0.47),
        *((x, y) for x in (0.35, 0.65) for y in (0.88, 0.96)),
        (0.5, 0.94),
    ]
    return jnp.concatenate([mean(x, y) for x, y in places], axis=-1)


class HandPicture(nn.Module):
    """Features of the whole portrait and of its cells, and the portrait -> its hand: colour in [0, 1], logit of alpha.

    A hand has the colour of the skin and its sleeve that of the clothes, so the network names no colours: it points at
    the cells of the portrait that have them, and draws what is sleeve and how light every pixel is.
    """

    width: int

    @nn.compact
    def __call__(
        self, whole: Float[Array, "B D"], cells: Float[Array, "B M M E"], portrait: Float[Array, "B S S 3"]
    ) -> Float[Array, "B Y X 4"]:
        rows, columns = HAND_ROWS // HAND_BLOCK, HAND_COLUMNS // HAND_BLOCK
        place = self.param("place", nn.initializers.normal(1.0), (rows, columns, self.width))
        gain, offset = jnp.split(nn.Dense(2 * self.width)(whole)[:, None, None], 2, axis=-1)
        x = Residual()(Residual()(place * (1 + gain) + offset))
        light, alpha = jnp.split(depth_to_space(nn.Dense(HAND_BLOCK * HAND_BLOCK * 2)(nn.silu(x)), HAND_BLOCK), 2, -1)
        light, sleeve = nn.sigmoid(light), nn.sigmoid(self.param("sleeve", nn.initializers.zeros, (*light.shape[1:],)))
        colour = jnp.zeros(())
        for share, main in zip((1 - sleeve, sleeve), self.pointed_at(cells, portrait), strict=True):
            there = share * nn.sigmoid(alpha)
            usual = (light * there).sum((1, 2), keepdims=True) / (there.sum((1, 2), keepdims=True) + 1e-3)
            colour += share * main * light / (usual + 1e-3)
        return jnp.concatenate([jnp.minimum(colour, 1), alpha], axis=-1)

    def pointed_at(self, cells: Array, portrait: Array) -> tuple[Float[Array, "B 1 1 3"], Float[Array, "B 1 1 3"]]:
        """Colours of skin and clothes in [0, 1]."""
        batch, side = cells.shape[0], portrait.shape[1] // cells.shape[1]
        about = nn.silu(nn.Dense(self.width, name="cells")(nn.RMSNorm(name="norm")(cells)))
        looks = jax.nn.softmax(nn.Dense(2, name="looks")(about).reshape(batch, -1, 2), axis=1)
        means = space_to_depth((portrait + 1) / 2, side).reshape(batch, -1, side * side, 3).mean(2)
        skin, clothes = jnp.moveaxis(jnp.einsum("bnk,bnc->bkc", looks, means), 1, 0)
        return skin[:, None, None], clothes[:, None, None]


def _place(cells: int) -> Array:
    """[cells, cells, 4]: portraits are framed alike, so where a cell lies tells much about what it shows."""
    line = (jnp.arange(cells) + 0.5) / cells
    y, x = jnp.meshgrid(line, line, indexing="ij")
    return jnp.stack([2 * x - 1, 2 * y - 1, jnp.abs(2 * x - 1), jnp.cos(4 * jnp.pi * y)], axis=-1)


def visible(alpha: Float[Array, "*B S S 4"]) -> Float[Array, "*B S S 5"]:
    """Share of each layer of FRONT_TO_BACK, then of the background, in every pixel of the portrait."""
    shares, left = [], jnp.ones_like(alpha[..., 0])
    for i in range(len(FRONT_TO_BACK)):
        shares.append(left * alpha[..., i])
        left = left * (1 - alpha[..., i])
    return jnp.stack([*shares, left], axis=-1)


def assemble(parts: Parts, portrait: Float[Array, "B S S 3"]) -> PortraitLayers:
    """Layers at the size of `portrait` ([-1, 1]), which may be larger than the one the network saw."""
    size = portrait.shape[1]
    picture = (portrait + 1) / 2
    alpha, paint = (
        x if x.shape[1] == size else jax.image.resize(x, (x.shape[0], size, size, x.shape[-1]), "linear")
        for x in (jax.nn.sigmoid(parts.logits), parts.paint)
    )
    steeper = jnp.asarray([FIRMER.get(name, 1.0) for name in FRONT_TO_BACK])
    alpha = jnp.clip((guided(alpha, picture, max(1, int(REACH * size))) - 0.5) * steeper + 0.5, 0, 1)
    low, high = COPIED
    copied = jnp.clip((visible(alpha) - low) / (high - low), 0, 1)
    layers = {"background": filled(picture, shrunk(copied[..., -1:]))}
    features = jnp.minimum(COUNTS * grown(alpha[..., :1], CLEAR), 1)
    for i, name in enumerate(FRONT_TO_BACK):
        share = copied[..., i : i + 1] * (1 - features if name == "head" else 1)
        colour = share * picture + (1 - share) * paint[..., 3 * i : 3 * i + 3]
        layers[name] = jnp.concatenate([colour, jnp.ones_like(share)], axis=-1) * alpha[..., i : i + 1]
    hand = jax.nn.sigmoid(parts.hand[..., 3:])
    return PortraitLayers(hand=jnp.concatenate([hand * parts.hand[..., :3], hand], axis=-1), **layers)


def grown(share: Float[Array, "B S S 1"], radius: int) -> Float[Array, "B S S 1"]:
    """The share's maximum over all pixels up to `radius` pixels of SIZE away, along rows and columns."""
    side = 2 * radius * max(1, share.shape[1] // SIZE) + 1
    return jax.lax.reduce_window(share, -jnp.inf, jax.lax.max, (1, side, side, 1), (1, 1, 1, 1), "SAME")


def shrunk(share: Float[Array, "B S S 1"]) -> Float[Array, "B S S 1"]:
    """The share's minimum over a neighbourhood of 3 of SIZE pixels: edges of what stands before are left out."""
    return 1 - grown(1 - share, 1)


def filled(picture: Float[Array, "B S S 3"], seen: Float[Array, "B S S 1"]) -> Float[Array, "B S S 3"]:
    """The picture where it is seen, and smooth colours from around elsewhere (push-pull, Gortler et al. 1996)."""
    colour, share = picture * seen, seen
    if picture.shape[1] > 2 and picture.shape[1] % 2 == 0:
        half = [x.reshape(x.shape[0], x.shape[1] // 2, 2, x.shape[2] // 2, 2, -1).mean((2, 4)) for x in (colour, share)]
        coarse = filled(half[0] / jnp.maximum(half[1], 1e-6), jnp.minimum(4 * half[1], 1.0))
    else:
        coarse = colour.mean((1, 2), keepdims=True) / jnp.maximum(share.mean((1, 2), keepdims=True), 1e-6)
    around = jax.image.resize(coarse, picture.shape, "linear")
    return colour + (1 - share) * around


def stacked(layers: PortraitLayers) -> Float[Array, "B S S 3"]:
    """The layers on top of each other at the neutral pose, in [0, 1]: the portrait again."""
    picture = layers.background
    for layer in (layers.back, layers.body, layers.head, layers.face):
        picture = over(layer, picture)
    return picture


def over(layer: Float[Array, "*S 4"], picture: Float[Array, "*S 3"]) -> Float[Array, "*S 3"]:
    """A premultiplied layer on an opaque picture (Porter and Duff 1984)."""
    return layer[..., :3] + (1 - layer[..., 3:]) * picture
