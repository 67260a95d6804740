# ruff: noqa: E501 (rows of a dictionary: a row a line reads best)
"""Words of wishes in English, Chinese, Japanese and Korean, and what they ask for.

Every row is (kind, value, amount or None, pattern); patterns are regular expressions on cleaned lower-case text. Where
matches overlap, the longer one counts. An amount is the word's own intensity; None leaves it to adverbs.
"""

import re

_EN = {
    ("emotion", "calm"): "calm(?:ly|er|ness)?|relax(?:ed|ing)?|peaceful(?:ly)?|seren(?:e|ely|ity)|gentl(?:e|y)|composed|soothing",
    ("emotion", "excitement"): "excite(?:d|dly|ment)|enthusias(?:m|tic|tically)|thrill(?:ed)?|energetic(?:ally)?|eager(?:ly)?|passionate(?:ly)?",
    ("emotion", "confusion"): "confus(?:ed|edly|ion|ing)|puzzled?|bewilder(?:ed|ment)|perplexed|doubt(?:s|ful|fully|ing)?|unsure|uncertain",
    ("emotion", "sadness"): "sad(?:ly|ness|der)?|sorrow(?:ful|fully)?|unhapp(?:y|ily)|depressed|melanchol(?:y|ic)|gloom(?:y|ily)|grie(?:f|ving)|tear(?:ful|fully|y)|upset|(?:cry|cries|crying|weeps?|weeping)",
    ("emotion", "surprise"): "surpris(?:e|ed|edly|ing)|astonish(?:ed|ment)|amaze(?:d|ment)|startled|stunned|shock(?:ed)?|scared|afraid|fearful(?:ly)?",
    ("emotion", "anger"): "ang(?:er|ry|rily|rier)|mad(?:ly)?|annoyed|irritated|indignant(?:ly)?|outraged?|hostile|shout(?:s|ing)?",
    ("emotion", "joy"): "happ(?:y|ily|iness|ier)|cheer(?:ful|fully|y)|joy(?:ful|fully|ous|ously)?|glad(?:ly)?|delight(?:ed|edly|ful)?|smil(?:e|es|ing|ed)|laugh(?:s|ing|ed|ter)?|grin(?:s|ning)?|merr(?:y|ily)|playful(?:ly)?|burst(?:s|ing)? out laughing",
    ("emotion", "neutral"): "neutral(?:ly)?|expressionless|deadpan|blank (?:face|expression)|poker face|emotionless|serious(?:ly)?|solemn(?:ly)?",
    ("action", "nod"): "nod(?:s|ding|ded)?",
    ("action", "shake_head"): r"sh[ao]k(?:e|es|ing) (?:\w+ )?head|head ?shak(?:e|es|ing)",
    ("action", "tilt_head"): r"(?:tilt|cock)(?:s|ing|ed)? (?:\w+ )?head|head (?:tilt(?:s|ed)?|to one side)",
    ("action", "raise_hand"): r"(?:rais(?:e|es|ing|ed)|lift(?:s|ing)?|hold(?:s|ing)? up|put(?:s|ting)? up) (?:\w+ ){0,2}(?:hands?|arms?)|(?:hand|arm)s? (?:up|raised)",
    ("action", "wave"): "wav(?:e|es|ing|ed)",
    ("action", "look_left"): r"(?:look|turn|glanc|fac)(?:e|s|es|ing)? (?:(?:her|his|their|its|the) head )?(?:to |toward |towards )?(?:(?:the|her|his|their|its) )?left",
    ("action", "look_right"): r"(?:look|turn|glanc|fac)(?:e|s|es|ing)? (?:(?:her|his|their|its|the) head )?(?:to |toward |towards )?(?:(?:the|her|his|their|its) )?right",
    ("action", "lean_in"): "lean(?:s|ing|ed)? (?:in|forward|closer|towards?)",
    ("camera", "static"): r"(?:static|fixed|still|stationary|locked(?:-off)?) (?:camera|shot|frame)|camera (?:\w+ )?(?:still|static|fixed|stationary)|no camera (?:move|motion|movement)s?|(?:do not|don'?t|without) (?:move|moving) the camera|camera (?:does not|doesn'?t) move",
    ("camera", "push_in"): r"(?:push|zoom|dolly|dollies|mov|track)(?:e|es|s|ing)?[ -](?:(?:slowly|slightly|gently|quickly) )?in|camera (?:\w+ )?(?:closer|forward|approaches)|close[- ]?up",
    ("camera", "pull_out"): r"(?:pull|zoom|dolly|dollies|mov)(?:e|es|s|ing)?[ -](?:(?:slowly|slightly|gently|quickly) )?(?:out|back|away)|camera (?:\w+ )?(?:back(?:wards?)?|away|retreats)|widen(?:s|ing)?",
    ("camera", "pan_left"): r"pan(?:s|ning)? (?:\w+ )?(?:(?:to )?the )?left|camera (?:mov|slid|glid|pan)(?:e|es|s|ning|ing) (?:\w+ )?(?:to the )?left|left pan",
    ("camera", "pan_right"): r"pan(?:s|ning)? (?:\w+ )?(?:(?:to )?the )?right|camera (?:mov|slid|glid|pan)(?:e|es|s|ning|ing) (?:\w+ )?(?:to the )?right|right pan",
    ("camera", "tilt_up"): r"tilt(?:s|ing)? (?:the camera )?(?:slowly )?up(?:wards?)?|camera (?:\w+ )?(?:up(?:wards?)?|rises)",
    ("camera", "tilt_down"): r"tilt(?:s|ing)? (?:the camera )?(?:slowly )?down(?:wards?)?|camera (?:\w+ )?(?:down(?:wards?)?|lowers)",
    ("gaze", "viewer"): r"(?:look|star|gaz)(?:e|es|s|ing)? (?:straight |directly )?(?:in|in)?(?:to|at) (?:the )?(?:camera|viewer|us|audience)|eye contact|eyes on (?:us|the viewer|the camera)",
    ("gaze", "left"): "eyes (?:to the )?left",
    ("gaze", "right"): "eyes (?:to the )?right",
    ("gaze", "up"): "(?:look|gaz)(?:e|es|s|ing)? (?:up|upwards?)|eyes up",
    ("gaze", "down"): "(?:look|gaz)(?:e|es|s|ing)? (?:down|downwards?)|eyes down|lowered eyes",
    ("voice", "singing"): "sing(?:s|ing)?",
}  # fmt: skip
_CJK = {
    ("emotion", "calm"): "平静|冷静|镇定|安详|温柔|放松|淡定|沉着|从容|穏やか|落ち着|冷静|静か|リラックス|優し|차분|침착|평온|잔잔|편안|온화",
    ("emotion", "excitement"): "兴奋|激动|热情|激昂|亢奋|興奮|わくわく|ワクワク|熱心|情熱|흥분|신나|신난|열정|들뜬|들떠|설레",
    ("emotion", "confusion"): "困惑|疑惑|迷惑|迷茫|不解|纳闷|戸惑|混乱|とまど|不思議そう|혼란|당황|의아|어리둥절|헷갈",
    ("emotion", "sadness"): "忧郁|悲伤|难过|伤心|忧伤|沮丧|哀伤|悲痛|不高兴|不开心|不快乐|哭|流泪|悲し|哀し|泣|つら|寂し|落ち込|슬프|슬픈|슬픔|슬퍼|우울|눈물|울면서|울며|쓸쓸",
    ("emotion", "surprise"): "惊讶|吃惊|惊奇|震惊|诧异|惊喜|害怕|驚|びっくり|ビックリ|仰天|怖が|놀라|놀란|놀랍|깜짝|경악|무서워",
    ("emotion", "anger"): "生气|愤怒|发怒|恼火|气愤|恼怒|怒って|怒り|怒る|怒ら|怒っ|憤|腹を立|イライラ|화난|화나|화내|화를 ?내|분노|성난|짜증",
    ("emotion", "joy"): "高兴|开心|快乐|喜悦|愉快|欢快|微笑|笑着|大笑|笑容|幸福|嬉し|うれし|楽し|喜ん|喜び|笑顔|笑っ|笑い|微笑|ほほえ|明るく|기쁘|기쁜|기쁨|기뻐|행복|즐겁|즐거|웃으|웃는|웃어|미소|밝게|밝은 표정",
    ("emotion", "neutral"): "中性|面无表情|无表情|中立|無表情|真顔|무표정|중립|严肃|认真的表情|真剣|真面目|진지",
    ("action", "nod"): "点头|點頭|点点头|うなず|頷|끄덕",
    ("action", "shake_head"): "摇头|搖頭|摇摇头|首を(?:横に)?振|頭を(?:横に)?振|かぶりを振|고개를 ?(?:가로)?(?:젓|저으|저어|흔[들든]|가로저)|머리를 흔들|도리도리",
    ("action", "tilt_head"): "歪头|歪着头|歪歪头|侧头|偏头|首をかし|首を傾|頭を傾|小首|고개를 ?(?:살짝 ?)?(?:갸웃|갸우뚱|기울)|갸웃",
    ("action", "raise_hand"): "举手|抬手|举起(?:一只|左|右|双)?手|抬起(?:一只|左|右|双)?手|手を(?:挙|上げ|あげ)|挙手|손을 ?(?:높이 ?)?(?:든|들고|들며|들어|올)",
    ("action", "wave"): "挥手|揮手|招手|挥挥手|摆手|手を(?:振|ふ)|손을? ?(?:크게 ?)?흔[들든]",
    ("action", "look_left"): "[向往朝]左(?:边|侧)?(?:看|转|望|扭)|看[向着]?左|转头向左|左(?:側|の方)?を(?:見|向)|左(?:へ|に)(?:顔|首|目)?を?(?:向|振り向)|왼쪽을 ?(?:보|본|바라|봐|향)|왼쪽으로 ?(?:고개|머리)",
    ("action", "look_right"): "[向往朝]右(?:边|侧)?(?:看|转|望|扭)|看[向着]?右|转头向右|右(?:側|の方)?を(?:見|向)|右(?:へ|に)(?:顔|首|目)?を?(?:向|振り向)|오른쪽을 ?(?:보|본|바라|봐|향)|오른쪽으로 ?(?:고개|머리)",
    ("action", "lean_in"): "前倾|凑近|靠过来|身を乗り出|前のめり|前かがみ|몸을 ?(?:앞으로 ?)?(?:숙|기울|내밀)",
    ("camera", "static"): "固定镜头|镜头(?:保持)?(?:固定|不动|静止)|静止镜头|不要(?:移动|动)镜头|固定カメラ|カメラ(?:は|を)?固定|カメラ(?:は|を)?動かさ|고정 ?(?:된 )?(?:카메라|샷)|카메라(?:는|를)? ?고정|카메라(?:는|를|가)? ?움직이지",
    ("camera", "push_in"): "推近|推镜头?|推进|拉近(?:镜头)?|镜头[^，。]{0,4}(?:靠近|放大)|特写|ズームイン|プッシュイン|カメラ[がを]?[^、。]{0,5}(?:寄|近づ)|寄っていく|クローズアップ|줌 ?인|푸시 ?인|클로즈업|카메라[가를]? ?[^,.]{0,6}(?:다가|가까이)|확대",
    ("camera", "pull_out"): "拉远(?:镜头)?|镜头[^，。]{0,4}(?:后退|远离|缩小)|ズームアウト|カメラ[がを]?[^、。]{0,5}(?:引|遠ざ)|引いていく|줌 ?아웃|카메라[가를]? ?[^,.]{0,6}(?:멀어|뒤로|물러)|축소",
    ("camera", "pan_left"): "镜头[^，。]{0,3}(?:左移|向左|左摇)|[向往]左(?:摇|平移|移)|左(?:に|へ)パン|左パン|カメラ[がをは]?左|왼쪽으로 ?(?:[^ ,.]{1,4} )?(?:패닝|팬)|카메라[가를]? ?왼쪽",
    ("camera", "pan_right"): "镜头[^，。]{0,3}(?:右移|向右|右摇)|[向往]右(?:摇|平移|移)|右(?:に|へ)パン|右パン|カメラ[がをは]?右|오른쪽으로 ?(?:[^ ,.]{1,4} )?(?:패닝|팬)|카메라[가를]? ?오른쪽",
    ("camera", "tilt_up"): "镜头[^，。]{0,3}(?:上移|向上|上摇|上仰)|ティルトアップ|カメラ[がをは]?上|틸트 ?업|카메라[가를]? ?위",
    ("camera", "tilt_down"): "镜头[^，。]{0,3}(?:下移|向下|下摇|下俯)|ティルトダウン|カメラ[がをは]?下|틸트 ?다운|카메라[가를]? ?아래",
    ("gaze", "viewer"): "(?:看|直视|注视|面对|看着|看向)(?:镜头|观众)|カメラ目線|カメラを見|正面を見|카메라를 ?(?:보|바라|응시)|정면(?:을)? ?(?:응시|보|바라)",
    ("gaze", "left"): "目光(?:向|看)左|视线(?:向|朝)?左|視線[はを]左|시선은? ?왼쪽",
    ("gaze", "right"): "目光(?:向|看)右|视线(?:向|朝)?右|視線[はを]右|시선은? ?오른쪽",
    ("gaze", "up"): "目光(?:向|看)上|向上看|抬头|視線[はを]上|上を見|시선은? ?위|위를 ?(?:보|바라|본)",
    ("gaze", "down"): "目光(?:向|看)下|向下看|低头|視線[はを]下|下を見|うつむ|시선은? ?아래|아래를 ?(?:보|바라|본)|고개를 숙|目光低垂|垂目|目を伏せ|눈을 내리",
    ("voice", "singing"): "唱|歌う|歌って|歌い|노래",
}  # fmt: skip
_STRONG = [
    ("emotion", "joy", 0.7, "[😀😃😄😁😊🙂😂🤣🥰😍😆☺]"),
    ("emotion", "anger", 0.8, "[😡😠🤬👿]"),
    ("emotion", "sadness", 0.7, "[😢😭😞😔☹🙁]"),
    ("emotion", "surprise", 0.7, "[😮😲😱🤯😯]"),
    ("emotion", "confusion", 0.6, "[😕🤔😖🤨]"),
    ("emotion", "excitement", 0.8, "[🤩🎉🥳]"),
    ("emotion", "calm", 0.6, "[😌]"),
    ("emotion", "neutral", 0.5, "[😐😶]"),
    ("action", "wave", None, "👋"),
    ("action", "raise_hand", None, "[✋🙋🖐]"),
    ("emotion", "anger", 0.95, r"\b(?:furious(?:ly)?|enraged|rag(?:e|ing))\b|暴怒|大怒|狂怒|激怒|激しく怒|격노|격분"),
    ("emotion", "joy", 0.95, r"\b(?:overjoyed|ecstatic(?:ally)?|elated)\b|狂喜|欣喜若狂|大喜び|몹시 기뻐|환희"),
    ("emotion", "sadness", 0.95, r"\b(?:devastated|heartbroken|despair(?:ing)?)\b|悲痛欲绝|绝望|絶望|号泣|절망|통곡"),
    ("emotion", "surprise", 0.95, r"\b(?:astounded|flabbergasted)\b|目瞪口呆|大吃一惊|愕然|경악"),
    ("emotion", "sadness", 0.5, r"\b(?:worried|anxious(?:ly)?|nervous(?:ly)?)\b|担心|焦虑|紧张|不安|心配|걱정|불안"),
    ("motion", "low", 0.15, r"\b(?:stays? still|(?:little|less|minimal|no) (?:movement|motion|gestures?)|few gestures|barely mov(?:es|ing)|motionless|subtle (?:movement|motion)s?)\b|动作(?:很|较)?小|少动|动作幅度小|不要动|动きは?(?:が)?(?:控えめ|小さ|少な)|動き[はが]?(?:控えめ|小さ|少な)|じっとして|움직임[은이]? ?(?:적|작|거의 없)|가만히"),
    ("motion", "high", 0.85, r"\b(?:(?:lively|dynamic|big|lots of|strong) (?:movements?|motion|gestures?)|animated(?:ly)?|moves? a lot)\b|动作(?:很|较)?大|动作幅度大|活泼|手舞足蹈|動き[はが]?(?:大き|多)|活発|움직임[은이]? ?(?:크|많)|활발|역동"),
]  # fmt: skip

LEXICON: list[tuple[str, str, float | None, re.Pattern[str]]] = [
    *((kind, value, None, re.compile(rf"\b(?:{words})\b")) for (kind, value), words in _EN.items()),
    *((kind, value, None, re.compile(words)) for (kind, value), words in _CJK.items()),
    *((kind, value, amount, re.compile(words)) for kind, value, amount, words in _STRONG),
]

DEGREES: list[tuple[float, re.Pattern[str]]] = [
    (1.0, re.compile(r"\b(?:extreme(?:ly)?|utter(?:ly)?|total(?:ly)?|incredibl[ey]|overwhelming(?:ly)?|intense(?:ly)?|most)\b|极其|极度|极为|极了|无比|极|極めて|極度に|ものすごく|最高に|극도로|극히|엄청|굉장히")),
    (0.2, re.compile(r"\b(?:a tiny bit|barely|hint of|faint(?:ly)?)\b|微微|稍微|稍稍|略微|わずかに|かすかに|ほんの少し|아주 조금|아주 살짝|희미하게")),
    (0.85, re.compile(r"\b(?:very|really|so|deep(?:ly)?|strong(?:ly)?|great(?:ly)?|broad(?:ly)?|loud(?:ly)?|highly|big)\b|非常|十分|特别|很|好|太|超|とても|非常に|すごく|大変|かなり|매우|아주|무척|정말|몹시|너무|크게")),
    (0.35, re.compile(r"\b(?:slight(?:ly)?|a (?:little|bit|touch)|mild(?:ly)?|subtl[ey]|soft(?:ly)?|somewhat|kind of|faintly)\b|有点儿?|有些|一点儿?|轻微|一丝|略|少し|ちょっと|やや|軽く|약간|조금|살짝|다소|좀")),
    (0.7, re.compile(r"\b(?:quite|rather|pretty|fairly)\b|相当|比较|わりと|けっこう|결構|꽤|상당히|제법")),
]  # fmt: skip
"""Adverbs of degree: the first row that matches counts."""
SPEEDS: list[tuple[float, re.Pattern[str]]] = [
    (0.3, re.compile(r"\b(?:slow(?:ly)?|gentl[ey]|slight(?:ly)?|gradual(?:ly)?|subtl[ey]|a (?:little|bit)|soft(?:ly)?)\b|缓慢|缓缓|慢慢|轻轻|稍微|逐渐|ゆっくり|少し|徐々に|そっと|천천히|살짝|조금|서서히")),
    (0.9, re.compile(r"\b(?:quick(?:ly)?|fast|rapid(?:ly)?|sudden(?:ly)?|strong(?:ly)?|dramatic(?:ally)?|swift(?:ly)?)\b|快速|迅速|猛|突然|大幅|素早く|速く|急に|一気に|大きく|빠르게|빨리|급히|갑자기|크게")),
]  # fmt: skip

BEFORE = [
    re.compile(r"\b(?:not(?! only| just)|no|never|without|avoid|cannot|nor|neither|stop|\w+n'?t)(?:\W+(?!but\b|and\b|instead\b|then\b|just\b|rather\b)\w+){0,3}\W*$"),
    re.compile(r"(?:不要|不再|不想|不能|不是|并非|避免|禁止|不(?!断|停|时|错|由|仅|但|同)|别(?!人)|勿|没有|没|无需)[^，。而但]{0,4}$"),
    re.compile(r"(?:^|\s)(?:안|못)\s*$"),
]  # fmt: skip
AFTER = [
    re.compile(r"^[^、。，,.]{0,7}?(?:ない|ません|なし|ずに|ず(?=$|[、。])|なく|禁止|避け)"),
    re.compile(r"^[^,.]{0,5}?(?:지 ?(?:않|마|말|못)|없이|없는|말고|금지)"),
]
"""A wish is negated where one of BEFORE ends just before it, or one of AFTER begins just after it."""

_NUMBER = r"(\d{1,5}(?:\.\d{1,3})?)"
_S = r" ?(?:seconds?\b|secs?\b|s\b|秒|초)"
TIMINGS: list[tuple[str, re.Pattern[str]]] = [
    ("span", re.compile(rf"\b(?:from|between) (?:second )?{_NUMBER}(?:{_S})? ?(?:to|and|until|-|–) ?{_NUMBER}{_S}")),
    ("span", re.compile(rf"第?{_NUMBER}{_S}?(?:到|至|から|부터|-|~|〜) ?第?{_NUMBER}{_S}(?:まで|까지|之间|の間)?(?:に|の|는|은)?")),
    ("first", re.compile(rf"\b(?:in |for |during )?the first {_NUMBER}{_S}|(?:前|最初の|처음 ?){_NUMBER}{_S}(?:钟|間|동안)?(?:は|に|은|에)?")),
    ("last", re.compile(rf"\b(?:in |for |during )?the last {_NUMBER}{_S}|最后{_NUMBER}{_S}钟?|最後の{_NUMBER}{_S}間?(?:は|に)?|마지막 ?{_NUMBER}{_S} ?(?:동안)?(?:은|에)?")),
    ("for", re.compile(rf"\b(?:for|over|within|lasting|during|in the course of)(?: about| around| some)? {_NUMBER}{_S}|\b{_NUMBER}{_S}(?: long)? (?=(?:push|zoom|pan|tilt|pull|dolly))")),
    ("for", re.compile(rf"(?:用|花|持续|历时){_NUMBER}秒(?:钟|的时间)?|{_NUMBER}秒(?:钟)?(?:之?内|的时间)|{_NUMBER}秒(?:間)?かけて|{_NUMBER}秒間|{_NUMBER}초 ?(?:동안|간|에 걸쳐)(?:은|는)?")),
    ("at", re.compile(rf"\b(?:at|after|from|starting at|beginning at)(?: second| about| around|:)? {_NUMBER}(?:{_S})|\bat second {_NUMBER}|@ ?{_NUMBER}{_S}")),
    ("at", re.compile(rf"(?:在|第|从)*{_NUMBER}(?:秒(?:钟)?(?:时|后|的时候|开始|处|起|から|後に?|の時に?|で|に|目に?|目で)?|초(?:에서?|부터|쯤에?| ?후에?| ?뒤에?)?)")),
    ("rest", re.compile(r"\b(?:otherwise|the rest of the time|for the rest|the remaining time|at all other times)\b|其余时间|其他时间|その他の時間|それ以外|나머지")),
    ("half", re.compile(r"\b(?:halfway(?: through)?|in the middle|in the second half)\b|中途|后半段?|中间|後半[はにで]?|途中(?:で|から)|중간에|후반에?|절반")),
    ("end", re.compile(r"\b(?:finally|at the (?:very )?end|in the end|lastly|at last|ending with|ends? (?:with|by)|towards? the end)\b|最后|最终|最後[はにで]?|終わりに|마지막(?:에는?|으로)?|끝에서?는?|결국")),
    ("start", re.compile(r"\b(?:at first|first(?:ly)?|initially|to begin with|(?:start|begin)(?:s|ning|ing)?(?: off)?(?: with| by| as)?|at the (?:start|beginning))\b|首先|一开始|开始时|起初|先(?!生)|最初[はにで]?|初めは?|はじめは?|まずは?|처음에?[는엔]?|먼저")),
    ("then", re.compile(r"\b(?:(?:and )?then|after that|afterwards?|later|next|followed by|before becoming|turning|(?:gradually )?becom(?:es|ing)|subsequently)\b|然后|接着|随后|之后|接下来|再(?!见|次)|变得|变成|それから|その後|次に|続いて|そして|あとで|그 ?다음(?:에|엔)?|그리고 ?나서|그 ?후에?|이후에?|나중에|다음에|이어서")),
]  # fmt: skip
"""Timing words; the first row that matches at a place counts. Groups are seconds."""
