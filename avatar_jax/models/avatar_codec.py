"""The avatar codec: a talking portrait as a pose token plus a small grid of what the pose does not explain.

A frame is un-warped so that its face lies where it lies in the portrait (*canonical space*), coded there as an
8 x 8 x 32 grid with the portrait as reference, and decoded into *fields* on the same canvas: a flow that samples
the portrait's own pixels, painted colours, and a mask that chooses between the two. `compose` re-warps the fields
to the screen at any size, so the portrait's detail survives at its own resolution and only what it does not show
(inside of the mouth, eyelids, hands) is painted. The canvas is 1.25 picture widths wide, so hands and shoulders
beside the face stay inside when the head moves.

Outside this file a frame is `latents_BTPC` with P = 17 patches of C = 136 numbers: patches 0..15 are the 4 x 4 grid
(row-major) of 2 x 2 x 32 = 128 channels (row, column, channel) followed by 8 zeros; patch 16 is the pose: 128 zeros,
then pose / POSE_SCALE. The grid is stored as the deviation from the portrait's own latent, divided by its standard
deviation: the portrait itself is all zeros.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from avatar_jax.models import pose as poses
from avatar_jax.models.warp import (
    chain,
    depth_to_space,
    grid,
    neighbours,
    sample,
    sample_batch,
    sample_rows,
    space_to_depth,
    upsample,
)

PICTURE, CANVAS, MARGIN = 128, 160, 16
"""Pixels of the picture, of the canonical canvas, and of the canvas beyond each side of the picture."""
CELLS, CHANNELS = 8, 32
PATCHES, PATCH_CHANNELS, POSE_PATCH = 17, 136, 16
POSE_SCALE = (0.3, 0.12, 0.12, 0.03, 0.03, 0.08, 0.5, 0.5)
"""Divides a pose in the latent, order of `pose.POSE`: about one standard deviation of each number."""
LOW, HIGH = -MARGIN / PICTURE, 1 + MARGIN / PICTURE
"""The canvas covers [LOW, HIGH] in picture widths."""
BLOCK = 5
"""Canvas pixels per cell of the 32 x 32 stage."""

Frames = Float[Array, "B T H W 3"]
Pictures = Float[Array, "B H W 3"]
Latents = Float[Array, "B T P C"]
Grid = Float[Array, "*frames 8 8 32"]


@dataclass(frozen=True)
class CodecConfig:
    """Widths of the codec at 32 x 32, 16 x 16 and 8 x 8 cells; `sharp` is the decoder's last stage."""

    shallow: int = 40
    middle: int = 64
    deep: int = 128
    sharp: int = 56


class Fields(NamedTuple):
    """Decoded frames on the canonical canvas of CANVAS x CANVAS pixels.

    rgb [B, T, Y, X, 3] in [-1, 1]; mask [B, T, Y, X, 1] in [0, 1], 1 where the portrait's own pixels show;
    shift [B, T, Y, X, 2]: the portrait is read at the canonical point + shift, in picture widths.
    """

    rgb: Float[Array, "B T Y X 3"]
    mask: Float[Array, "B T Y X 1"]
    shift: Float[Array, "B T Y X 2"]


def pack(deviation: Grid, pose_Z: Float[Array, "*frames 8"]) -> Float[Array, "*frames 17 136"]:
    """Scaled deviation grid and pose (in its own units) -> patches; see the top of this file."""
    frames = deviation.shape[:-3]
    half = CELLS // 2
    x = deviation.reshape(-1, half, 2, half, 2, CHANNELS).transpose(0, 1, 3, 2, 4, 5)
    cells = jnp.pad(x.reshape(-1, half * half, 4 * CHANNELS), ((0, 0), (0, 0), (0, PATCH_CHANNELS - 4 * CHANNELS)))
    scaled = pose_Z.reshape(-1, 1, len(POSE_SCALE)) / jnp.asarray(POSE_SCALE)
    token = jnp.pad(scaled, ((0, 0), (0, 0), (4 * CHANNELS, 0)))
    return jnp.concatenate([cells, token], axis=1).reshape(*frames, PATCHES, PATCH_CHANNELS)


def unpack(latents: Float[Array, "*frames 17 136"]) -> tuple[Grid, Float[Array, "*frames 8"]]:
    """Inverse of `pack`; what lies in the padding is ignored."""
    frames = latents.shape[:-2]
    half = CELLS // 2
    x = latents[..., :POSE_PATCH, : 4 * CHANNELS].reshape(-1, half, half, 2, 2, CHANNELS)
    deviation = x.transpose(0, 1, 3, 2, 4, 5).reshape(*frames, CELLS, CELLS, CHANNELS)
    return deviation, latents[..., POSE_PATCH, 4 * CHANNELS :] * jnp.asarray(POSE_SCALE)


def on_canvas(portrait: Pictures) -> Pictures:
    """A PICTURE-sized portrait in the middle of the canvas, its edges repeated outwards."""
    return jnp.pad(portrait, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="edge")


def to_canonical(frames: Pictures, pose_BZ: Float[Array, "B 8"], portrait: Pictures) -> tuple[Array, Array]:
    """Frames un-warped to the canvas, and where [B, Y, X, 1] they show it; elsewhere stands the portrait."""
    points = poses.apply(poses.portrait_to_screen(pose_BZ)[:, None, None, 3], grid(CANVAS, LOW, HIGH)[None])
    seen = jnp.all((points > 0) & (points < 1), axis=-1, keepdims=True).astype(frames.dtype)
    return seen * sample_batch(frames, points) + (1 - seen) * on_canvas(portrait), seen


def canonical_to_portrait(pose_BZ: Float[Array, "B 8"]) -> Float[Array, "B 4 4"]:
    """For each layer, the similarity from canonical space (the face layer's) to where the portrait shows it."""
    return chain(poses.screen_to_portrait(pose_BZ), poses.portrait_to_screen(pose_BZ)[:, 3:])


def palette(portrait: Pictures) -> Float[Array, "B 6"]:
    """Mean colours of the middle of the face and of the chest: a hand that rises has them, wherever it is."""
    side = portrait.shape[1]
    face, chest = (slice(int(low * side), int(high * side)) for low, high in ((0.42, 0.64), (0.88, 1.0)))
    middle = slice(int(0.4 * side), int(0.6 * side))
    return jnp.concatenate([portrait[:, rows, middle].mean((1, 2)) for rows in (face, chest)], axis=-1)


class Residual(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x))))))."""

    @nn.compact
    def __call__(self, x: Float[Array, "B h w D"]) -> Float[Array, "B h w D"]:
        y = nn.Conv(x.shape[-1], (3, 3))(nn.silu(nn.RMSNorm()(x)))
        return x + nn.Conv(x.shape[-1], (3, 3))(nn.silu(nn.RMSNorm()(y)))


class Encoder(nn.Module):
    """Canonical pictures [B, 160, 160, 3] and the portrait on the canvas -> grid [B, 8, 8, 32] of unit power."""

    config: CodecConfig

    @nn.compact
    def __call__(self, canonical: Pictures, portrait: Pictures) -> Grid:
        c = self.config
        x = space_to_depth(jnp.concatenate([canonical, portrait], axis=-1), BLOCK)
        x = nn.silu(nn.Conv(c.shallow, (3, 3))(x))
        x = Residual()(nn.Dense(c.middle)(space_to_depth(x, 2)))
        x = Residual()(nn.Dense(c.deep)(space_to_depth(x, 2)))
        x = nn.Dense(CHANNELS)(nn.silu(nn.RMSNorm()(x)))
        return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-6)


class Window(NamedTuple):
    """The part of the canvas that the decoder's fine stage works on: `cells` of 16 per side from `start_B2`."""

    start_B2: Array
    cells: int

    def cut(self, x: Float[Array, "B h w D"], per_cell: int = 1) -> Float[Array, "B k k D"]:
        """This part of a map over the whole canvas with `per_cell` values per cell and side."""
        size = (self.cells * per_cell, self.cells * per_cell, x.shape[-1])
        return jax.vmap(lambda one, start: jax.lax.dynamic_slice(one, (*(start * per_cell), 0), size))(x, self.start_B2)


def whole(batch: int) -> Window:
    """The window that covers the canvas."""
    return Window(jnp.zeros((batch, 2), jnp.int32), 16)


class Decoder(nn.Module):
    """Grid, portrait's grid, portrait on the canvas and layer transforms -> (rgb, mask, point to read) on a window."""

    config: CodecConfig

    def setup(self) -> None:
        c = self.config
        self.reference = [nn.Conv(c.shallow, (3, 3)), nn.Dense(c.middle), nn.Dense(c.deep // 2)]
        self.enter = nn.Conv(c.deep, (3, 3))
        self.motion = nn.Dense(c.deep)
        self.beside = [nn.Dense(c.deep), nn.Dense(c.middle)]
        self.deep = [Residual(), Residual()]
        self.rise = [nn.Dense(4 * c.middle), nn.Dense(4 * (c.sharp - 16))]
        self.middle = Residual()
        self.coarse = nn.Dense(6, kernel_init=nn.initializers.normal(0.01))
        self.sharp = [nn.Conv(c.sharp, (3, 3)), nn.Conv(c.sharp, (3, 3))]
        self.fine = nn.Conv(4 * BLOCK * BLOCK + 6, (3, 3))

    def trunk(self, z: Grid, z_portrait: Grid, canvas: Pictures, layers: Float[Array, "B 4 4"]) -> Array:
        """[B, 16, 16, middle] features of the whole canvas."""
        conv32, dense16, dense8 = self.reference
        ref32 = nn.silu(conv32(space_to_depth(canvas, BLOCK)))
        ref16 = nn.silu(dense16(space_to_depth(ref32, 2)))
        ref8 = nn.silu(dense8(space_to_depth(ref16, 2)))
        # Identity and scale are taken off so that the numbers are of order one.
        relative = (layers[:, :3] - jnp.array([1.0, 0.0, 0.0, 0.0])).reshape(-1, 12) * 10
        x = self.deep[0](self.enter(jnp.concatenate([z, z - z_portrait], axis=-1)))
        x = self.deep[1](x + self.beside[0](ref8) + self.motion(relative)[:, None, None])
        x = depth_to_space(self.rise[0](x), 2) + self.beside[1](ref16)
        return self.middle(x)

    def __call__(
        self, z: Grid, z_portrait: Grid, canvas: Pictures, portrait: Pictures, layers: Array, window: Window
    ) -> tuple[Array, Array, Array]:
        features = window.cut(self.trunk(z, z_portrait, canvas, layers))
        coarse = self.coarse(nn.silu(features))
        points_16 = self.read_points(upsample(coarse, 4), 0.1, layers, window, 4)
        half = jax.image.resize(portrait, (portrait.shape[0], PICTURE // 2, PICTURE // 2, 3), "linear", antialias=True)
        warped = space_to_depth(sample_batch(half, points_16), 2)
        colours = jnp.broadcast_to(palette(portrait)[:, None, None], (*warped.shape[:3], 6))
        x = jnp.concatenate([depth_to_space(self.rise[1](features), 2), warped, colours], axis=-1)
        x = self.sharp[0](nn.silu(x))
        x = x + self.sharp[1](nn.silu(x))
        out = self.fine(nn.silu(x))
        paint, bend = out[..., :-6], out[..., -6:]
        paint = depth_to_space(paint, BLOCK)
        bend = upsample(upsample(coarse, 2) + bend * jnp.array([0.4, 0.4, 1, 1, 1, 1]), BLOCK)
        points = self.read_points(bend, 0.1, layers, window, 2 * BLOCK)
        return paint[..., :3], nn.sigmoid(3 * paint[..., 3:] + 1), points

    @staticmethod
    def read_points(out: Array, reach: float, layers: Array, window: Window, per_cell: int) -> Array:
        """Points of the portrait: layer transforms blended by softmax, plus a flow of about `reach` widths.

        A blend of similarities is the similarity with blended numbers, so only four numbers are mixed per pixel.
        """
        size = window.cells * per_cell
        start = window.start_B2[:, None, None, ::-1] / 16 * (HIGH - LOW) + LOW
        here = start + grid(size, 0.0, (HIGH - LOW) * window.cells / 16)[None]
        weights = nn.softmax(3 * out[..., 2:], axis=-1)
        return poses.apply(jnp.einsum("BYXL,BLS->BYXS", weights, layers), here) + reach * out[..., :2]


class AvatarCodec(nn.Module):
    """Encoder and decoder with the statistics that scale their latents. Pictures are in [-1, 1].

    `deviation_scale` is written after training, see `training.codec_stage.measure_scale`.
    """

    config: CodecConfig = CodecConfig()
    frames_per_latent = 1
    streaming = True

    def setup(self) -> None:
        self.encoder = Encoder(self.config)
        self.decoder = Decoder(self.config)
        self.deviation_scale = self.param("deviation_scale", nn.initializers.constant(0.5), (CHANNELS,))

    def portrait_grid(self, portrait: Pictures) -> Grid:
        """The portrait's own latent [B, 8, 8, 32]."""
        canvas = on_canvas(portrait)
        return self.encoder(canvas, canvas)

    def encode(self, frames: Frames, pose_BTZ: Float[Array, "B T 8"], portrait: Pictures) -> Latents:
        """128 px frames with their known poses, and one portrait per clip -> latents [B, T, 17, 136]."""
        batch, length = frames.shape[:2]
        flat = partial(jnp.reshape, shape=(batch * length, PICTURE, PICTURE, 3))
        repeated = jnp.repeat(portrait, length, axis=0)
        canonical, _ = to_canonical(flat(frames), pose_BTZ.reshape(-1, len(POSE_SCALE)), repeated)
        z = self.encoder(canonical, on_canvas(repeated)).reshape(batch, length, CELLS, CELLS, CHANNELS)
        return pack((z - self.portrait_grid(portrait)[:, None]) / self.deviation_scale, pose_BTZ)

    def decode_fields(self, latents: Latents, portrait: Pictures) -> Fields:
        """Latents and one 128 px portrait per clip -> fields on the canonical canvas."""
        batch, length = latents.shape[:2]
        deviation, pose_BTZ = unpack(latents)
        z_portrait = jnp.repeat(self.portrait_grid(portrait), length, axis=0)
        repeated = jnp.repeat(portrait, length, axis=0)
        z = z_portrait + deviation.reshape(z_portrait.shape) * self.deviation_scale
        layers = canonical_to_portrait(pose_BTZ.reshape(-1, len(POSE_SCALE)))
        rgb, mask, points = self.decoder(z, z_portrait, on_canvas(repeated), repeated, layers, whole(batch * length))
        fields = Fields(rgb, mask, points - grid(CANVAS, LOW, HIGH))
        return Fields(*(x.reshape(batch, length, *x.shape[1:]) for x in fields))

    def decode(
        self, latents: Latents, portrait: Pictures, source: Pictures | None = None, size: int = 2 * PICTURE
    ) -> Frames:
        """Latents -> frames [B, T, size, size, 3]. `source` is the portrait at its own size, if there is a larger."""
        source = portrait if source is None else source
        return compose(self.decode_fields(latents, portrait), unpack(latents)[1], source, size)

    def __call__(
        self, canonical: Pictures, portrait: Pictures, pose_BZ: Array, noise: Array, window: Window
    ) -> tuple[Array, Array, Array]:
        """Training: canonical pictures through noisy latents -> (rgb, mask, points to read) on a window."""
        canvas = on_canvas(portrait)
        z = self.encoder(canonical, canvas) + noise
        layers = canonical_to_portrait(pose_BZ)
        return self.decoder(z, self.encoder(canvas, canvas), canvas, portrait, layers, window)


def compose_frame(
    rgb: Array, mask: Array, shift: Array, pose_Z: Array, source_rows: Array, source_size: int, size: int
) -> Float[Array, "size size 3"]:
    """One frame on the screen; `source_rows` are the `neighbours` of the portrait at its own size."""
    canonical = poses.apply(poses.screen_to_portrait(pose_Z)[3], grid(size))
    on_field = (canonical - LOW) / (HIGH - LOW)
    inside = jnp.all((on_field > 0) & (on_field < 1), axis=-1, keepdims=True)
    fields = sample(jnp.concatenate([rgb, mask, shift], axis=-1), on_field)
    # Beyond the canvas nothing is painted; the flow at its edge carries on, so layers keep moving together.
    portrait = sample_rows(source_rows, source_size, source_size, canonical + fields[..., 4:])
    share = jnp.where(inside, fields[..., 3:4], 1.0)
    return jnp.clip(share * portrait + (1 - share) * fields[..., :3], -1.0, 1.0)


@partial(jax.jit, static_argnames="size")
def compose(
    fields: Fields, pose_BTZ: Float[Array, "B T 8"], source: Pictures, size: int = 2 * PICTURE
) -> Float[Array, "B T size size 3"]:
    """Fields -> frames in [-1, 1] at any output size; `source` is one square portrait per clip at its own size."""
    source_size = source.shape[1]

    def clip(of_clip: tuple[Array, ...]) -> Array:
        *columns, portrait = of_clip
        rows = neighbours(portrait)
        return jax.lax.map(
            lambda frame: compose_frame(*frame, source_rows=rows, source_size=source_size, size=size), tuple(columns)
        )

    return jax.lax.map(clip, (fields.rgb, fields.mask, fields.shift, pose_BTZ, source))
