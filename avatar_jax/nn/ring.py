"""Sequence parallelism for any number of heads: keys and values go round the devices (Liu et al. 2023, section 3).

Runs inside a shard_map over `axis`. Each device keeps its queries; what it has read so far and the log of its softmax's
sum are joined with what it reads from the next device's keys.
"""

import jax
import jax.numpy as jnp

from avatar_jax.nn.blockwise import Method, Seen, attention


def attend(
    method: Method, q_BnD: jax.Array, k_BnD: jax.Array, v_BnD: jax.Array, heads: int, seen: Seen, axis: str
) -> jax.Array:
    """This device's tokens [B, n, A * K] attend to the first `seen.keys` tokens of all devices."""
    ways, here, n = jax.lax.axis_size(axis), jax.lax.axis_index(axis), k_BnD.shape[1]
    k, v, y, lse = k_BnD, v_BnD, None, None
    for turn in range(ways):
        count = jnp.clip(seen.keys - (here + turn) % ways * n, 0, n)
        # The next keys travel while these are read.
        following = pass_on((k, v), axis) if turn + 1 < ways else (k, v)
        more, more_lse = attention(method, q_BnD, k, v, heads, Seen(count))
        y, lse = (more, more_lse) if y is None or lse is None else join(y, lse, more, more_lse)
        k, v = following
    assert y is not None
    return y.astype(q_BnD.dtype)


def pass_on(x: tuple[jax.Array, ...], axis: str) -> tuple[jax.Array, ...]:
    """Every device gets what the next one had."""
    ways = jax.lax.axis_size(axis)
    return jax.lax.ppermute(x, axis, [((i + 1) % ways, i) for i in range(ways)])


def join(y: jax.Array, lse: jax.Array, more: jax.Array, more_lse: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Attention over two sets of keys from that over each: y [B, N, A * K], lse [B, A, N]; y becomes float32."""
    both = jnp.logaddexp(lse, more_lse)

    def share(y_BND: jax.Array, lse_BAN: jax.Array) -> jax.Array:
        weight_BNA1 = jnp.exp(lse_BAN - both).swapaxes(1, 2)[..., None]
        B, N, A, _ = weight_BNA1.shape
        return (y_BND.reshape(B, N, A, -1).astype(jnp.float32) * weight_BNA1).reshape(B, N, -1)

    return share(y, lse) + share(more, more_lse), both
