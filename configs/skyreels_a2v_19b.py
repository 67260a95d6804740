"""SkyReels-V3-A2V-19B: the open weights that are nearest to Kling-Avatar; blueprint, key frames, sub-clips, four steps.

Sources     transformer      Skywork/SkyReels-V3-A2V-19B (older name: Skywork/SkyReels-V3-TalkingAvatar)
            vae, text_encoder, tokenizer, image_encoder      Wan-AI/Wan2.1-I2V-14B-480P-Diffusers (safetensors; the
            original repositories hold these three as pickles, which are refused)
            wav2vec2         TencentGameMate/chinese-wav2vec2-base, revision refs/pr/1 (safetensors)
Licence     Skywork Community License for the transformer (commercial use under its terms); the others Apache-2.0
Memory      18.882 B parameters: 37.8 GB in bfloat16, split over `fsdp` and `tensor`; UMT5 11.4 GB, read first and let
            go again; VAE, CLIP and wav2vec2 together 2.2 GB. A window of 81 frames at 480 x 832 has 32,760 tokens.

    W=weights/skyreels_a2v_19b
    hf download Skywork/SkyReels-V3-A2V-19B --local-dir $W/public
    hf download Wan-AI/Wan2.1-I2V-14B-480P-Diffusers --local-dir $W \\
        --include "vae/*" "text_encoder/*" "tokenizer/*" "image_encoder/*"
    hf download TencentGameMate/chinese-wav2vec2-base --revision refs/pr/1 --local-dir $W/wav2vec2
    python -m avatar_jax.weights --source $W/public --family skyreels_a2v_19b --mesh fsdp=8 --out $W/transformer
    python sample.py --config configs/skyreels_a2v_19b.py --weights $W --mesh data=2,fsdp=4 \\
        --image P.png --audio A.wav --prompt "a calm greeting" --out OUT

The conversion is optional (`transformer` may be the public folder itself), and makes every later start faster.

As published: 25 frames per second, windows of 81, shift 11, four Euler steps, no guidance; the blueprint hears the
first 81 frames; the last key frame repeated over five frames; twelve frames dropped at a sub-clip's end. Not as
published: sub-clips start from their own key frame, all at once, where the original continues from the last five frames
of the one before; the seams between them are made again from the sound. `--seams.drop=0` leaves seams hard;
`--clips.tail=0.7` makes the last key frame a wish.
Key frames are chosen without a reader of faces: a closed eye or mouth does not lower a score.
"""

from avatar_jax.sampling.public.config import Public, PublicConfig

CONFIG = Public(PublicConfig(family="skyreels_a2v_19b"))
