"""Phrases of published attacks on models, in the languages they were seen in. Data: how they are looked for stands in `injection.py`."""

from __future__ import annotations

_WHAT = (
    r"(?:(?:(?:your|the|these|those|any|all|my|of|prior|previous|preceding|above|earlier|existing|original|initial|system|safety|foregoing|given|"
    r"other|current|every|before|ethical|content|past|last|former|first) ){1,5}(?:instruction|prompt|rule|guideline|directive|direction|command|context|"
    r"guardrail|restriction|polic(?:y|ies)|constraint|programming|training|message|order|filter|task|text|setting|limitation|request)s?"
    r"|(?:instruction|prompt|guideline|guardrail)s?)(?!\w)"
)
PHRASES: tuple[tuple[tuple[str, ...], str], ...] = (
    (('ignor', 'disregard', 'forget', 'overrid', 'overrul', 'bypass', 'skip', 'neglect', 'discard', 'circumvent', 'not follow', 'not obey', "n't follow", "n't obey", 't follow', 't obey', 'stop following', 'stop obeying', 'no attention', 'set aside', 'abandon', 'violate'),
     (rf"(?:ignore|disregard|forget|override|overrule|bypass|skip|neglect|discard|circumvent|do not (?:follow|obey)|don'?t (?:follow|obey)|stop (?:following|obeying)|"
    rf"pay no attention to|set aside|abandon|violate) (?:everything in )?{_WHAT}")),
    (("ignore", "disregard", "forget"),
     r"(?:ignore|disregard|forget) (?:all |absolutely )?(?:everything|anything|all|what) (?:that )?(?:you (?:were|have been|ve been|know|are)|i (?:said|told)|was said|above|before|prior|previous|written|so far)"),
    (("ignore", "disregard", "forget"),
     r"(?:ignore|disregard|forget) (?:all|everything|anything)? ?(?:of )?(?:the )?(?:above|foregoing|preceding|previous(?:ly)?|aforementioned)"),
    (("system prompt", "system message", "hidden prompt", "hidden instruction", "initial prompt", "initial instruction", "secret prompt", "secret instruction", "developer message", "original instruction", "preprompt", "pre prompt", "instructions above", "instructions verbatim", "instruction above"),
     (r"(?:reveal|print|show|output|repeat|display|leak|expose|disclose|dump|tell me|give me|what (?:is|are|was)|write out|recite|summari[sz]e|translate) (?:\w+ ){0,3}"
    r"(?:your|the) (?:\w+ ){0,2}(?:system prompt|system message|hidden (?:prompt|instructions?)|initial (?:prompt|instructions?)|secret (?:prompt|instructions?)|developer message|original instructions?|pre ?prompt|instructions? (?:above|verbatim))")),
    (("repeat everything", "repeat all", "repeat the words", "repeat the text"),
     r"repeat (?:everything|all|the (?:words|text)) (?:\w+ ){0,3}above"),
    (("dan", "developer mode", "jailbr", "god mode", "evil ", "stan", "unrestricted", "unfiltered", "debug mode", "admin mode", "sudo mode", "dude", "aim mode"),
     r"(?:you are|you re|act as|pretend (?:to be|you are)|behave as|become|switch (?:to|into)|enable|enter|activate) (?:\w+ ){0,5}(?:dan|developer mode|jailbr(?:eak|oken)|god mode|evil (?:\w+ )?(?:bot|ai|assistant)|stan|unrestricted (?:\w+ )?(?:ai|mode|assistant|model)|unfiltered|debug mode|admin mode|sudo mode|dude|aim mode)(?!\w)"),
    (("do anything now",),
     r"do anything now"),
    (('restriction', 'guideline', 'limits', 'limitation', 'constraint', 'filters', 'rules', 'polic'),
     r"(?:without|no|free (?:of|from)|have no|with no) (?:any |all |longer )?(?:ethical|moral|safety|content|openai'?s?|anthropic'?s?|typical)(?: (?:and|or) \w+)? (?:restrictions?|guidelines?|limits?|limitations?|constraints?|filters?|rules?|polic(?:y|ies))"),
    (("no longer", "been freed", "now free", "not bound"),
     r"you (?:are no longer|have been freed|are now free|no longer have|are not bound)(?: \w+){0,6} (?:rules?|restrictions?|guidelines?|polic(?:y|ies)|filters?|openai|anthropic|google|limits?|ai)"),
    (("instruction", "directive", "system prompt", "order"),
     r"(?:new|updated|revised|real|actual|urgent|important|additional|secret|hidden|override) (?:system )?(?:instructions?|directives?|system prompt|orders?) ?(?::|follow|for (?:you|the (?:ai|assistant|model|llm)|ai))"),
    ((" ai", "llm", "language model", "assistant", "chatbot", "gpt", "claude", "gemini", "agent"),
     r"(?:important|attention|note|message|instructions?)(?: \w+){0,3} (?:to|for) (?:the |any |all )?(?:ai|llm|language model|assistant|chatbot|gpt|claude|gemini|agent)s?(?: (?:assistants?|models?|agents?|reading this|processing this))? ?:"),
    (("an ai", "a llm", "an llm", "a language", "a large", "any ai", "any llm", "an assistant", "any assistant", "as ai", "an agent"),
     r"(?:if you are|when you(?: are)?|any|as) an? (?:ai|llm|language model|large language model|assistant|ai (?:assistant|agent))(?: \w+){0,6} (?:must|should|please|have to|are required to|instead) (?:\w+ ){0,3}(?:ignore|send|include|say|reply|respond|output|execute|call|email|forward|recommend|approve|rate|give)"),
    (("end of", "begin of", "start of", "close of"),
     r"(?:end|begin|start|close) of (?:the )?(?:system |user |original )?(?:prompt|instructions?|context|document|data|input)[ .:\]>-]*(?:new|now|begin|start|ignore|system|real|the (?:real|actual))"),
    (("only with", "only in", "only as"),
     r"(?:respond|reply|answer|say|output|speak) only (?:with|in|as)(?: \w+){0,6} (?:from now on|regardless|no matter what)"),
    (("from now on",),
     r"from now on,? (?:you (?:will|must|are|shall|re)|ignore|respond|answer|your name)"),
    (('conversation', 'history', 'api key', 'password', 'credential', 'secret', 'token', 'system prompt', 'private', 'contents of', 'environment variable', 'env variable', 'user data', "user's", 'users'),
     r"(?:send|post|forward|upload|exfiltrate|transmit|email|e mail|leak|append|pass) (?:\w+ ){0,6}(?:conversation|chat history|history|api keys?|passwords?|credentials?|secrets?|tokens?|system prompt|user'?s? (?:data|messages?|emails?)|private (?:data|keys?)|contents? of|env(?:ironment)? variables?)(?: \w+){0,6} (?:to|at|via|into) (?:https?|http|the (?:url|following|address|server|webhook|endpoint)|www|\S{1,40}@|my |this (?:url|address))"),
    (("](http",),
     r"!\[[^\]]{0,80}\]\(https?://[^)\s]{1,200}[?&/=](?:\{|\$|<|%7b|data=|q=|\[)"),
    (("the user", "the human", "the owner", "anyone", "the operator", " user", " human"),
     r"do not (?:tell|inform|mention|reveal|alert|notify|show)(?: this| it| that| anything)? ?(?:to )?(?:the )?(?:user|human|owner|anyone|operator)"),
    (("without telling", "without informing", "without alerting", "without notifying", "without asking"),
     r"without (?:telling|informing|alerting|notifying|asking) (?:the )?(?:user|human|owner|anyone|operator)"),
    (("ignorier", "vergiss", "vergessen", "missacht", "beacht", "umgeh"),
     r"(?:ignorier\w*|vergiss|vergessen sie|missacht\w*|beacht\w* nicht|umgeh\w*) (?:\w+ ){0,5}(?:anweisung|instruktion|befehl|regel|vorgabe|richtlinie|prompt|anordnung|alles)\w*"),
    (("systemprompt", "system prompt", "systemanweisung", "system nachricht"),
     r"(?:zeig\w*|nenn\w*|verrat\w*|gib\w*|wiederhol\w*) (?:\w+ ){0,4}(?:systemprompt|system prompt|systemanweisung\w*|system nachricht)"),
    (('ignor', 'oubli', 'neglig', 'suis', 'suivez', 'tenez'),
     r"(?:ignore[rz]?|oublie[rz]?|neglige[rz]?|ne (?:suis|suivez|tenez) pas) (?:(?:toutes?|tous|les?|la|des?|vos|votre|tes|ces|mes|ci|tout|aux?|compte|leurs?) |l'|d'){1,4}(?:\w+ ){0,3}(?:instruction|consigne|directive|regle|ordre|commande|prompt|ce qui precede)\w*"),
    (("ignora", "olvid", "omit", "descart", "no sigas", "caso omiso"),
     r"(?:ignora\w*|olvid\w+|omit\w+|descart\w+|no sigas|haz caso omiso de) (?:\w+ ){0,5}(?:instruccion|regla|directriz|indicacion|orden|directiva|prompt|todo lo anterior)\w*"),
    (("ignora", "dimentic", "scord", "trascur", "non seguire"),
     r"(?:ignora\w*|dimentic\w+|scord\w+|trascur\w+|non seguire) (?:\w+ ){0,5}(?:istruzion|regol|direttiv|comand|indicazion|prompt|tutto cio)\w*"),
    (("ignor", "esquec", "desconsider", "desobede", "nao siga"),
     r"(?:ignor\w+|esquec\w+|desconsider\w+|desobede\w+|nao siga) (?:\w+ ){0,5}(?:instruc|regra|diretriz|diretiva|orden|comando|prompt|tudo o que)\w*"),
    (("negeer", "vergeet", "sla over"),
     r"(?:negeer|vergeet|sla over) (?:\w+ ){0,5}(?:instructie|opdracht|regel|richtlijn|aanwijzing|prompt|alles)\w*"),
    (("ignoruj", "zapomnij", "pomin"),
     r"(?:zignoruj|ignoruj|zapomnij|pomin) (?:\w+ ){0,5}(?:instrukcj|polecen|zasad|regul|wytyczn|prompt|wszystk)\w*"),
    (("yok say", "gormezden", "unut", "dikkate"),
     r"(?:yok say|gormezden gel|unut|dikkate alma)"),
    (("ignorera", "glom", "bortse"),
     r"(?:ignorera|glom|bortse fran) (?:\w+ ){0,4}(?:instruktion|regl|anvisning|prompt|allt)\w*"),
)  # fmt: skip
"""Literals of which one is in each phrase, and the phrase."""
UNFOLDED = (
    r"(?:忽略|无视|無視|忘记|忘記|不要理会|不要理會|跳过|绕过)(?:.{0,10})(?:指令|指示|提示|规则|規則|内容|內容|要求|命令|限制)",
    r"(?:指示|命令|ルール|プロンプト|指令|規則)(?:.{0,8})(?:無視|忘れ|破棄|従わない)",
    r"(?:(?:이전|위의|앞의|모든|기존).{0,8}(?:지시|명령|규칙|프롬프트|지침).{0,6}(?:무시|잊))",
    r"(?:игнорир\w+|забудь\w*|проигнорир\w+|не обращай\w* внимания на|не следуй\w*) (?:\w+ ){0,5}(?:инструкц|указан|команд|правил|предыдущ|промпт|подсказк)\w*",
    r"(?:ігноруй\w*|забудь\w*) (?:\w+ ){0,5}(?:інструкц|вказівк|правил)\w*",
    r"(?:تجاهل|انس|تجاوز)(?:.{0,12})(?:التعليمات|الأوامر|القواعد|التوجيهات)",
    r"(?:התעלם|תתעלם|שכח)(?:.{0,12})(?:ההוראות|הכללים|ההנחיות)",
    r"(?:(?:पिछले|सभी|ऊपर).{0,12}(?:निर्देश|नियम).{0,12}(?:अनदेखा|भूल|नज़रअंदाज़))",
    r"(?:เพิกเฉย|ละเว้น|ลืม)(?:.{0,12})(?:คำสั่ง|คำแนะนำ|กฎ)",
    r"(?:bỏ qua|phớt lờ|quên)(?: \w+){0,4} (?:hướng dẫn|chỉ dẫn|lệnh|quy tắc)",
)
"""In scripts that folding leaves as they are."""
MARKS = (
    r"<\|(?:im_start|im_end|system|user|assistant|endoftext|start_header_id|end_header_id|eot_id|begin_of_text)\|>",
    r"\[/?INST\]|<</?SYS>>",
    r"</?(?:system|system_prompt|system-prompt|instructions?|admin|developer)>\s{0,4}\S",
    r"(?m:^\s{0,8}(?:#{2,6} ?|\[|\*\*)?(?:system|assistant|developer)(?: (?:message|prompt|override|update|note))?(?:\]|\*\*)?\s?:\s{0,4}\S)",
)
"""How conversations are written for models: whoever writes so pretends to be one of their parts."""
