"""Windows: sound beside its pictures, masks where mouths are, borders that cut nothing, buckets, whole sets."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

from avatar_jax.media import BadInput, write_video
from data_pipeline import transforms
from data_pipeline.buckets import Bucket, buckets, nearest, parts, told
from data_pipeline.dataset import shard
from data_pipeline.dataset.provenance import SYNTHETIC, Provenance
from data_pipeline.dataset.reader import SetSource
from data_pipeline.dataset.schema import LatentExample, MediaExample
from data_pipeline.loader import LoaderConfig, mixed_batches
from data_pipeline.throughput import measure, needs
from data_pipeline.transforms import Borders, Conditions, LatentWindow, PixelWindow, coverage, per_latent, place

FPS, FRAMES = 25, 50
TV = Provenance("tv", "CC0-1.0", "signed")


def latents(number: int, size: tuple[int, int], source: Provenance, frames: int = 9) -> LatentExample:
    """Each latent and each feature of the sound tells its own number; frames are one latent each."""
    return LatentExample(
        clip=f"c{number}",
        source=source,
        fps=25.0,
        frames=frames,
        size=size,
        mouths_T4=np.tile(np.array([[0.5, 0.5, 0.25, 0.25]], np.float32), (frames, 1)),
        latents_TPC=np.arange(frames, dtype=np.float16)[:, None, None] * np.ones((1, 16, 3), np.float16),
        grid=(4, 4),
        audio_FM=np.arange(2 * frames, dtype=np.float16)[:, None] * np.ones((1, 5), np.float16),
        text_LE=np.ones((2, 6), np.float16),
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six wide clips of tv, two tall ones of tv, four tall drawn ones, one too short."""
    folder = shard.set_folder(tmp_path_factory.mktemp("set"), "latents")
    clips = [latents(n, (90, 160), TV) for n in range(6)] + [latents(n, (160, 90), TV) for n in (6, 7)]
    clips += [latents(n, (160, 90), SYNTHETIC) for n in range(8, 12)] + [latents(12, (160, 90), TV, frames=4)]
    shard.write_shard(clips, shard.shard_path(folder, 0, 1))
    shard.write_metadata(folder)
    return folder


def test_sound_lies_beside_its_latents(finished: Path) -> None:
    example, seen = SetSource(finished)[0], set()
    for seed in range(60):
        window = LatentWindow(5, text=4)(example, np.random.default_rng(seed))
        rows = window["latents_THWC"][:, 0, 0, 0].astype(int)
        seen.add(int(rows[0]))
        assert (np.diff(rows) == 1).all() and window["latents_THWC"].shape == (5, 4, 4, 3)
        assert window["audio_FM"].shape == (10, 5) and window["audio_FM"][0, 0] == 2 * rows[0]
        assert window["start"] * FPS == pytest.approx(rows[0])
        assert window["text_LE"][:, 0].tolist() == [1, 1, 0, 0]
        # The mouth is the third row and column of four, exactly.
        assert window["mouth_THW"][0].sum() == 1 == window["mouth_THW"][0, 2, 2]
    assert seen == {0, 1, 2, 3, 4}
    with pytest.raises(ValueError, match="clip c0: 9 frames, a window has 10"):
        LatentWindow(10)(example, np.random.default_rng(0))


def test_a_causal_codec_is_cut_at_its_own_windows() -> None:
    example = LatentExample(
        "x",
        TV,
        25.0,
        100,
        (8, 8),
        latents_TPC=np.arange(12).reshape(12, 1, 1),
        grid=(1, 1),
        frames_per_latent=4,
        starts=(0.0, 2.0),
        audio_FM=np.arange(200)[:, None],
    ).values()
    found = {
        (int(w["latents_THWC"][0, 0, 0, 0]), int(w["audio_FM"][0, 0]), len(w["latents_THWC"]))
        for w in (LatentWindow(17)(example, np.random.default_rng(seed)) for seed in range(10))
    }
    assert found == {(0, 0, 5), (6, 100, 5)}


def test_conditions() -> None:
    rng, chosen = np.random.default_rng(0), Conditions(drop={"text": 0.25})
    drawn = [chosen.draw(rng, 5) for _ in range(2000)]
    masks = np.array([d["known_T"] for d in drawn])
    assert np.mean([d["keep_text"] for d in drawn]) == pytest.approx(0.75, abs=0.03)
    assert (masks.sum(1) == 0).mean() == pytest.approx(0.1, abs=0.02)
    assert (masks.sum(1) == 1).mean() == pytest.approx(0.4, abs=0.03)
    # First and last in 0.3, and in a quarter of the 0.2 whose second known latent may be anywhere.
    assert (masks[:, [0, 4]].all(1)).mean() == pytest.approx(0.35, abs=0.03)
    assert not masks[~masks[:, 0]].any()


def test_coverage_by_hand() -> None:
    # A box over the right half of column 0 and all of column 1, a quarter of row 0.
    cells = coverage(np.array([[0.25, 0.125, 0.75, 0.125]]), 2, 2)[0]
    np.testing.assert_allclose(cells, [[0.125, 0.25], [0, 0]])
    assert per_latent(np.array([0, 0, 0, 3, 0, 1, 0]), 4).tolist() == [0, 3, 1]
    assert transforms.latent_count(81, 4) == 21 == len(per_latent(np.zeros(81), 4))


def test_borders_cut_nothing() -> None:
    canvas, frame = Bucket(32, 48), np.full((20, 20, 3), 200, np.uint8)
    sides = set()
    for seed in range(30):
        at = place(np.random.default_rng(seed), (20, 20), canvas, Borders(1.0, 0.5))
        shown = at.picture(frame).astype(int)
        x, y, w, h = at.boxes(np.array([[0, 0, 1, 1]], np.float32))[0] * np.array([48, 32, 48, 32])
        assert x >= 0 and y >= 0 and x + w <= 48.5 and y + h <= 32.5 and 15.5 <= w <= 32.5
        assert abs((shown[..., 0] == 200).sum() - w * h) < 40 and set(np.unique(shown)) <= {0, 200}
        sides.add(round(float(w)))
    assert len(sides) > 8


def test_a_full_canvas_keeps_the_face() -> None:
    """A wide picture on a square canvas: what is cut lies away from the face."""
    for centre in (0.1, 0.5, 0.9):
        face = np.array([centre - 0.05, 0.4, 0.1, 0.2], np.float32)
        at = place(np.random.default_rng(0), (40, 80), Bucket(32, 32), Borders(), face)
        x, y, w, h = at.boxes(face[None])[0]
        assert x >= -0.01 and x + w <= 1.01 and y == pytest.approx(0.4, abs=0.02) and h == pytest.approx(0.2, abs=0.02)
        assert (at.picture(np.full((40, 80, 3), 9, np.uint8)) == 9).all()


def test_buckets() -> None:
    among = buckets(480 * 832)
    assert all(b.height % 16 == b.width % 16 == 0 and 0.9 < b.height * b.width / (480 * 832) < 1.1 for b in among)
    assert nearest((1080, 1920), among) == Bucket(480, 848) and nearest((1920, 1080), among) == Bucket(848, 480)
    assert nearest((512, 512), among).height == nearest((512, 512), among).width


def test_a_set_is_mixed_by_bucket_and_source(finished: Path) -> None:
    among = buckets(64 * 64)
    window = {bucket: LatentWindow(5) for bucket in among}
    every = parts(finished, among, window, 5)
    assert [(row["group"], row["name"], row["records"], row["share"]) for row in told(every)] == [
        (0, "synthetic", 4, 4.0),
        (0, "tv", 2, 2.0),
        (1, "tv", 6, 6.0),
    ]
    weighed = parts(finished, among, window, 5, {"tv": 1.0, "synthetic": 3.0})
    assert [(row["name"], row["share"]) for row in told(weighed)] == [("synthetic", 3.0), ("tv", 0.25), ("tv", 0.75)]
    batch = next(mixed_batches(weighed, LoaderConfig(batch=4)))
    assert batch["latents_THWC"].shape == (4, 5, 4, 4, 3)
    with pytest.raises(BadInput, match="want radio"):
        parts(finished, among, window, 5, {"radio": 1.0})
    with pytest.raises(BadInput, match="no source"):
        parts(finished, among, window, 500)


@pytest.fixture(scope="module")
def media() -> MediaExample:
    """Frame i has the brightness 4 i, the sound of its instant the value 100 i."""
    frames = [np.full((64, 96, 3), 4 * i, np.uint8) for i in range(FRAMES)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_video(path, frames, FPS)
        video = path.read_bytes()
    sound = np.repeat(np.arange(FRAMES, dtype=np.int16) * 100, 16000 // FPS)
    boxes = np.tile(np.array([[0.4, 0.6, 0.2, 0.2]], np.float32), (FRAMES, 1))
    return MediaExample("m", SYNTHETIC, 25.0, FRAMES, (64, 96), mouths_T4=boxes, video=video, audio=sound)


def test_pixels_and_sound_are_of_the_same_instants(media: MediaExample) -> None:
    window = PixelWindow(9, Bucket(32, 48), frames_per_latent=4)
    begins = set()
    for seed in range(8):
        out = window(media.values(), np.random.default_rng(seed))
        begin = round(float(out["start"]) * FPS)
        begins.add(begin)
        shown = out["frames_THW3"].mean((1, 2, 3))
        np.testing.assert_allclose(shown, 4 * (begin + np.arange(9)), atol=2)
        assert out["audio_N"].shape == (9 * 640,) and out["audio_N"][0] == 100 * begin
        assert out["audio_N"][-1] == 100 * (begin + 8)
        assert out["mouth_THW"].shape == (3, 2, 3) and out["known_T"].shape == (3,)
    assert len(begins) > 4
    with pytest.raises(ValueError, match="a window has 51"):
        PixelWindow(51, Bucket(32, 48))(media.values(), np.random.default_rng(0))


def test_throughput(finished: Path) -> None:
    among = buckets(64 * 64)
    groups = parts(finished, among, {bucket: LatentWindow(5) for bucket in among}, 5)
    rate = measure(mixed_batches(groups, LoaderConfig(batch=4)), 0.3)
    assert rate.examples > 4 and rate.bytes > rate.examples * 5 * 16 * 3 * 2
    # 0.17476 s * 8 chips * 918e12 * 0.441 / 2 rows = 283e12 a forward pass; 4 * 459e12 * 0.441 / (2 * 283e12) * 3.
    assert needs()["adapter_windows_per_host_s"] == pytest.approx(4.29, abs=0.02)
