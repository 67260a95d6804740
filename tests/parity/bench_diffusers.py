"""Our DiT block and VAE decode beside those of diffusers: same weights and sizes, float32, two threads, runs in turn.

    python -m tests.parity.bench_diffusers [--rounds 5] [--pixels 128] [--frames 9] [--only dit_block_gradients] [--cpu]

Prints one JSON line: for the block, the block forwards and backwards (gradients of its input and of all its weights)
and the decoder, the median seconds of both, their ratio (above 1: ours is faster) and the largest difference of the
results, relative to the largest result. --cpu counts processor seconds of all threads, where others use the machine.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from flax.traverse_util import unflatten_dict

from avatar_jax.models.dit import Block, Context
from avatar_jax.models.vae_stream import decode_stream
from avatar_jax.models.video_vae import VAE_2_1, VideoVAE
from avatar_jax.nn.patch import grid_positions
from avatar_jax.nn.rope import rope_tables
from avatar_jax.weights.families import FAMILIES, abstract_params
from avatar_jax.weights.mapping import Mapping, flat_shapes, mapping
from avatar_jax.weights.rename import DIFFUSERS, dit_rules
from avatar_jax.weights.vae_keys import diffusers_mapping

ROWS, COLUMNS, TEXT = 30, 52, 512
"""One latent frame of 480 x 832 pixels: 1560 tokens."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.parity.bench_diffusers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pixels", type=int, default=128, help="side of the decoded square, a multiple of 8")
    parser.add_argument("--frames", type=int, default=9, help="decoded frames, 4 n + 1")
    parser.add_argument("--only", choices=("dit_block", "dit_block_gradients", "vae_decode"))
    parser.add_argument("--cpu", action="store_true", help="processor time instead of the wall's")
    options = parser.parse_args()
    # JAX makes one thread per processor that it may use, when it starts.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    jax.config.update("jax_platforms", "cpu")
    torch.set_num_threads(2)
    torch.manual_seed(0)
    pairs = {
        "dit_block": dit_block,
        "dit_block_gradients": lambda: dit_block(gradients=True),
        "vae_decode": lambda: vae_decode(options.pixels, options.frames),
    }
    clock = time.process_time if options.cpu else time.perf_counter
    names = [options.only] if options.only else list(pairs)
    print(json.dumps({name: race(*pairs[name](), options.rounds, clock) for name in names}))
    return 0


def dit_block(gradients: bool = False) -> tuple[Callable[[], np.ndarray], Callable[[], np.ndarray]]:
    """One layer of Wan 2.1 T2V-1.3B, batch 1: (theirs, ours). They return what it makes, or the input's gradient."""
    config = replace(FAMILIES["wan_t2v_1_3b"].dit, depth=1)
    module = WanTransformer3DModel(
        num_attention_heads=config.heads, attention_head_dim=128, ffn_dim=config.ffn, num_layers=1, text_dim=64
    ).eval()
    small = replace(config, text_width=64)
    shapes = flat_shapes(abstract_params(small, None))
    params = filled(mapping(DIFFUSERS, dit_rules(DIFFUSERS, config.heads), shapes), module)
    layer = jax.tree.map(lambda x: x[0], params["dit"]["blocks"]["layers"])

    random = np.random.default_rng(0)
    tokens = ROWS * COLUMNS
    x, text, time6 = (random.normal(size=(1, size, config.width)).astype(np.float32) for size in (tokens, TEXT, 6))
    context = Context(
        modulation_BT6D=jnp.asarray(time6[:, None]),
        rope=rope_tables(grid_positions(jnp.zeros((1, 1)), ROWS, COLUMNS), 128),
        times_BT=jnp.zeros((1, 1)),
        text_BSLD=jnp.asarray(text[:, None]),
        shares_BTS=jnp.ones((1, 1, 1)),
        image_BID=None,
        audio_BTUM=None,
        audio_gain=jnp.ones(()),
    )
    rotary = module.rope(torch.zeros(1, 16, 1, 2 * ROWS, 2 * COLUMNS))
    arrays = [torch.from_numpy(a) for a in (x, text, time6)]
    x = jnp.asarray(x)

    def made(p: Any, x: jax.Array, context: Context) -> jax.Array:
        return cast(jax.Array, Block(config).apply({"params": p}, x, context))

    if not gradients:
        ours = jax.jit(made)
        block = torch.inference_mode()(module.blocks[0])
        return (lambda: block(*arrays, rotary).numpy()), (lambda: np.asarray(ours(layer, x, context)))

    pull = random.normal(size=x.shape).astype(np.float32)
    pulled = jax.jit(jax.grad(lambda p, x, context: (made(p, x, context) * pull).sum(), argnums=(0, 1)))

    def theirs() -> np.ndarray:
        module.zero_grad(set_to_none=True)
        given = arrays[0].clone().requires_grad_()
        module.blocks[0](given, *arrays[1:], rotary).backward(torch.from_numpy(pull))
        assert given.grad is not None
        return given.grad.numpy()

    return theirs, lambda: np.asarray(jax.block_until_ready(pulled(layer, x, context))[1])


def vae_decode(pixels: int, frames: int) -> tuple[Callable[[], np.ndarray], Callable[[], np.ndarray]]:
    """VAE 2.1 at full width, both in a stream of single latents (diffusers knows no other way): (theirs, ours)."""
    module, vae = AutoencoderKLWan().eval(), VideoVAE(VAE_2_1)
    params = filled(diffusers_mapping(VAE_2_1), module)
    cells = pixels // vae.config.cell
    latents = np.random.default_rng(1).normal(size=(1, 1 + frames // 4, cells, cells, 16)).astype(np.float32)
    raw = latents * np.float32(VAE_2_1.latents_std) + np.float32(VAE_2_1.latents_mean)
    z = torch.from_numpy(np.ascontiguousarray(np.moveaxis(raw, -1, 1)))
    ours = jax.jit(lambda p, latents: decode_stream(vae, p, latents))
    decode = torch.inference_mode()(module.decode)
    return (
        lambda: decode(z).sample.movedim(1, -1).numpy(),
        lambda: np.asarray(ours(params, latents)),
    )


def filled(where: Mapping, module: torch.nn.Module) -> Any:
    """Our parameters, with the numbers of a released module."""
    arrays = {name: p.detach().numpy() for name, p in module.state_dict().items()}
    parts = {}
    for name, place in where.places.items():
        value = jnp.asarray(place.layout.ours(arrays[name]))
        parts[place.path] = value if place.layer is None else value[None]
    return unflatten_dict(parts, sep="/")


def race(
    theirs: Callable[[], np.ndarray], ours: Callable[[], np.ndarray], rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    """One round to warm up and compare, then `rounds` in turn."""
    a, b = theirs(), ours()
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for runner, column in zip((theirs, ours), seconds, strict=True):
            start = clock()
            runner()
            column.append(clock() - start)
    medians = [statistics.median(column) for column in seconds]
    return {
        "diffusers_s": round(medians[0], 4),
        "ours_s": round(medians[1], 4),
        "ratio": round(medians[0] / medians[1], 3),
        "difference": float(f"{np.abs(a - b).max() / np.abs(a).max():.2g}"),
    }


if __name__ == "__main__":
    sys.exit(main())
