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
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from avatar_jax.mesh import RULES, fitting, platform, ways
from avatar_jax.nn import flash, flash_back, flash_few, ring, ulysses
from avatar_jax.nn.attention import attend, attend_in_frames, attend_seen, merge_heads, split_heads
from avatar_jax.nn.blockwise import BLOCKWISE, Method, Seen, attention, backward
from avatar_jax.nn.groups import Parts, grouped, grouped_by_kernel, joined, joined_by_kernel
from avatar_jax.nn.rope import rotate
from avatar_jax.nn.rope_kernel import rotate_rows

Tables = tuple[jax.Array, jax.Array]
PLAIN_TOKENS = 8192
"""Up to here scores are made whole."""
KERNEL_TOKENS = 1024
"""From here on kernels pay."""


def rotate_plainly(x_BND: jax.Array, tables: Tables, heads: int) -> jax.Array:
    return merge_heads(rotate(split_heads(x_BND, heads), tables))


def rotate_in_groups(x_BND: jax.Array, tables: Tables, heads: int, groups: int = 1, parts: int = 1) -> Parts:
    return grouped(rotate_plainly(x_BND, tables, heads), groups, parts)


@dataclass(frozen=True)
class Kernels:
    """What one device computes with."""

    many: Method
    few: Method
    rotate: Callable[[jax.Array, Tables, int, int, int], Parts]
    """(x [B, n, D], tables, heads, G, P) -> P times [G, B, n, D / (G P)]."""
    group: Callable[[jax.Array, int, int], Parts]
    """(x [B, n, D], G, P) -> P times [G, B, n, D / (G P)]."""
    join: Callable[[Parts], jax.Array]
    """P times [G, B, n, d] -> [B, n, G * P * d]."""
    unit: int
    """Tokens of all devices are padded to a multiple of this, those of each device to a multiple of 128."""


MANY, FEW = Method(flash.forward, flash_back.backward), Method(flash_few.forward, backward)
TPU = Kernels(MANY, FEW, rotate_rows, grouped_by_kernel, joined_by_kernel, 2048)
SHARED = Method(partial(flash.forward, cores=2), partial(flash_back.backward, cores=2))
TPU_OF_TWO_CORES = replace(TPU, many=SHARED)
"""v4 and v5p, whose two cores are one device."""
ANYWHERE = Kernels(BLOCKWISE, BLOCKWISE, rotate_in_groups, grouped, joined, 1)


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
    q_BND: jax.Array, k_BND: jax.Array, v_BND: jax.Array, heads: int, tables: Tables, padded: int = 0
) -> jax.Array:
    """q and k are turned by `tables`; then every token looks at all but the last `padded`."""
    N, D = q_BND.shape[1:]
    with_ = kernels(N, D // heads)
    if with_ is ANYWHERE and token_ways() == 1:
        q_BND, k_BND = rotate_plainly(q_BND, tables, heads), rotate_plainly(k_BND, tables, heads)
        if padded == 0 and N <= PLAIN_TOKENS:
            return _plain(attend, q_BND, k_BND, v_BND, heads)
        return attention(with_.many, q_BND, k_BND, v_BND, heads, Seen(N - padded))[0]

    def local(q: jax.Array, k: jax.Array, v: jax.Array, tables: Tables, heads: int, split: str | None) -> jax.Array:
        devices, seen = 1 if split is None else jax.lax.axis_size(split), Seen(N - padded)
        if split is not None and heads % devices == 0:
            cut = (devices, ulysses.parts(heads // devices))
            parts = with_.rotate(q, tables, heads, *cut), with_.rotate(k, tables, heads, *cut), with_.group(v, *cut)
            return with_.join(ulysses.attend(with_.many, *parts, heads, seen, split))
        q, k = (with_.rotate(x, tables, heads, 1, 1)[0][0] for x in (q, k))
        if split is not None:
            return ring.attend(with_.many, q, k, v, heads, seen, split)
        return attention(with_.many, q, k, v, heads, seen)[0]

    return _on_every_device(local, q_BND, heads, (k_BND, v_BND, tables), ("tokens", "tokens", "tokens"))


def frame_attend(q_BND: jax.Array, k_BTUD: jax.Array, v_BTUD: jax.Array, heads: int, padded: int = 0) -> jax.Array:
    """Every token looks at the U keys of its own frame; the last `padded` tokens have none.

    A device takes the keys of the frames that its tokens lie in, whole or in part, and tells them apart by number.
    """
    (N, D), (T, U) = q_BND.shape[1:], k_BTUD.shape[1:3]
    with_, patches = kernels(N, D // heads), (N - padded) // T
    if with_ is ANYWHERE and token_ways() == 1 and padded == 0:
        q, k, v = (split_heads(x, heads) for x in (q_BND, k_BTUD, v_BTUD))
        return merge_heads(attend_in_frames(attend, q, k, v))

    def local(q: jax.Array, k: jax.Array, v: jax.Array, heads: int, split: str | None) -> jax.Array:
        B, n = q.shape[:2]
        frames = min(T, (n - 1) // patches + 2)
        token = jnp.arange(n) + (0 if split is None else jax.lax.axis_index(split) * n)
        first = jnp.minimum(token[0] // patches, T - frames)
        k, v = (jax.lax.dynamic_slice_in_dim(x, first, frames, 1).reshape(B, frames * U, -1) for x in (k, v))
        frame_of_token = jnp.broadcast_to(token // patches - first, (B, n))
        frame_of_key = jnp.broadcast_to(jnp.repeat(jnp.arange(frames), U), (B, frames * U))
        return attention(with_.few, q, k, v, heads, Seen(frames * U, frame_of_token, frame_of_key))[0]

    return _on_every_device(local, q_BND, heads, (k_BTUD, v_BTUD), (None, None))


def few_attend(
    q_BND: jax.Array,
    k_BMD: jax.Array,
    v_BMD: jax.Array,
    heads: int,
    seen_BM: jax.Array | None = None,
    tables: Tables | None = None,
) -> jax.Array:
    """Every token, turned by `tables` where given, looks at the keys that are seen (all, if not said)."""
    N, D = q_BND.shape[1:]
    M, with_ = k_BMD.shape[1], kernels(N, D // heads)
    if with_ is ANYWHERE or M > flash_few.MOST:
        q_BND = q_BND if tables is None else rotate_plainly(q_BND, tables, heads)
        if N > PLAIN_TOKENS:
            return attention(BLOCKWISE, q_BND, k_BMD, v_BMD, heads, _seen(N, M, seen_BM))[0]
        return _plain(attend if seen_BM is None else attend_seen(seen_BM), q_BND, k_BMD, v_BMD, heads)

    def local(
        q: jax.Array, k: jax.Array, v: jax.Array, seen: Any, tables: Tables | None, heads: int, split: str | None
    ) -> jax.Array:
        del split
        q = q if tables is None else with_.rotate(q, tables, heads, 1, 1)[0][0]
        return attention(with_.few, q, k, v, heads, _seen(q.shape[1], M, seen))[0]

    return _on_every_device(local, q_BND, heads, (k_BMD, v_BMD, seen_BM, tables), (None, None, None, "tokens"))


def _plain(attend: Any, q_BND: jax.Array, k_BMD: jax.Array, v_BMD: jax.Array, heads: int) -> jax.Array:
    return merge_heads(attend(*(split_heads(x, heads) for x in (q_BND, k_BMD, v_BMD))))


def _seen(queries: int, keys: int, seen_BM: jax.Array | None) -> Seen:
    if seen_BM is None:
        return Seen(keys)
    return Seen(keys, jnp.zeros((seen_BM.shape[0], queries), jnp.int32), jnp.where(seen_BM, 0, -1))


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
        middle = (whole[1] if second == "tokens" else None, *(None for _ in x.shape[2:-1]))
        return PartitionSpec(whole[0], *middle, *((whole[2] if x.shape[-1] == D else None,) if x.ndim > 2 else ()))

    specs = tuple(jax.tree.map(lambda x, s=s: spec(x, s), o) for o, s in zip(others, tokens, strict=True))
    split = whole[1] if ways(mesh, whole[1]) > 1 else None
    own = heads // ways(mesh, whole[2])
    run = jax.shard_map(
        lambda q, *rest: local(q, *rest, own, split), in_specs=(whole, *specs), out_specs=whole, check_vma=False
    )
    return run(q_BND, *others)
