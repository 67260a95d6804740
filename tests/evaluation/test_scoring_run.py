"""Folders of videos scored from end to end: a drawn speaker, the same one late, still, spoilt and missing."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from avatar_jax.evaluation.__main__ import main
from avatar_jax.evaluation.benchmark.manifest import FILES, SetCase, read_set, sha256, write_set
from avatar_jax.evaluation.making import CLOSED, shut_and_silent
from avatar_jax.evaluation.scoring import video
from avatar_jax.evaluation.scoring.results import CaseScore, read_cases
from avatar_jax.evaluation.scoring.run import score_systems
from avatar_jax.media import BadInput, write_video
from avatar_jax.models.judge import COLUMNS
from data_pipeline.synthetic.clip import make_clip
from data_pipeline.synthetic.judged import labels
from data_pipeline.synthetic.preview import write_sound

LATE, SECONDS = 3, 3.0
SYSTEMS = ("truth", "late", "still", "odd")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of one drawn case, `a`, beside a copy of it named `b`, and four systems."""
    home = tmp_path_factory.mktemp("scoring")
    clip = make_clip(5000, "heldout", (SECONDS, SECONDS))
    frames = list(clip.frames(192))
    for folder in ("portraits", "audio", "labels", "storylines"):
        (home / "set" / folder).mkdir(parents=True)
    paths = {"portrait": "portraits/a.png", "audio": "audio/a.wav", "labels": "labels/a.npz"}
    paths["storyline"] = "storylines/a.json"
    Image.fromarray(clip.portrait(192)).save(home / "set" / paths["portrait"])
    write_sound(home / "set" / paths["audio"], clip)
    clip.storyline.save(home / "set" / paths["storyline"])
    truth = dict(zip(COLUMNS, labels(clip.identity, clip.states_TS).T, strict=True))
    shut, silent = shut_and_silent(clip, clip.times, truth)
    assert truth["open"].max() > CLOSED
    tracks = {f"{name}_T": track for name, track in truth.items()}
    np.savez(home / "set" / paths["labels"], fps=25.0, closed_T=shut, silent_T=silent, **tracks)
    hashes = {name: sha256(home / "set" / path) for name, path in paths.items()}
    one = SetCase(
        "a", prompt="", seconds=SECONDS, licence="Apache-2.0", sha256=hashes, tags={"language": "en"}, **paths
    )
    write_set(home / "set", [one, replace(one, case="b", tags={"language": "ja"})])
    sound = home / "set" / paths["audio"]
    count = len(frames)
    late = [frames[0]] * LATE + frames[:-LATE]
    for system, shown in (("truth", frames), ("late", late), ("still", [frames[0]] * count)):
        write_video(home / system / "a.mp4", shown, 25, count, sound)
        shutil.copy(home / system / "a.mp4", home / system / "b.mp4")
    # Another rate and size, wide, without sound; a file cut in half; none of case b.
    wide = [cv2.copyMakeBorder(f[::2, ::2], 0, 0, 20, 20, cv2.BORDER_REPLICATE) for f in frames]
    thirty = [wide[min(count - 1, round(i * 25 / 30))] for i in range(round(count * 30 / 25))]
    write_video(home / "odd" / "a.mp4", thirty, 30)
    (home / "odd" / "stranger.mp4").write_bytes((home / "truth" / "a.mp4").read_bytes()[:9000])
    return home


def folders(home: Path) -> dict[str, Path]:
    return {name: home / name for name in SYSTEMS}


@pytest.fixture(scope="module")
def scores(home: Path) -> dict[tuple[str, str], CaseScore]:
    told: list[str] = []
    found = score_systems(folders(home), home / "set", home / "out", 1, say=told.append)
    assert len(told) == sum(not score.scored for score in found) == 2
    assert found == sorted(found, key=lambda s: (SYSTEMS.index(s.system), s.case))
    return {(score.system, score.case): score for score in found}


Scores = dict[tuple[str, str], CaseScore]


def test_the_truth_is_in_sync_and_alive(scores: Scores) -> None:
    m = scores["truth", "a"].metrics
    assert scores["truth", "a"].tags == {"language": "en"}
    assert m["sync_corr"] is not None and m["sync_corr"] > 0.9 and m["sync_offset_frames"] == 0
    assert m["identity"] is not None and m["identity"] > 0.9
    assert m["length_exact"] == m["alive"] == 1 and m["frozen_share"] == m["black_share"] == 0
    # Networks that are not there, seams that nobody told.
    assert m["sync_c"] is m["sync_d"] is m["seam_jump"] is None


def test_a_late_mouth_is_late_by_that_much(scores: Scores) -> None:
    late, true = scores["late", "a"], scores["truth", "a"]
    assert late.value("sync_offset_frames") == LATE and late.value("sync_late_ms") == 1000 * LATE / 25
    assert late.value("sync_corr") < true.value("sync_corr") - 0.1


def test_a_still_portrait_is_told_as_one(scores: Scores) -> None:
    still = scores["still", "a"]
    assert still.value("sync_corr") == 0 and still.metrics["sync_offset_frames"] is None
    assert still.value("motion_amount") < 0.1 < scores["truth", "a"].value("motion_amount")
    assert still.value("alive") == 0 and still.value("frozen_share") > 0.9
    assert "frozen" in " ".join(still.notes)


def test_another_rate_and_size_is_read_on_its_own_time(scores: Scores) -> None:
    odd = scores["odd", "a"]
    assert odd.value("fps") == 30 and odd.value("length_exact") == 1
    assert odd.value("sync_offset_frames") <= 1 and odd.value("sync_corr") > 0.8
    assert any("no sound" in note for note in odd.notes) and any("px square" in note for note in odd.notes)


def test_what_cannot_be_scored_has_its_reason(scores: Scores) -> None:
    assert "no video" in str(scores["odd", "b"].reason)
    assert "no case" in str(scores["odd", "stranger"].reason)


def test_nothing_is_read_twice_and_a_stopped_run_goes_on(
    home: Path, scores: Scores, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, read = home / "stopped", []

    def score(task: video.Task) -> CaseScore:
        if len(read) == 2:
            raise KeyboardInterrupt
        read.append(task.key)
        task.tracks.parent.mkdir(exist_ok=True)
        task.tracks.touch()
        return replace(scores[task.system, task.case], key=task.key)

    monkeypatch.setattr(video, "score", score)
    two = {name: home / name for name in ("truth", "late")}
    with pytest.raises(KeyboardInterrupt):
        score_systems(two, home / "set", out, 1)
    assert [s.key for s in read_cases(out / "cases.jsonl")] == read and len(read) == 2
    monkeypatch.setattr(video, "score", lambda task: read.append(task.key) or scores[task.system, task.case])
    assert len(score_systems(two, home / "set", out, 1)) == 4 and len(set(read)) == 4
    # Everything is known, under another name too; a changed video is not.
    (home / "renamed").mkdir()
    changed = (home / "truth" / "b.mp4").read_bytes() + b"\0"
    (home / "renamed" / "a.mp4").write_bytes((home / "truth" / "a.mp4").read_bytes())
    (home / "renamed" / "b.mp4").write_bytes(changed)
    before = len(read)
    for line in score_systems({"renamed": home / "renamed"}, home / "set", home / "out", 1, say=lambda _: None):
        assert line.system == "renamed"
    assert len(read) == before + 1


def test_the_command_compares_draws_and_writes(home: Path, scores: Scores, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(home / "out", home / "compared", dirs_exist_ok=True)
    against = [option for name in ("late", "odd") for option in ("--against", str(home / name))]
    common = ["run", "--videos", str(home / "truth"), *against, "--set", str(home / "set"), "--workers", "1", "--json"]
    assert main([*common, "--out", str(home / "compared"), "--by", "language", "--previews-mb", "0.1"]) == 0
    out = capsys.readouterr().out.splitlines()
    summary = json.loads(out[-1])
    assert summary["differences"]["late"]["sync_corr"]["mean"] > 0.1
    assert summary["differences"]["odd"]["sync_corr"]["cases"] == 1
    assert set(summary["by"]["language"]) == {"en", "ja"}
    assert summary["systems"]["truth"]["fid"]["value"] is None and summary["notes"]
    assert summary["scoring_s"] > 0 and json.loads((home / "compared" / "summary.json").read_text())["systems"]
    assert {p.name for p in (home / "compared" / "plots").iterdir()} == {"drift.png", "radar.png", "by_language.png"}
    page = (home / "compared" / "report.html").read_text()
    assert page.count("data:video/mp4;base64,") in (2, 3) and "../truth/b.mp4" in page
    assert "no case of this name" in page and "http" not in page.replace("http-equiv", "")


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["run", *arguments]) == 2
    told = capsys.readouterr().err.strip()
    assert len(told.splitlines()) <= 3
    return told


def test_mistakes_are_told_in_three_lines(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, out = str(home / "truth"), ["--out", str(tmp_path / "out")]
    assert "no video in it" in refusal(["--videos", str(tmp_path), *out], capsys)
    assert "no such folder" in refusal(["--videos", str(home / "nowhere"), *out], capsys)
    assert "two folders" in refusal(["--videos", truth, "--against", truth, *out], capsys)
    assert "no manifest" in refusal(["--videos", truth, "--set", truth, *out], capsys)
    assert "--by" in refusal(["--videos", truth, "--by", "language", *out], capsys)
    assert "language" in refusal(["--videos", truth, "--set", str(home / "set"), "--by", "tongue", *out], capsys)
    assert "--workers" in refusal(["--videos", truth, "--workers", "0", *out], capsys)
    assert "weights not found" in refusal(["--videos", truth, "--judge", "none.safetensors", *out], capsys)
    assert "--fid" in refusal(["--videos", truth, "--fid", "no_such_module:factory", *out], capsys)
    assert "--fvd" in refusal(["--videos", truth, "--fvd", "nothing", *out], capsys)
    assert "--segment" in refusal(["--videos", truth, "--segment.x=1", *out], capsys)


def test_a_set_that_changed_is_refused(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "set", tmp_path / "set")
    assert all(
        getattr(case, name) is None or case.sha256[name] for case in read_set(tmp_path / "set") for name in FILES
    )
    with (tmp_path / "set" / "audio" / "a.wav").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BadInput, match=r"audio/a\.wav has changed"):
        score_systems({"truth": home / "truth"}, tmp_path / "set", tmp_path / "out", 1)
    (tmp_path / "set" / "manifest.jsonl").write_text("{\n")
    with pytest.raises(BadInput, match="line 1"):
        score_systems({"truth": home / "truth"}, tmp_path / "set", tmp_path / "out", 1)
    assert not (tmp_path / "out").exists()


def test_damaged_videos_are_refused_one_by_one(home: Path, tmp_path: Path) -> None:
    """Without a set: cut in half, empty, text, sound alone."""
    whole = (home / "truth" / "a.mp4").read_bytes()
    bad = {"cut": whole[: len(whole) // 2], "empty": b"", "text": b"a video, honestly"}
    (tmp_path / "bad").mkdir()
    for name, content in bad.items():
        (tmp_path / "bad" / f"{name}.mp4").write_bytes(content)
    shutil.copy(home / "set" / "audio" / "a.wav", tmp_path / "bad" / "sound.mkv")
    found = score_systems({"bad": tmp_path / "bad"}, None, tmp_path / "out", 1, say=lambda _: None)
    reasons = {score.case: score.reason for score in found}
    assert set(reasons) == {"cut", "empty", "text", "sound"} and all(reasons.values())
    assert "no picture" in str(reasons["sound"])
    assert all("\n" not in str(reason) and str(tmp_path) not in str(reason) for reason in reasons.values())
