# ruff: noqa: E501 (rows of a dictionary: a row a line reads best)
"""A wish put into plainer words before it is read: digits for number words, "then" for "before" and "after"."""

import re

_ONES = dict(zip("零一二三四五六七八九", range(10), strict=True)) | {"两": 2, "兩": 2}
_KOREAN = dict(zip("일이삼사오육칠팔구", range(1, 10), strict=True))
_ENGLISH = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]
_ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
]
_TRADITIONAL = str.maketrans(
    "開鏡頭動點搖揮舉興奮驚訝傷難過憤氣惱溫靜鎮後終時遠進緩輕視線觀眾風極歡樂無別沒請見轉體傾聲長從這會說話變淚絕為還內鐘間與雙邊側對邁憂鬱嚴肅顏幾個強張緊"
    "擺讓實輪樣麼來兩筆將園圖書館辦",
    "开镜头动点摇挥举兴奋惊讶伤难过愤气恼温静镇后终时远进缓轻视线观众风极欢乐无别没请见转体倾声长从这会说话变泪绝为还内钟间与双边侧对迈忧郁严肃颜几个强张紧"
    "摆让实轮样么来两笔将园图书馆办",
)
_NUMBERS = "|".join(_ENGLISH)
_NTH = rf"(?:{'|'.join(_ORDINALS)}|\d{{1,4}}(?:st|nd|rd|th))"
_CLOCK = re.compile(r"(?<![\d:])(\d{1,2}):([0-5]\d)(?![\d:])")
_NUMBER_WORD = re.compile(rf"\b({_NUMBERS})(?=[ -]seconds?\b)", re.IGNORECASE)
_NTH_SECOND = re.compile(rf"\b(?:on|at|in|by|from) (?:the )?({_NTH}) seconds?\b(?! of)", re.IGNORECASE)
_HYPHEN = re.compile(r"\b(\d{1,4})-(?=seconds?\b)", re.IGNORECASE)
_HAN_NUMBER = re.compile(r"([零一二两兩三四五六七八九十]{1,3})(?=秒)")
_KOREAN_NUMBER = re.compile(r"(?<![가-힣])([일이삼사오육칠팔구십]{1,3})(?= ?초(?:[에부가동간뒤후쯤까]| |$))")

_TURNED: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r"^(\W*)before (\w+ing\b[^,.]*?)(?:,| (?=(?:she|he|they|it|the)\b)) ?(.+)$", re.IGNORECASE), r"\1at first \3, then \2"),
    (re.compile(r"^(.*\w)\W+before (?!becoming)(\w+ing\b.*)$", re.IGNORECASE), r"at first \1, then \2"),
    (re.compile(r"^(\W*)after (\w+ing\b[^,.]*?)(?:,| (?=(?:she|he|they|it|the)\b)) ?(.+)$", re.IGNORECASE), r"\1at first \2, then \3"),
    (re.compile(r"^(.*\w)\W+after (\w+ing\b.*)$", re.IGNORECASE), r"at first \2, then \1"),
    (re.compile(r"^(?:在)?([^，,、]+?)(?:之前|以前)[，,]?先([^，,]+)(.*)$"), r"先\2，然后\1\3"),
    (re.compile(r"^([^、,]+?[るくすつぬむぶうぐ])前に、?([^、,]+)(.*)$"), r"最初は\2、それから\1\3"),
    (re.compile(r"^([^,]+기) 전에,? ?([^,]+)(.*)$"), r"처음에는 \2, 그다음 \1\3"),
]  # fmt: skip
"""Sentences told in another order than they happen in."""


def plainly(text: str) -> str:
    """The same wish with times in digits, in the order in which it happens, Chinese in simplified characters."""
    if not re.search(r"[\u3040-\u30ff\uac00-\ud7af]", text):
        text = text.translate(_TRADITIONAL)
    text = _CLOCK.sub(lambda m: f"{int(m[1]) * 60 + int(m[2])} s", text)
    text = _HYPHEN.sub(r"\1 ", _NUMBER_WORD.sub(lambda m: str(_ENGLISH.index(m[1].lower()) + 1), text))
    text = _NTH_SECOND.sub(lambda m: f"at {_ordinal(m[1].lower())} s", text)
    text = _HAN_NUMBER.sub(lambda m: str(_tens(m[1], _ONES)), text)
    text = _KOREAN_NUMBER.sub(lambda m: str(_tens(m[1].replace("십", "十"), _KOREAN)), text)
    parts = re.split(r"((?<!\d)\.|\.(?!\d)|[;!?\n。！？；]+)", text)
    return "".join(_in_order(part) if i % 2 == 0 else part for i, part in enumerate(parts))


def _ordinal(word: str) -> int:
    return _ORDINALS.index(word) + 1 if word in _ORDINALS else int(word[:-2])


def _tens(word: str, ones: dict[str, int]) -> int:
    """ "十五" is 15, "二十" is 20."""
    before, ten, after = word.partition("十")
    if not ten:
        return int("".join(str(ones[c]) for c in before))
    last = "".join(str(ones[c]) for c in after if c in ones)
    return 10 * ones.get(before, 1) + int(last or 0)


def _in_order(sentence: str) -> str:
    if len(sentence) > 300:
        return sentence
    for pattern, order in _TURNED:
        if pattern.search(sentence):
            return pattern.sub(order, sentence)
    return sentence
