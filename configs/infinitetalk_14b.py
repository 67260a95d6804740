"""InfiniteTalk 14B (single speaker): Wan2.1-I2V-14B-480P with an audio adapter laid over it; all Apache-2.0.

Sources     transformer      Wan-AI/Wan2.1-I2V-14B-480P (or -Diffusers, its transformer folder)
            overlay          MeiGen-AI/InfiniteTalk, single/infinitetalk.safetensors; MultiTalk's adapter fits too
            lora             optional: a four- or eight-step distillation LoRA of Wan2.1-I2V-14B
            vae, text_encoder, tokenizer, image_encoder      Wan-AI/Wan2.1-I2V-14B-480P-Diffusers
            wav2vec2         TencentGameMate/chinese-wav2vec2-base, revision refs/pr/1
Licence     Apache-2.0, all of them
Memory      18.882 B parameters: 37.8 GB in bfloat16, split over `fsdp` and `tensor`; UMT5 11.4 GB, read first and let
            go again. Guidance by text and sound makes three passes, which run as one batch of three windows.

    W=weights/infinitetalk_14b
    hf download Wan-AI/Wan2.1-I2V-14B-480P-Diffusers --local-dir $W \\
        --include "transformer/*" "vae/*" "text_encoder/*" "tokenizer/*" "image_encoder/*"
    hf download MeiGen-AI/InfiniteTalk single/infinitetalk.safetensors --local-dir $W/public
    mkdir -p $W/overlay && mv $W/public/single/infinitetalk.safetensors $W/overlay/
    hf download TencentGameMate/chinese-wav2vec2-base --revision refs/pr/1 --local-dir $W/wav2vec2
    python sample.py --config configs/infinitetalk_14b.py --weights $W --mesh data=2,fsdp=4 \\
        --image P.png --audio A.wav --prompt "a calm greeting" --out OUT

Faster starts: python -m avatar_jax.weights --source $W/transformer --overlay $W/overlay --family infinitetalk_14b
--out $W/converted, then make that folder `transformer` and take `overlay` away.
One pass instead of three, with a distillation LoRA in $W/lora (merged at full strength):
    --blueprint.solve.guidance.text=1 --blueprint.solve.guidance.audio=1 --blueprint.solve.steps=4 and the same for
    --clips.solve and --seams.solve.

As published: 25 frames per second, windows of 81, 40 Euler steps with shift 7 (480p), guidance 5 by text and 4 by
sound, nine known frames where a window continues another (here: in the seams' windows).
The model was trained to begin on known frames, not to end on them: the last key frame is a pull that fades with the
noise (`--clips.tail=1` tells the model of it instead), and seams are made again from the sound.
"""

from avatar_jax.diffusion.guidance import Guidance
from avatar_jax.sampling.public.config import BlueprintConfig, ClipConfig, Public, PublicConfig, SeamConfig, SolveConfig

SOLVE = SolveConfig(steps=40, shift=7.0, guidance=Guidance(text=5.0, audio=4.0))

CONFIG = Public(
    PublicConfig(
        family="infinitetalk_14b",
        blueprint=BlueprintConfig(solve=SOLVE),
        clips=ClipConfig(tail=0.7, reads="portrait", solve=SOLVE),
        seams=SeamConfig(known=9, solve=SOLVE),
    )
)
