"""Aesthetics: votes from files, a head fitted to them, public heads and CLIP's embedding against torch."""

from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from avatar_jax.media import BadInput
from avatar_jax.mesh import make_mesh
from avatar_jax.models.clip_vision import clip_pixels, cropped
from avatar_jax.web.votes import Votes
from avatar_jax.weights.expert_keys import aesthetic_head_target, clip_embedding
from avatar_jax.weights.load import Request, fill, load
from avatar_jax.weights.reader import open_source
from avatar_jax.weights.ship import WeightsError
from data_pipeline.clips import MemoryClip
from data_pipeline.experts.aesthetics import aesthetics_expert, clip_embedder, fit_head, train_head
from data_pipeline.experts.votes import read_votes


def test_votes_of_a_csv_by_majority(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text("id,rater,clip,showing,choice\n1,x,a,1,accept\n2,y,a,1,accept\n3,x,b,1,reject\n4,x,c,1,skip\n")
    with path.open("a") as file:
        file.write("5,y,b,1,accept\n6,x,d,1,reject\n7,x,d,2,accept\n8,z,a,1,reject\n")
    assert read_votes(path) == {"a": True, "d": False}
    path.write_text("id,vote\nü,accept\nv,0\n", encoding="utf-8")
    assert read_votes(path) == {"ü": True, "v": False}


def test_votes_of_a_review_data_base_without_those_taken_back(tmp_path: Path) -> None:
    votes = Votes(tmp_path / "votes.sqlite")
    votes.add("x", "a", "accept")
    votes.add("x", "b", "reject")
    votes.add("x", "c", "accept")
    votes.add("x", "b (again)", "accept")
    votes.add("x", "d", "reject")
    votes.take_back("x")
    assert read_votes(tmp_path / "votes.sqlite") == {"a": True, "b": False, "c": True}


@pytest.mark.parametrize("content", [b"name,mark\n1,2\n", b"\xff\xfe\x00", b"SQLite format 3\0 nothing", None])
def test_bad_votes_are_told_in_three_lines(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "votes"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        read_votes(path)
    assert len(str(caught.value).splitlines()) == 3


def test_head_finds_the_direction_of_the_votes() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 12))
    liked = x[:, 3] - 0.5 * x[:, 7] > 0.3
    weights = fit_head(x, liked)["map_0"]["kernel"][:, 0]
    assert np.argsort(-np.abs(weights))[:2].tolist() == [3, 7] and weights[3] > 0 > weights[7]
    with pytest.raises(ValueError, match="at least"):
        fit_head(x, np.ones(120, bool))


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    config = transformers.CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4, image_size=56, patch_size=14,
        projection_dim=24, hidden_act="quick_gelu",
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.CLIPVisionModelWithProjection(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(1.0, 0.2) if weight.ndim == 1 else weight.normal_(std=0.5 * weight[0].numel() ** -0.5)
    folder = tmp_path_factory.mktemp("clip")
    model.save_pretrained(folder)
    return model, folder


def test_embedding_equals_the_released_one(clip_folder: tuple) -> None:
    torch = pytest.importorskip("torch")
    model, folder = clip_folder
    picture = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    pixels = clip_pixels([picture], 56, cropped)
    with torch.no_grad():
        theirs = model(torch.tensor(pixels.transpose(0, 3, 1, 2))).image_embeds.numpy()
    loaded = load(Request("clip_embedding", str(folder)), make_mesh(), np.float32)
    with jax.default_matmul_precision("highest"):
        ours = np.asarray(clip_embedding(loaded.configs[""]).apply({"params": loaded.params}, pixels))
    np.testing.assert_allclose(ours, theirs / np.linalg.norm(theirs), atol=2e-5)


@pytest.mark.parametrize("kind", ["mlp", "linear"])
def test_public_heads_equal_torch(kind: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    nn = torch.nn
    torch.manual_seed(0)
    sizes, layers = (24, 1024, 128, 64, 16, 1), []
    for i in range(5):
        layers += [nn.Linear(sizes[i], sizes[i + 1])] + [nn.Dropout(0.2)] * (i < 3)
    head = nn.Linear(24, 1) if kind == "linear" else nn.ModuleDict({"layers": nn.Sequential(*layers)})
    save_file({name: x.detach().numpy() for name, x in head.state_dict().items()}, tmp_path / "head.safetensors")
    x = np.random.default_rng(0).normal(size=(3, 24)).astype(np.float32)
    run = (head if kind == "linear" else head["layers"]).eval()
    with torch.no_grad():
        theirs = run(torch.tensor(x))[:, 0].numpy()
    source = open_source(tmp_path / "head.safetensors")
    module, target = aesthetic_head_target(24, set(source.tensors))
    ours = np.asarray(module.apply({"params": fill(target, [source], make_mesh())}, x))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    with pytest.raises(WeightsError, match="not an aesthetic head"):
        aesthetic_head_target(24, {"fc.weight"})


def tinted(value: int, seed: int) -> MemoryClip:
    noise = np.random.default_rng(seed).integers(0, 40, (30, 56, 56, 3))
    return MemoryClip((noise + value).astype(np.uint8), np.zeros(0, np.float32))


def test_head_from_votes_judges_clips(clip_folder: tuple, tmp_path: Path) -> None:
    folder = clip_folder[1]
    clips = {f"{i:02}": tinted(200 if i % 2 else 10, i) for i in range(40)}
    votes = {name: int(name) % 2 == 1 for name in clips} | {"unseen": True}
    note = train_head(clips, votes, clip_embedder(folder), tmp_path / "head.safetensors")
    assert (note["accepted"], note["rejected"], note["left_out"], note["right"]) == (20, 20, 8, 1.0)
    expert = aesthetics_expert(folder, tmp_path / "head.safetensors")
    bright, dark = (expert.judge(tinted(value, 99)) for value in (200, 10))
    assert bright.status == "passed" and dark.status == "rejected" and dark.evidence_frame in (0, 25)


def test_without_weights_it_is_unavailable_and_passes_nothing(clip_folder: tuple) -> None:
    for given in ((None, None), (clip_folder[1], None), (None, clip_folder[1])):
        verdict = aesthetics_expert(*given).judge(tinted(100, 0))
        assert verdict.status == "unavailable" and verdict.score is None and "no " in verdict.reason
