"""Eyes and brows in the face layer: gaze, eyelids, squint, raised and slanted brows."""

import skia

from data_pipeline.synthetic.draw.brush import STYLES, Colour, curve, darker, glow, lighter, line, mix, oval, solid
from data_pipeline.synthetic.identity import Identity
from data_pipeline.synthetic.state import COLUMN

EYE = ("blink", "squint", "brow", "frown", "gaze_x", "gaze_y")


def draw_eyes(canvas: skia.Canvas, who: Identity, state: list[float]) -> None:
    """Both eyes and brows for one frame's state."""
    blink, squint, brow, frown, gaze_x, gaze_y = (state[COLUMN[name]] for name in EYE)
    for side in (-1, 1):
        canvas.save()
        canvas.translate(0.5 + side * who.eye_gap, who.eye_y)
        canvas.scale(side, 1)
        if who.kind == "robot":
            _lamp(canvas, who, blink, squint, gaze_x * side, gaze_y)
        else:
            _eye(canvas, who, (blink, squint, brow, frown), gaze_x * side, gaze_y)
        _brow(canvas, who, brow, frown, squint)
        canvas.restore()


def _eye(
    canvas: skia.Canvas, who: Identity, lids: tuple[float, float, float, float], gaze_x: float, gaze_y: float
) -> None:
    """One eye, seen with its outer corner to the right (x > 0)."""
    blink, squint, brow, frown = lids
    w, h, tilt = who.eye_w, who.eye_h, who.eye_tilt * who.eye_w
    brush, ink = STYLES[who.style], darker(mix(who.brow_colour, who.skin, 0.1), 0.55)
    gap = (1 - blink) * (1 - 0.42 * squint)
    upper = h * (1 + 0.32 * max(brow, 0.0)) * gap - 0.35 * h * blink
    lower = h * 0.86 * gap + 0.35 * h * blink
    inner_drop = 0.35 * h * max(frown, 0.0) * gap
    outer_drop = 0.4 * h * max(-frown, 0.0) * gap
    inner, outer = (-w, 0.25 * h * blink + 0.12 * h), (w, 0.25 * h * blink - tilt)
    lid = [
        (-0.55 * w, -0.82 * upper + inner_drop),
        (0.12 * w, -upper + 0.5 * (inner_drop + outer_drop)),
        (0.66 * w, -0.74 * upper - 0.7 * tilt + outer_drop),
    ]
    shape = curve(
        [inner, *lid, outer, (0.5 * w, 0.8 * lower - 0.4 * tilt), (-0.1 * w, lower), (-0.62 * w, 0.78 * lower)],
        closed=True,
    )
    if gap > 0.12:
        canvas.save()
        canvas.clipPath(shape, doAntiAlias=True)
        white = (252, 250, 246) if who.kind == "human" else mix((252, 250, 240), who.iris, 0.12)
        canvas.drawPaint(solid(white))
        r = who.iris_size * max(h, 0.62 * w)
        x, y = gaze_x * 0.48 * w, gaze_y * 0.42 * h
        canvas.drawPath(oval(x, y, r, r), solid(darker(who.iris, 0.4)))
        canvas.drawPath(oval(x, y + 0.08 * r, 0.84 * r, 0.84 * r), solid(who.iris))
        canvas.drawPath(oval(x, y + 0.45 * r, 0.5 * r, 0.34 * r), solid(lighter(who.iris, 0.35), 0.8))
        slit = 0.3 if who.species in ("cat", "fox") else 0.5
        canvas.drawPath(oval(x, y, slit * r, 0.56 * r), solid((18, 14, 20)))
        canvas.drawPath(curve([inner, *lid, outer]), line((40, 30, 60), 0.42 * h, 0.22))
        canvas.drawPath(oval(x - 0.3 * r, y - 0.38 * r, 0.27 * r, 0.27 * r), solid((255, 255, 255)))
        canvas.restore()
    if blink > 0.25 or squint > 0.4:
        canvas.drawPath(
            curve([(-0.8 * w, -0.78 * h), (0.1 * w, -1.02 * h), (0.85 * w, -0.7 * h - tilt)]),
            line(darker(who.skin, 0.25), 0.006),
        )
    thick = max(0.006 + 0.005 * who.lashes, brush.outline)
    canvas.drawPath(curve([inner, *lid, outer]), line(ink, thick))
    if who.lashes > 0.4:
        for share, at in ((1.0, outer), (0.75, (0.84 * w, 0.45 * (lid[2][1] + outer[1])))):
            canvas.drawLine(*at, at[0] + 0.013 * share, at[1] - 0.011 * share + 0.01 * blink, line(ink, 0.0065))
    canvas.drawPath(
        curve([(-0.62 * w, 0.78 * lower), (-0.1 * w, lower), (0.5 * w, 0.8 * lower - 0.4 * tilt)]),
        line(darker(who.skin, 0.4), 0.0045, 0.7),
    )


def _lamp(canvas: skia.Canvas, who: Identity, blink: float, squint: float, gaze_x: float, gaze_y: float) -> None:
    """A robot's eye: a lamp behind a shutter."""
    w, h, brush = who.eye_w, who.eye_h, STYLES[who.style]
    brush.fill(canvas, oval(0, 0, w + 0.012, h + 0.012), darker(who.skin, 0.45))
    canvas.drawPath(oval(0, 0, w, h), solid((24, 28, 44)))
    gap = max((1 - blink) * (1 - 0.4 * squint), 0.07)
    canvas.save()
    canvas.clipPath(oval(0, 0.15 * h * blink, w, h * gap), doAntiAlias=True)
    x, y, r = gaze_x * 0.4 * w, gaze_y * 0.4 * h, 0.62 * min(w, h)
    canvas.drawPaint(solid(mix((24, 28, 44), who.iris, 0.35)))
    canvas.drawPath(oval(x, y, r, r), solid(who.iris))
    canvas.drawPath(oval(x, y, 0.5 * r, 0.5 * r), solid(lighter(who.iris, 0.75)))
    canvas.restore()
    canvas.drawPath(oval(-0.3 * w, -0.45 * h, 0.16 * w, 0.12 * h), solid((255, 255, 255), 0.7))


def _brow(canvas: skia.Canvas, who: Identity, brow: float, frown: float, squint: float) -> None:
    """A tapered brow; its inner end (x < 0) sinks in anger and lifts in sorrow."""
    w, t, arch = 1.12 * who.eye_w, who.brow_thick, who.brow_arch
    if who.kind != "human":
        w, t, arch = 0.85 * w, 0.75 * t, 0.6 * arch
    y = -who.brow_gap - 0.4 * who.eye_h - 0.034 * brow + 0.006 * squint
    inner, outer = y - 0.003 + 0.034 * frown, y + 0.006 - 0.016 * frown
    peak = 0.5 * (inner + outer) - arch * (1 - 0.6 * abs(frown))
    top = [(-0.92 * w, inner - 0.6 * t), (0.25 * w, peak - 0.8 * t), (1.08 * w, outer - 0.1 * t)]
    under = [(1.06 * w, outer + 0.3 * t), (0.2 * w, peak + 0.7 * t), (-0.9 * w, inner + t)]
    path = curve(under, path=curve(top)).close()
    canvas.drawPath(path, solid(who.brow_colour))


def cheeks(canvas: skia.Canvas, who: Identity, smile: float) -> None:
    """Blush on the cheeks, stronger in a smile."""
    strength = who.blush + 0.2 * max(smile, 0.0) * (who.kind == "human") * min(1.0, sum(who.skin) / 600)
    colour: Colour = (232, 92, 92)
    brush = STYLES[who.style]
    for side in (-1, 1) if strength > 0.05 else ():
        x, y = 0.5 + side * 0.62 * who.head_w, 0.555 - 0.008 * smile
        if brush.shade:
            canvas.drawPath(oval(x, y, 0.05, 0.05), glow(x, y, 0.05, colour, 0.75 * strength))
        else:
            canvas.drawPath(oval(x, y, 0.032, 0.022), solid(colour, 0.45 * strength))
