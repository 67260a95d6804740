"""What the text encoder is told: one sentence for each shot of the storyline, and what it should not show."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from avatar_jax.director.plan import ACTS, FEELING, MOVES, VERBS, shots_at, strength
from avatar_jax.director.storyline import Shot, Storyline
from avatar_jax.mesh import fetched
from avatar_jax.models.suite import Part
from avatar_jax.models.umt5 import PromptTokenizer, UMT5Config, encode_prompts

AT_ONCE = 4
"""Prompts that are encoded together."""


def shot_prompt(storyline: Storyline, shot: Shot) -> str:
    """A shot in plain English: who, what, how the camera moves, where. The user's own words are added where there is
    one shot only; with several, each shot has its part of them."""
    who = storyline.character or "A person"
    sentence = f"{who} {VERBS[shot.voice]}, {strength(shot.intensity)} {FEELING[shot.emotion]}"
    if shot.action != "none":
        sentence += f", {ACTS[shot.action]}"
    sentence += ", looking at the viewer" if shot.gaze == "viewer" else f", looking {shot.gaze}"
    parts = [sentence, MOVES[shot.camera], storyline.background, storyline.style]
    if len(storyline.shots) == 1:
        parts.insert(0, storyline.wish)
    return ". ".join(part.strip().rstrip(".") for part in parts if part.strip()) + "."


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
        shares_BTN = self.shares(seconds_BT)
        S = min(count, shares_BTN.shape[-1])
        empty = count - S
        used_BS = np.sort(np.argsort(-shares_BTN.sum(axis=1), axis=1, kind="stable")[:, :S], axis=1)
        shares_BTS = np.take_along_axis(shares_BTN, used_BS[:, None], axis=2)
        total_BT1 = shares_BTS.sum(axis=-1, keepdims=True)
        shares_BTS = np.where(total_BT1 > 0, shares_BTS / np.maximum(total_BT1, 1e-6), 1 / S).astype(np.float32)
        shares_BTS = np.pad(shares_BTS, ((0, 0), (0, 0), (0, empty)))
        used_BS = np.pad(used_BS, ((0, 0), (0, empty)))
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
