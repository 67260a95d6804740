"""How closed eyes look in the codec's latents, measured once the codec is trained, from characters drawn open and shut.

A generator makes the mean of what its conditions leave open, and nothing tells it when somebody blinks: eyes made by it
never close. The cascade closes them itself (`sampling.blinks`); what it adds is measured here.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from avatar_jax.models.avatar_codec import CELLS, CHANNELS, AvatarCodec
from avatar_jax.training.stage import Params

RIDGE = 3.0
AT_ONCE = 16

ShutSource = Callable[[np.random.Generator, int, bool], Mapping[str, np.ndarray]]
"""source(rng, characters, held_out), as `data_pipeline.synthetic.faces.shut_batch`."""


def measure_lids(codec: AvatarCodec, params: Params, pairs: Mapping[str, np.ndarray]) -> Params:
    """`params` with `lids_kernel` and `lids_bias`: ridge regression, cell by cell, of what closing the eyes changes on
    the portrait's latent."""
    portrait, change = latents_of(codec, params, pairs)
    count = len(portrait)
    with_one = np.concatenate([portrait, np.ones((count, CELLS, CELLS, 1))], axis=-1)
    x, y = (np.moveaxis(a, 0, 2) for a in (with_one, change))
    square = np.einsum("yxni,yxnj->yxij", x, x) + RIDGE * np.eye(CHANNELS + 1)
    found = np.linalg.solve(square, np.einsum("yxni,yxno->yxio", x, y)).astype(np.float32)
    return params | {"lids_kernel": jnp.asarray(found[:, :, :-1]), "lids_bias": jnp.asarray(found[:, :, -1])}


def explained(codec: AvatarCodec, params: Params, pairs: Mapping[str, np.ndarray]) -> float:
    """Share of the power of what closing the eyes changes that the portrait foretells; at most 1."""
    portrait, change = latents_of(codec, params, pairs)
    kernel, bias = (np.asarray(params[name]) for name in ("lids_kernel", "lids_bias"))
    wrong = np.einsum("nyxc,yxcd->nyxd", portrait, kernel) + bias - change
    return float(1 - np.sum(wrong**2) / np.sum(change**2))


def latents_of(codec: AvatarCodec, params: Params, pairs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """[N, 8, 8, 32] of portraits, and what they change when the eyes close."""

    def both(codec: AvatarCodec, shut: jax.Array, portrait: jax.Array) -> tuple[jax.Array, jax.Array]:
        own = codec.encoder(portrait, portrait)
        return own, codec.encoder(shut, portrait) - own

    run: Any = jax.jit(lambda p, *faces: codec.apply({"params": p}, *faces, method=both))
    found = []
    for start in range(0, len(pairs["frame"]), AT_ONCE):
        faces = (2 * jnp.asarray(pairs[k][start : start + AT_ONCE], jnp.float32) - 1 for k in ("frame", "portrait"))
        found.append(jax.tree.map(np.asarray, run(params, *faces)))
    portrait, change = (np.concatenate(parts).astype(np.float64) for parts in zip(*found, strict=True))
    return portrait, change
