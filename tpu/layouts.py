"""Meshes for a slice: the one to take without looking, and the ones worth comparing.

Guidance and windows ride `data`, tokens take the rest through `seq` as far as it divides the heads. Weights are split
over `seq`; where that leaves no room, over `fsdp` too, which then carries guidance and windows.
"""

import math

import jax
import jax.numpy as jnp

from avatar_jax.models.video_model import VideoModelConfig
from avatar_jax.weights.families import abstract_params
from tpu.topology import GIB, Slice

ROOM = 0.6
"""Share of a chip's memory that weights may take."""


def weight_gib(model: VideoModelConfig) -> float:
    """Of the denoiser in bfloat16."""
    leaves = jax.tree.leaves(abstract_params(model.dit, model.audio))
    return sum(leaf.size for leaf in leaves) * jnp.dtype(jnp.bfloat16).itemsize / GIB


def spec(sizes: dict[str, int]) -> str:
    return ",".join(f"{axis}={size}" for axis, size in sizes.items() if size > 1)


def default_mesh(model: VideoModelConfig, slice_: Slice, per_weight: float = 1.0) -> str:
    """`per_weight`: bytes kept for each byte of bfloat16 weights (training keeps moments and float32 too)."""
    room, split = ROOM * slice_.chip.hbm_gib, 1
    while True:
        rest = slice_.chips // split
        # Two rows of guidance go side by side, on the axis that splits weights if there is one.
        data = 2 if split == 1 and rest > 1 else 1
        seq = math.gcd(rest // data, model.dit.heads)
        if weight_gib(model) * per_weight / (split * seq) <= room or split >= slice_.chips:
            return spec({"data": rest // seq, "fsdp": split, "seq": seq})
        split *= 2


def candidates(model: VideoModelConfig, slice_: Slice, per_weight: float = 1.0) -> list[str]:
    """Meshes of a sweep: every power of two for `seq` that divides the heads, the rest over `data` or `fsdp`, and one
    with `tensor`."""
    found = [default_mesh(model, slice_, per_weight)]
    powers = [2**n for n in range(slice_.chips.bit_length()) if slice_.chips % 2**n == 0]
    for seq in powers:
        if model.dit.heads % seq:
            continue
        rest = slice_.chips // seq
        found += [spec({"fsdp": rest, "seq": seq}), spec({"data": rest, "seq": seq})]
        if rest >= 4:
            found.append(spec({"data": rest // 2, "fsdp": 2, "seq": seq}))
        if rest >= 4 and model.dit.heads % (2 * seq) == 0:
            found.append(spec({"fsdp": rest // 2, "seq": seq, "tensor": 2}))
    kept, room = weight_gib(model) * per_weight, ROOM * 1.3 * slice_.chip.hbm_gib
    fitting = [mesh for mesh in found if kept / weights_over(mesh) < room]
    return list(dict.fromkeys(fitting or found))


def weights_over(mesh: str) -> int:
    """Over how many chips a mesh splits weights."""
    sizes = dict(part.split("=") for part in mesh.split(",") if part)
    return math.prod(int(sizes.get(axis, 1)) for axis in ("fsdp", "seq", "tensor"))
