"""Documents of one fact each in many scripts: about places of ISO 3166 as `iso-codes` translates them, made here.

Of every place four things are told, in documents of one sentence that differ in little else; each place is asked about one of them, in
other words than the sentence has.
"""

from __future__ import annotations

import gettext
import json
from collections.abc import Iterator
from pathlib import Path

PLACES = 120
SENTENCES: dict[str, tuple[tuple[str, str], ...]] = {
    "zh_CN": (
        ("{place}办事处每天早上{n}点开门。", "{place}的办事处几点开始营业？"),
        ("寄往{place}的包裹运费是{n}元。", "往{place}寄包裹要花多少钱？"),
        ("{place}站的备用钥匙放在{n}号柜子里。", "{place}站的备用钥匙在哪里？"),
        ("{place}分会的年会定在第{n}周举行。", "{place}分会什么时候开年会？"),
    ),
    "ja": (
        ("{place}の事務所は毎朝{n}時に開きます。", "{place}の事務所は何時からですか。"),
        ("{place}行きの小包の送料は{n}円です。", "{place}へ小包を送るといくらかかりますか。"),
        ("{place}駅の予備の鍵は{n}番の棚にあります。", "{place}駅の予備の鍵はどこですか。"),
        ("{place}支部の総会は第{n}週に開かれます。", "{place}支部の総会はいつですか。"),
    ),
    "ko": (
        ("{place} 사무소는 매일 아침 {n}시에 문을 엽니다.", "{place} 사무소는 몇 시에 여나요?"),
        ("{place}행 소포의 배송비는 {n}원입니다.", "{place}에 소포를 보내면 배송비가 얼마예요?"),
        ("{place}역의 예비 열쇠는 {n}번 보관함에 있습니다.", "{place}역 예비 열쇠는 어디에 있어요?"),
        ("{place} 지부의 총회는 {n}주차에 열립니다.", "{place} 지부 총회는 언제인가요?"),
    ),
    "th": (
        ("สำนักงาน{place}เปิดทุกวันเวลา {n} นาฬิกา", "สำนักงาน{place}เปิดกี่โมง"),
        ("ค่าส่งพัสดุไป{place}คือ {n} บาท", "ส่งพัสดุไป{place}ราคาเท่าไร"),
        ("กุญแจสำรองของสถานี{place}อยู่ในตู้หมายเลข {n}", "กุญแจสำรองของสถานี{place}อยู่ที่ไหน"),
        ("การประชุมประจำปีของสาขา{place}จัดในสัปดาห์ที่ {n}", "สาขา{place}ประชุมประจำปีเมื่อไร"),
    ),
    "ar": (
        ("يفتح مكتب {place} كل يوم في الساعة {n}.", "متى يفتح مكتب {place}؟"),
        ("تكلفة إرسال الطرود إلى {place} هي {n} درهما.", "كم تكلفة إرسال طرد إلى {place}؟"),
        ("المفتاح الاحتياطي لمحطة {place} في الخزانة رقم {n}.", "أين المفتاح الاحتياطي لمحطة {place}؟"),
        ("يعقد الاجتماع السنوي لفرع {place} في الأسبوع {n}.", "متى الاجتماع السنوي لفرع {place}؟"),
    ),
    "hi": (
        ("{place} का कार्यालय रोज़ सुबह {n} बजे खुलता है।", "{place} का कार्यालय कितने बजे खुलता है?"),
        ("{place} को पार्सल भेजने का शुल्क {n} रुपये है।", "{place} पार्सल भेजने में कितना शुल्क लगता है?"),
        ("{place} स्टेशन की अतिरिक्त चाबी अलमारी संख्या {n} में है।", "{place} स्टेशन की अतिरिक्त चाबी कहाँ है?"),
        ("{place} शाखा की वार्षिक बैठक सप्ताह {n} में होती है।", "{place} शाखा की वार्षिक बैठक कब है?"),
    ),
    "ru": (
        ("Отделение «{place}» открывается каждый день в {n} часов.", "Когда открывается отделение «{place}»?"),
        ("Доставка посылки, {place}: {n} рублей.", "Сколько стоит доставка посылки, {place}?"),
        ("Запасной ключ станции «{place}» лежит в шкафу {n}.", "Где запасной ключ станции «{place}»?"),
        ("Годовое собрание филиала «{place}» проходит на неделе {n}.", "Когда годовое собрание филиала «{place}»?"),
    ),
    "el": (
        ("Το γραφείο {place} ανοίγει κάθε μέρα στις {n}.", "Τι ώρα ανοίγει το γραφείο {place};"),
        ("Η αποστολή δέματος, {place}, κοστίζει {n} ευρώ.", "Πόσο κοστίζει η αποστολή δέματος, {place};"),
        ("Το εφεδρικό κλειδί του σταθμού {place} είναι στο ντουλάπι {n}.", "Πού είναι το εφεδρικό κλειδί, σταθμός {place};"),
        ("Η ετήσια συνέλευση του τμήματος {place} γίνεται την εβδομάδα {n}.", "Πότε είναι η συνέλευση, τμήμα {place};"),
    ),
    "he": (
        ("המשרד של {place} נפתח בכל יום בשעה {n}.", "מתי נפתח המשרד של {place}?"),
        ("משלוח חבילה אל {place} עולה {n} שקלים.", "כמה עולה משלוח חבילה אל {place}?"),
        ("המפתח הרזרבי של תחנת {place} נמצא בארון {n}.", "איפה המפתח הרזרבי של תחנת {place}?"),
        ("האסיפה השנתית של סניף {place} מתקיימת בשבוע {n}.", "מתי האסיפה השנתית של סניף {place}?"),
    ),
    "de": (
        ("Das Büro {place} öffnet täglich um {n} Uhr.", "Wann macht das Büro {place} auf?"),
        ("Ein Paket nach {place} kostet {n} Euro Porto.", "Was kostet der Versand eines Pakets nach {place}?"),
        ("Der Ersatzschlüssel der Station {place} liegt in Schrank {n}.", "Wo ist der Ersatzschlüssel der Station {place}?"),
        ("Die Jahresversammlung der Gruppe {place} ist in Woche {n}.", "Wann trifft sich die Gruppe {place} zur Jahresversammlung?"),
    ),
}  # fmt: skip


def facts(root: Path, language: str) -> Iterator[tuple[str, str, str]]:
    """Name, question or nothing, and HTML of each document in that language."""
    listed = json.loads((root / "usr/share/iso-codes/json/iso_3166-1.json").read_text())["3166-1"]
    translation = gettext.translation("iso_3166", root / "usr/share/locale", [language])
    names = [translation.gettext(row["name"]) for row in listed]
    places = [
        name for name, row in zip(names, listed, strict=True) if name != row["name"] or language == "de"
    ]
    for number, place in enumerate(places[:PLACES]):
        for which, (told, asked) in enumerate(SENTENCES[language]):
            question = asked.format(place=place) if which == number % 4 else ""
            text = told.format(place=place, n=number % 57 + which + 2)
            yield f"{number}-{which}.html", question, f"<p>{text}</p>"
