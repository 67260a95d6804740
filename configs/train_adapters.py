"""Adapters on frozen public weights: what hears (audio attention, audio projector) and the director's attention.

Needs     DIR/transformer of a family that hears (configs/skyreels_a2v_19b.py says where from), and a latents set
          (docs/data.md, From shards to training). --video.hear=true adds hearing to an image-to-video family
          without it.
Memory    frozen weights in bfloat16; adapters, their moments and average in float32 (tpu.compile --what train)

    python train.py --config configs/train_adapters.py --out runs/adapters --mesh fsdp=8 \\
        --video.weights=weights/skyreels_a2v_19b --data=data/built

The adapters come out as OUT/overlay/video.safetensors under public names, to be laid over the same weights; the
director's attention, which no public model has, is in OUT/video.safetensors alone.
"""

from avatar_jax.training.video_stage import VideoConfig, VideoTraining

CONFIG = VideoTraining(VideoConfig(trained=("audio", "director")))
