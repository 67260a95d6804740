"""Random Gemmas 3n and 4 hear, see and read, and plan without ever falling back to the rules."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from transformers.utils import is_timm_available

from avatar_jax.director.cases import PORTRAIT
from avatar_jax.director.choose import choose_director
from avatar_jax.director.mllm.chat import Message, Picture, Sound
from avatar_jax.director.mllm.draft import Report, object_schema, text_schema
from avatar_jax.director.mllm.processors import open_processor
from avatar_jax.director.mllm.thinker import Thinker
from avatar_jax.director.voices import recording
from avatar_jax.media import BadInput
from tests.director.planning import check, one_thread  # noqa: F401
from tests.director.tiny_gemma import gemma4
from tests.director.tiny_gemma3n import GRID, HEARD, gemma3n


def test_a_random_gemma_plans() -> None:
    check(gemma3n, 0)


@pytest.mark.slow
@pytest.mark.parametrize("make", [gemma3n, gemma4])
def test_twenty_five_random_gemmas_plan(make: Callable[[int], tuple[Any, Any]]) -> None:
    """As many seeds as fit a minute of a quiet core."""
    for seed in range(25):
        check(make, seed)


def test_a_saved_processor_of_gemma_3n_is_opened_from_its_folder(tmp_path: Path) -> None:
    """The files and the names of classes are those of the public folders."""
    model, processor = gemma3n(0)
    processor.tokenizer.save_pretrained(tmp_path)
    senses = processor.image_processor.to_dict() | json.loads(processor.feature_extractor.to_json_string())
    senses |= {
        "image_processor_type": "SiglipImageProcessorFast",
        "feature_extractor_type": "Gemma3nAudioFeatureExtractor",
        "processor_class": "Gemma3nProcessor",
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(senses))
    lengths = {"audio_seq_length": HEARD, "image_seq_length": GRID * GRID, "processor_class": "Gemma3nProcessor"}
    (tmp_path / "processor_config.json").write_text(json.dumps(lengths))
    (tmp_path / "chat_template.jinja").write_text(processor.chat_template)
    opened = open_processor(tmp_path, "gemma3n")
    turn = [Message("user", (Sound(recording([("speech", 1)]).mono), Picture(PORTRAIT), "Report."))]
    schema = object_schema({"report": text_schema(4)})
    said = [Thinker(model, one, "tiny").ask(turn, schema) for one in (processor, opened)]
    assert said[0] == said[1] and Report.model_validate_json(said[0])


@pytest.mark.skipif(is_timm_available(), reason="says what to do where timm is missing")
def test_the_missing_eyes_of_gemma_3n_are_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gemma3n"}')
    save_file({}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadInput, match="timm") as error:
        choose_director(f"transformers:{tmp_path}")
    assert error.value.fix == "pip install timm torchvision" and len(str(error.value).splitlines()) == 3
