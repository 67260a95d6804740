"""Low-rank changes of a model's linear maps (Hu et al. 2021, arXiv 2106.09685), as parameters beside their kernels.

`nn.linear.Linear` adds x @ lora_down @ lora_up where a module has the two. The up part begins at zero, so that the
model begins as it was; alpha equals the rank, which leaves no further factor.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict

from avatar_jax.training.groups import Group


def lora_leaves(boxed: Any, rank: int, on: Sequence[str], key: jax.Array) -> dict[str, Any]:
    """Fresh '/'-joined leaves for every kernel of the groups `on`, with their logical axes."""
    groups = [Group(name) for name in on]
    found: dict[str, Any] = {}
    for n, (path, leaf) in enumerate(sorted(flatten_dict(boxed, sep="/").items())):
        module, _, name = path.rpartition("/")
        if name != "kernel" or not any(group.holds(path) for group in groups):
            continue
        value, names = (leaf.value, leaf.names) if isinstance(leaf, nn.LogicallyPartitioned) else (leaf, None)
        names = (None,) * value.ndim if names is None else names
        *stack, inside, out = value.shape
        draw = jax.random.normal(jax.random.fold_in(key, n), (*stack, inside, rank)) * inside**-0.5
        zeros = jnp.zeros((*stack, rank, out))
        found[f"{module}/lora_down"] = nn.LogicallyPartitioned(draw, (*names[:-1], "small"))
        found[f"{module}/lora_up"] = nn.LogicallyPartitioned(zeros, (*names[:-2], "small", names[-1]))
    return found
