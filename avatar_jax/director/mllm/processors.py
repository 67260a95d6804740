"""Processors of models that hear and see, put together without their video part.

The video part alone needs torchvision, whose builds must match torch's; portraits and recordings do not need it.
"""

import json
from pathlib import Path
from typing import Any, ClassVar

import transformers
from transformers import AutoFeatureExtractor, AutoImageProcessor, AutoTokenizer, ProcessorMixin

PROCESSORS = {
    "qwen2_5_omni": "Qwen2_5OmniProcessor",
    "qwen2_5_omni_thinker": "Qwen2_5OmniProcessor",
    "qwen3_omni_moe": "Qwen3OmniMoeProcessor",
    "qwen3_omni_moe_thinker": "Qwen3OmniMoeProcessor",
    "gemma3n": "Gemma3nProcessor",
    "gemma4": "Gemma4Processor",
}
"""By model type. Names, because transformers imports a family's code (seconds) where its name is looked up."""


class NoVideo:
    """Stands where a video processor belongs; nothing ever asks it for more than this."""

    model_input_names: ClassVar[list[str]] = []


def without_video(kind: type[ProcessorMixin], **parts: Any) -> ProcessorMixin:
    """A processor of a class, made of image processor, feature extractor and tokenizer."""

    def check(self: ProcessorMixin, name: str, part: object) -> Any:
        return NoVideo if name == "video_processor" else kind.check_argument_for_proper_class(self, name, part)

    # The tokenizer's class is looked up by the processor's name, so the name stays.
    made = type(kind.__name__, (kind,), {"check_argument_for_proper_class": check})
    wanted = {"video_processor": NoVideo(), **parts} if "video_processor" in kind.get_attributes() else parts
    return made(**wanted)


def open_processor(path: Path, kind: str) -> ProcessorMixin:
    """The processor saved in a model's folder.

    Raises:
      OSError, ValueError: a file of it is missing or damaged.
    """
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    template = path / "chat_template.jinja"
    return without_video(
        getattr(transformers, PROCESSORS[kind]),
        image_processor=AutoImageProcessor.from_pretrained(path, local_files_only=True, backend="pil"),
        feature_extractor=AutoFeatureExtractor.from_pretrained(path, local_files_only=True),
        tokenizer=tokenizer,
        chat_template=template.read_text(encoding="utf-8") if template.is_file() else _older_template(path, tokenizer),
        **_numbers(path),
    )


def _numbers(path: Path) -> dict[str, int]:
    """Numbers of the processor itself, as how many tokens a picture takes."""
    file = path / "processor_config.json"
    saved = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {
        name: value for name, value in saved.items() if isinstance(value, int) and name.endswith(("length", "token"))
    }


def _older_template(path: Path, tokenizer: Any) -> str | None:
    """Folders of before 2025 keep it in chat_template.json, or in the tokenizer."""
    older = path / "chat_template.json"
    if older.is_file():
        return json.loads(older.read_text(encoding="utf-8"))["chat_template"]
    return tokenizer.chat_template
