"""The avatar codec: a talking portrait as a pose token plus a small grid of what its face does.

A portrait is taken apart once (`portrait_layers`): background, body, head, face and a hand, each of which moves by a
similarity that the pose token gives (`pose`). What is left to code is the face layer: the frame is un-warped so that
its face lies where it lies in the portrait, cut out there (FACE_WINDOW), and coded as an 8 x 8 x 32 grid with the
portrait as reference. The decoder bends the portrait's own face layer and paints what it does not show (inside of the
mouth, eyelids), with transparency, so the head behind may move against it. `compose` puts all layers on the screen at
any size: what the portrait shows keeps the portrait's resolution.

Outside this file a frame is `latents_BTPC` with P = 17 patches of C = 139 numbers: patches 0..15 are the 4 x 4 grid
(row-major) of 2 x 2 x 32 = 128 channels (row, column, channel) followed by zeros; patch 16 is the pose: 128 zeros,
then (pose, hand) / POSE_SCALE. The grid is stored as the deviation from the portrait's own latent, divided by its
standard deviation: the portrait itself is all zeros.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from avatar_jax.models import pose as poses
from avatar_jax.models.conv import Residual
from avatar_jax.models.portrait_layers import (
    SIZE,
    LayersConfig,
    PortraitLayers,
    PortraitLayersNet,
    assemble,
    over,
)
from avatar_jax.models.pose import FACE_WINDOW, HAND_WINDOW, POSE
from avatar_jax.models.warp import depth_to_space, grid, sample, sample_batch, space_to_depth, upsample

PICTURE = 128
"""Pixels of the pictures that readers see, and of training clips."""
WINDOW = round((FACE_WINDOW[2] - FACE_WINDOW[0]) * SIZE)
"""Pixels of the face window: 128."""
CELLS, CHANNELS = 8, 32
POSE_SCALE = (0.3, 0.12, 0.12, 0.03, 0.03, 0.08, 0.5, 0.5, 0.5, 0.2, 1.0)
"""Divides a pose and a hand in the latent, order of `pose.POSE` then `pose.HAND`: about one standard deviation each."""
PATCHES, PATCH_CHANNELS, POSE_PATCH = 17, 4 * CHANNELS + len(POSE_SCALE), 16
FIRST_POSE = 4 * CHANNELS
"""Channel of the pose patch at which the pose begins."""
BLOCK = 4
"""Window pixels per cell of the 32 x 32 stage."""
REACH = 0.06
"""Picture widths by which the face layer is bent where the decoder says 1."""

Frames = Float[Array, "B T H W 3"]
Pictures = Float[Array, "B H W 3"]
Latents = Float[Array, "B T P C"]
Grid = Float[Array, "*frames 8 8 32"]
Layered = Float[Array, "B W W 4"]


@dataclass(frozen=True)
class CodecConfig:
    """Widths of the codec at 32 x 32, 16 x 16 and 8 x 8 cells; `sharp` is the decoder's last stage."""

    shallow: int = 48
    middle: int = 80
    deep: int = 128
    sharp: int = 80


class FaceFields(NamedTuple):
    """Decoded face layers on FACE_WINDOW: paint (premultiplied RGBA) where `mask` is 0, the portrait's own face layer
    where it is 1, read at the point + shift (picture widths)."""

    paint: Float[Array, "B T W W 4"]
    mask: Float[Array, "B T W W 1"]
    shift: Float[Array, "B T W W 2"]


def pack(deviation: Grid, pose_Z: Float[Array, "*frames 11"]) -> Float[Array, "*frames 17 139"]:
    """Scaled deviation grid and pose with hand (in their own units) -> patches; see the top of this file."""
    frames = deviation.shape[:-3]
    half = CELLS // 2
    x = deviation.reshape(-1, half, 2, half, 2, CHANNELS).transpose(0, 1, 3, 2, 4, 5)
    cells = jnp.pad(x.reshape(-1, half * half, 4 * CHANNELS), ((0, 0), (0, 0), (0, PATCH_CHANNELS - 4 * CHANNELS)))
    scaled = pose_Z.reshape(-1, 1, len(POSE_SCALE)) / jnp.asarray(POSE_SCALE)
    token = jnp.pad(scaled, ((0, 0), (0, 0), (4 * CHANNELS, 0)))
    return jnp.concatenate([cells, token], axis=1).reshape(*frames, PATCHES, PATCH_CHANNELS)


def unpack(latents: Float[Array, "*frames 17 139"]) -> tuple[Grid, Float[Array, "*frames 11"]]:
    """Inverse of `pack`; what lies in the padding is ignored."""
    frames = latents.shape[:-2]
    half = CELLS // 2
    x = latents[..., :POSE_PATCH, : 4 * CHANNELS].reshape(-1, half, half, 2, 2, CHANNELS)
    deviation = x.transpose(0, 1, 3, 2, 4, 5).reshape(*frames, CELLS, CELLS, CHANNELS)
    return deviation, latents[..., POSE_PATCH, 4 * CHANNELS :] * jnp.asarray(POSE_SCALE)


def window_points() -> Float[Array, "W W 2"]:
    """Portrait coordinates of the face window's pixels."""
    return grid(WINDOW, FACE_WINDOW[0], FACE_WINDOW[2])


def face_of(picture: Float[Array, "B S S C"]) -> Float[Array, "B W W C"]:
    """The face window cut out of portraits of SIZE pixels."""
    left, top, right, bottom = (round(edge * SIZE) for edge in FACE_WINDOW)
    return picture[:, top:bottom, left:right]


def unwarped(frames: Pictures, pose_BZ: Float[Array, "B 8"]) -> Float[Array, "B W W 3"]:
    """The face window of frames of any size, un-warped to the portrait's pose."""
    return sample_batch(frames, poses.apply(poses.portrait_to_screen(pose_BZ)[:, None, None, 3], window_points()[None]))


class Encoder(nn.Module):
    """Face windows of a frame and of its portrait [B, 128, 128, 3] -> grid [B, 8, 8, 32] of unit power."""

    config: CodecConfig

    @nn.compact
    def __call__(self, frame: Pictures, portrait: Pictures) -> Grid:
        c = self.config
        x = space_to_depth(jnp.concatenate([frame, portrait], axis=-1), BLOCK)
        x = nn.silu(nn.Conv(c.shallow, (3, 3))(x))
        x = Residual()(nn.Dense(c.middle)(space_to_depth(x, 2)))
        x = Residual()(nn.Dense(c.deep)(space_to_depth(x, 2)))
        x = nn.Dense(CHANNELS)(nn.silu(nn.RMSNorm()(x)))
        return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-6)


class Decoder(nn.Module):
    """Grid, portrait's grid, portrait's face layer and face window -> (paint, mask, shift)."""

    config: CodecConfig

    @nn.compact
    def __call__(self, z: Grid, z_portrait: Grid, face: Layered, portrait: Pictures) -> tuple[Array, Array, Array]:
        c = self.config
        reference = space_to_depth(jnp.concatenate([2 * face - 1, portrait], axis=-1), BLOCK)
        ref32 = nn.silu(nn.Conv(c.shallow, (3, 3), name="reference_32")(reference))
        ref16 = nn.silu(nn.Dense(c.middle, name="reference_16")(space_to_depth(ref32, 2)))
        ref8 = nn.silu(nn.Dense(c.deep // 2, name="reference_8")(space_to_depth(ref16, 2)))

        x = Residual()(nn.Conv(c.deep, (3, 3), name="enter")(jnp.concatenate([z, z - z_portrait], axis=-1)))
        x = Residual()(x + nn.Dense(c.deep)(ref8))
        x = Residual()(depth_to_space(nn.Dense(4 * c.middle)(x), 2) + nn.Dense(c.middle)(ref16))
        coarse = nn.Dense(2, kernel_init=nn.initializers.normal(0.01), name="coarse")(nn.silu(x))

        bent = bend(face, REACH * upsample(coarse, 8))
        fold = jnp.concatenate([space_to_depth(2 * bent - 1, BLOCK), ref32], axis=-1)
        x = jnp.concatenate([depth_to_space(nn.Dense(4 * c.sharp)(x), 2), fold], axis=-1)
        x = nn.Conv(c.sharp, (3, 3))(nn.silu(x))
        x = Residual()(x)
        out = nn.Conv(5 * BLOCK * BLOCK + 2, (3, 3), name="fine")(nn.silu(x))
        shift = REACH * upsample(upsample(coarse, 2) + 0.4 * out[..., -2:], BLOCK)
        painted = depth_to_space(out[..., :-2], BLOCK)
        alpha = nn.sigmoid(2 * painted[..., 3:4])
        paint = jnp.concatenate([alpha * nn.sigmoid(painted[..., :3]), alpha], axis=-1)
        return paint, nn.sigmoid(3 * painted[..., 4:] + 1), shift


def bend(face: Layered, shift: Float[Array, "B W W 2"]) -> Layered:
    """The face layer read at each point of its window + shift (picture widths)."""
    left, _, right, _ = FACE_WINDOW
    return sample_batch(face, grid(WINDOW)[None] + shift / (right - left))


class AvatarCodec(nn.Module):
    """The portrait's decomposition, encoder and decoder, with the statistics that scale the latents.

    Pictures are in [-1, 1]. `deviation_scale`, `lids_kernel` and `lids_bias` are written after training, see
    `training.codec_stage.measure_scale` and `training.codec_lids`.
    """

    config: CodecConfig = CodecConfig()
    layers_config: LayersConfig = LayersConfig()
    frames_per_latent = 1
    streaming = True

    def setup(self) -> None:
        self.layers = PortraitLayersNet(self.layers_config)
        self.encoder = Encoder(self.config)
        self.decoder = Decoder(self.config)
        self.deviation_scale = self.param("deviation_scale", nn.initializers.constant(0.5), (CHANNELS,))
        self.lids_kernel = self.param("lids_kernel", nn.initializers.zeros, (CELLS, CELLS, CHANNELS, CHANNELS))
        self.lids_bias = self.param("lids_bias", nn.initializers.zeros, (CELLS, CELLS, CHANNELS))

    def take_apart(self, portrait: Pictures) -> PortraitLayers:
        """Layers of portraits of any square size, at that size (at least SIZE)."""
        size = max(portrait.shape[1], SIZE)
        at = lambda side: jax.image.resize(portrait, (len(portrait), side, side, 3), "linear", antialias=True)  # noqa: E731
        return assemble(self.layers(at(SIZE)), at(size))

    def portrait_grid(self, portrait: Pictures) -> Grid:
        """The portrait's own latent [B, 8, 8, 32]; portraits of SIZE pixels."""
        face = face_of(portrait)
        return self.encoder(face, face)

    def portrait_latent(self, portrait: Pictures) -> Float[Array, "B 17 139"]:
        """`portrait_grid` in a frame's layout, of unit power."""
        return pack(self.portrait_grid(portrait), jnp.zeros((len(portrait), len(POSE_SCALE))))

    def closed_eyes(self, portrait: Pictures) -> Float[Array, "B 17 139"]:
        """What closing the eyes adds to the latents of a frame: in every cell a linear function of the portrait's own
        latent there, since the decoder paints the lids of this face and the lamps of a robot alike from it."""
        z_portrait = self.portrait_grid(portrait)
        closing = jnp.einsum("byxc,yxcd->byxd", z_portrait, self.lids_kernel) + self.lids_bias
        return pack(closing / self.deviation_scale, jnp.zeros((len(portrait), len(POSE_SCALE))))

    def encode(self, frames: Frames, pose_BTZ: Float[Array, "B T 11"], portrait: Pictures) -> Latents:
        """Frames of any size with their known poses and hands, and one portrait of SIZE pixels per clip."""
        batch, length = frames.shape[:2]
        flat = frames.reshape(batch * length, *frames.shape[2:])
        faces = unwarped(flat, pose_BTZ.reshape(batch * length, -1)[:, : len(POSE)])
        return self.encode_faces(faces.reshape(batch, length, WINDOW, WINDOW, 3), pose_BTZ, portrait)

    def encode_faces(self, faces: Frames, pose_BTZ: Float[Array, "B T 11"], portrait: Pictures) -> Latents:
        """`encode` from face windows [B, T, 128, 128, 3] that are un-warped already."""
        batch, length = faces.shape[:2]
        repeated = jnp.repeat(face_of(portrait), length, axis=0)
        z = self.encoder(faces.reshape(batch * length, WINDOW, WINDOW, 3), repeated)
        z = z.reshape(batch, length, CELLS, CELLS, CHANNELS)
        return pack((z - self.portrait_grid(portrait)[:, None]) / self.deviation_scale, pose_BTZ)

    def decode_faces(self, latents: Latents, portrait: Pictures, layers: PortraitLayers) -> FaceFields:
        """Latents, one portrait of SIZE pixels per clip and its layers -> face layers."""
        batch, length = latents.shape[:2]
        deviation, _ = unpack(latents)
        z_portrait = jnp.repeat(self.portrait_grid(portrait), length, axis=0)
        z = z_portrait + deviation.reshape(z_portrait.shape) * self.deviation_scale
        size = layers.face.shape[1]
        face = layers.face
        if size != SIZE:
            face = jax.image.resize(face, (batch, SIZE, SIZE, 4), "linear", antialias=True)
        face, seen = (jnp.repeat(face_of(x), length, axis=0) for x in (face, portrait))
        fields = FaceFields(*self.decoder(z, z_portrait, face, seen))
        return FaceFields(*(x.reshape(batch, length, *x.shape[1:]) for x in fields))

    def decode(self, latents: Latents, portrait: Pictures, size: int = 2 * PICTURE) -> Frames:
        """Latents and one portrait per clip, at its own square size -> frames [B, T, size, size, 3]."""
        layers = self.take_apart(portrait)
        small = jax.image.resize(portrait, (len(portrait), SIZE, SIZE, 3), "linear", antialias=True)
        return compose(self.decode_faces(latents, small, layers), unpack(latents)[1], layers, size)

    def __call__(self, frame: Pictures, portrait: Pictures, face: Layered, noise: Grid) -> tuple[Array, Array, Array]:
        """Training: face windows through noisy latents -> (paint, mask, shift)."""
        z_portrait = self.encoder(portrait, portrait)
        return self.decoder(self.encoder(frame, portrait) + noise, z_portrait, face, portrait)


def compose_frame(fields: FaceFields, pose_Z: Array, layers: PortraitLayers, size: int) -> Float[Array, "S S 3"]:
    """One frame on the screen, in [-1, 1]; `fields` and `layers` of one frame and clip, without leading axes."""
    screen = grid(size)
    pose, hand = pose_Z[: len(POSE)], pose_Z[len(POSE) :]
    background, body, head, face = (poses.apply(s, screen) for s in poses.screen_to_portrait(pose))
    # Beyond the portrait's edges its background is mirrored.
    picture = sample(layers.background, 1 - jnp.abs(1 - jnp.abs(background)))
    for layer, points in ((layers.back, head), (layers.body, body), (layers.head, head)):
        picture = over(sample(layer, points), picture)

    left, top, right, bottom = FACE_WINDOW
    place = (face - jnp.array([left, top])) / jnp.array([right - left, bottom - top])
    inside = jnp.all((place > 0) & (place < 1), axis=-1, keepdims=True)
    paint, mask, shift = jnp.split(sample(jnp.concatenate(fields, axis=-1), place), [4, 5], axis=-1)
    picture = over(inside * (mask * sample(layers.face, face + shift) + (1 - mask) * paint), picture)

    to_hand, side = poses.screen_to_hand(pose, hand)
    place = poses.apply(to_hand, screen) * jnp.stack([side, jnp.ones_like(side)])
    left, top, right, bottom = HAND_WINDOW
    place = (place - jnp.array([left, top])) / jnp.array([right - left, bottom - top])
    inside = (place[..., :1] > 0) & (place[..., :1] < 1) & (place[..., 1:] > 0) & (hand[0] > 0)
    return 2 * jnp.clip(over(inside * sample(layers.hand, place), picture), 0, 1) - 1


@partial(jax.jit, static_argnames="size")
def compose(
    fields: FaceFields, pose_BTZ: Float[Array, "B T 11"], layers: PortraitLayers, size: int = 2 * PICTURE
) -> Float[Array, "B T size size 3"]:
    """Face layers and poses -> frames in [-1, 1] at any output size; layers at their own size."""

    def clip(of_clip: tuple[FaceFields, Array, PortraitLayers]) -> Array:
        fields, pose_TZ, layers = of_clip
        return jax.lax.map(lambda frame: compose_frame(frame[0], frame[1], layers, size), (fields, pose_TZ))

    return jax.lax.map(clip, (fields, pose_BTZ, layers))
