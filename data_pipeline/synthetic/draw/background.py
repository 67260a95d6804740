"""Backgrounds: patterns that go on far beyond the picture, so that pans and zoom-outs show something real."""

import math
from collections.abc import Callable

import numpy as np
import skia

from data_pipeline.synthetic.draw.brush import (
    STYLES,
    Brush,
    Colour,
    box,
    curve,
    darker,
    glow,
    lighter,
    line,
    mix,
    oval,
    solid,
)
from data_pipeline.synthetic.identity import Identity

LOW, HIGH = -0.75, 1.75
Pattern = Callable[[skia.Canvas, Identity, np.random.Generator, Brush], None]


def _ramp(canvas: skia.Canvas, top: Colour, bottom: Colour) -> None:
    paint = solid(top)
    ends = [skia.Point(0, -0.1), skia.Point(0, 1.1)]
    paint.setShader(skia.GradientShader.MakeLinear(ends, [skia.Color(*top), skia.Color(*bottom)]))
    canvas.drawPaint(paint)


def _plain(canvas: skia.Canvas, who: Identity, rng: np.random.Generator, brush: Brush) -> None:
    canvas.drawPath(oval(0.5, 0.48, 0.46, 0.46), solid(lighter(who.ground, 0.25), 0.55))


def _sky(canvas: skia.Canvas, who: Identity, rng: np.random.Generator, brush: Brush) -> None:
    white = lighter(who.ground, 0.65)
    for row in range(7):
        for column in range(5):
            x, y = LOW + 0.55 * (column + rng.uniform(0, 0.7)), LOW + 0.38 * (row + rng.uniform(0, 0.5))
            size = who.ground_scale * rng.uniform(0.7, 1.2)
            for dx, dy, r in ((-0.08, 0.012, 0.045), (0.0, -0.015, 0.065), (0.08, 0.01, 0.05)):
                canvas.drawPath(oval(x + size * dx, y + size * dy, size * r, size * r * 0.8), solid(white))


def _dots(canvas: skia.Canvas, who: Identity, rng: np.random.Generator, brush: Brush) -> None:
    step = 0.15 * who.ground_scale
    for row in range(math.ceil((HIGH - LOW) / step)):
        for column in range(math.ceil((HIGH - LOW) / step)):
            x, y = LOW + step * (column + 0.5 * (row % 2)), LOW + step * row
            canvas.drawPath(oval(x, y, 0.27 * step, 0.27 * step), solid(who.ground_2))


def _stripes(canvas: skia.Canvas, who: Identity, rng: np.random.Generator, brush: Brush) -> None:
    step, slant = 0.16 * who.ground_scale, rng.choice([-0.8, -0.3, 0.0, 0.4, 0.9])
    paint = line(who.ground_2, 0.5 * step)
    for i in range(-10, math.ceil((HIGH - LOW) / step) + 12):
        x = LOW + step * i
        canvas.drawLine(x - slant * 0.5, LOW - 0.2, x + slant * 2.0, HIGH + 0.2, paint)


def _checks(canvas: skia.Canvas, who: Identity, rng: np.random.Generator, brush: Brush) -> None:
    step = 0.17 * who.ground_scale
    for row in range(math.ceil((HIGH - LOW) / step)):
        for column in range(row % 2, math.ceil((HIGH - LOW) / step), 2):
            x, y = LOW + step * column, LOW + step * row
            canvas.drawPath(box(x, y, x + step, y + step, 0.02), solid(who.ground_2))


def _hills(canvas: skia.Canvas, who: Identity, rng: np.random.Generator, brush: Brush) -> None:
    _ramp(canvas, lighter(who.ground, 0.45), who.ground)
    canvas.drawPath(oval(rng.choice([0.15, 0.85]), 0.2, 0.09, 0.09), solid((255, 226, 150)))
    for i, level in enumerate((0.5, 0.66, 0.84)):
        phase, colour = rng.uniform(0, 6.3), mix(who.ground_2, (72, 128, 92), 0.25 + 0.25 * i)
        xs = np.linspace(LOW, HIGH, 15)
        ridge = [(float(x), float(level + 0.07 * math.sin(4.2 * x + phase))) for x in xs]
        path = curve(ridge)
        path.lineTo(HIGH, HIGH + 0.2).lineTo(LOW, HIGH + 0.2).close()
        brush.fill(canvas, path, colour, 0.0)


def _shelves(canvas: skia.Canvas, who: Identity, rng: np.random.Generator, brush: Brush) -> None:
    wood, height = darker(mix(who.ground_2, (150, 100, 60), 0.5), 0.15), 0.27 * who.ground_scale
    for row in range(math.ceil((HIGH - LOW) / height)):
        y, x = LOW + height * (row + 1), LOW
        while x < HIGH:
            wide, tall = rng.uniform(0.03, 0.07), height * rng.uniform(0.5, 0.82)
            if rng.uniform() < 0.85:
                hue = mix(who.ground_2, tuple(int(c) for c in rng.integers(60, 235, 3)), 0.5)  # pyright: ignore[reportArgumentType]
                brush.fill(canvas, box(x, y - tall, x + wide, y, 0.006), hue, 0.0)
            x += wide + 0.005
        canvas.drawPath(box(LOW, y, HIGH, y + 0.025), solid(wood))


def _city(canvas: skia.Canvas, who: Identity, rng: np.random.Generator, brush: Brush) -> None:
    _ramp(canvas, who.ground, lighter(who.ground, 0.4))
    for depth, base in ((0.35, 0.28), (0.7, 0.45)):
        x, wall = LOW, mix(who.ground_2, (52, 56, 92), depth)
        while x < HIGH:
            wide, top = rng.uniform(0.13, 0.24), base + rng.uniform(-0.12, 0.2)
            brush.fill(canvas, box(x, top, x + wide, HIGH + 0.1, 0.0), wall, 0.0)
            for wy in np.arange(top + 0.04, 1.3, 0.085):
                for wx in np.arange(x + 0.025, x + wide - 0.03, 0.055):
                    lamp = (255, 226, 150) if rng.uniform() < 0.45 else darker(wall, 0.2)
                    canvas.drawRect(skia.Rect.MakeXYWH(float(wx), float(wy), 0.026, 0.038), solid(lamp))
            x += wide + rng.uniform(0.0, 0.02)


def _bokeh(canvas: skia.Canvas, who: Identity, rng: np.random.Generator, brush: Brush) -> None:
    _ramp(canvas, who.ground, darker(who.ground, 0.3))
    for x in np.arange(LOW, HIGH, 0.24):
        for y in np.arange(LOW, HIGH, 0.24):
            r, at = rng.uniform(0.03, 0.1) * who.ground_scale, rng.uniform(0, 0.24, 2)
            colour = mix(lighter(who.ground_2, 0.3), (255, 220, 160), rng.uniform(0, 0.7))
            canvas.drawPath(oval(float(x + at[0]), float(y + at[1]), r, r), solid(colour, rng.uniform(0.25, 0.6)))


def _rays(canvas: skia.Canvas, who: Identity, rng: np.random.Generator, brush: Brush) -> None:
    n = int(rng.integers(7, 12))
    for i in range(n):
        a, b = 2 * math.pi * i / n, 2 * math.pi * (i + 0.5) / n
        path = skia.Path().moveTo(0.5, 0.5).lineTo(0.5 + 3 * math.cos(a), 0.5 + 3 * math.sin(a))
        canvas.drawPath(path.lineTo(0.5 + 3 * math.cos(b), 0.5 + 3 * math.sin(b)).close(), solid(who.ground_2))


def _leaves(canvas: skia.Canvas, who: Identity, rng: np.random.Generator, brush: Brush) -> None:
    green = mix(who.ground_2, (70, 140, 90), 0.45)
    for x in np.arange(LOW, HIGH, 0.21):
        for y in np.arange(LOW, HIGH, 0.21):
            canvas.save()
            canvas.translate(float(x + rng.uniform(0, 0.1)), float(y + rng.uniform(0, 0.1)))
            canvas.rotate(rng.uniform(0, 360))
            s = who.ground_scale * rng.uniform(0.8, 1.2)
            leaf = skia.Path().moveTo(0, -0.09 * s).quadTo(0.07 * s, 0, 0, 0.09 * s).quadTo(-0.07 * s, 0, 0, -0.09 * s)
            tone = mix(green, who.ground, rng.uniform(0, 0.5))
            brush.fill(canvas, leaf, tone, 0.0)
            canvas.drawLine(0, -0.06 * s, 0, 0.11 * s, line(darker(tone, 0.25), 0.006))
            canvas.restore()


def _room(canvas: skia.Canvas, who: Identity, rng: np.random.Generator, brush: Brush) -> None:
    side = int(rng.choice([0, 1]))
    for i, x in enumerate(np.arange(LOW, HIGH, 0.62)):
        x0, wide = float(x) + 0.06, 0.4
        if i % 2 == side:
            brush.fill(canvas, box(x0, 0.02, x0 + wide, 0.52, 0.01), (248, 246, 240), 0.0)
            canvas.drawPath(
                box(x0 + 0.02, 0.04, x0 + wide - 0.02, 0.5), solid(mix((150, 205, 240), who.ground_2, 0.25))
            )
            canvas.drawPath(oval(x0 + 0.13, 0.38, 0.09, 0.1), solid((120, 178, 110)))
            canvas.drawRect(skia.Rect.MakeXYWH(x0 + wide / 2 - 0.01, 0.03, 0.02, 0.48), solid((248, 246, 240)))
        else:
            brush.fill(canvas, box(x0 + 0.04, 0.1, x0 + 0.32, 0.42, 0.0), darker(who.ground_2, 0.35), 0.0)
            canvas.drawPath(box(x0 + 0.065, 0.125, x0 + 0.295, 0.395), solid(lighter(who.ground_2, 0.5)))
            canvas.drawPath(oval(x0 + 0.18, 0.27, 0.07, 0.07), solid((230, 130, 100)))
    canvas.drawRect(skia.Rect.MakeLTRB(LOW - 1, 0.86, HIGH + 1, 0.89), solid(lighter(who.ground, 0.5)))
    canvas.drawRect(skia.Rect.MakeLTRB(LOW - 1, 0.89, HIGH + 1, HIGH + 1), solid(mix(who.ground, (150, 110, 80), 0.55)))


PATTERNS: dict[str, Pattern] = {
    "plain": _plain,
    "sky": _sky,
    "dots": _dots,
    "stripes": _stripes,
    "checks": _checks,
    "hills": _hills,
    "shelves": _shelves,
    "city": _city,
    "bokeh": _bokeh,
    "rays": _rays,
    "leaves": _leaves,
    "room": _room,
}


def draw_background(canvas: skia.Canvas, who: Identity) -> None:
    """Draw the background layer; its pattern reaches from LOW to HIGH in both directions, its colour everywhere."""
    brush, rng = STYLES[who.style], np.random.default_rng(who.ground_seed)
    canvas.drawColor(skia.Color(*who.ground))
    PATTERNS[who.background](canvas, who, rng, brush)
    if brush.shade:
        canvas.drawPaint(glow(0.35, 0.25, 1.1, (255, 250, 235), 0.22 * brush.shade))
