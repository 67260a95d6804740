"""Which attention runs where: chosen while a program is traced, from the mesh, the device and the sizes.

- One device or batch and heads over devices, few tokens: plain attention, left to the partitioner.
- Many tokens without a TPU: scores one block at a time.
- TPU: Pallas kernels, each device on its own part.
- Tokens over devices: heads are exchanged (Ulysses) where they divide, else keys go round (ring).
Attention to few keys (prompt, picture, sound, storyline) never moves tokens: every device has the keys that it reads.

Activations are [B, N, A * K], so that kernels need no change of layout.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from avatar_jax.mesh import RULES, fitting, platform, ways
from avatar_jax.nn import few, flash, flash_back, flash_few, ring, ulysses
from avatar_jax.nn.attention import attend, attend_in_frames, attend_seen, merge_heads, split_heads
from avatar_jax.nn.blockwise import BLOCKWISE, Method, Seen, attention
from avatar_jax.nn.flash_few import Keys
from avatar_jax.nn.groups import Parts, grouped, grouped_by_kernel, joined, joined_by_kernel
from avatar_jax.nn.norm import Scale, scaled
from avatar_jax.nn.rope import Tables, rotate_plainly
from avatar_jax.nn.rope_kernel import rotate_rows

PLAIN_TOKENS = 8192
"""Up to here scores are made whole."""
KERNEL_TOKENS = 1024
"""From here on kernels pay."""


def rotate_in_groups(
    x_BND: jax.Array, tables: Tables, scale: Scale | None, heads: int, groups: int, parts: int
) -> Parts:
    return grouped(rotate_plainly(scaled(x_BND, scale), tables, heads), groups, parts)


@dataclass(frozen=True)
class Kernels:
    """What one device computes with."""

    many: Method
    few: few.Read
    """Many tokens to few keys."""
    rotate: Callable[[jax.Array, Tables, Scale | None, int, int, int], Parts]
    """(x [B, n, D], tables, scale, heads, G, P) -> P times [G, B, n, D / (G P)]."""
    group: Callable[[jax.Array, int, int], Parts]
    """(x [B, n, D], G, P) -> P times [G, B, n, D / (G P)]."""
    join: Callable[[Parts], jax.Array]
    """P times [G, B, n, d] -> [B, n, G * P * d]."""
    unit: int
    """Tokens of all devices are padded to a multiple of this, those of each device to a multiple of 128."""


MANY = Method(flash.forward, flash_back.backward)
TPU = Kernels(MANY, few.by_kernel, rotate_rows, grouped_by_kernel, joined_by_kernel, 2048)
SHARED = Method(partial(flash.forward, cores=2), partial(flash_back.backward, cores=2))
TPU_OF_TWO_CORES = replace(TPU, many=SHARED)
"""v4 and v5p, whose two cores are one device."""
ANYWHERE = Kernels(BLOCKWISE, few.blockwise, rotate_in_groups, grouped, joined, 1)


def cores() -> int:
    """Of each device that the program is for."""
    device = jax.sharding.get_abstract_mesh().abstract_device or jax.devices()[0]
    return getattr(device, "num_cores", None) or 1


def kernels(tokens: int, head_width: int) -> Kernels:
    """The fastest that can run these sizes."""
    if head_width % 128 or tokens < KERNEL_TOKENS or platform() != "tpu":
        return ANYWHERE
    return TPU_OF_TWO_CORES if cores() == 2 else TPU


def token_ways() -> int:
    """Over how many devices tokens are split."""
    mesh = jax.sharding.get_abstract_mesh()
    return 1 if mesh.empty else ways(mesh, RULES["tokens"])


def padding(tokens: int, head_width: int) -> int:
    """How many tokens to put after a window's own, so that every device gets as many and kernels need no edges."""
    unit, devices = kernels(tokens, head_width).unit, token_ways()
    return -tokens % (devices if unit == 1 else math.lcm(unit, 128 * devices))


def self_attend(
    q_BND: jax.Array,
    k_BND: jax.Array,
    v_BND: jax.Array,
    heads: int,
    tables: Tables,
    padded: int = 0,
    scales: tuple[Scale | None, Scale | None] = (None, None),
) -> jax.Array:
    """q and k are multiplied with `scales` and turned by `tables`; every token looks at all but the last `padded`."""
    N, D = q_BND.shape[1:]
    with_ = kernels(N, D // heads)
    if with_ is ANYWHERE and token_ways() == 1:
        q_BND, k_BND = (
            rotate_plainly(scaled(x, s), tables, heads) for x, s in zip((q_BND, k_BND), scales, strict=True)
        )
        if padded == 0 and N <= PLAIN_TOKENS:
            return _plain(attend, q_BND, k_BND, v_BND, heads)
        return attention(with_.many, q_BND, k_BND, v_BND, heads, Seen(N - padded))[0]

    def local(q: jax.Array, k: jax.Array, v: jax.Array, given: Any, heads: int, split: str | None) -> jax.Array:
        devices, seen = 1 if split is None else jax.lax.axis_size(split), Seen(N - padded)
        tables, of_q, of_k = given
        if split is not None and heads % devices == 0:
            cut = (devices, ulysses.parts(heads // devices))
            q_parts, k_parts = (with_.rotate(x, tables, s, heads, *cut) for x, s in ((q, of_q), (k, of_k)))
            return with_.join(ulysses.attend(with_.many, q_parts, k_parts, with_.group(v, *cut), heads, seen, split))
        q, k = (with_.rotate(x, tables, s, heads, 1, 1)[0][0] for x, s in ((q, of_q), (k, of_k)))
        if split is not None:
            return ring.attend(with_.many, q, k, v, heads, seen, split)
        return attention(with_.many, q, k, v, heads, seen)[0]

    others = (k_BND, v_BND, (tables, *scales))
    return _on_every_device(local, q_BND, heads, others, ("tokens", "tokens", "tokens"))


class Few(NamedTuple):
    """A few keys with a softmax of their own, read beside others with the same queries.

    Keys and values are [B, M, D], or [B, T, U, D] where every token looks at the U keys of its own frame alone.
    `seen_BM`: which keys are seen (all). `share_BN`: by how much each token counts what it reads here (1). `tables`: by
    which the queries are turned (not at all).
    """

    k: jax.Array
    v: jax.Array
    seen_BM: jax.Array | None = None
    share_BN: jax.Array | None = None
    tables: Tables | None = None


def read_attend(
    q_BND: jax.Array, sets: tuple[Few, ...], heads: int, scale: Scale | None = None, padded: int = 0
) -> jax.Array:
    """The sum of what every token, multiplied with `scale`, reads in each set. The last `padded` tokens have no frame.

    A device takes the keys of the frames that its tokens lie in, whole or in part, and tells them apart by number.
    """
    N, D = q_BND.shape[1:]
    with_ = kernels(N, D // heads)
    split_frames = any(one.k.ndim == 4 for one in sets) and (token_ways() > 1 or padded > 0)

    def plainly(one: Few) -> bool:
        if one.k.ndim == 4:
            return with_ is ANYWHERE and not split_frames
        return with_ is ANYWHERE or one.k.shape[1] > flash_few.MOST

    if any(plainly(one) for one in sets):
        scaled_BND, rest = scaled(q_BND, scale), tuple(one for one in sets if not plainly(one))
        read = [_read_plainly(scaled_BND, one, heads) for one in sets if plainly(one)]
        read += [read_attend(q_BND, rest, heads, scale, padded)] if rest else []
        return jnp.asarray(read[0] if len(read) == 1 else sum(read), q_BND.dtype)

    def local(q: jax.Array, keys: Any, each: Any, scale: Scale | None, heads: int, split: str | None) -> jax.Array:
        first = 0 if split is None else jax.lax.axis_index(split) * q.shape[1]
        found = []
        for (k, v, seen), (share, tables) in zip(keys, each, strict=True):
            ids = None if seen is None else (jnp.zeros(q.shape[:2], jnp.int32), jnp.where(seen, 0, -1))
            if k.ndim == 4:
                k, v, ids = _of_frames(k, v, (q.shape[0], q.shape[1]), first, (N - padded) // k.shape[1])
            found.append(Keys(k, v, ids, share, tables))
        return with_.few(q, tuple(found), heads, scale)

    keys = tuple((one.k, one.v, one.seen_BM) for one in sets)
    each = tuple((one.share_BN, one.tables) for one in sets)
    return _on_every_device(local, q_BND, heads, (keys, each, scale), (None, "tokens", "tokens"))


def frame_attend(q_BND: jax.Array, k_BTUD: jax.Array, v_BTUD: jax.Array, heads: int, padded: int = 0) -> jax.Array:
    """Every token looks at the U keys of its own frame; the last `padded` tokens have none."""
    return read_attend(q_BND, (Few(k_BTUD, v_BTUD),), heads, None, padded)


def _read_plainly(q_BND: jax.Array, one: Few, heads: int) -> jax.Array:
    """What is left to the partitioner; `q_BND` is scaled."""
    q_BND = q_BND if one.tables is None else rotate_plainly(q_BND, one.tables, heads)
    if one.k.ndim == 4:
        y_BND = merge_heads(attend_in_frames(attend, *(split_heads(x, heads) for x in (q_BND, one.k, one.v))))
    elif q_BND.shape[1] > PLAIN_TOKENS:
        ids = None if one.seen_BM is None else (jnp.zeros(q_BND.shape[:2], jnp.int32), jnp.where(one.seen_BM, 0, -1))
        y_BND = attention(BLOCKWISE, q_BND, one.k, one.v, heads, Seen(one.k.shape[1], *(ids or ())))[0]
    else:
        y_BND = _plain(attend if one.seen_BM is None else attend_seen(one.seen_BM), q_BND, one.k, one.v, heads)
    return y_BND if one.share_BN is None else y_BND * one.share_BN[..., None]


def _of_frames(
    k_BTUD: jax.Array, v_BTUD: jax.Array, tokens: tuple[int, int], first: Any, patches: int
) -> tuple[jax.Array, jax.Array, tuple[jax.Array, jax.Array]]:
    """Keys and values [B, M, D] of the frames of these tokens, the first of which is number `first`; ids of both."""
    (B, n), (T, U) = tokens, k_BTUD.shape[1:3]
    frames = min(T, (n - 1) // patches + 2)
    token = jnp.arange(n) + first
    start = jnp.minimum(token[0] // patches, T - frames)
    k, v = (jax.lax.dynamic_slice_in_dim(x, start, frames, 1).reshape(B, frames * U, -1) for x in (k_BTUD, v_BTUD))
    of_token = jnp.broadcast_to(token // patches - start, (B, n))
    of_key = jnp.broadcast_to(jnp.repeat(jnp.arange(frames), U), (B, frames * U))
    return k, v, (of_token.astype(jnp.int32), of_key.astype(jnp.int32))


def _plain(attend: Any, q_BND: jax.Array, k_BMD: jax.Array, v_BMD: jax.Array, heads: int) -> jax.Array:
    return merge_heads(attend(*(split_heads(x, heads) for x in (q_BND, k_BMD, v_BMD))))


def _on_every_device(
    local: Callable[..., jax.Array], q_BND: jax.Array, heads: int, others: tuple, tokens: tuple[str | None, ...]
) -> jax.Array:
    """Run `local(q, *others, heads, axis)` on every device's part: heads of its own, and the mesh axis that splits
    tokens (None: no axis does). The second axis of each of `others` is split like its entry of `tokens`."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty or mesh.size == 1:
        return local(q_BND, *others, heads, None)
    D = q_BND.shape[-1]
    whole = fitting(mesh, (q_BND.shape[0], q_BND.shape[1], heads), "batch", "tokens", "heads")

    def spec(x: jax.Array, second: str | None) -> PartitionSpec:
        middle = (whole[1] if second == "tokens" and x.shape[1] > 1 else None, *(None for _ in x.shape[2:-1]))
        return PartitionSpec(
            whole[0] if x.shape[0] > 1 else None,
            *middle,
            *((whole[2] if x.shape[-1] == D else None,) if x.ndim > 2 else ()),
        )

    specs = tuple(jax.tree.map(lambda x, s=s: spec(x, s), o) for o, s in zip(others, tokens, strict=True))
    split = whole[1] if ways(mesh, whole[1]) > 1 else None
    own = heads // ways(mesh, whole[2])
    run = jax.shard_map(
        lambda q, *rest: local(q, *rest, own, split), in_specs=(whole, *specs), out_specs=whole, check_vma=False
    )
    return run(q_BND, *others)
