"""Low-rank changes of a public model's linear maps, and nothing else.

    python train.py --config configs/train_lora.py --out runs/lora --mesh fsdp=8 \\
        --video.weights=weights/infinitetalk_14b --data=data/built [--video.lora_rank=32]

OUT/lora/video.safetensors has public names; in DIR/lora of the same weights, sample.py merges it.
"""

from dataclasses import replace

from avatar_jax.training.optim import FINE_TUNE
from avatar_jax.training.video_stage import VideoConfig, VideoTraining

CONFIG = VideoTraining(
    VideoConfig(
        family="infinitetalk_14b",
        trained=("lora",),
        lora_rank=32,
        storyline=False,
        optimiser=replace(FINE_TUNE, rate=1e-4, weight_decay=0.0),
    )
)
