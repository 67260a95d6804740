"""Portraits from any picture file: upright, sRGB, 8 bits, three channels."""

import warnings
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from avatar_jax.media.errors import BadInput

LONGEST = 4096
"""Pictures with a longer side are reduced to it before anything else looks at them."""
SHORTEST = 32
"""The shortest side that can hold a face."""
PIXELS = 200_000_000
"""More pixels than this are refused before they are decoded: a decompression bomb, not a portrait."""
BACKGROUND = (255, 255, 255)
"""What shows through transparent pixels."""

KINDS = "PNG, JPEG, WebP, GIF, BMP or TIFF"


def load_portrait(path: str | Path) -> UInt8[np.ndarray, "H W 3"]:
    """The picture at `path`, or its first frame: EXIF rotation applied, reduced to `LONGEST`, flattened on white.

    Raises:
      BadInput: missing, empty, cut short, not a picture, too small for a face or absurdly large.
    """
    path = Path(path)
    if not path.is_file():
        got = "it is a folder" if path.is_dir() else "no such file"
        raise BadInput(f"portrait {path}", got, f"--image names a {KINDS} file", "check the path")
    try:
        size = path.stat().st_size
        if size == 0:
            raise BadInput(f"portrait {path}", "an empty file", f"a portrait is a {KINDS} file", "save it again")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                _check_size(path, *picture.size)
                return _to_rgb(picture)
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise BadInput(f"portrait {path}", "not a picture", f"a portrait is a {KINDS} file", "convert it") from error
    except BadInput:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, MemoryError) as error:
        got = f"a picture that cannot be decoded ({error})"
        raise BadInput(f"portrait {path}", got, "the file must be whole", "download or save it again") from error


def _check_size(path: Path, width: int, height: int) -> None:
    got = f"{width}x{height} pixels"
    if min(width, height) < SHORTEST:
        rule = f"both sides have at least {SHORTEST} pixels"
        raise BadInput(f"portrait {path}", got, rule, "use a larger picture, best 512 pixels or more")
    if width * height > PIXELS:
        raise BadInput(f"portrait {path}", got, f"at most {PIXELS // 10**6} megapixels", "reduce the picture")


def _to_rgb(picture: Image.Image) -> np.ndarray:
    """First frame of an opened picture as 8-bit sRGB."""
    picture.draft("RGB" if picture.mode in ("RGB", "L", "YCbCr") else picture.mode, (LONGEST, LONGEST))
    picture.seek(0)
    picture.load()
    profile = picture.info.get("icc_profile")
    transparent = "A" in picture.mode or "a" in picture.mode or "transparency" in picture.info
    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I;16") or upright.mode in ("I", "F"):
        upright = _deep_to_grey(upright)
    if transparent:
        upright = upright.convert("RGBA")
    upright.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS, reducing_gap=2.0)
    if transparent:
        flat = Image.new("RGBA", upright.size, (*BACKGROUND, 255))
        return np.asarray(Image.alpha_composite(flat, upright).convert("RGB"))
    return np.asarray(_to_srgb(upright, profile))


def _deep_to_grey(picture: Image.Image) -> Image.Image:
    """16-bit, 32-bit and floating grey to 8 bits; Pillow's own conversion would clip instead of scaling."""
    grey = np.nan_to_num(np.asarray(picture, dtype=np.float64))
    top = 65535.0 if grey.max() > 255 else (255.0 if grey.max() > 1 else 1.0)
    return Image.fromarray(np.clip(grey / max(top, grey.max()) * 255 + 0.5, 0, 255).astype(np.uint8))


def _to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Through the embedded colour profile where there is a usable one; CMYK without a profile as Pillow reads it."""
    if profile:
        try:
            import io

            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, ValueError, OSError):
            # A damaged profile is common in the wild and costs a tint, not the portrait.
            pass
    return picture.convert("RGB")
