"""Arithmetic that a model's result needs, whatever the program does: what the peak of the chips is compared with."""

from typing import Any

import jax

from avatar_jax.models.dit import DiTConfig


def denoiser_flops(
    dit: DiTConfig, tokens: int, rows: int, frames: int, text: int, shots: int = 1, audio: int = 0
) -> float:
    """One pass of the denoiser over `rows` windows of `tokens`; a product and a sum are two.

    Args:
        frames: latent frames of a window.
        text: tokens of a prompt; `shots` prompts.
        audio: tokens of sound beside a frame; 0 if it hears none.
    """
    D, image = dit.width, image_tokens(dit)
    products = 6 * D * D + 2 * D * dit.ffn
    products += 2 * D * D * (audio > 0 and not dit.audio_in_text)
    products += 2 * D * D * (dit.storyline and dit.storyline_queries == "own")
    keys = 2 * D * D * (shots * text * (1 + dit.storyline) + image) + 2 * D * (dit.audio_width or 0) * audio * frames
    layer = 2 * (products * tokens + keys)
    ends = 2 * tokens * D * (dit.in_channels + dit.out_channels)
    return rows * (dit.depth * layer + ends) + attention_flops(dit, tokens, rows, text, shots, audio)


def image_tokens(dit: DiTConfig) -> int:
    return (dit.image_tokens or 257) if dit.image_width is not None else 0


def attention_flops(dit: DiTConfig, tokens: int, rows: int, text: int, shots: int = 1, audio: int = 0) -> float:
    """The part of `denoiser_flops` that is scores and what they read."""
    scores = tokens + shots * text * (1 + dit.storyline) + image_tokens(dit) + audio
    return float(rows * dit.depth * 4 * tokens * scores * dit.width)


def traced_flops(function: Any, *arguments: Any) -> float:
    """Products of any function, read off what JAX traces; loops times their trips, of branches the largest."""
    return _of(jax.make_jaxpr(function)(*arguments).jaxpr)


def _of(jaxpr: Any) -> float:
    return sum(_equation(equation) for equation in jaxpr.eqns)


def _equation(equation: Any) -> float:
    name, out = equation.primitive.name, equation.outvars[0].aval
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        left = equation.invars[0].aval.shape
        depth = 1
        for axis in contracted:
            depth *= left[axis]
        return 2.0 * out.size * depth
    if name == "conv_general_dilated":
        kernel, numbers = equation.invars[1].aval, equation.params["dimension_numbers"]
        return 2.0 * out.size * kernel.size / kernel.shape[numbers.rhs_spec[0]]
    inner = [_of(closed) for closed in _inside(equation.params)]
    if name == "cond":
        return max(inner, default=0.0)
    return sum(inner) * equation.params.get("length", 1) if name == "scan" else sum(inner)


def _inside(params: dict[str, Any]) -> list[Any]:
    """Programs inside an equation."""
    found = []
    for value in params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            item = getattr(item, "jaxpr", item)
            if hasattr(item, "eqns"):
                found.append(item)
    return found
