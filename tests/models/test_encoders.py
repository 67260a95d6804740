"""The public encoders: full sizes, tokens, windows over long sound, sharding, and none of it needs torch."""

import math
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict
from tokenizers import Tokenizer
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import Metaspace
from tokenizers.processors import TemplateProcessing

from avatar_jax.mesh import make_mesh, parameter_shardings
from avatar_jax.models.umt5 import PromptTokenizer, cleaned, distance_buckets, encode_ids, encode_prompts
from avatar_jax.models.wav2vec2 import encode_recording, in_windows
from avatar_jax.weights.encoder_keys import clip_target, umt5_config, umt5_target, wav2vec2_config, wav2vec2_target
from avatar_jax.weights.mapping import Target, flat_shapes

UMT5_XXL = {"vocab_size": 256384, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64}
VIT_H = {
    "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 16,
    "image_size": 224, "patch_size": 14, "hidden_act": "gelu",
}  # fmt: skip
BASE = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "conv_dim": [512] * 7, "conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "num_conv_pos_embeddings": 128, "num_conv_pos_embedding_groups": 16, "feat_extract_norm": "group",
}  # fmt: skip
TINY_TEXT = {"vocab_size": 64, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2, "num_heads": 4}
TINY_SPEECH = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip


def random_params(target: Target) -> dict:
    rng = np.random.default_rng(0)
    flat = {path: rng.normal(size=shape, scale=0.3) for path, shape in flat_shapes(target.abstract).items()}
    return unflatten_dict({path: x.astype(np.float32) for path, x in flat.items()}, sep="/")


@pytest.mark.parametrize(
    ("target", "tensors", "parameters"),
    [
        (umt5_target(UMT5_XXL), 242, 5_680_910_336),
        (clip_target({"vision_config": VIT_H}), 519, 630_766_080),
        (wav2vec2_target(BASE), 211, 94_371_712),
    ],
    ids=["umt5-xxl", "clip-vit-h", "wav2vec2-base"],
)
def test_full_sizes(target: Target, tensors: int, parameters: int) -> None:
    for mapping in target.mappings:
        shapes = mapping.public_shapes()
        assert len(shapes) == tensors
        assert sum(map(math.prod, shapes.values())) == parameters


def test_another_kind_of_encoder_is_refused() -> None:
    with pytest.raises(ValueError, match="hidden_act = 'quick_gelu'"):
        clip_target({**VIT_H, "hidden_act": "quick_gelu"})
    with pytest.raises(ValueError, match="do_stable_layer_norm = True"):
        wav2vec2_target({**BASE, "do_stable_layer_norm": True})


def test_buckets_by_hand() -> None:
    table = distance_buckets(200, 32, 128)
    assert table[0, 0] == 0
    assert [table[i, 0] for i in (1, 7, 8, 11, 12, 16, 127, 199)] == [1, 7, 8, 8, 9, 10, 15, 15]
    assert [table[0, j] for j in (1, 7, 8, 199)] == [17, 23, 24, 31]


@pytest.fixture
def tokenizer_folder(tmp_path: Path) -> Path:
    pieces = ["<pad>", "</s>", "<unk>", "▁", "▁a", "▁person", "▁is", "▁talk", "ing", "&", *"abcdefghijklmnopqrstuvwxyz"]
    tokenizer = Tokenizer(Unigram([(piece, -float(i)) for i, piece in enumerate(pieces)], unk_id=2))
    tokenizer.add_special_tokens(["<pad>", "</s>", "<unk>"])
    tokenizer.pre_tokenizer = Metaspace()
    tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_tokens_end_and_are_padded_and_cut(tokenizer_folder: Path) -> None:
    ids, real = PromptTokenizer(tokenizer_folder, length=8)(["a person  is\ntalking", "", "a a a a a a a a a a"])
    np.testing.assert_array_equal(ids[0], [4, 5, 6, 7, 8, 1, 0, 0])
    np.testing.assert_array_equal(real[0], [1, 1, 1, 1, 1, 1, 0, 0])
    np.testing.assert_array_equal(ids[1], [1, 0, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(ids[2], [4, 4, 4, 4, 4, 4, 4, 1])
    assert cleaned(" you &amp;amp; me\t ") == "you & me"


def test_tokens_equal_the_tokenizer_of_transformers(tokenizer_folder: Path) -> None:
    transformers = pytest.importorskip("transformers")
    file = str(tokenizer_folder / "tokenizer.json")
    released = transformers.PreTrainedTokenizerFast(tokenizer_file=file, pad_token="<pad>", eos_token="</s>")
    prompts = ["a person is talking", "zq", ""]
    theirs = released(prompts, padding="max_length", max_length=20, truncation=True, return_tensors="np")
    ids, real = PromptTokenizer(file, length=20)(prompts)
    np.testing.assert_array_equal(ids, theirs["input_ids"])
    np.testing.assert_array_equal(real, theirs["attention_mask"])


def test_no_tokenizer_is_said_in_three_lines(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no file .*tokenizer\.json") as error:
        PromptTokenizer(tmp_path)
    assert len(str(error.value).splitlines()) == 3
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ValueError, match="cannot be read"):
        PromptTokenizer(tmp_path)


def test_padding_is_zero_and_does_not_matter(tokenizer_folder: Path) -> None:
    params = random_params(umt5_target(TINY_TEXT))
    short, long = (
        encode_prompts(umt5_config(TINY_TEXT), params, PromptTokenizer(tokenizer_folder, length), ["a person"])
        for length in (5, 12)
    )
    np.testing.assert_allclose(long[:, :3], short[:, :3], atol=1e-5)
    assert not long[:, 3:].any() and jnp.abs(long[:, :3]).min() > 0


def test_text_encoder_on_a_mesh_equals_one_device() -> None:
    ids, real = jax.random.randint(jax.random.key(1), (2, 6), 0, 64), jnp.ones((2, 6), bool)
    target = umt5_target(TINY_TEXT)
    results = []
    for spec in ("", "fsdp=2,tensor=4"):
        mesh = make_mesh(spec)
        params = jax.device_put(random_params(target), parameter_shardings(target.abstract, mesh))
        with jax.set_mesh(mesh):
            results.append(np.asarray(encode_ids(umt5_config(TINY_TEXT), params, ids, real)))
    assert len(params["blocks"]["layers"]["gate"]["kernel"].sharding.device_set) == 8
    np.testing.assert_allclose(*results, atol=2e-5)


@pytest.mark.parametrize("frames", [21, 25, 32, 33, 60])
def test_windows_are_joined_in_order_with_context_at_both_sides(frames: int) -> None:
    kept: list[tuple[int, np.ndarray]] = []

    def run(start: int) -> np.ndarray:
        kept.append((start, np.arange(start, start + 20)))
        return kept[-1][1]

    found = in_windows(run, frames, window=20, context=4)
    np.testing.assert_array_equal(found, np.arange(frames))
    assert all(0 <= start <= frames - 20 for start, _ in kept)


def test_recordings_of_any_length_have_a_state_for_each_frame() -> None:
    rng = np.random.default_rng(0)
    wave = (np.repeat(rng.normal(size=50), 320) * rng.normal(size=16_000)).astype(np.float32)
    params = random_params(wav2vec2_target(TINY_SPEECH))
    whole = encode_recording(wav2vec2_config(TINY_SPEECH), params, wave, 25)
    windows = encode_recording(wav2vec2_config(TINY_SPEECH), params, wave, 25, window=20, context=4)
    assert whole.shape == windows.shape == (25, 3, 16)
    # Norms and attention see another stretch of sound, so the two are alike rather than equal.
    x_TD, y_TD = (states[:, -1] - states[:, -1].mean(axis=0) for states in (whole, windows))
    assert np.corrcoef(x_TD.ravel(), y_TD.ravel())[0, 1] > 0.95
    assert np.corrcoef(x_TD[1:].ravel(), y_TD[:-1].ravel())[0, 1] < 0.5


PREPARE = """
import sys
{block}
import numpy as np
from avatar_jax.models.clip_vision import clip_pixels, cropped
from avatar_jax.models.umt5 import PromptTokenizer
from avatar_jax.models.wav2vec2 import normalised
import avatar_jax.weights.encoder_keys
ids, real = PromptTokenizer({folder!r}, 8)(["a person is talking"])
picture = np.zeros((30, 40, 3), np.uint8)
assert clip_pixels([picture]).shape == clip_pixels([picture], resize=cropped).shape == (1, 224, 224, 3)
assert real.sum() == 6 and abs(normalised(np.arange(9.0)).std() - 1) < 1e-3
assert sys.modules.get("torch") is None, "torch was imported"
"""


@pytest.mark.parametrize("block", ["sys.modules['torch'] = None", ""], ids=["absent", "installed"])
def test_preparation_never_imports_torch(tokenizer_folder: Path, block: str) -> None:
    code = PREPARE.format(block=block, folder=str(tokenizer_folder))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
