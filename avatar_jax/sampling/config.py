"""All values of the sampling cascade; each may be overridden by `--dotted.name=value`."""

from dataclasses import dataclass, field

from avatar_jax.sampling.blinks import BlinkConfig
from avatar_jax.sampling.blueprint import BlueprintConfig
from avatar_jax.sampling.gate import GateConfig
from avatar_jax.sampling.insertion import InsertionConfig
from avatar_jax.sampling.keyframes import KeyframeConfig
from avatar_jax.sampling.seams import SeamConfig
from avatar_jax.sampling.segments import SegmentConfig


@dataclass(frozen=True)
class SampleConfig:
    """`size`: side of the video in pixels, even; `rows`: windows per call of the compiled denoiser."""

    size: int = 512
    rows: int = 8
    student: bool = True
    """Sample with the distilled student where the weights have one: `solver` of all parts is then its own."""
    one_prompt: bool = False
    """Every frame is told the prompts of all shots in one sentence and the camera makes one move: what a system without
    a timeline does, to compare with."""
    blinks: BlinkConfig = field(default_factory=BlinkConfig)
    blueprint: BlueprintConfig = field(default_factory=BlueprintConfig)
    keyframes: KeyframeConfig = field(default_factory=KeyframeConfig)
    segment: SegmentConfig = field(default_factory=SegmentConfig)
    seams: SeamConfig = field(default_factory=SeamConfig)
    insertion: InsertionConfig = field(default_factory=InsertionConfig)
    gate: GateConfig = field(default_factory=GateConfig)
