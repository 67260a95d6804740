"""The page for reading: whole, and safe whatever a user or a model wrote."""

from pathlib import Path

import pytest
from PIL import Image

from avatar_jax.director import direct
from avatar_jax.director.cases import HEADS, PORTRAIT
from avatar_jax.director.sheet import MOST_ROWS, describe, write_sheet
from avatar_jax.director.storyline import Shot, Sound, Storyline
from avatar_jax.director.voices import recording
from avatar_jax.media import BadInput


def test_page_and_picture(tmp_path: Path) -> None:
    sound = recording([("speech", 3), ("silence", 1), ("song", 2)])
    storyline = direct(sound, PORTRAIT, "cheerful and angry, then she waves 👋 嬉しい", HEADS["half"])
    write_sheet(storyline, sound, tmp_path / "storyline.json")
    page = (tmp_path / "storyline.md").read_text(encoding="utf-8")
    assert "![energy, pitch and shots](storyline.png)" in page and "6.000 s" in page
    rows = [line for line in page.splitlines() if line.startswith("| ") and " - " in line]
    assert len(rows) == len(storyline.shots) and all(row.count("|") == 10 for row in rows)
    assert "## Conflicts" in page and "## Evidence" in page and "## Inferred" in page
    with Image.open(tmp_path / "storyline.png") as picture:
        assert picture.size[0] >= 1000 and len(picture.convert("RGB").getcolors(1 << 20) or []) > 20
    assert sorted(p.name for p in tmp_path.iterdir()) == ["storyline.md", "storyline.png"]


@pytest.mark.parametrize("parts", [[("noise", 0.2)], [("silence", 0.3)], [("speech", 90)]])
def test_any_recording_can_be_drawn(parts: list[tuple[str, float]], tmp_path: Path) -> None:
    sound = recording(parts)
    write_sheet(direct(sound, PORTRAIT, ""), sound, tmp_path / "s.json")


def test_words_stay_words() -> None:
    attack = "| x | [a](http://evil) <script>alert(1)</script> ![i](file:///etc/passwd) `rm` \n# Title\n"
    shot = Shot(start=0, end=1, negative_prompt=attack)
    page = describe(Storyline(sound=Sound(samples=1, sample_rate=1), wish=attack, style=attack, shots=[shot]), "s.png")
    assert "<script>" not in page and "](http" not in page and "](file" not in page and "\n# Title" not in page
    row = next(line for line in page.splitlines() if line.startswith("| 0"))
    assert row.replace("\\|", "").count("|") == 10


def test_a_very_long_table_is_cut() -> None:
    shots = [Shot(start=i, end=i + 1) for i in range(MOST_ROWS + 5)]
    story = Storyline(sound=Sound(samples=len(shots), sample_rate=1), shots=shots)
    assert "5 more shots" in describe(story, "s.png")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    sound = recording([("speech", 0.5)])
    with pytest.raises(BadInput):
        write_sheet(direct(sound, PORTRAIT, ""), sound, tmp_path / "none" / "s.json")
