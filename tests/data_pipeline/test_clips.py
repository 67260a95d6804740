"""Synthetic clips: smooth and obedient motion, honest storylines, disjoint splits, datasets that resume, windows."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from avatar_jax.director.plan import shots_at
from avatar_jax.director.storyline import Shot, parse
from avatar_jax.media import BadInput
from avatar_jax.models.avatar_codec import POSE_PATCH, AvatarCodec
from avatar_jax.models.text_encoder import tokenize
from avatar_jax.training.codec_stage import init_codec
from data_pipeline import __main__ as command
from data_pipeline.source import RecordSource
from data_pipeline.synthetic import dataset, motion, story, windows
from data_pipeline.synthetic.clip import FPS, HELD_OUT_IDENTITIES, Clip, make_clip
from data_pipeline.synthetic.latents import Encoders, clip_record, encode_clip, face_points
from data_pipeline.synthetic.phonemes import Phone
from data_pipeline.synthetic.preview import contact_sheet, write_preview
from data_pipeline.synthetic.state import COLUMN, POSE_COLUMNS, neutral
from data_pipeline.synthetic.story import LASTING
from data_pipeline.synthetic.voice import HELDOUT_VARIANTS

SECONDS = 4.0


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return [make_clip(seed) for seed in range(12)]


def moved(rate: float = FPS, seed: int = 0, **wish: object) -> dict[str, np.ndarray]:
    """State columns of one shot with the given wishes, while nothing is said."""
    shot = Shot.model_validate({"start": 0, "end": 4, **wish})
    times = np.arange(round(SECONDS * rate)) / rate
    wave = np.zeros(round(SECONDS * 16000), np.int16)
    rng = np.random.default_rng(seed)
    made = motion.states(rng, [shot], [(0.0, SECONDS)], [(0.0, SECONDS)], [], wave, np.zeros((len(times), 4)), times)
    return {name: made[:, column].astype(np.float64) for name, column in COLUMN.items()}


@pytest.mark.parametrize("action", ["none", "nod", "shake_head", "tilt_head", "wave", "lean_in"])
def test_pose_has_no_kinks(action: str) -> None:
    """The acceleration seen at 4 ms is that seen at 8 ms; a kink in the velocity would double it."""
    fine = moved(rate=250, action=action, camera="push_in", motion=1.0, emotion="excitement", intensity=1.0)
    for name in list(COLUMN)[POSE_COLUMNS]:
        near = np.abs(np.diff(fine[name], 2)).max() / 0.004**2
        far = np.abs(np.diff(fine[name][::2], 2)).max() / 0.008**2
        assert near < 1.4 * far + 0.05, name


@pytest.mark.parametrize(
    ("camera", "column", "sign"),
    [("push_in", "log_zoom", 1), ("pull_out", "log_zoom", -1), ("pan_left", "pan_x", -1), ("tilt_down", "pan_y", 1)],
)
def test_camera_obeys(camera: str, column: str, sign: int) -> None:
    for seed in range(5):
        track = moved(seed=seed, camera=camera, camera_amount=1.0)[column]
        assert sign * (track[-1] - track[0]) > (0.2 if column == "log_zoom" else 0.05)
        assert (sign * np.diff(track) > -1e-6).all()


def test_actions_obey() -> None:
    still = {"motion": 0.0, "gaze": "viewer"}
    assert (
        moved(action="look_left", **still)["yaw"].min() < -0.4 < 0.2 > moved(action="look_left", **still)["yaw"].max()
    )
    nod, shake = moved(action="nod", **still), moved(action="shake_head", **still)
    assert np.ptp(nod["pitch"]) > 3 * np.ptp(shake["pitch"]) and np.ptp(shake["yaw"]) > 3 * np.ptp(nod["yaw"])
    assert moved(action="raise_hand", **still)["hand"].max() == 1 and moved(**still)["hand"].max() == 0


def test_motion_amount_is_a_dial() -> None:
    amounts = [np.mean([moved(seed=s, motion=m)["yaw"].std() for s in range(6)]) for m in (0.0, 0.5, 1.0)]
    assert amounts[0] < 0.4 * amounts[1] and amounts[1] < 0.7 * amounts[2]


def test_emotions_ramp_at_the_boundary() -> None:
    shots = [
        Shot.model_validate({"start": a, "end": a + 2, "emotion": e, "intensity": 1})
        for a, e in ((0, "joy"), (2, "anger"))
    ]
    weights = motion.shot_weights(shots, np.array([0.0, 1.7, 2.0, 2.3, 4.0]))
    np.testing.assert_allclose(weights, [[1, 0], [1, 0], [0.5, 0.5], [0, 1], [0, 1]], atol=1e-9)
    smile = motion.face(shots, weights, np.zeros((5, 4)))["smile"]
    assert smile[0] > 0.5 and smile[-1] < -0.3 and abs(smile[2] - (smile[0] + smile[-1]) / 2) < 1e-6


def test_silences() -> None:
    phones = [Phone("a", 0.6, 1.0), Phone("m", 1.1, 1.2), Phone("o", 3.0, 3.9)]
    assert motion.silences(phones, 4.0) == [(0.0, 0.6), (1.2, 3.0)]


def test_clip_is_a_function_of_its_seed(clips: list[Clip]) -> None:
    again = make_clip(3)
    np.testing.assert_array_equal(again.states_TS, clips[3].states_TS)
    np.testing.assert_array_equal(again.speech.wave, clips[3].speech.wave)
    assert again.storyline == clips[3].storyline and again.identity == clips[3].identity
    assert not np.array_equal(make_clip(3, "heldout").speech.wave, again.speech.wave)


def test_splits_share_no_voice_and_no_character(clips: list[Clip]) -> None:
    held_out = [make_clip(seed, "heldout") for seed in range(4)]
    assert all(c.speech.voice.split("+")[-1] in (*HELDOUT_VARIANTS, "none") for c in held_out)
    assert not any(c.speech.voice.split("+")[-1] in HELDOUT_VARIANTS for c in clips)
    assert min(c.identity.seed for c in held_out) >= HELD_OUT_IDENTITIES > max(c.identity.seed for c in clips)


def test_clip_fits_its_sound(clips: list[Clip]) -> None:
    for clip in clips:
        assert len(clip.speech.wave) == 64000 and clip.states_TS.shape == (100, len(COLUMN))
        assert parse(clip.storyline.to_json()) == clip.storyline
        for shot in clip.storyline.shots:
            quiet = story.spoken(clip.speech, float(shot.start), float(shot.end)) < story.SPOKEN_LEAST
            assert (shot.voice == "listening") == quiet
        for start, end in motion.silences(clip.speech.phones, SECONDS):
            closed = clip.states_TS[(clip.times > start + 0.15) & (clip.times < end - 0.15), COLUMN["open"]]
            assert closed.max(initial=0) < 0.12


def test_frames_and_preview(clips: list[Clip], tmp_path: Path) -> None:
    assert contact_sheet(clips[0], every=25).shape == (128, 1280, 3)
    wishes = write_preview(tmp_path, clips[0], size=64)
    assert len(wishes) == len(clips[0].storyline.shots)
    assert (tmp_path / "train-00000.mp4").stat().st_size > 1000


def record_of(clip: Clip) -> dict[str, np.ndarray]:
    """A latent record whose latents and audio features tell their own time."""
    count = len(clip.states_TS)
    return {
        "latents_TPC": np.arange(count, dtype=np.float16)[:, None, None] * np.ones((1, 17, 139), np.float16),
        "audio_FM": np.arange(2 * count, dtype=np.float16)[:, None] * np.ones((1, 64), np.float16),
        "states_TS": clip.states_TS,
        "spans_S2": clip.spans_S2,
        "storyline": np.asarray(clip.storyline.to_json()),
        "face_points_32": face_points(clip),
        "portrait_PC": np.full((17, 139), clip.seed, np.float16),
    }


@pytest.mark.parametrize("stride", [0.5, 1.0, 3.0])
def test_window_is_aligned(clips: list[Clip], stride: float) -> None:
    record = record_of(clips[0])
    window = windows.sample_window(record, np.random.default_rng(5), stride, 16)
    index = window["latents_TPC"][:, 0, 0].astype(np.float64)
    np.testing.assert_allclose(np.diff(window["times_T"]), stride)
    np.testing.assert_allclose(window["times_T"], index / 2)
    np.testing.assert_allclose(window["audio_TUM"][:, :, 0].mean(1), np.clip(2 * index, 0, None), atol=1.6)
    np.testing.assert_allclose(window["shot_weights_TS"].sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(window["labels_TK"][:, 0], clips[0].states_TS[index.astype(int), COLUMN["open"]])
    np.testing.assert_array_equal(window["portrait_PC"], record["portrait_PC"])
    shot = int(np.flatnonzero(shots_at(clips[0].storyline, index / 25).max(0))[0])
    first = clips[0].spans_S2[shot, 0]
    np.testing.assert_allclose(window["clocks_TS2"][:, 0, 0], np.clip(index / 25 - first, 0, 4), atol=1e-5)
    assert window["text_ids_SL"].shape == (windows.SHOTS, len(tokenize("")))
    assert (window["face_points_32"] > 0.2).all() and (window["face_points_32"] < 0.8).all()
    used = window["shot_weights_TS"].max(0) > 0
    assert (window["text_ids_SL"].max(1) > 0).tolist() == used.tolist()


def test_window_that_does_not_fit(clips: list[Clip]) -> None:
    for stride in (0.3, 4.0):
        with pytest.raises(ValueError, match="no window of 16 frames"):
            windows.sample_window(record_of(clips[0]), np.random.default_rng(0), stride, 16)


def test_portrait_is_the_origin_of_latents(clips: list[Clip]) -> None:
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(lambda: init_codec(AvatarCodec(), jax.random.key(0)))
    codec = jax.tree.map(lambda x: rng.normal(0, 0.1, x.shape).astype(np.float32), shapes)
    codec["deviation_scale"] = np.ones_like(codec["deviation_scale"])
    encoders = Encoders(codec, audio={})
    clip = clips[0]
    states = np.concatenate([neutral()[None], clip.states_TS[::50]])
    latents = encode_clip(encoders, clip.identity, states)
    assert latents.shape == (len(states), 17, 139) and np.abs(latents[0, :POSE_PATCH]).max() < 0.05
    spoken = np.abs(latents[1:].astype(np.float32))
    assert spoken[:, :POSE_PATCH].max() > 0.01 and spoken[:, POSE_PATCH].max() > 0.01


def test_dataset_resumes_and_does_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "SHARD", 2)
    config = dataset.DatasetConfig("clips", clips=3, seconds=(3.0, 4.0))
    for shard in range(2):
        dataset._write_shard(tmp_path, config, shard)
    records = RecordSource(tmp_path)
    assert len(records) == 3 and [int(r["seed"][0]) for r in records] == [0, 1, 2]
    np.testing.assert_array_equal(records[2]["states_TS"], clip_record(make_clip(2, seconds=(3.0, 4.0)))["states_TS"])
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("*.array_record")}
    dataset.write_dataset(tmp_path, config, workers=1)
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.glob("*.array_record")}
    assert json.loads((tmp_path / "dataset.json").read_text())["split"] == "train"
    with pytest.raises(BadInput, match="first_seed"):
        dataset.write_dataset(tmp_path, dataset.DatasetConfig("clips", 3, first_seed=9, seconds=(3.0, 4.0)))


@pytest.mark.parametrize(
    "wrong", [["--what", "clips", "--count", "0"], ["--what", "films"], ["--what", "latents", "--weights", "nowhere"]]
)
def test_command_refuses(wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["synthetic", "--out", str(tmp_path / "data"), *wrong]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) <= 3


def test_a_nod_begins_with_its_shot() -> None:
    """What is asked for happens when its shot begins, and is over when its swings are."""
    for seed in range(4):
        pitch = moved(seed=seed, action="nod", motion=0.0)["pitch"] - moved(seed=seed, motion=0.0)["pitch"]
        assert np.abs(pitch[10:50]).max() > 0.4
        assert np.abs(pitch[-25:]).max() < 0.01


def test_only_lasting_actions_reach_beyond_the_clip(clips: list[Clip]) -> None:
    beyond = 0
    for clip in clips:
        for shot, (start, end) in zip(clip.storyline.shots, clip.spans_S2, strict=True):
            outside = start < float(shot.start) or end > float(shot.end)
            assert not outside or shot.action in LASTING
            beyond += outside
    assert beyond
