"""A random Gemma 3n of a few thousand weights that hears and sees, with tokenizer and processor of its own.

Ears, text layers, embedders and processor are the real ones. Its eyes are a stand-in of the same form, as the real ones
come from timm, which needs a torchvision built for the very torch that is installed.
"""

from typing import Any

import torch
from transformers import (
    AutoModel,
    Gemma3nConfig,
    Gemma3nForConditionalGeneration,
    Gemma3nProcessor,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.gemma3n.configuration_gemma3n import Gemma3nVisionConfig
from transformers.models.gemma3n.feature_extraction_gemma3n import Gemma3nAudioFeatureExtractor
from transformers.models.siglip import SiglipImageProcessorPil

from avatar_jax.director.mllm.processors import without_video
from tests.director.tiny_thinkers import CONTROL, tokenizer

MARKS = {
    "boi_token": "<start_of_image>",
    "boa_token": "<start_of_audio>",
    "eoi_token": "<end_of_image>",
    "image_token": "<image_soft_token>",
    "eoa_token": "<end_of_audio>",
    "audio_token": "<audio_soft_token>",
}
"""In the order of the public vocabulary: what is seen comes after all text, what is heard after what is seen."""
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{% for part in message.content %}"
    "{% if part.type == 'audio' %}<audio_soft_token>{% elif part.type == 'image' %}<image_soft_token>"
    "{% else %}{{ part.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
SIDE, GRID, HEARD = 32, 4, 32
"""Pixels of a picture's side, its tokens along a side, and the tokens of a sound: 6.25 of them in a second."""


class SightConfig(Gemma3nVisionConfig):
    """The real configuration; its class leads to the stand-in."""

    model_type = "stand_in_sight"


class Sight(PreTrainedModel):
    """One convolution from a picture to a map of features, as timm's encoders give it."""

    config_class = SightConfig
    main_input_name = "pixel_values"

    def __init__(self, config: SightConfig) -> None:
        super().__init__(config)
        self.patches = torch.nn.Conv2d(3, config.hidden_size, SIDE // GRID, SIDE // GRID)
        self.post_init()

    def forward(self, pixel_values: torch.Tensor, **_: Any) -> BaseModelOutputWithPooling:
        return BaseModelOutputWithPooling(last_hidden_state=self.patches(pixel_values))  # pyright: ignore


AutoModel.register(SightConfig, Sight, exist_ok=True)


def gemma3n(seed: int) -> tuple[Any, Any]:
    """(model, processor)."""
    words = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer().backend_tokenizer,
        eos_token=CONTROL["eos_token"],
        pad_token=CONTROL["pad_token"],
        bos_token=CONTROL["start_token"],
        extra_special_tokens=MARKS,
    )
    place = {name: words.convert_tokens_to_ids(mark) for name, mark in MARKS.items()}
    parts = {
        "image_processor": SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE}),
        "feature_extractor": Gemma3nAudioFeatureExtractor(),
        "tokenizer": words,
    }
    lengths = {"audio_seq_length": HEARD, "image_seq_length": GRID * GRID}
    processor = without_video(Gemma3nProcessor, chat_template=TEMPLATE, **parts, **lengths)
    text = {
        "vocab_size": len(words),
        "vocab_size_per_layer_input": place["eoi_token"],
        "hidden_size": 16,
        "hidden_size_per_layer_input": 4,
        "intermediate_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "num_kv_shared_layers": 2,
        "altup_num_inputs": 2,
        "laurel_rank": 4,
        "activation_sparsity_pattern": [0.95, 0.0, 0.0, 0.0],
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
        "bos_token_id": words.bos_token_id,
    }
    hearing = {
        "vocab_size": 2,
        "vocab_offset": place["eoa_token"],
        "hidden_size": 16,
        "conf_num_attention_heads": 2,
        "conf_num_hidden_layers": 1,
        "sscp_conv_channel_size": [8, 4],
    }
    config = Gemma3nConfig(
        text_config=text,
        vision_config=SightConfig(hidden_size=16, vocab_size=2, vocab_offset=place["eoi_token"]),
        audio_config=hearing,
        audio_soft_tokens_per_image=HEARD,
        vision_soft_tokens_per_image=GRID * GRID,
        **{f"{name}_id": index for name, index in place.items()},
    )
    torch.manual_seed(seed)
    return Gemma3nForConditionalGeneration(config).eval(), processor
