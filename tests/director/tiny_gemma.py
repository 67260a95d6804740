"""A random Gemma 4 of a few thousand weights that hears and sees, with tokenizer and processor of its own."""

from typing import Any

import torch
from transformers import Gemma4Config, Gemma4ForConditionalGeneration, Gemma4Processor, PreTrainedTokenizerFast
from transformers.models.gemma4.feature_extraction_gemma4 import Gemma4AudioFeatureExtractor
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

from avatar_jax.director.mllm.processors import without_video
from tests.director.tiny_thinkers import CONTROL, tokenizer

MARKS = {
    "image_token": "<|image|>",
    "boi_token": "<|image>",
    "eoi_token": "<image|>",
    "audio_token": "<|audio|>",
    "boa_token": "<|audio>",
    "eoa_token": "<audio|>",
}
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{% for part in message.content %}"
    "{% if part.type == 'audio' %}<|audio|>{% elif part.type == 'image' %}<|image|>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)


def gemma4(seed: int) -> tuple[Any, Any]:
    """(model, processor)."""
    words = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer().backend_tokenizer,
        eos_token=CONTROL["eos_token"],
        pad_token=CONTROL["pad_token"],
        bos_token=CONTROL["start_token"],
        extra_special_tokens=MARKS,
    )
    eyes = Gemma4ImageProcessorPil(max_soft_tokens=70)
    parts = {"image_processor": eyes, "feature_extractor": Gemma4AudioFeatureExtractor(), "tokenizer": words}
    processor = without_video(Gemma4Processor, chat_template=TEMPLATE, **parts)
    small = {"hidden_size": 16, "num_attention_heads": 2}
    text = {
        "vocab_size": len(words),
        "vocab_size_per_layer_input": len(words),
        "hidden_size_per_layer_input": 4,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "layer_types": ["sliding_attention", "full_attention"],
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
        "bos_token_id": words.bos_token_id,
    }
    sight = {"intermediate_size": 16, "num_hidden_layers": 1, "num_key_value_heads": 2, "head_dim": 8}
    hearing = {"num_hidden_layers": 1, "subsampling_conv_channels": [128, 4], "output_proj_dims": 16}
    config = Gemma4Config(
        text_config=small | text,
        vision_config=small | sight | {"position_embedding_size": 1024},
        audio_config=small | hearing,
        eoa_token_index=words.convert_tokens_to_ids(MARKS["eoa_token"]),
        video_token_id=words.convert_tokens_to_ids("<|video|>"),
        **{f"{name}_id": words.convert_tokens_to_ids(mark) for name, mark in MARKS.items() if name != "eoa_token"},
    )
    torch.manual_seed(seed)
    return Gemma4ForConditionalGeneration(config).eval(), processor
