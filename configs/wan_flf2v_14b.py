"""Wan2.1-FLF2V-14B: sub-clips from a first and a last picture, without sound; the lips do not follow the recording.

Sources     transformer, vae, text_encoder, tokenizer, image_encoder      Wan-AI/Wan2.1-FLF2V-14B-720P-diffusers
            blueprint        optional: transformer of Wan-AI/Wan2.1-I2V-14B-480P-Diffusers. Without it the same model
                             makes the blueprint from the first picture alone, for which it was not trained
Licence     Apache-2.0
Memory      16.396 B parameters: 32.8 GB in bfloat16, split over `fsdp` and `tensor`; as much again for the blueprint's
            model, which is let go before sub-clips are made; UMT5 11.4 GB, read first and let go again.
            A window of 81 frames at 720 x 1280 has 75,600 tokens; --area=399360 is 480 x 832, with 32,760.

    W=weights/wan_flf2v_14b
    hf download Wan-AI/Wan2.1-FLF2V-14B-720P-diffusers --local-dir $W
    hf download Wan-AI/Wan2.1-I2V-14B-480P-Diffusers --include "transformer/*" --local-dir $W/i2v
    mv $W/i2v/transformer $W/blueprint
    python sample.py --config configs/wan_flf2v_14b.py --weights $W --mesh data=2,fsdp=4 --fps 16 \\
        --image P.png --audio A.wav --prompt "a calm greeting" --out OUT

What it is good for: a silent baseline of the cascade (storyline, blueprint, key frames, sub-clips side by side), in
which all that is missing is sound. Wan's own settings: 16 frames per second, 81 frames, UniPC with shift 16 in 50
steps, text guidance 5; 3 and 40 for image-to-video at 480p. Other rates than --fps 16 repeat or skip its frames.
"""

from avatar_jax.diffusion.guidance import Guidance
from avatar_jax.sampling.public.config import BlueprintConfig, ClipConfig, Public, PublicConfig, SeamConfig, SolveConfig

GUIDANCE = Guidance(text=5.0, audio=1.0)
SOLVE = SolveConfig(steps=50, shift=16.0, solver="unipc", guidance=GUIDANCE)

CONFIG = Public(
    PublicConfig(
        family="wan_flf2v_14b",
        draft_family="wan_i2v_14b",
        fps=16,
        area=720 * 1280,
        hold=False,
        blueprint=BlueprintConfig(solve=SolveConfig(steps=40, shift=3.0, solver="unipc", guidance=GUIDANCE)),
        clips=ClipConfig(repeat=1, solve=SOLVE),
        seams=SeamConfig(drop=0, solve=SOLVE),
    )
)
