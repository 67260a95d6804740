"""The embedded avatar: six small networks that make a talking portrait on two CPU cores.

    make -j2 train-embedded                               all, data included; stages alone 3.2 CPU-hours
    python train.py --config configs/embedded.py --out runs/embedded               all stages whose data is there
    python train.py --config configs/embedded.py --out runs/embedded --stage dit   one of them

| stage | learns | parameters | about |
|---|---|---|---|
| audio | phones and mouth shapes from log-mels | 0.55 M | 1200 CPU-s |
| layers | to take a portrait apart into layers that move | 2.5 M | 1800 CPU-s |
| codec | 8x8x32 latents of the face layer | 1.8 M | 1800 CPU-s |
| gate, judge | readers of mouth, face, identity: for sampling; for evaluation alone | 0.5 M, 1.2 M | 500, 900 CPU-s |
| dit | windows of latents from sound, prompt and key frames | 4 M | 4100 CPU-s |
| distil | the change of dit that makes it a student of few steps, on request | 0.4 M | 1200 CPU-s |

CPU-seconds are those of the run that made the shipped weights (docs/embedded.md).
"""

from dataclasses import dataclass, field

from avatar_jax.sampling.config import SampleConfig
from avatar_jax.training.audio_stage import AudioStageConfig
from avatar_jax.training.codec_stage import CodecStageConfig
from avatar_jax.training.distil_stage import DistilConfig
from avatar_jax.training.dit_stage import DitConfig
from avatar_jax.training.judge_stage import JudgeStageConfig
from avatar_jax.training.layers_stage import LayersStageConfig
from avatar_jax.training.loop import LoopConfig
from avatar_jax.training.reader_stage import ReaderStageConfig


@dataclass(frozen=True)
class Embedded:
    """All values of the embedded model's training; each may be overridden by `--dotted.name=value`."""

    data: str = "data/embedded"
    """Folder made by `python -m data_pipeline synthetic`."""
    loop: LoopConfig = field(default_factory=LoopConfig)
    audio: AudioStageConfig = field(default_factory=AudioStageConfig)
    layers: LayersStageConfig = field(default_factory=LayersStageConfig)
    codec: CodecStageConfig = field(default_factory=CodecStageConfig)
    gate: ReaderStageConfig = field(default_factory=ReaderStageConfig)
    judge: JudgeStageConfig = field(default_factory=JudgeStageConfig)
    dit: DitConfig = field(default_factory=DitConfig)
    distil: DistilConfig = field(default_factory=DistilConfig)
    """Trained where --stage distil asks for it: a student of `dit` in a few steps."""
    sample: SampleConfig = field(default_factory=SampleConfig)
    """Of the cascade; sample.py takes overrides relative to it, as in --size=768."""


CONFIG = Embedded()
