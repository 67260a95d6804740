"""Linear map and feed-forward layer, parameters in float32, products in the dtype of the input."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax

from avatar_jax.mesh import partitioned

Init = Callable[..., jax.Array]
LECUN = nn.initializers.lecun_normal()
ZEROS = nn.initializers.zeros_init()


def tanh_gelu(x: jax.Array) -> jax.Array:
    """GELU by its tanh formula, Wan's choice for text and feed-forward (image tokens use the exact one)."""
    return nn.gelu(x, approximate=True)


class Linear(nn.Module):
    """x [..., in] -> [..., out]. `axes` are the logical names of (in, out); kernels are [in, out]."""

    out: int
    axes: tuple[str, str] = ("embed", "embed")
    bias: bool = True
    kernel_init: Init = LECUN

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", partitioned(self.kernel_init, *self.axes), (x.shape[-1], self.out))
        y = x @ kernel.astype(x.dtype)
        # Low-rank change (LoRA, Hu et al. 2021, arXiv 2106.09685): training adds these two beside the kernel.
        if self.has_variable("params", "lora_up"):
            down, up = (self.get_variable("params", name).astype(x.dtype) for name in ("lora_down", "lora_up"))
            y += (x @ down) @ up
        if self.bias:
            y += self.param("bias", partitioned(ZEROS, *self.axes[1:]), (self.out,)).astype(x.dtype)
        return y


class FeedForward(nn.Module):
    """`up`, an activation, `down` back to the input's width."""

    hidden: int
    down_init: Init = LECUN
    activation: Callable[[jax.Array], jax.Array] = tanh_gelu

    @nn.compact
    def __call__(self, x: Any) -> jax.Array:
        h = self.activation(Linear(self.hidden, ("embed", "mlp"), name="up")(x))
        return Linear(x.shape[-1], ("mlp", "embed"), kernel_init=self.down_init, name="down")(h)
