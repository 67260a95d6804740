"""Body layer: neck, shoulders and clothes. It goes on well below the picture, for zoom-outs."""

import skia

from data_pipeline.synthetic.draw.brush import (
    STYLES,
    Brush,
    box,
    curve,
    darker,
    glow,
    lighter,
    line,
    mirrored,
    mix,
    oval,
    solid,
)
from data_pipeline.synthetic.identity import Identity

DOWN = 1.75


def _torso(who: Identity) -> skia.Path:
    s, y = who.shoulder_w, who.shoulder_y
    return curve(
        mirrored(
            [
                (0.0, y - 0.045),
                (who.neck_w * 1.25, y - 0.045),
                (0.62 * s, y - 0.005),
                (0.93 * s, y + 0.05),
                (1.08 * s, y + 0.17),
                (1.12 * s, DOWN),
            ]
        ),
        closed=True,
    )


def draw_body(canvas: skia.Canvas, who: Identity) -> None:
    """Draw neck, torso and clothes of the neutral portrait."""
    brush, torso = STYLES[who.style], _torso(who)
    y, neck = who.shoulder_y, who.neck_w
    skin = who.skin if who.kind != "robot" else darker(who.skin, 0.35)
    if who.clothes == "dress":
        brush.fill(canvas, torso, skin)
    throat = curve(
        mirrored([(0.0, 0.55), (neck, 0.55), (neck * 0.97, y - 0.08), (neck * 1.35, y - 0.02), (0.0, y + 0.06)]), True
    )
    if who.clothes != "dress":
        brush.fill(canvas, torso, who.cloth)
    brush.fill(canvas, throat, skin, 0.4)
    canvas.save()
    canvas.clipPath(throat, doAntiAlias=True)
    canvas.drawPath(oval(0.5, 0.665, neck * 1.9, 0.095), solid(darker(skin, 0.3), 0.75))
    canvas.restore()
    if who.kind == "robot":
        for i in range(4):
            canvas.drawLine(0.5 - neck, 0.7 + 0.022 * i, 0.5 + neck, 0.7 + 0.022 * i, line(darker(skin, 0.4), 0.006))
    canvas.save()
    canvas.clipPath(torso, doAntiAlias=True)
    _CLOTHES[who.clothes](canvas, who, brush)
    canvas.restore()
    arm = line(brush.contour(who.cloth), max(brush.outline, 0.005), 0.55)
    for side in (-1, 1):
        x = 0.5 + side * who.shoulder_w * 0.74
        canvas.drawPath(curve([(x, y + 0.15), (x - side * 0.012, y + 0.25), (x - side * 0.005, DOWN)]), arm)
    if brush.outline:
        canvas.drawPath(torso, line(brush.contour(who.cloth), brush.outline))


def _band(canvas: skia.Canvas, who: Identity, brush: Brush) -> None:
    """Round neckline with a band."""
    y, n = who.shoulder_y, who.neck_w
    neckline = curve(
        [
            (0.5 - 1.32 * n, y - 0.05),
            (0.5 - 0.85 * n, y + 0.025),
            (0.5, y + 0.05),
            (0.5 + 0.85 * n, y + 0.025),
            (0.5 + 1.32 * n, y - 0.05),
        ]
    )
    if brush.outline:
        canvas.drawPath(neckline, line(brush.contour(who.cloth), 0.026 + 2 * brush.outline))
    canvas.drawPath(neckline, line(darker(who.cloth, 0.18), 0.026))


def _tee(canvas: skia.Canvas, who: Identity, brush: Brush) -> None:
    _band(canvas, who, brush)
    if who.seed % 3 == 0:
        canvas.drawPath(oval(0.5, who.shoulder_y + 0.2, 0.07, 0.07), solid(who.cloth_2))


def _striped(canvas: skia.Canvas, who: Identity, brush: Brush) -> None:
    paint = line(who.cloth_2, 0.026)
    for i in range(14):
        y = who.shoulder_y + 0.075 + 0.062 * i
        canvas.drawPath(skia.Path().moveTo(0.0, y + 0.03).quadTo(0.5, y - 0.02, 1.0, y + 0.03), paint)
    _band(canvas, who, brush)


def _hoodie(canvas: skia.Canvas, who: Identity, brush: Brush) -> None:
    y, n = who.shoulder_y, who.neck_w
    for side in (-1, 1):
        flap = curve(
            [
                (0.5 + side * 1.0 * n, y - 0.09),
                (0.5 + side * 1.9 * n, y - 0.02),
                (0.5 + side * 1.3 * n, y + 0.075),
                (0.5, y + 0.1),
                (0.5 + side * 0.5 * n, y + 0.04),
            ],
            closed=True,
        )
        brush.fill(canvas, flap, darker(who.cloth, 0.14))
        canvas.drawPath(curve([(0.5 + side * 0.035, y + 0.08), (0.5 + side * 0.04, y + 0.2)]), line(who.cloth_2, 0.011))
    canvas.drawLine(0.5, y + 0.1, 0.5, DOWN, line(darker(who.cloth, 0.25), 0.006))


def _collar(canvas: skia.Canvas, who: Identity, brush: Brush, inner: tuple[int, int, int]) -> None:
    y, n = who.shoulder_y, who.neck_w
    for side in (-1, 1):
        path = skia.Path().moveTo(0.5 + side * n * 1.0, y - 0.085).lineTo(0.5 + side * n * 1.55, y - 0.01)
        path.lineTo(0.5 + side * n * 0.85, y + 0.07).lineTo(0.5, y + 0.025).close()
        brush.fill(canvas, path, lighter(inner, 0.2), 0.3)


def _shirt(canvas: skia.Canvas, who: Identity, brush: Brush) -> None:
    y = who.shoulder_y
    canvas.drawLine(0.5, y + 0.03, 0.5, DOWN, line(darker(who.cloth, 0.22), 0.006))
    for i in range(7):
        canvas.drawPath(oval(0.5, y + 0.09 + 0.1 * i, 0.009, 0.009), solid(lighter(who.cloth, 0.65)))
    _collar(canvas, who, brush, who.cloth)


def _suit(canvas: skia.Canvas, who: Identity, brush: Brush) -> None:
    y, n = who.shoulder_y, who.neck_w
    white = lighter(who.cloth_2, 0.75)
    chest = skia.Path().moveTo(0.5 - 1.4 * n, y - 0.06).lineTo(0.5, y + 0.3).lineTo(0.5 + 1.4 * n, y - 0.06).close()
    throat = skia.Path().moveTo(0.5 - n, y - 0.09).lineTo(0.5, y + 0.035).lineTo(0.5 + n, y - 0.09).close()
    canvas.drawPath(chest, solid(white))
    canvas.drawPath(throat, solid(who.skin))
    tie = mix(who.cloth_2, (170, 40, 60), 0.55)
    knot = skia.Path().moveTo(0.478, y + 0.02).lineTo(0.522, y + 0.02).lineTo(0.511, y + 0.062).lineTo(0.53, y + 0.25)
    brush.fill(canvas, knot.lineTo(0.5, y + 0.3).lineTo(0.47, y + 0.25).lineTo(0.489, y + 0.062).close(), tie)
    _collar(canvas, who, brush, white)
    for side in (-1, 1):
        path = skia.Path().moveTo(0.5 + side * n * 1.35, y - 0.07).lineTo(0.5 + side * n * 2.1, y + 0.06)
        path.lineTo(0.5 + side * n * 1.5, y + 0.1).lineTo(0.5 + side * n * 1.6, y + 0.13).lineTo(0.5, y + 0.3).close()
        brush.fill(canvas, path, darker(who.cloth, 0.16), 0.5)


def _dress(canvas: skia.Canvas, who: Identity, brush: Brush) -> None:
    y, s = who.shoulder_y, who.shoulder_w
    points = [
        (0.5 - 0.72 * s, y - 0.03),
        (0.5 - 0.6 * s, y + 0.1),
        (0.5 - 0.25 * s, y + 0.15),
        (0.5, y + 0.12),
        (0.5 + 0.25 * s, y + 0.15),
        (0.5 + 0.6 * s, y + 0.1),
        (0.5 + 0.72 * s, y - 0.03),
    ]
    path = curve(points)
    path.lineTo(0.5 + 1.4 * s, y - 0.03).lineTo(0.5 + 1.4 * s, DOWN).lineTo(0.5 - 1.4 * s, DOWN).lineTo(
        0.5 - 1.4 * s, y - 0.03
    ).close()
    brush.fill(canvas, path, who.cloth)
    for i in range(5):
        canvas.drawPath(
            oval(0.5 + 0.045 * (i - 2), y + 0.008 + 0.012 * (2 - abs(i - 2)), 0.011, 0.011), solid(who.cloth_2)
        )


def _turtleneck(canvas: skia.Canvas, who: Identity, brush: Brush) -> None:
    y, n = who.shoulder_y, who.neck_w
    brush.fill(canvas, box(0.5 - 1.18 * n, y - 0.1, 0.5 + 1.18 * n, y + 0.012, 0.02), darker(who.cloth, 0.1))
    for i in range(-3, 4):
        canvas.drawLine(0.5 + 0.3 * n * i, y - 0.085, 0.5 + 0.3 * n * i, y, line(darker(who.cloth, 0.25), 0.004))


def _plates(canvas: skia.Canvas, who: Identity, brush: Brush) -> None:
    y = who.shoulder_y
    brush.fill(canvas, box(0.36, y + 0.04, 0.64, y + 0.3, 0.03), lighter(who.cloth, 0.25))
    canvas.drawPath(oval(0.5, y + 0.11, 0.034, 0.034), solid(who.iris))
    canvas.drawPath(oval(0.5, y + 0.11, 0.07, 0.07), glow(0.5, y + 0.11, 0.07, who.iris, 0.6))
    for x in (0.385, 0.615):
        canvas.drawPath(oval(x, y + 0.065, 0.009, 0.009), solid(darker(who.cloth, 0.5)))


_CLOTHES = {
    "tee": _tee,
    "stripes": _striped,
    "hoodie": _hoodie,
    "shirt": _shirt,
    "suit": _suit,
    "dress": _dress,
    "turtleneck": _turtleneck,
    "robot": _plates,
}
