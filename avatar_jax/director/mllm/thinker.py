"""Multimodal language models of transformers in this process: Qwen3-Omni and Qwen2.5-Omni thinkers, Gemma 3n and 4.

The only file of the package that imports torch; it is imported when `--director transformers:PATH` asks for it. Every
token is chosen among those that the schema allows (llguidance), so a model that knows nothing answers in form as well.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer
from PIL import Image
from safetensors import SafetensorError
from transformers import AutoConfig, LogitsProcessor, LogitsProcessorList

from avatar_jax.director.mllm.chat import Message, NoAnswer, Picture, Sound
from avatar_jax.director.mllm.draft import most_bytes
from avatar_jax.director.mllm.processors import open_processor
from avatar_jax.media import BadInput

MODELS = {
    "qwen2_5_omni": "Qwen2_5OmniThinkerForConditionalGeneration",
    "qwen2_5_omni_thinker": "Qwen2_5OmniThinkerForConditionalGeneration",
    "qwen3_omni_moe": "Qwen3OmniMoeThinkerForConditionalGeneration",
    "qwen3_omni_moe_thinker": "Qwen3OmniMoeThinkerForConditionalGeneration",
    "gemma3n": "Gemma3nForConditionalGeneration",
    "gemma4": "Gemma4ForConditionalGeneration",
}
WHOLE = "a whole model folder, as saved or downloaded"
LONGEST_S = 600.0
"""Seconds that one answer may take."""
LARGEST = 1024
"""The longer side of the portrait as a model sees it, in pixels."""


class Guide(LogitsProcessor):
    """Forbids every token after which the answer could no longer become JSON of the schema. For one answer only."""

    def __init__(self, tokenizer: LLTokenizer, schema: dict[str, Any], prompt_tokens: int) -> None:
        # Without free white space an answer's length has a bound.
        grammar = LLMatcher.grammar_from_json_schema(schema, overrides={"whitespace_flexible": False})
        self.matcher = LLMatcher(tokenizer, grammar)
        self.end = tokenizer.eos_token
        self.read = prompt_tokens

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.matcher.consume_tokens(input_ids[0, self.read :].tolist())
        self.read = input_ids.shape[1]
        if self.matcher.is_error():
            raise NoAnswer(f"constrained decoding failed: {self.matcher.get_error()[:200]}")
        allowed = torch.zeros(scores.shape[-1], dtype=torch.bool)
        if self.matcher.is_stopped():
            allowed[self.end] = True
        else:
            bits = torch.frombuffer(bytearray(self.matcher.compute_bitmask()), dtype=torch.uint8)
            unpacked = (bits[:, None] >> torch.arange(8, dtype=torch.uint8)) & 1
            count = min(len(allowed), unpacked.numel())
            allowed[:count] = unpacked.flatten()[:count].bool()
        return scores.masked_fill(~allowed.to(scores.device), -torch.inf)


@dataclass
class Thinker:
    """A model with its processor. With `seed` it samples, without it takes the likeliest token."""

    model: Any
    processor: Any
    name: str
    seed: int | None = None

    def __post_init__(self) -> None:
        vocabulary = self.model.get_output_embeddings().weight.shape[0]
        self.vocabulary = from_tokenizer(self.processor.tokenizer, n_vocab=vocabulary)

    def ask(self, messages: Sequence[Message], schema: dict[str, Any]) -> str:
        """The answer's JSON text.

        Raises:
          NoAnswer: the model could not take the input, ran out of time or memory.
        """
        try:
            with torch.inference_mode():
                return self._answer(messages, schema)
        except (RuntimeError, ValueError, IndexError, KeyError, TypeError) as error:
            if isinstance(error, NoAnswer):
                raise
            raise NoAnswer(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error

    def _answer(self, messages: Sequence[Message], schema: dict[str, Any]) -> str:
        inputs = self.processor.apply_chat_template(
            [_turn(message) for message in messages],
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            add_generation_prompt=True,
            # The user's words may hold the model's own control tokens; they stay plain text.
            sanitize_control_tokens=True,
        ).to(self.model.device, self.model.dtype)
        prompt = inputs["input_ids"].shape[1]
        if self.seed is not None:
            torch.manual_seed(self.seed)
        tokens = self.model.generate(
            **inputs,
            logits_processor=LogitsProcessorList([Guide(self.vocabulary, schema, prompt)]),
            max_new_tokens=most_bytes(schema) + 8,
            max_time=LONGEST_S,
            do_sample=self.seed is not None,
            top_k=0,
            eos_token_id=self.vocabulary.eos_token,
            pad_token_id=self.vocabulary.eos_token,
        )
        return self.processor.tokenizer.decode(tokens[0, prompt:], skip_special_tokens=True)


def _turn(message: Message) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    for part in message.parts:
        match part:
            case Sound():
                content.append({"type": "audio", "audio": part.mono})
            case Picture():
                picture = Image.fromarray(part.rgb)
                picture.thumbnail((LARGEST, LARGEST))
                content.append({"type": "image", "image": picture})
            case str():
                content.append({"type": "text", "text": part})
    return {"role": message.role, "content": content}


def open_thinker(path: Path) -> Thinker:
    """The model saved in a folder, on the GPU where there is one.

    Raises:
      BadInput: it cannot be read, or is none of the models that hear and see.
    """
    what = f"--director transformers:{path}"
    try:
        kind = json.loads((path / "config.json").read_text(encoding="utf-8")).get("model_type", "")
        if kind not in MODELS:
            rule = "a model that hears and sees: Qwen3-Omni, Qwen2.5-Omni, Gemma 3n or Gemma 4"
            raise BadInput(what, f"model_type {kind!r}", rule, "name the folder of one of these")
        cuda = torch.cuda.is_available()
        config = AutoConfig.from_pretrained(path)
        model, loaded = getattr(transformers, MODELS[kind]).from_pretrained(
            path,
            config=getattr(config, "thinker_config", config),
            dtype="auto" if cuda else torch.float32,
            local_files_only=True,
            output_loading_info=True,
        )
        if missing := sorted(loaded["missing_keys"]):
            # transformers would fill them with random numbers.
            raise BadInput(what, f"{len(missing)} weights are missing, {missing[0]} first", WHOLE, "download it again")
        processor = open_processor(path, kind)
        return Thinker(model.to("cuda" if cuda else "cpu").eval(), processor, f"transformers:{path.resolve().name}")
    except BadInput:
        raise
    except ImportError as error:
        rule = "the libraries of this family: Gemma 3n sees through timm and the torchvision of the installed torch"
        raise BadInput(what, " ".join(str(error).split())[:200], rule, "pip install timm torchvision") from error
    except (OSError, ValueError, RuntimeError, KeyError, AttributeError, SafetensorError) as error:
        got = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise BadInput(what, got, WHOLE, "download it again") from error
