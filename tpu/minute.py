"""Static seconds for a video, from the cost of one step and of one window's decoding.

    frames    = seconds * fps
    segments  = ceil(frames / nominal distance of key frames)
    waves     = ceil(segments / (windows of one call * slices))
    sub-clips = waves * steps * seconds per step
    blueprint = steps * seconds per step * its branches / those of sub-clips      (one call, on one slice)
    seams     = ceil((segments - 1) / (windows * slices)) * steps * seconds per step * branches * share
    decoder   = waves * seconds to decode one call's windows
    video     = blueprint + sub-clips + seams + decoder

`share` is the arithmetic of a seam's shorter window by that of a sub-clip's; every stage is assumed to have the
sub-clips' resolution. Text, sound and picture encoders, and all that runs on the host, are not in it.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

from avatar_jax.models.video_model import VideoModelConfig
from avatar_jax.sampling.public.config import PublicConfig
from tpu.programs import Shape, flops_of, passes, vae_of


@dataclass(frozen=True)
class Costs:
    """Of one compiled call on one slice."""

    step_s: float
    decoder_s: float
    windows: int
    passes: int
    """Branches of the sub-clips' guidance, the blueprint's, and the seams'."""
    draft_passes: int
    seam_passes: int
    seam_share: float


def costs_of(config: PublicConfig, model: VideoModelConfig, row: dict[str, Any], decoder_s: float) -> Costs:
    """From the record of one call; `decoder_s` for all of its windows."""
    cell = vae_of(model, config).cell
    window = Shape(row["height"], row["width"], row["frames"])
    short = Shape(row["height"], row["width"], seam_frames(config) or row["frames"])
    return Costs(
        row["static_s_per_step"],
        decoder_s,
        row["windows"],
        passes(model, config.clips.solve),
        passes(model, config.blueprint.solve),
        passes(model, config.seams.solve),
        flops_of(model, short, 1, cell) / flops_of(model, window, 1, cell),
    )


@dataclass(frozen=True)
class Video:
    """Where the seconds go."""

    segments: int
    waves: int
    blueprint_s: float
    clips_s: float
    seams_s: float
    decoder_s: float

    @property
    def seconds(self) -> float:
        return self.blueprint_s + self.clips_s + self.seams_s + self.decoder_s

    def record(self) -> dict[str, float]:
        return {key: round(value, 3) for key, value in (asdict(self) | {"total_s": self.seconds}).items()}


def video(config: PublicConfig, costs: Costs, seconds: float = 60.0, slices: int = 1) -> Video:
    """Cost of `seconds` of video on `slices` slices that share its segments; the formula is this module's docstring."""
    segments = max(1, math.ceil(seconds * config.fps / config.keyframes.nominal))
    slots = costs.windows * slices
    waves = math.ceil(segments / slots)
    seam_waves = math.ceil((segments - 1) / slots) if config.seams.drop else 0
    seam = config.seams.solve.steps * costs.step_s * costs.seam_passes / costs.passes * costs.seam_share
    return Video(
        segments,
        waves,
        config.blueprint.solve.steps * costs.step_s * costs.draft_passes / costs.passes,
        waves * config.clips.solve.steps * costs.step_s,
        seam_waves * seam,
        waves * costs.decoder_s,
    )


def seam_frames(config: PublicConfig) -> int:
    """Frames of a seam's window; 0 if there are none."""
    seams = config.seams
    return 2 * seams.known + seams.drop - config.clips.repeat + seams.lead if seams.drop else 0
