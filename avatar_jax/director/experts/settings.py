# ruff: noqa: E501 (rows of a dictionary: a row a line reads best)
"""Where and in what style the user wants the video: "background: ...", "in a quiet library", "watercolor style"."""

import re

_NAMED = re.compile(r"\b(background|setting|style|character)(?: is| of)?(?: ?:)? ([^.,;\n]{2,80})|(背景|风格|風格|画风|スタイル|画風|배경|스타일)(?:是|为|は|が|은|는|이)?[:： ]?([^。，、,.\n]{1,40})", re.IGNORECASE)  # fmt: skip
_FIELDS = {"setting": "background", "背景": "background", "배경": "background", "风格": "style", "風格": "style", "画风": "style", "画風": "style", "スタイル": "style", "스타일": "style"}  # fmt: skip
_PLACES = "library|office|street|park|garden|kitchen|living room|bedroom|room|studio|forest|woods|beach|caf[eé]|classroom|city|stage|concert hall|field|meadow|desert|restaurant|church|bar|garage|car|train|train station|station|museum|gym|house|school|hospital|shop|store|market|temple|castle|mountains|river|lake|sea|snow|rain"
_LOOKS = "water ?colou?r|oil painting|anime|cartoon|comic|pixel art|photo-?realistic|realistic|cinematic|film noir|noir|pencil sketch|sketch|3d|vintage|retro|black[- ]and[- ]white|clay|claymation|manga|ink wash"
_PROSE: list[tuple[str, re.Pattern[str]]] = [
    ("background", re.compile(rf"\b(?:in|at|on|inside|by) ((?:an?|the|his|her|their) (?:[\w'-]+ ){{0,4}}?(?:{_PLACES})(?: at (?:night|dawn|dusk|sunset|noon))?)\b", re.IGNORECASE)),
    ("background", re.compile(r"在([^，。,在]{0,8}(?:图书馆|办公室|街上|街道上?|公园|花园|厨房|房间|教室|森林|海边|海滩|咖啡馆|舞台|教堂|博物馆|餐厅|车站|學校|学校))")),
    ("background", re.compile(r"([^、。,，]{0,8}(?:図書館|オフィス|街|公園|庭|台所|部屋|教室|森|海辺|浜辺|カフェ|舞台|ステージ|教会|美術館|駅|学校))(?:で|を背景に)")),
    ("background", re.compile(r"((?:\S+ )?(?:도서관|사무실|거리|공원|정원|부엌|방|교실|숲|해변|카페|무대|교회|박물관|식당|역|학교)) ?(?:에서|안에서|배경)")),
    ("style", re.compile(rf"\b((?:{_LOOKS})(?:[ -]style)?)\b", re.IGNORECASE)),
    ("style", re.compile(r"(水彩画?|油画|动漫|卡通|漫画|写实|电影感|素描|水墨)(?:风格|风|画风)?")),
    ("style", re.compile(r"(水彩画?|油絵|アニメ|漫画|写実|映画|鉛筆画|水墨画)(?:風|調|スタイル)")),
    ("style", re.compile(r"(수채화|유화|애니메이션|만화|사실적|영화 ?같은|연필화|수묵화) ?(?:풍|스타일|느낌)?")),
]  # fmt: skip


def read_settings(text: str) -> dict[str, str]:
    """Background, style and character, as far as the user says them; what is named outright wins over prose."""
    found: dict[str, str] = {}
    for match in _NAMED.finditer(text):
        name, value = (match[1] or match[3]).lower(), (match[2] or match[4]).strip()
        found.setdefault(_FIELDS.get(name, name), value)
    for name, pattern in _PROSE:
        if name not in found and (match := pattern.search(text)):
            found[name] = match[1].strip()
    return found
