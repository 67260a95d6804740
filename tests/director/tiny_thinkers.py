"""Random thinkers of a few thousand weights with tokenizer and processor of their own: real architectures, no files."""

import json
from collections.abc import Callable
from typing import Any

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import ProcessorMixin, Qwen2Tokenizer, WhisperFeatureExtractor
from transformers.models.qwen2_5_omni import (
    Qwen2_5OmniProcessor,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
)
from transformers.models.qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen3_omni_moe import (
    Qwen3OmniMoeProcessor,
    Qwen3OmniMoeThinkerConfig,
    Qwen3OmniMoeThinkerForConditionalGeneration,
)

from avatar_jax.director.mllm.examples import EXAMPLES
from avatar_jax.director.mllm.processors import without_video

CONTROL = {
    "pad_token": "<|endoftext|>",
    "eos_token": "<|im_end|>",
    "start_token": "<|im_start|>",
    "image_token": "<|IMAGE|>",
    "audio_token": "<|AUDIO|>",
    "video_token": "<|VIDEO|>",
    "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
    "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
}
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{% for part in message.content %}"
    "{% if part.type == 'audio' %}<|audio_bos|><|AUDIO|><|audio_eos|>"
    "{% elif part.type == 'image' %}<|vision_bos|><|IMAGE|><|vision_eos|>"
    "{% else %}{{ part.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)


def tokenizer() -> Qwen2Tokenizer:
    """Byte-level BPE trained on the worked examples, so that keys and vocabulary are single tokens."""
    bpe = ByteLevelBPETokenizer()
    plans = [json.dumps(plan, ensure_ascii=False, separators=(",", ":")) for _, plan in EXAMPLES]
    bpe.train_from_iterator(plans * 20, vocab_size=700, min_frequency=2, show_progress=False)
    state = json.loads(bpe._tokenizer.to_str())["model"]
    merges = [tuple(merge) if isinstance(merge, list) else tuple(merge.split(" ")) for merge in state["merges"]]
    extra = {name: token for name, token in CONTROL.items() if name not in ("pad_token", "eos_token", "start_token")}
    made = Qwen2Tokenizer(
        vocab=state["vocab"],
        merges=merges,
        eos_token=CONTROL["eos_token"],
        pad_token=CONTROL["pad_token"],
        extra_special_tokens=extra,
    )
    made.add_special_tokens({"additional_special_tokens": [CONTROL["start_token"]]})
    return made


def _processor(kind: type[ProcessorMixin], patch: int, words: Qwen2Tokenizer) -> ProcessorMixin:
    area = 4 * patch * patch
    ears = WhisperFeatureExtractor(feature_size=16, sampling_rate=16_000, hop_length=160, chunk_length=4, n_fft=400)
    eyes = Qwen2VLImageProcessorPil(
        patch_size=patch, merge_size=2, temporal_patch_size=2, size={"shortest_edge": area, "longest_edge": 4 * area}
    )
    parts = {"image_processor": eyes, "feature_extractor": ears, "tokenizer": words, "chat_template": TEMPLATE}
    return without_video(kind, **parts)


def _text(vocabulary: int) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 65536,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]},
    }


def _hearing() -> dict[str, Any]:
    return {
        "num_mel_bins": 16,
        "encoder_layers": 1,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 16,
        "d_model": 16,
        "output_dim": 16,
        "max_source_positions": 400,
    }


def _sight(patch: int) -> dict[str, Any]:
    return {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "patch_size": patch,
        "out_hidden_size": 16,
    }


def _ids(words: Qwen2Tokenizer, names: dict[str, str]) -> dict[str, int]:
    return {field: words.convert_tokens_to_ids(CONTROL[token]) for field, token in names.items()}


def qwen2_5_omni(seed: int) -> tuple[Any, Any]:
    """(model, processor) of a Qwen2.5-Omni thinker."""
    words = tokenizer()
    names = {
        "audio_token_index": "audio_token",
        "image_token_index": "image_token",
        "video_token_index": "video_token",
        "audio_start_token_id": "audio_bos_token",
        "audio_end_token_id": "audio_eos_token",
    }
    marks = {"vision_start_token_id": "vision_bos_token", "vision_end_token_id": "vision_eos_token"}
    config = Qwen2_5OmniThinkerConfig(
        text_config=_text(len(words)),
        audio_config=_hearing() | {"n_window": 20},
        vision_config=_sight(14) | {"window_size": 28, "fullatt_block_indexes": [0]},
        **_ids(words, names | marks),
    )
    torch.manual_seed(seed)
    model = Qwen2_5OmniThinkerForConditionalGeneration(config).eval()
    return model, _processor(Qwen2_5OmniProcessor, 14, words)


def qwen3_omni(seed: int) -> tuple[Any, Any]:
    """(model, processor) of a Qwen3-Omni thinker, a mixture of experts."""
    words = tokenizer()
    names = {
        "audio_token_id": "audio_token",
        "image_token_id": "image_token",
        "video_token_id": "video_token",
        "audio_start_token_id": "audio_bos_token",
    }
    marks = {
        "audio_end_token_id": "audio_eos_token",
        "vision_start_token_id": "vision_bos_token",
        "vision_end_token_id": "vision_eos_token",
    }
    experts = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16, "decoder_sparse_step": 1}
    config = Qwen3OmniMoeThinkerConfig(
        text_config=_text(len(words)) | experts,
        audio_config=_hearing() | {"n_window": 50, "n_window_infer": 100, "downsample_hidden_size": 8},
        vision_config=_sight(16) | {"num_position_embeddings": 64, "deepstack_visual_indexes": [0]},
        **_ids(words, names | marks),
    )
    torch.manual_seed(seed)
    model = Qwen3OmniMoeThinkerForConditionalGeneration(config).eval()
    return model, _processor(Qwen3OmniMoeProcessor, 16, words)


FAMILIES: dict[str, Callable[[int], tuple[Any, Any]]] = {"qwen2_5_omni": qwen2_5_omni, "qwen3_omni": qwen3_omni}
