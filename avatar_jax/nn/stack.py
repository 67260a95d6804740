"""A stack of equal layers as one scanned layer: one compiled body, parameters stacked on a leading axis.

The only `nn.scan` and `nn.remat` of the code base.
"""

from collections.abc import Callable
from typing import Any, cast

import flax.linen as nn
import jax
from jax.ad_checkpoint import checkpoint_policies

from avatar_jax.nn.once import READ

REMAT: dict[str, Callable[..., bool] | None] = {
    "none": checkpoint_policies.everything_saveable,
    "full": None,
    "dots": checkpoint_policies.dots_saveable,
    "weight_dots": checkpoint_policies.dots_with_no_batch_dims_saveable,
    "attention": checkpoint_policies.save_only_these_names("attention"),
}
"""What backward finds saved: all of it | nothing | every product | products with weights | attention outputs alone."""


class Stack(nn.Module):
    """`depth` copies of the layer that `make(name)` builds; called as `layer(x, *shared) -> x`.

    `unroll` layers form one step of the loop: `depth` gives the plain sequence (fast to run on CPU), 1 the smallest
    program (fast to compile). The parameters are the same.
    """

    layer: Callable[..., nn.Module]
    depth: int
    remat: str = "none"
    unroll: int = 1

    def __call__(self, x: jax.Array, *shared: Any) -> jax.Array:
        return self.scanned(False, x, *shared)[0]

    def every(self, x: jax.Array, *shared: Any) -> jax.Array:
        """What each layer returned, stacked on a leading axis of `depth`."""
        return self.scanned(True, x, *shared)[1]

    @nn.compact
    def scanned(self, keep: bool, x: jax.Array, *shared: Any) -> tuple[jax.Array, Any]:
        """The last layer's result, and every layer's where `keep` says so."""

        def step(layer: nn.Module, x: jax.Array, *shared: Any) -> tuple[jax.Array, jax.Array | None]:
            x = layer(x, *shared)
            return x, x if keep else None

        if self.remat != "none":
            step = nn.remat(step, policy=REMAT[self.remat], prevent_cse=False)
        scanned = nn.scan(
            step,
            variable_axes={"params": 0, READ: 1},
            split_rngs={"params": True},
            in_axes=cast(Any, nn.broadcast),
            length=self.depth,
            unroll=self.unroll,
            metadata_params={nn.PARTITION_NAME: "layers"},
        )
        return scanned(self.layer(name="layers"), x, *shared)
