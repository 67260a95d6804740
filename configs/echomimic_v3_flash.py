"""EchoMimicV3-Flash, 1.9 B: the audio model that fits one chip; its base was trained for first and last pictures.

Sources     transformer      BadToBest/EchoMimicV3, diffusion_pytorch_model.safetensors of the Flash release, with the
                             config.json of alibaba-pai/Wan2.1-Fun-V1.1-1.3B-InP beside it
            vae, text_encoder, tokenizer, image_encoder      Wan-AI/Wan2.1-I2V-14B-480P-Diffusers (the same frozen
            parts; the Fun repository holds pickles)
            wav2vec2         TencentGameMate/chinese-wav2vec2-base, revision refs/pr/1
Licence     Apache-2.0, all of them
Memory      1.864 B parameters: 3.7 GB in bfloat16; UMT5 11.4 GB, read first and let go again

    W=weights/echomimic_v3_flash
    mkdir -p $W/transformer          and put the two files of the transformer there
    hf download Wan-AI/Wan2.1-I2V-14B-480P-Diffusers --local-dir $W \\
        --include "vae/*" "text_encoder/*" "tokenizer/*" "image_encoder/*"
    hf download TencentGameMate/chinese-wav2vec2-base --revision refs/pr/1 --local-dir $W/wav2vec2
    python sample.py --config configs/echomimic_v3_flash.py --weights $W \\
        --image P.png --audio A.wav --prompt "a calm greeting" --out OUT

As published: 25 frames per second, at most 81 frames, UniPC with shift 5 in eight steps, guidance by sound alone (3).
Start and end picture together with sound work by construction of the base model; the authors show the start alone.
Seams stay hard here; `--seams.drop=8 --seams.lead=8` makes them again from the sound.
"""

from avatar_jax.diffusion.guidance import Guidance
from avatar_jax.sampling.public.config import BlueprintConfig, ClipConfig, Public, PublicConfig, SeamConfig, SolveConfig

SOLVE = SolveConfig(steps=8, shift=5.0, solver="unipc", guidance=Guidance(text=1.0, audio=3.0))

CONFIG = Public(
    PublicConfig(
        family="echomimic_v3_flash",
        hold=False,
        blueprint=BlueprintConfig(solve=SOLVE),
        clips=ClipConfig(repeat=1, reads="portrait", solve=SOLVE),
        seams=SeamConfig(drop=0, solve=SOLVE),
    )
)
