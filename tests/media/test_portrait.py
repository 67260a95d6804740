"""Every bad or odd portrait of the issue: handled, or refused in three lines."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avatar_jax.media import BadInput, load_portrait

RED, BLUE = (200, 30, 40), (30, 40, 200)


def halves(width: int = 80, height: int = 64) -> Image.Image:
    """Left half red, right half blue."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(BLUE, (width // 2, 0, width, height))
    return picture


def as_bytes(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def animated(kind: str) -> bytes:
    return as_bytes(halves(), kind, save_all=True, append_images=[Image.new("RGB", (80, 64), "green")])


REFUSED = {
    "missing": None,
    "empty": b"",
    "truncated png": as_bytes(halves(), "PNG")[:120],
    "truncated jpeg": as_bytes(halves(), "JPEG")[:500],
    "truncated webp": as_bytes(halves(), "WEBP")[:60],
    "text": b"this is not a picture\n" * 20,
    "sound": b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40),
    "1x1": as_bytes(Image.new("RGB", (1, 1)), "PNG"),
    "16x16": as_bytes(Image.new("RGB", (16, 16)), "PNG"),
    "thin": as_bytes(Image.new("RGB", (2000, 8)), "PNG"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_three_lines(name: str, tmp_path: Path) -> None:
    path = tmp_path / "portrait.png"
    if (data := REFUSED[name]) is not None:
        path.write_bytes(data)
    with pytest.raises(BadInput) as error:
        load_portrait(path)
    assert len(str(error.value).splitlines()) == 3
    assert "portrait.png" in str(error.value)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="folder"):
        load_portrait(tmp_path)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    header = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + bytes(100))
    with pytest.raises(BadInput):
        load_portrait(path)


HANDLED = {
    "png": as_bytes(halves(), "PNG"),
    "jpeg": as_bytes(halves(), "JPEG", quality=95, subsampling=0),
    "webp": as_bytes(halves(), "WEBP", lossless=True),
    "cmyk jpeg": as_bytes(halves().convert("CMYK"), "JPEG", quality=95),
    "cmyk tiff": as_bytes(halves().convert("CMYK"), "TIFF"),
    "alpha": as_bytes(halves().convert("RGBA"), "PNG"),
    "palette": as_bytes(halves().quantize(8), "PNG"),
    "animated gif": animated("GIF"),
    "animated webp": animated("WEBP"),
}


@pytest.mark.parametrize("name", HANDLED)
def test_colours_and_first_frame(name: str, tmp_path: Path) -> None:
    path = tmp_path / "portrait"
    path.write_bytes(HANDLED[name])
    rgb = load_portrait(path)
    assert rgb.shape == (64, 80, 3) and rgb.dtype == np.uint8
    np.testing.assert_allclose(rgb[32, 20], RED, atol=25)
    np.testing.assert_allclose(rgb[32, 60], BLUE, atol=25)


@pytest.mark.parametrize("depth", [np.uint16, np.int32, np.float32])
def test_deep_grey_is_scaled_not_clipped(depth: type, tmp_path: Path) -> None:
    path = tmp_path / "deep.tiff"
    ramp = np.tile(np.linspace(0, 65535, 64), (64, 1)).astype(depth)
    Image.fromarray(ramp).save(path)
    rgb = load_portrait(path)
    assert rgb[0, 0, 0] == 0 and rgb[0, -1, 0] == 255
    assert 120 < rgb[0, 32, 1] < 136


def test_16_bit_colour(tmp_path: Path) -> None:
    import cv2

    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), np.full((40, 40, 3), (10 * 257, 100 * 257, 200 * 257), np.uint16))
    np.testing.assert_allclose(load_portrait(path)[5, 5], (200, 100, 10), atol=1)


def test_transparent_pixels_show_white(tmp_path: Path) -> None:
    path = tmp_path / "clear.png"
    Image.new("RGBA", (40, 40), (255, 0, 0, 0)).save(path)
    assert (load_portrait(path) == 255).all()


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_exif_rotation(orientation: int, tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    turned = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    upright = halves()
    stored = upright if turned[orientation] is None else upright.transpose(turned[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(path, quality=95, subsampling=0, exif=exif)
    rgb = load_portrait(path)
    assert rgb.shape == (64, 80, 3)
    np.testing.assert_allclose(rgb[32, 10], RED, atol=25)


def test_50_megapixels_are_reduced(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    halves(8200, 6100).save(path, quality=80)
    rgb = load_portrait(path)
    assert max(rgb.shape) <= 4100
    np.testing.assert_allclose(rgb[100, 100], RED, atol=25)
