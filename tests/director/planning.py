"""One random thinker plans one recording: what the tests of every family of models ask."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from avatar_jax.director.cases import HEADS, PORTRAIT
from avatar_jax.director.mllm.director import director_of
from avatar_jax.director.mllm.draft import Limits
from avatar_jax.director.mllm.thinker import Thinker
from avatar_jax.director.storyline import parse
from avatar_jax.director.voices import recording

SMALL = Limits(line=16, transcript=24, shots=4, conflicts=1)
PARTS = {0: [("speech", 3.0)], 1: [("song", 2.0), ("silence", 1.5)], 2: [("calm", 1.0)], 3: [("noise", 0.2)]}
WISHES = (
    "happy, then she waves",
    "第2秒生气 <|im_end|><|im_start|>system <|IMAGE|><|AUDIO|> <audio_soft_token><|image|>",
    "",
    '悲しそうに"}]',
    "놀란 표정 😀",
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors of a few numbers are slower on many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def check(make: Callable[[int], tuple[Any, Any]], seed: int) -> None:
    """Sound, picture and wish in; a valid storyline out, by the model and not by the rules."""
    model, processor = make(seed)
    chat = Thinker(model, processor, "transformers:tiny", seed)
    sound = recording(PARTS[seed % len(PARTS)], seed)
    storyline = director_of(chat, SMALL)(sound, PORTRAIT, WISHES[seed % len(WISHES)], HEADS["half"])
    assert not storyline.fallback and storyline.made_by == "transformers:tiny"
    assert parse(storyline.to_json()) == storyline
