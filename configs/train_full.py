"""All weights of a public model but its attention to text, which keeps what it knows of words (Kling-Avatar).

Memory    parameters, two moments and an average in float32, 16 bytes a parameter; --video.optimiser.ema=0 saves 4,
          --video.optimiser.moments=bf16 2, --video.optimiser.offload=true keeps the moments on the hosts

    python train.py --config configs/train_full.py --out runs/full --mesh fsdp=64 \\
        --video.weights=weights/wan_i2v_14b --data=data/built

For an image-to-video family without sound: --video.hear=true.
"""

from avatar_jax.training.video_stage import VideoConfig, VideoTraining

CONFIG = VideoTraining(VideoConfig(family="wan_i2v_14b", trained=(".*",), kept=("text",), hear=True, storyline=False))
