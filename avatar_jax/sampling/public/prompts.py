"""What the text encoder is told: one sentence for each shot of the storyline, and what it should not show."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from avatar_jax.director.plan import fullest, shot_prompt, shots_at
from avatar_jax.director.storyline import Shot, Storyline
from avatar_jax.mesh import fetched
from avatar_jax.models.suite import Part
from avatar_jax.models.umt5 import PromptTokenizer, UMT5Config, encode_prompts

AT_ONCE = 4
"""Prompts that are encoded together."""


def unwanted_prompt(shot: Shot, everywhere: str) -> str:
    return ", ".join(part for part in (shot.negative_prompt.strip(), everywhere.strip()) if part)


@dataclass(frozen=True)
class ShotTexts:
    """Encoded prompts of all shots; equal prompts are encoded once."""

    storyline: Storyline
    texts_NLE: Float[np.ndarray, "N L E"]
    wanted: tuple[int, ...]
    """Row of each shot's prompt, and of its negative prompt."""
    unwanted: tuple[int, ...]

    def shares(self, seconds_BT: np.ndarray) -> np.ndarray:
        """Share of every shot at these instants, [B, T, N]."""
        return shots_at(self.storyline, seconds_BT.ravel()).reshape(*seconds_BT.shape, -1)

    def most(self, seconds_BT: np.ndarray) -> int:
        """Shots in the window that has the most of them."""
        return int((self.shares(seconds_BT).sum(axis=1) > 0).sum(axis=1).max())

    def at(self, seconds_BT: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(prompts [B, S, L, E], negative prompts, shares [B, T, S]) at these instants, S = `count`.

        Of more than `count` shots in a window those with the largest share stay; an instant whose own shot was dropped
        listens to the others equally. A storyline of fewer is filled up with its first shot, which gets no share there.
        """
        used_BS, shares_BTS = fullest(self.shares(seconds_BT), count)
        wanted, unwanted = (self.texts_NLE[np.array(rows)[used_BS]] for rows in (self.wanted, self.unwanted))
        return wanted, unwanted, shares_BTS


def encode_shots(
    storyline: Storyline, everywhere: str, part: Part[UMT5Config], tokenizer: PromptTokenizer
) -> ShotTexts:
    """Read every shot's prompt and negative prompt once."""
    wanted = [shot_prompt(storyline, shot) for shot in storyline.shots]
    unwanted = [unwanted_prompt(shot, everywhere) for shot in storyline.shots]
    prompts = list(dict.fromkeys(wanted + unwanted))
    return ShotTexts(
        storyline,
        encode(prompts, part, tokenizer),
        tuple(prompts.index(prompt) for prompt in wanted),
        tuple(prompts.index(prompt) for prompt in unwanted),
    )


def encode(prompts: Sequence[str], part: Part[UMT5Config], tokenizer: PromptTokenizer) -> np.ndarray:
    """[N, L, E], in the numbers that the encoder computes in; a few at a time, always as many."""
    found = []
    for start in range(0, len(prompts), AT_ONCE):
        some = list(prompts[start : start + AT_ONCE])
        texts = encode_prompts(part.config, part.params, tokenizer, some + [""] * (AT_ONCE - len(some)))
        found.append(fetched(texts.astype(jnp.dtype(part.config.dtype)))[: len(some)])
    return np.concatenate(found)
