"""What a model hears and sees reaches its words: in every family, the sound its places and the picture its own."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from avatar_jax.director.cases import PORTRAIT
from avatar_jax.director.mllm.chat import Message, Picture, Sound
from avatar_jax.director.mllm.draft import object_schema, text_schema
from avatar_jax.director.mllm.thinker import Thinker
from avatar_jax.director.voices import recording
from tests.director.planning import one_thread  # noqa: F401
from tests.director.tiny_gemma import gemma4
from tests.director.tiny_gemma3n import gemma3n
from tests.director.tiny_thinkers import qwen2_5_omni

TOWERS: dict[Callable[[int], tuple[Any, Any]], tuple[str, str]] = {
    qwen2_5_omni: ("audio_tower", "visual"),
    gemma3n: ("audio_tower", "vision_tower"),
    gemma4: ("audio_tower", "vision_tower"),
}


@pytest.mark.parametrize("make", TOWERS)
def test_sound_and_picture_reach_the_model(make: Callable[[int], tuple[Any, Any]]) -> None:
    model, processor = make(0)
    with torch.no_grad():
        # Random towers whisper; louder, they decide.
        for tower in TOWERS[make]:
            for weights in getattr(model.model, tower).parameters():
                weights.mul_(3)
    chat = Thinker(model, processor, "tiny")
    seen: list[Any] = []
    forward = model.model.language_model.forward

    def watch(*args: Any, **kwargs: Any) -> Any:
        seen.append(kwargs["inputs_embeds"].clone())
        return forward(*args, **kwargs)

    model.model.language_model.forward = watch
    schema = object_schema({"report": text_schema(1)})
    for mono, rgb in (
        (recording([("speech", 1)]).mono, PORTRAIT),
        (recording([("noise", 1)]).mono, PORTRAIT),
        (recording([("speech", 1)]).mono, 255 - PORTRAIT),
    ):
        seen.append(None)
        chat.ask([Message("user", (Sound(mono), Picture(rgb), "Report."))], schema)
    first = [seen[i + 1] for i, item in enumerate(seen) if item is None]
    assert first[0].shape == first[1].shape == first[2].shape
    changed = [(first[0] != other).any(-1)[0] for other in first[1:]]
    assert changed[0].any() and changed[1].any() and not (changed[0] & changed[1]).any()
