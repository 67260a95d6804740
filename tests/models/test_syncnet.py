"""SyncNet: the published layer table against torch, its keys, its sound features, and offsets of made-up embeddings."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from avatar_jax.mesh import make_mesh
from avatar_jax.metrics.av_offset import av_offset, overlap_distances, padded_distances
from avatar_jax.models.mfcc import bands, mfcc
from avatar_jax.models.syncnet import FRAMES, PUBLISHED, SMALL, STEPS, SyncNet, embed_clip, windows
from avatar_jax.weights.expert_keys import syncnet_target
from avatar_jax.weights.load import Request, load, prepare
from avatar_jax.weights.problems import KeyMismatch


def released_tensors(seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights under the released names, of a size that keeps activations of order one."""
    rng, out = np.random.default_rng(seed), {}
    for name, shape in syncnet_target({}).mappings[0].public_shapes().items():
        if name.endswith(("running_var", "running_mean")) or len(shape) == 1:
            out[name] = rng.uniform(0.5, 1.5, shape) if name.endswith(("var", "weight")) else rng.normal(0, 0.1, shape)
        else:
            out[name] = rng.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape)
    return {name: x.astype(np.float32) for name, x in out.items()}


def torch_twin(tensors: dict[str, np.ndarray]):
    """The released network written down a second time, layer by layer, from the same published table."""
    torch = pytest.importorskip("torch")
    nn = torch.nn

    def tower(conv, norm, rows):
        layers = []
        for entering, leaving, kernel, stride, pad, pool in rows:
            layers += [conv(entering, leaving, kernel, stride, pad), norm(leaving), nn.ReLU()]
            layers += [] if pool is None else [pool]
        return nn.Sequential(*layers)

    one, pool3 = 1, nn.MaxPool3d((1, 3, 3), (1, 2, 2))
    same, plain = (0, 1, 1), (1, 3, 3)
    lip = [
        (3, 96, (5, 7, 7), (1, 2, 2), 0, pool3),
        (96, 256, (1, 5, 5), (1, 2, 2), same, nn.MaxPool3d((1, 3, 3), (1, 2, 2), same)),
        (256, 256, plain, one, same, None),
        (256, 256, plain, one, same, None),
        (256, 256, plain, one, same, pool3),
        (256, 512, (1, 6, 6), one, 0, None),
    ]
    aud = [
        (1, 64, 3, 1, 1, nn.MaxPool2d(1, 1)),
        (64, 192, 3, 1, 1, nn.MaxPool2d(3, (1, 2))),
        (192, 384, 3, 1, 1, None),
        (384, 256, 3, 1, 1, None),
        (256, 256, 3, 1, 1, nn.MaxPool2d(3, 2)),
        (256, 512, (5, 4), 1, 0, None),
    ]
    heads = [nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024)) for _ in range(2)]
    twin = nn.ModuleDict(
        {
            "netcnnlip": tower(nn.Conv3d, nn.BatchNorm3d, lip),
            "netcnnaud": tower(nn.Conv2d, nn.BatchNorm2d, aud),
            "netfclip": heads[0],
            "netfcaud": heads[1],
        }
    ).eval()
    missing, unexpected = twin.load_state_dict({k: torch.tensor(v) for k, v in tensors.items()}, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
    return twin


def test_both_towers_equal_the_released_layers(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    tensors = released_tensors()
    twin = torch_twin(tensors)
    counted = {f"{n}.num_batches_tracked": np.zeros((), np.int64) for n in ("netcnnlip.1", "netfcaud.1")}
    save_file(tensors | counted, tmp_path / "syncnet.safetensors")
    params = load(Request("syncnet", str(tmp_path)), make_mesh(), np.float32).params
    rng = np.random.default_rng(1)
    crops = rng.uniform(0, 255, (1, FRAMES, 224, 224, 3)).astype(np.float32) / 64
    heard = rng.normal(size=(2, STEPS, 13)).astype(np.float32)
    with torch.no_grad():
        lip = twin["netfclip"](twin["netcnnlip"](torch.tensor(crops.transpose(0, 4, 1, 2, 3))).flatten(1)).numpy()
        aud = twin["netfcaud"](twin["netcnnaud"](torch.tensor(heard.transpose(0, 2, 1)[:, None])).flatten(1)).numpy()
    net = SyncNet(PUBLISHED)
    with jax.default_matmul_precision("highest"):
        seen = net.apply({"params": params}, crops, method="video")
        said = net.apply({"params": params}, heard, method="sound")
    for theirs, ours in ((lip, seen), (aud, said)):
        assert theirs.std() > 0.01
        np.testing.assert_allclose(np.asarray(ours), theirs, atol=2e-4 * np.abs(theirs).max())


@pytest.mark.parametrize("wrong", ["missing", "unexpected", "shape"])
def test_keys_that_do_not_fit_are_refused(wrong: str, tmp_path: Path) -> None:
    tensors = {n: np.zeros(s, np.float16) for n, s in syncnet_target({}).mappings[0].public_shapes().items()}
    name = "netcnnlip.19.running_mean"
    if wrong == "missing":
        del tensors[name]
    elif wrong == "unexpected":
        name = "netcnnlip.21.weight"
        tensors[name] = np.zeros(3, np.float16)
    else:
        tensors[name] = np.zeros(511, np.float16)
    save_file(tensors, tmp_path / "syncnet.safetensors")
    with pytest.raises(KeyMismatch) as caught:
        prepare(Request("syncnet", str(tmp_path / "syncnet.safetensors")))
    assert [(p.kind, p.name) for p in caught.value.problems] == [(wrong, name)]


def test_layer_table_is_the_published_one() -> None:
    shapes = syncnet_target({}).mappings[0].public_shapes()
    assert shapes["netcnnlip.0.weight"] == (96, 3, 5, 7, 7) and shapes["netcnnlip.18.weight"] == (512, 256, 1, 6, 6)
    assert shapes["netcnnaud.18.weight"] == (512, 256, 5, 4) and shapes["netfcaud.3.weight"] == (1024, 512)
    assert sum(int(np.prod(s)) for n, s in shapes.items() if "running" not in n) == 13_631_616


def test_mfcc_equals_its_definition_written_as_sums() -> None:
    rng = np.random.default_rng(0)
    mono = rng.normal(0, 0.1, 1600)
    sound = np.round(mono * 32768, 9)
    emphasised = np.array([sound[0]] + [sound[i] - 0.97 * sound[i - 1] for i in range(1, len(sound))])
    got = mfcc(mono)
    assert got.shape == (9, 13)
    for frame in (0, 3):
        part = emphasised[frame * 160 : frame * 160 + 400]
        k = np.arange(257)[:, None]
        spectrum = (part * np.exp(-2j * np.pi * k * np.arange(400) / 512)).sum(-1)
        power = np.abs(spectrum) ** 2 / 512
        logs = np.log(bands().T @ power)
        row = []
        for c in range(13):
            scale = np.sqrt((1 if c == 0 else 2) / 26)
            total = sum(logs[n] * np.cos(np.pi * c * (2 * n + 1) / 52) for n in range(26))
            row.append(scale * total * (1 + 11 * np.sin(np.pi * c / 22)))
        row[0] = np.log(power.sum())
        np.testing.assert_allclose(got[frame], row, rtol=1e-4, atol=1e-4)


def test_bands_rise_to_their_middle_and_fall_to_the_next() -> None:
    table = bands()
    assert table.shape == (257, 26) and table.min() >= 0 and table.max() == 1
    # Between the middles of the first and of the last band, neighbours' flanks add up to one.
    first, last = table[:, 0].argmax(), table[:, -1].argmax()
    np.testing.assert_allclose(table[first : last + 1].sum(1), 1, atol=1e-9)
    np.testing.assert_allclose(mfcc(np.zeros(1600)), np.tile(mfcc(np.zeros(400)), (9, 1)), atol=1e-3)


@pytest.mark.parametrize("shift", [-10, -1, 0, 7, 15])
@pytest.mark.parametrize("distances", [padded_distances, overlap_distances])
def test_offset_of_moved_embeddings_is_found(shift: int, distances) -> None:
    rng = np.random.default_rng(0)
    sound = rng.normal(size=(140, 32))
    sound /= np.linalg.norm(sound, axis=-1, keepdims=True)
    # Sound that comes `shift` frames early: the sound beside frame i belongs to frame i + shift.
    video = sound[20 - shift : 120 - shift] + 0.1 * rng.normal(size=(100, 32))
    read = av_offset(distances(video, sound[20:120]))
    assert read.offset == shift
    assert read.confidence > 0.3 and read.distance < 1


def test_distances_of_a_short_clip_by_hand() -> None:
    video, sound = np.array([[1.0, 0], [0, 2]]), np.array([[1.0, 0], [0, 0]])
    np.testing.assert_allclose(overlap_distances(video, sound, 1), [5**0.5, (0 + 2) / 2, 1])
    np.testing.assert_allclose(padded_distances(video, sound, 1), [(1 + 5**0.5) / 2, 1, (1 + 2) / 2])


def test_windows_of_a_clip_do_not_depend_on_the_batch() -> None:
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 255, (16, 40, 40, 1), dtype=np.uint8)
    heard = rng.normal(size=(63, 13)).astype(np.float32)
    assert windows(16, 63) == 11 and windows(4, 63) == 0 and windows(100, 23) == 1
    params = SyncNet(SMALL).init(jax.random.key(0), jnp.zeros((1, 5, 40, 40, 1)), jnp.zeros((1, 20, 13)))["params"]
    one, many = (embed_clip(SMALL, params, crops, heard, batch) for batch in (4, 16))
    for a, b in zip(one, many, strict=True):
        assert a.shape == (11, 64)
        np.testing.assert_allclose(a, b, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(a, axis=-1), 1, atol=1e-3)
    assert embed_clip(SMALL, params, crops[:4], heard)[0].shape == (0, 64)
