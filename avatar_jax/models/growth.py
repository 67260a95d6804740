"""Make a trained denoiser wider without changing what it computes, so that training can go on with more capacity.

Every channel and every head is copied `factor` times (Net2Wider, Chen et al. 2016): norms see the same statistics,
and what reads a copied channel reads each copy at 1/factor. Widths that grow must all grow by the same factor, and
heads keep their width. A little noise lets the copies part during training.
"""

from typing import Any

import jax
import jax.numpy as jnp

PARTS = {"projection": 6, "kv_linear": 2}
"""Layers whose output is several vectors side by side: each is copied by itself."""


def widened(params: Any, wider: Any, noise: float = 0.0, key: jax.Array | None = None) -> Any:
    """Parameters in the shapes of `wider` (a tree of arrays or of `eval_shape`) that compute what `params` compute.

    Args:
        noise: standard deviation added to grown kernels, relative to each kernel's own; needs `key`.

    Raises:
        ValueError: where a shape of `wider` is not a whole multiple of the old one.
    """
    keys = iter(jax.random.split(key, len(jax.tree.leaves(params)))) if key is not None else None

    def grow(path: Any, old: jax.Array, new: Any) -> jax.Array:
        names = [str(getattr(k, "key", k)) for k in path]
        if old.ndim != new.ndim or any(n % o for n, o in zip(new.shape, old.shape, strict=True)):
            raise ValueError(
                f"Widening: {'/'.join(names)} is {old.shape}, got {new.shape}.\n"
                "Rule: every width is a whole multiple of the old one, and depth stays.\n"
                "Fix: for example width 160 -> 320 with heads 4 -> 8 and ffn 480 -> 960."
            )
        grown = old
        for axis, (n, o) in enumerate(zip(new.shape, old.shape, strict=True)):
            parts = next((PARTS[name] for name in names if name in PARTS), 1) if axis == old.ndim - 1 else 1
            grown = jnp.concatenate([c for p in jnp.split(grown, parts, axis) for c in [p] * (n // o)], axis)
            if names[-1] == "kernel" and axis == old.ndim - 2:
                grown = grown * (o / n)
        if noise and keys is not None and names[-1] == "kernel" and grown.shape != old.shape:
            grown = grown + noise * grown.std() * jax.random.normal(next(keys), grown.shape)
        return grown

    return jax.tree_util.tree_map_with_path(grow, params, wider)
