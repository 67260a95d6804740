"""Cuts, face tracks, duplicates, HDR and shards: hand-made cases with known answers."""

import numpy as np
import pytest

from data_pipeline.protocol import Head
from data_pipeline.records import Record, Result, Source
from data_pipeline.settings import Cut, Dedup, Faces, Shards
from data_pipeline.stages.cut import cuts, pieces
from data_pipeline.stages.dedup import deduplicated
from data_pipeline.stages.faces import follow, judged, overlap, to_tracks
from data_pipeline.stages.fingerprint import packed, picture_bits, sound_bits, unpacked
from data_pipeline.stages.hdr import WHITE, _display, light
from data_pipeline.stages.review import Decision, reviewed
from data_pipeline.stages.shards import jobs


def scene(seed: int, count: int) -> list[np.ndarray]:
    """A still picture with a square that moves."""
    rng = np.random.default_rng(seed)
    picture = np.kron(rng.integers(0, 255, (8, 8, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    frames = [picture.copy() for _ in range(count)]
    for i, frame in enumerate(frames):
        frame[40:60, 30 + i % 40 : 50 + i % 40] = 200
    return frames


def test_hard_cuts_are_found_where_they_are() -> None:
    found = cuts(iter(scene(1, 130) + scene(2, 40) + scene(3, 30)), Cut())
    assert [place for place, _ in found] == [130, 170]
    assert {who for _, who in found} <= {"content", "continuity", "content and continuity"}
    assert cuts(iter(scene(1, 150)), Cut()) == [] and cuts(iter([]), Cut()) == []


def test_long_shots_are_shared_out_evenly() -> None:
    assert pieces(0, 250, Cut(longest=10)) == [(0, 250)]
    assert pieces(10, 530, Cut(longest=10)) == [(10, 183), (183, 356), (356, 530)]


def heads(x: float, count: int, size: float = 0.4) -> list[list[Head]]:
    return [[Head((x, 0.2, size, size))] for _ in range(count)]


def test_tracks_follow_heads_and_count_speakers() -> None:
    assert overlap((0, 0, 2, 2), (1, 0, 2, 2)) == pytest.approx(1 / 3)
    both = [a + b for a, b in zip(heads(0.05, 10), heads(0.6, 10, 0.3), strict=True)]
    tracks = follow(both)
    assert [len(track.looks) for track in tracks] == [10, 10] and tracks[0].heads[0].box[0] == 0.05
    steady = to_tracks(tracks[0], range(0, 50, 5), 50, 2, False)
    assert judged(steady, 1.0, (512, 512), Faces())[:2] == ("rejected", "2 heads stay in the picture, 1 wanted")


@pytest.mark.parametrize(
    ("found", "seen", "status", "told"),
    [
        (heads(0.3, 10), 1.0, "passed", ""),
        (heads(0.3, 10), 0.5, "rejected", "seen in 50%"),
        (heads(0.3, 10, 0.08), 1.0, "rejected", "41 pixels"),
        (heads(0.1, 5) + heads(0.42, 5), 1.0, "rejected", "jumps by 0.80 of its height at frame 20"),
        ([[Head((0.3, 0.2, 0.4, 0.4), pose=(1.2, 0.0, 0.0))]] * 10, 1.0, "rejected", "turned away in 100%"),
    ],
)
def test_faces_are_judged(found: list[list[Head]], seen: float, status: str, told: str) -> None:
    track = follow(found)[0]
    for other in follow(found)[1:]:
        track.looks += other.looks
        track.heads += other.heads
    got = judged(to_tracks(track, range(0, 50, 5), 50, 1, False), seen, (512, 512), Faces())
    assert got[0] == status and told in got[1]


def clip(name: str, pictures: np.ndarray, sound: np.ndarray, pixels: int = 100) -> Record:
    facts = {"pictures": packed(pictures), "sound": packed(sound)}
    results = (
        Result("faces", "1", "passed", facts={"pixels": pixels}),
        Result("fingerprint", "1", "passed", facts=facts),
    )
    return Record(name, Source(name), (0, 100), results)


def test_only_what_looks_and_sounds_the_same_is_a_duplicate() -> None:
    rng = np.random.default_rng(0)
    look, other_look = rng.random(256) < 0.5, rng.random(256) < 0.5
    sound, other_sound = rng.random(496) < 0.5, rng.random(496) < 0.5
    near = look.copy()
    near[rng.choice(256, 12, replace=False)] ^= True
    records = [
        clip("a", look, sound), clip("b", near, sound, 200), clip("c", look, other_sound), clip("d", other_look, sound)
    ]  # fmt: skip
    for given in (records, records[::-1]):
        told = {r.id: r for r in deduplicated(given, Dedup())}
        assert {name for name, r in told.items() if r.status == "rejected"} == {"a"}
        assert told["a"].reason == "dedup: the same as b of b"
    assert (unpacked(packed(look)) == look).all()


def test_fingerprints_survive_noise() -> None:
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(40, 200, (8, 9, 3)), np.ones((8, 8, 1))).astype(np.float32)
    noisy = np.clip(picture + rng.normal(0, 5, picture.shape), 0, 255).astype(np.uint8)
    assert np.mean(picture_bits(picture.astype(np.uint8)) != picture_bits(noisy)) < 0.05
    wave = np.convolve(rng.normal(size=64000), rng.normal(size=30))[:64000] * np.repeat(rng.random(32), 2000)
    shifted = sound_bits((wave + 0.02 * rng.normal(size=64000)).astype(np.float32))
    assert np.mean(sound_bits(wave.astype(np.float32)) != shifted) < 0.15
    assert np.mean(sound_bits(rng.normal(size=64000).astype(np.float32)) != shifted) > 0.35


def test_hdr_curves_meet_their_standards() -> None:
    """BT.2408: diffuse white is a PQ signal of 58 % and an HLG signal of 75 %."""
    assert light(np.array(0.58), 16) == pytest.approx(WHITE, rel=0.02)
    assert light(np.array(0.75), 18) == pytest.approx(WHITE, rel=0.02)
    assert light(np.array(1.0), 16) == pytest.approx(10_000, rel=1e-3)
    curve = _display().astype(int)
    assert curve[0] == 0 and curve[-1] > 245 and (np.diff(curve) >= 0).all()


def test_reviewers_decide() -> None:
    records = [Record(name, Source(name), (0, 9), (Result("cut", "1", "passed"),)) for name in "abcd"]
    said = {"a": Decision("accept"), "b": Decision("reject", ("blurred", "noise")), "c": Decision("disputed")}
    told = {r.id: r for r in reviewed(records, said, needed=False)}
    assert [told[n].status for n in "abcd"] == ["passed", "rejected", "unavailable", "passed"]
    assert told["b"].reason == "review: rejected by reviewers: blurred, noise"
    assert [r.status for r in reviewed(records, said, needed=True)] == ["passed", "rejected", *["unavailable"] * 2]


def test_shards_follow_from_identities_alone() -> None:
    encoded = Result("encode", "1", "passed", facts={"latents": True})
    records = [Record(f"{i * 7919 % 101:03d}", Source(str(i), f"{i % 10}"), (0, 9), (encoded,)) for i in range(50)]
    made = jobs(records, Shards(clips=8, heldout=0.3))
    assert made == jobs(records[::-1], Shards(clips=8, heldout=0.3))
    media = [job for job in made if job.name == "media"]
    assert sorted(r.id for job in media for r in job.records) == sorted(r.id for r in records)
    people = {
        split: {r.source.content for j in media if j.split == split for r in j.records}
        for split in ("train", "heldout")
    }
    assert people["train"] and people["heldout"] and not people["train"] & people["heldout"]
