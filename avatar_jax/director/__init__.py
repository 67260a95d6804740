"""The director: from portrait, recording and wish to a storyline, and from a storyline to what each frame is told."""

from avatar_jax.director.plan import local_prompt, paraphrase, shots_at
from avatar_jax.director.rules import direct
from avatar_jax.director.storyline import Shot, Sound, Storyline, load, parse

__all__ = ["Shot", "Sound", "Storyline", "direct", "load", "local_prompt", "paraphrase", "parse", "shots_at"]
