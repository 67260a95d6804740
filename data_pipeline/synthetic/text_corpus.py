"""What the synthetic speakers say: sentences and words written for this project in four languages.

English is widened by the word forms of Python's own help topics. Japanese is kana, because espeak-ng reads no kanji.
"""

import re
from functools import cache

import numpy as np

_SENTENCES = {
    "en": """
Good morning, everybody, and welcome to the show.|We are going to talk about five simple ideas today.
The blue boat moved slowly past the old bridge.|Please put the map back into my bag before we leave.
I never thought that the weather could change so fast.|Why would anybody want to do that?
She sells fresh bread and very good coffee near the station.|My mother made a big pot of pumpkin soup.
Thank you so much, that was wonderful!|No, no, no. That is not what I meant.
Could you show me how the new machine works?|The children jumped over puddles and laughed.
It was a quiet evening, and the moon was already up.|Five hundred people bought a ticket for the opening night.
Let us begin with a question that sounds easy.|He whispered a few words and then walked away.
What a beautiful view, I could stay here for hours.|Both teams fought bravely until the very last minute.
Mix the flour with butter, then pour in warm milk.|Our phone number has not changed for fifty years.
Perhaps we should wait until the others arrive.|The huge gray elephant sprayed water over its back.
I am afraid that the shop is closed on Sundays.|Open the window, it is far too hot in here.
Every journey begins with one small step.|Big brown bears eat berries by the river bank.
You have three new messages and one missed call.|The museum of modern art is just around the corner.
Well, as far as I know, nobody has ever tried it.|How many apples would you like to buy?
This method saves both time and money for everyone.|Remember to breathe, smile, and enjoy the music.
We lost the first game, but we won the next four.|A thousand thanks for your patience and your help.
The judge asked whether the window had been open.|Yellow leaves were falling on the wet street.
I would rather have a cup of tea, if you do not mind.|They moved to a village with a view of the mountains.
Push the green button twice and wait for the beep.|My favorite movie is about a pilot and a violin.
Nothing is impossible if you prepare for it.|Who is there? Oh, it is you! Come in, come in.
The population of the valley doubled within ten years.|Keep your hands on the wheel and your eyes on the road.
""",
    "zh": """
大家好，欢迎来到今天的节目。|我们今天一起学习做一道家常菜。|请把门关上，外面太冷了。|你吃饭了吗？我还没有吃。
春天来了，花园里开满了红色的花。|他每天早上六点起床，然后去跑步。|这本书非常有意思，我看了三遍。
妈妈买了苹果、葡萄和西瓜。
明天可能会下雨，别忘了带雨伞。|谢谢你的帮助，我非常感动。|小猫在沙发上睡觉，小狗在门口等人。
我们的飞机晚点了两个小时。
这个问题很简单，不用担心。|你为什么不早一点告诉我？|北京的秋天天空很蓝，空气也很好。|老师问了一个问题，没有人回答。
我想喝一杯热咖啡，不要放糖。|他们在学校门口拍了一张照片。|火车马上就要出发了，快一点！|祝你生日快乐，身体健康。
奶奶的故事总是那么有趣。|请按一下左边的绿色按钮。|我爸爸在医院工作，他是一名医生。|这条路一直往前走就到了。
哇，这里的风景真美！|不好意思，我没有听明白，请再说一遍。|音乐会八点开始，我们坐地铁去吧。|科学家发现了一种新的方法。
今天的价格比昨天便宜多了。|房间里面很安静，只有钟表的声音。|我们明年一起去海边旅游。|他说话很慢，但是每一句都很清楚。
""",
    "ja": """
おはようございます、みなさん。|きょうは とても いい てんきですね。|わたしは まいにち コーヒーを のみます。
えきまで あるいて じゅっぷん かかります。
すみません、もういちど おねがいします。|あした ともだちと えいがを みに いきます。
このほんは とても おもしろかったです。|ははは だいどころで りょうりを しています。
ありがとうございます、たすかりました。|なぜ そんなことを いうのですか。
ちいさな ねこが まどの そばで ねむっています。|あめが ふっているので、かさを もっていきましょう。
にほんごを べんきょうして さんねんに なります。|ふゆの やまは ゆきで まっしろです。
びっくりした、ほんとうに ぜんぶ たべたの。|でんしゃが おくれて しまいました。
おばあさんは むかしばなしを してくれました。|ぼくの ゆめは パイロットに なることです。
みぎの ボタンを おしてください。|うみの むこうに ふねが みえます。
ごぜん はちじに しゅっぱつします。|まあ、なんて きれいな はなでしょう。|せんせいは ゆっくり はなしてくれます。
わたしたちは あたらしい ほうほうを みつけました。
パンと バターと ぎゅうにゅうを かいました。|しずかな よるに ピアノの おとが きこえる。
それでは、はじめましょう。|いいえ、そうではありません。
""",
    "ko": """
안녕하세요, 여러분. 반갑습니다.|오늘은 날씨가 정말 좋네요.|저는 매일 아침에 커피를 마십니다.
지하철역까지 걸어서 십 분 걸립니다.
죄송하지만 다시 한번 말씀해 주세요.|내일 친구와 함께 영화를 보러 갑니다.|이 책은 아주 재미있었어요.
어머니는 부엌에서 음식을 만들고 계십니다.
도와주셔서 정말 감사합니다.|왜 그런 말을 하는 거예요?|작은 고양이가 창문 옆에서 자고 있어요.
비가 오니까 우산을 가지고 가세요.
한국어를 배운 지 삼 년이 되었습니다.|겨울 산은 눈으로 하얗게 덮여 있다.|깜짝이야, 정말 다 먹었어?
버스가 조금 늦게 도착했습니다.
할머니는 옛날이야기를 해 주셨어요.|제 꿈은 비행기 조종사가 되는 것입니다.|오른쪽 버튼을 눌러 주세요.
바다 건너편에 배가 보입니다.
오전 여덟 시에 출발합니다.|우와, 정말 아름다운 꽃이네요!|선생님은 천천히 말씀하십니다.
우리는 새로운 방법을 찾았습니다.
빵과 버터와 우유를 샀어요.|조용한 밤에 피아노 소리가 들린다.|그럼 이제 시작해 봅시다.|아니요, 그런 뜻이 아니에요.
""",
}

_WORDS = {
    "en": """
apple baby bamboo banana bath beam beautiful bell big boom bottle bubble bumble camera candy charm cheese chip choose
cloud coffee dream drum early echo emerald family father feather fever fifty five flower foam forever fudge garden
gem giraffe glove gold hammer happy harbor honey house hundred island jam joy judge jump juice keep kitchen lamb
lemon lily love magic maple map measure melody mirror moon mother mountain mouse move mushroom music never
ocean orange oyster pajamas paper parrot peach people pepper piano pillow pleasure plum pop potato pumpkin purple push
puzzle rabbit rainbow river robot rocket room rose sail seven shadow sheep shoes silver simple sing sky smooth snow
soup spoon spring star storm summer sun swim table tea theater thimble thumb thunder tiger time toy treasure tree
tulip umbrella valley vase velvet vision voice water wave weather whisper wild window winter wish wolf wonder
woman wood world yellow yes young zebra zero zoo
""",
    "zh": """
你好 朋友 学校 老师 学生 苹果 西瓜 葡萄 米饭 面包 牛奶 咖啡 妈妈 爸爸 爷爷 奶奶 哥哥 妹妹 天空 月亮 太阳 星星
白云 大海 高山 河流 森林 花园 春天 夏天
秋天 冬天 早上 晚上 昨天 明天 电影 音乐 跳舞 唱歌 跑步 游泳 飞机 火车 汽车 自行车 医院 银行 商店 图书馆 北京
上海 故事 梦想 快乐 生气 悲伤 惊讶 平安
美丽 漂亮 聪明 勇敢 安静 温暖 寒冷 红色 蓝色 绿色 黄色 黑色 小猫 小狗 老虎 兔子 大象 熊猫 蝴蝶 蜜蜂 问题 方法
世界 国家 城市 乡村 电话 电脑 手机 衣服
鞋子 帽子 雨伞 眼睛 鼻子 嘴巴 耳朵 头发 玻璃 瀑布 泡泡 胖 饱 满 佛 发 说 热 日 吃 是 去 女 绿 雨 月 云 有 五 八 九 十
""",
    "ja": """
あさ いぬ うみ えき おと かさ きもの くつ けむり こども さくら しろ すし せかい そら たまご ちず つき てがみ
とり なつ にわ ぬの ねこ のはら はな ひかり ふね
へや ほし まど みず むし めがね もり やま ゆき よる らくだ りんご るす れきし ろうか わに パン ピアノ プリン
ページ ポスト バナナ ビル ブドウ ベル ボタン マイク
ミルク ムード メモ モモ ファミリー フィルム フォーク しゃしん しゅくだい しょうゆ ちゃわん ちゅうい ちょうちょ
きゃく きゅうり きょう にゃんこ ひゃく びょういん
みゃく りょこう じてんしゃ じゅうどう でんわ ともだち がっこう せんせい おんがく うた ゆめ こころ しあわせ
うれしい かなしい おどろき すごい ほんとう ありがとう
""",
    "ko": """
아침 바다 하늘 나무 사람 친구 학교 선생님 학생 사과 수박 포도 밥 빵 우유 커피 엄마 아빠 할머니 할아버지 오빠
누나 동생 달 해 별 구름 산 강 숲 꽃 봄 여름
가을 겨울 어제 오늘 내일 영화 음악 춤 노래 달리기 수영 비행기 기차 자동차 자전거 병원 은행 가게 도서관 서울 부산
이야기 꿈 기쁨 슬픔 놀람 평화 아름답다
예쁘다 똑똑하다 용감하다 조용하다 따뜻하다 춥다 빨간색 파란색 초록색 노란색 고양이 강아지 호랑이 토끼 코끼리
나비 벌 문제 방법 세계 나라 도시 마을 전화
컴퓨터 옷 신발 모자 우산 눈 코 입 귀 머리 물 불 풀 뿔 팔 발 밤 맘 폭포 피부 비빔밥 뽀뽀 왜 외국 의자 위 귀여워
""",
}

_JOIN = {"en": " ", "zh": "", "ja": " ", "ko": " "}
_STOPS = {"en": ".?!", "zh": "。？！", "ja": "。", "ko": ".?!"}
_COMMA = {"en": ", ", "zh": "，", "ja": "、", "ko": ", "}


@cache
def sentences(language: str) -> tuple[str, ...]:
    return tuple(s.strip() for s in re.split(r"[|\n]", _SENTENCES[language]) if s.strip())


@cache
def words(language: str) -> tuple[str, ...]:
    """The written words; for English, also every plain word form in Python's help topics (about 4000)."""
    written = tuple(dict.fromkeys(_WORDS[language].split()))
    if language != "en":
        return written
    from pydoc_data.topics import topics

    found = set(re.findall(r"(?<![\w'._-])[a-z]{3,14}(?![\w'._-])", " ".join(topics.values())))
    return written + tuple(sorted(found - set(written)))


def phrase(rng: np.random.Generator, language: str, low: int = 2, high: int = 9) -> list[str]:
    """Random words, half of them from the hand-written list where the language has a longer one."""
    written = len(dict.fromkeys(_WORDS[language].split()))
    every = words(language)
    count = int(rng.integers(low, high + 1))
    return [every[rng.integers(written if rng.random() < 0.5 else len(every))] for _ in range(count)]


def utterance_text(rng: np.random.Generator, language: str) -> str:
    """A written sentence (45 %) or random words with commas: rich in sounds, poor in sense."""
    if rng.random() < 0.45:
        known = sentences(language)
        return known[rng.integers(len(known))]
    parts = phrase(rng, language)
    text = parts[0]
    for part in parts[1:]:
        text += (_COMMA[language] if rng.random() < 0.15 else _JOIN[language]) + part
    return text + _STOPS[language][rng.integers(len(_STOPS[language]))]
