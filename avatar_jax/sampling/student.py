"""Sampling with a distilled student: its own number of steps, and no guidance, which is in its weights."""

from dataclasses import replace

from avatar_jax.diffusion.stages import UNGUIDED
from avatar_jax.media import BadInput
from avatar_jax.sampling.config import SampleConfig
from avatar_jax.sampling.windows import SolverConfig

SOLVED = ("blueprint", "segment", "seams", "insertion")
"""Parts of the config that have a solver."""


def walked(config: SampleConfig, steps: int | None) -> SampleConfig:
    """The config as a student of so many steps samples; unchanged where there is none."""
    if steps is None:
        return config
    solver = SolverConfig(steps=steps, guidance=UNGUIDED)
    return replace(config, **{name: replace(getattr(config, name), solver=solver) for name in SOLVED})


def check_walk(config: SampleConfig, usual: SampleConfig, steps: int | None) -> None:
    """`usual` is the config before the user's overrides.

    Raises:
      BadInput: a student would not listen to the steps or scales that the user asks for.
    """
    for name in SOLVED if steps is not None else ():
        if getattr(config, name).solver != getattr(usual, name).solver:
            rule = f"the student takes {steps} steps, with the guidance that it learned"
            got = f"{name}.solver was changed"
            raise BadInput("steps or guidance", got, rule, "add --student=false to sample with its teacher")
