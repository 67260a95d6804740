"""Brush of a drawing style: how a shape of one colour is shaded and outlined; and smooth paths through points."""

from collections.abc import Sequence
from dataclasses import dataclass

import skia

Colour = tuple[int, int, int]
Point = tuple[float, float]


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Colour on the line from a (share 0) to b (share 1)."""
    r, g, c = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return (r, g, c)


def darker(colour: Colour, share: float) -> Colour:
    """Towards a warm dark, which looks livelier than black."""
    return mix(colour, (36, 18, 40), share)


def lighter(colour: Colour, share: float) -> Colour:
    """Towards a warm white."""
    return mix(colour, (255, 250, 240), share)


def solid(colour: Colour, alpha: float = 1.0) -> skia.Paint:
    """Antialiased fill paint."""
    return skia.Paint(AntiAlias=True, Color=skia.Color(*colour, round(255 * alpha)))


def line(colour: Colour, width: float, alpha: float = 1.0) -> skia.Paint:
    """Antialiased stroke paint with round ends."""
    paint = solid(colour, alpha)
    paint.setStyle(skia.Paint.kStroke_Style)
    paint.setStrokeWidth(width)
    paint.setStrokeCap(skia.Paint.kRound_Cap)
    paint.setStrokeJoin(skia.Paint.kRound_Join)
    return paint


@dataclass(frozen=True)
class Brush:
    """outline: width of the contour (0 none); shade: strength of gradients; tint: how far the contour is black."""

    name: str
    outline: float
    shade: float
    tint: float

    def contour(self, colour: Colour) -> Colour:
        """Colour of the contour of a shape of this colour."""
        return darker(colour, self.tint)

    def fill(self, canvas: skia.Canvas, path: skia.Path, colour: Colour, shade: float = 1.0) -> None:
        """Fill a shape, lit from the upper left, then draw its contour."""
        canvas.drawPath(path, self.paint(path, colour, shade))
        if self.outline:
            canvas.drawPath(path, line(self.contour(colour), self.outline))

    def paint(self, path: skia.Path, colour: Colour, shade: float = 1.0) -> skia.Paint:
        """Fill paint of a shape: a gradient over its bounds where the style shades."""
        paint = solid(colour)
        if self.shade * shade:
            box, s = path.getBounds(), self.shade * shade
            paint.setShader(
                skia.GradientShader.MakeLinear(
                    [skia.Point(box.left() + 0.25 * box.width(), box.top()), skia.Point(box.right(), box.bottom())],
                    [skia.Color(*lighter(colour, 0.28 * s)), skia.Color(*colour), skia.Color(*darker(colour, 0.3 * s))],
                    [0.0, 0.45, 1.0],
                )
            )
        return paint


STYLES: dict[str, Brush] = {
    "flat": Brush("flat", outline=0.0, shade=0.0, tint=0.55),
    "soft": Brush("soft", outline=0.0, shade=1.0, tint=0.55),
    "ink": Brush("ink", outline=0.0085, shade=0.0, tint=0.9),
    "comic": Brush("comic", outline=0.006, shade=0.55, tint=0.62),
}


def glow(x: float, y: float, radius: float, colour: Colour, alpha: float) -> skia.Paint:
    """Paint of a round spot that fades to nothing at its radius: cheeks, lamps, shadows."""
    paint = solid(colour)
    stops = [skia.Color(*colour, round(255 * alpha)), skia.Color(*colour, 0)]
    paint.setShader(skia.GradientShader.MakeRadial(skia.Point(x, y), radius, stops))
    return paint


def curve(points: Sequence[Point], closed: bool = False, path: skia.Path | None = None) -> skia.Path:
    """Catmull-Rom spline through points, as cubic curves; continues `path` by a line to the first point if given."""
    n = len(points)
    drawn = skia.Path() if path is None else path
    (drawn.moveTo if path is None else drawn.lineTo)(*points[0])
    for i in range(n if closed else n - 1):
        if closed:
            a, b, c, d = points[i - 1], points[i], points[(i + 1) % n], points[(i + 2) % n]
        else:
            a, b, c, d = points[max(i - 1, 0)], points[i], points[i + 1], points[min(i + 2, n - 1)]
        drawn.cubicTo(
            b[0] + (c[0] - a[0]) / 6, b[1] + (c[1] - a[1]) / 6, c[0] - (d[0] - b[0]) / 6, c[1] - (d[1] - b[1]) / 6, *c
        )
    if closed:
        drawn.close()
    return drawn


def mirrored(half: Sequence[Point], axis: float = 0.5) -> list[Point]:
    """Closed outline from its right half, given from the top to the bottom as (distance from the axis, y)."""
    right = [(axis + x, y) for x, y in half]
    left = [(axis - x, y) for x, y in reversed(half) if x > 0]
    return right + left


def oval(x: float, y: float, rx: float, ry: float) -> skia.Path:
    """Ellipse about (x, y)."""
    return skia.Path().addOval(skia.Rect.MakeLTRB(x - rx, y - ry, x + rx, y + ry))


def box(x0: float, y0: float, x1: float, y1: float, radius: float = 0.0) -> skia.Path:
    """Rectangle with round corners."""
    return skia.Path().addRoundRect(skia.Rect.MakeLTRB(x0, y0, x1, y1), radius, radius)
