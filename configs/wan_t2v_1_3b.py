"""Wan2.1-T2V-1.3B: a text model; it hears nothing and has no input for pictures. For drafts of a storyline on one chip.

Sources     transformer, vae, text_encoder, tokenizer        Wan-AI/Wan2.1-T2V-1.3B-Diffusers
            image_encoder    Wan-AI/Wan2.1-I2V-14B-480P-Diffusers (compares key frames with the portrait)
Licence     Apache-2.0
Memory      1.419 B parameters: 2.8 GB in bfloat16; UMT5 11.4 GB, read first and let go again

    W=weights/wan_t2v_1_3b
    hf download Wan-AI/Wan2.1-T2V-1.3B-Diffusers --local-dir $W
    hf download Wan-AI/Wan2.1-I2V-14B-480P-Diffusers --include "image_encoder/*" --local-dir $W
    python sample.py --config configs/wan_t2v_1_3b.py --weights $W --fps 16 \\
        --image P.png --audio A.wav --prompt "happy, then sad; push in" --out OUT

What it can do: show what the director's words alone look like, through every stage of the cascade. The portrait and the
key frames are held in place while everything else is denoised around them (replacement, which no training prepared
it for): expect the picture to leave the portrait soon after a key frame. It is no talking avatar. Wan's settings:
16 frames per second, 81 frames, UniPC with shift 8 in 50 steps, text guidance 6.
"""

from avatar_jax.diffusion.guidance import Guidance
from avatar_jax.sampling.public.config import BlueprintConfig, ClipConfig, Public, PublicConfig, SeamConfig, SolveConfig

SOLVE = SolveConfig(steps=50, shift=8.0, solver="unipc", guidance=Guidance(text=6.0, audio=1.0))

CONFIG = Public(
    PublicConfig(
        family="wan_t2v_1_3b",
        fps=16,
        blueprint=BlueprintConfig(solve=SOLVE),
        clips=ClipConfig(solve=SOLVE),
        seams=SeamConfig(drop=0, solve=SOLVE),
    )
)
