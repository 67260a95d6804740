"""The embedded edition: its recipes meet the quotas, its files share one time base, a stopped run goes on."""

import json
from collections import Counter

import numpy as np
import pytest

from avatar_jax.director import storyline
from avatar_jax.evaluation.benchmark import composition as c
from avatar_jax.evaluation.benchmark import edition
from avatar_jax.evaluation.benchmark.manifest import faults_of, read_set
from avatar_jax.evaluation.benchmark.recipes import COUNTS, recipes
from avatar_jax.media import BadInput, load_audio, load_portrait, read_frames
from data_pipeline.synthetic.clip import HELD_OUT_IDENTITIES
from data_pipeline.synthetic.voice import HELDOUT_VARIANTS


def test_recipes_meet_every_quota() -> None:
    every = recipes()
    tags = [
        {
            "kind": "human" if r.kind == "human" else "non-human", "language": r.language, "voice": r.voice,
            "rate": r.rate, "length": c.length_of(r.seconds), "emotion": r.emotion, "intensity": r.strength,
            "action": r.action, "camera": r.camera, "background": "drawn",
        }
        for r in every
    ]  # fmt: skip
    assert not [row for row in c.held(c.EMBEDDED, tags) if row.missing]
    assert len({r.name for r in every}) == c.CASES and all(sum(x.values()) == c.CASES for x in COUNTS.values())
    assert min(r.seconds for r in every) >= c.SHORTEST_S and max(r.seconds for r in every) <= c.LONGEST_S
    assert all(c.band_of(r.intensity) == r.strength and round(10 * r.intensity) == 10 * r.intensity for r in every)


def test_a_part_of_the_table_is_the_same_cases() -> None:
    """Fewer and shorter cases are those of the whole edition, and its languages are all among the first few."""
    few = recipes(12, 10.0)
    assert [r.name for r in few] == [r.name for r in recipes()[:12]]
    assert [r.emotion for r in few] == [r.emotion for r in recipes()[:12]]
    assert {r.seconds for r in few} == {10.0}
    assert set(Counter(r.language for r in few)) == {"zh", "en", "ja", "ko"}


def test_characters_are_of_the_wanted_kind_and_differ() -> None:
    people = [edition.identity_of(r) for r in recipes(40)]
    assert [who.kind for who in people] == [r.kind for r in recipes(40)]
    assert len({who.seed for who in people}) == 40 and min(who.seed for who in people) >= HELD_OUT_IDENTITIES


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> edition.EditionConfig:
    config = edition.EditionConfig(tmp_path_factory.mktemp("edition") / "set", 2, 1.6, workers=1)
    edition.build(config)
    return config


def test_one_time_base(made: edition.EditionConfig) -> None:
    """Sound, storyline, labels and true video of a case are of one length; labels are what the video shows."""
    for case in read_set(made.out):
        recording = load_audio(made.out / case.audio)
        assert case.seconds == 1.6 == float(recording.seconds)
        sound = storyline.Sound(samples=recording.samples, sample_rate=recording.sample_rate)
        plan = storyline.load(made.out / str(case.storyline), sound)
        assert plan.language == case.tags["language"] and plan.shots[0].emotion == case.tags["emotion"]
        frames = np.stack(list(read_frames(made.out / str(case.truth))))
        with np.load(made.out / str(case.labels)) as labels:
            assert float(labels["fps"]) == 25 and len(labels["open_T"]) == len(frames) == 40
            assert labels["closed_T"].dtype == bool == labels["silent_T"].dtype
        assert frames.shape[1:] == load_portrait(made.out / case.portrait).shape == (512, 512, 3)
        assert case.prompt and case.licence


def test_labels_are_those_of_the_frames() -> None:
    """The frame in which the label says that the mouth is widest has the widest mouth: it differs most from the one
    in which it is shut."""
    clip = edition.clip_of(recipes(1, 2.0)[0])
    truth = edition.truth_of(clip)
    assert clip.speech.voice.split("+")[-1] in HELDOUT_VARIANTS and clip.speech.language == "en"
    np.testing.assert_array_equal(truth["open_T"], clip.states_TS[:, 0])
    assert truth["open_T"].max() > 0.3 and not (truth["closed_T"] & (truth["open_T"] > 0.2)).any()


def test_a_stopped_run_goes_on_and_a_frozen_set_stays(made: edition.EditionConfig) -> None:
    cases = read_set(made.out)
    assert not [fault for _, fault in faults_of(made.out, cases) if fault]
    first, second = (made.out / str(case.truth) for case in cases)
    before = first.stat().st_mtime_ns
    (made.out / "manifest.jsonl").unlink()
    second.unlink()
    edition.build(made)
    assert first.stat().st_mtime_ns == before and second.is_file()
    assert [case.case for case in read_set(made.out)] == [case.case for case in cases]
    for other in (edition.EditionConfig(made.out, 2, 1.7), edition.EditionConfig(made.out, 1, 1.6)):
        with pytest.raises(BadInput, match="frozen"):
            edition.build(other)


def test_records_are_told_apart_by_what_they_are_made_from(made: edition.EditionConfig) -> None:
    recipe = recipes(1, 1.6)[0]
    assert edition.kept(made, recipe) is not None
    still = edition.EditionConfig(made.out, 1, 1.6, still=True)
    assert edition.kept(still, recipe) is None
    path = edition.record_of(made, recipe)
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    assert edition.kept(made, recipe) is None
    path.write_text(whole)
    assert json.loads(whole)["case"]["case"] == recipe.name
