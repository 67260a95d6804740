"""The README's gallery: what it must show, its strips, and that the README holds its captions."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avatar_jax.evaluation import gallery, sheets
from avatar_jax.media import BadInput
from data_pipeline.synthetic.clip import HELD_OUT_IDENTITIES
from data_pipeline.synthetic.identity import make_identity
from data_pipeline.synthetic.voice import HELDOUT_VARIANTS

ROOT = Path(__file__).resolve().parents[2]
DRAWN = [piece for piece in gallery.PIECES if piece.who != gallery.ASTRONAUT]


def test_it_shows_what_it_promises() -> None:
    identities = [make_identity(HELD_OUT_IDENTITIES + piece.who) for piece in DRAWN]
    assert len(DRAWN) >= 6 and len(gallery.PIECES) == len(DRAWN) + 1
    assert {piece.language for piece in gallery.PIECES} == {"en", "zh", "ja", "ko"}
    assert len({identity.style for identity in identities}) >= 3
    assert {identity.kind for identity in identities} == {"human", "animal", "robot"}
    assert any(identity.glasses != "none" for identity in identities)
    assert any(identity.hair == "long" for identity in identities)
    assert all(piece.voice.split("+")[1] in HELDOUT_VARIANTS for piece in gallery.PIECES)


def test_readme_holds_the_captions_and_the_strips() -> None:
    assert gallery.captions("docs/gallery") in (ROOT / "README.md").read_text()
    files = sorted((ROOT / "docs" / "gallery").glob("*.jpg"))
    assert [path.stem for path in files] == sorted(piece.name for piece in gallery.PIECES)
    assert sum(path.stat().st_size for path in files) <= 1_500_000
    assert all(Image.open(path).size == (gallery.TILES * gallery.TILE, gallery.TILE) for path in files)


def test_strip_shows_the_portrait_and_the_frames_in_order() -> None:
    frames = [np.full((32, 48, 3), 2 * number, np.uint8) for number in range(70)]
    strip = gallery.strip(np.full((64, 64, 3), 255, np.uint8), frames)
    shown = strip[gallery.TILE // 2, gallery.TILE // 2 :: gallery.TILE, 0]
    assert shown.tolist() == [255, 10, 30, 50, 70, 90, 110, 130]


def test_sheet_shows_true_frames_above_made_ones() -> None:
    frames = [np.full((32, 32, 3), 2 * number, np.uint8) for number in range(90)]
    sheet = sheets.contact_sheet(iter(frames), (255 - frame for frame in frames), every=10)
    shown = sheet[sheets.TILE // 2 :: sheets.TILE, sheets.TILE // 2 :: sheets.TILE, 0]
    assert shown[1].tolist() == [0, 20, 40, 60, 80, 100, 120, 140]
    assert shown[0].tolist() == [255 - level for level in shown[1].tolist()]
    assert shown[3].tolist() == [160] + [255] * 7 and len(shown) == 4


def test_unknown_piece_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="long_hair"):
        gallery.run(gallery.GalleryConfig(out=tmp_path / "out", work=tmp_path, only=("long-hair",)))
    assert not (tmp_path / "out").exists()
