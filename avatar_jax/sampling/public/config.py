"""All values of the cascade on public weights; each may be overridden by `--dotted.name=value`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from avatar_jax.diffusion.guidance import Guidance
from avatar_jax.diffusion.guidance_apg import Projection
from avatar_jax.diffusion.schedule import wan_euler_sigmas, wan_unipc_sigmas, wan_unipc_times
from avatar_jax.diffusion.solver import EULER, Solver
from avatar_jax.diffusion.stages import UNGUIDED, Interval
from avatar_jax.diffusion.unipc import UNIPC
from avatar_jax.media.corruption import Corruption
from avatar_jax.sampling.keyframes import KeyframeConfig

GRID = 4
"""Video frames of a latent: key frames lie on this grid of the model's frames."""


COMMON = (9 / 16, 15 / 26, 2 / 3, 3 / 4, 4 / 5, 1.0, 5 / 4, 4 / 3, 3 / 2, 26 / 15, 16 / 9)
"""Proportions, width by height, that many requests share; 15 / 26 is 480 x 832."""


class Recipe(NamedTuple):
    """A solver, its noise levels and what the model is told at each of them (None: the level itself)."""

    solver: Solver
    levels: Callable[[int, float], np.ndarray]
    times: Callable[[int, float], np.ndarray] | None


RECIPES = {
    "euler": Recipe(EULER, wan_euler_sigmas, None),
    "unipc": Recipe(UNIPC, wan_unipc_sigmas, wan_unipc_times),
}


@dataclass(frozen=True)
class SolveConfig:
    """How one stage goes from noise to latents."""

    steps: int = 4
    shift: float = 11.0
    solver: Literal["euler", "unipc"] = "euler"
    guidance: Guidance = UNGUIDED
    within: Interval = field(default_factory=Interval)
    """Noise levels at which guidance is in force."""
    adaptive: bool = False
    """Adaptive projected guidance instead of plain guidance."""
    projection: Projection = field(default_factory=Projection)
    audio_gain: float = 1.0
    """Scales what the audio attention adds (Kling-Avatar)."""

    @property
    def recipe(self) -> Recipe:
        return RECIPES[self.solver]


@dataclass(frozen=True)
class BlueprintConfig:
    """The blueprint: one window that stands for the whole recording."""

    frames: int = 81
    hears: Literal["first", "spread"] = "first"
    """Sound of the window: the recording's first seconds at the model's own pace (as published), or that of the
    instants that its frames stand for."""
    shots: int = 8
    """Most shots that it attends to."""
    colour: float = 1.0
    """How far its colours are matched to the portrait's, 0 to 1."""
    solve: SolveConfig = field(default_factory=SolveConfig)


@dataclass(frozen=True)
class ClipConfig:
    """Sub-clips between two key frames.

    `repeat`: frames at its end that show the last key frame, of which all but the first are cut off again.
    `tail`: 1 tells the model that they are known; less only pulls it there, and lets go towards the end.
    """

    repeat: int = 5
    tail: float = 1.0
    shots: int = 3
    reads: Literal["first", "portrait"] = "first"
    """Picture whose tokens the model reads, where it reads those of one."""
    solve: SolveConfig = field(default_factory=SolveConfig)


@dataclass(frozen=True)
class SeamConfig:
    """Frames around an inner key frame that are made again from the sound at those instants.

    `drop`: frames lost at a sub-clip's end, the repeated key frames among them (SkyReels: 12); 0 keeps the seam as it
    is. `lead`: frames of the next sub-clip that are made again, the key frame first. `known`: frames on either side
    that the model is shown.
    """

    drop: int = 12
    lead: int = 8
    known: int = 5
    shots: int = 2
    solve: SolveConfig = field(default_factory=SolveConfig)


@dataclass(frozen=True)
class PublicConfig:
    """One family's cascade."""

    family: str
    """Of `avatar_jax.weights`; what DIR/transformer holds."""
    draft_family: str = ""
    """What DIR/blueprint holds, where there is one."""
    fps: int = 25
    """Frames per second that the model was trained with."""
    window: int = 81
    """Longest window, in frames."""
    area: int = 480 * 832
    """Pixels of a frame."""
    proportions: Literal["common", "portrait"] = "common"
    """Of a frame: the nearest of COMMON to the portrait's, or just the portrait's, which is compiled for it alone."""
    lengths: int = 3
    """Lengths of window that sub-clips round up to, each half the next, so that requests share compiled programs; 0
    compiles for every length as it comes."""
    rows: int = 1
    """Windows at a time for each device of the mesh's data axes."""
    numbers: Literal["bf16", "fp32"] = "bf16"
    """Of the denoiser and the encoders; the speech encoder is float32."""
    vae_numbers: Literal["bf16", "fp32"] = "fp32"
    keep_encoders: bool = False
    """Keep the text and speech encoders in memory for the next job."""
    hold: bool = True
    """Known first frames follow their own line from noise to data at every step (MultiTalk), not only the mask."""
    negative_prompt: str = "bad quality, blurry, worst quality, distorted face, deformed hands, subtitles, watermark"
    """What text guidance pushes away from, after the shot's own negative prompt."""
    corruption: Corruption = field(default_factory=Corruption)
    """Of the first frame of the negative branch, where guidance.negative is set (Kling-Avatar)."""
    blueprint: BlueprintConfig = field(default_factory=BlueprintConfig)
    keyframes: KeyframeConfig = field(
        default_factory=lambda: KeyframeConfig(
            nominal=64, reach=8, shortest=32, longest=76, identity_floor=0.5, occlusion_floor=0.4, clarity_floor=0.25
        )
    )
    clips: ClipConfig = field(default_factory=ClipConfig)
    seams: SeamConfig = field(default_factory=SeamConfig)


@dataclass(frozen=True)
class Public:
    """What a file of configs/ for a public family sets CONFIG to."""

    sample: PublicConfig
