"""The ideas that prompt injections are made of, in eleven languages, and the rules over them."""

import re
from typing import Final

from coordinator.guard.rules import Rule

IDEAS: Final = {
    "ignore": """
        ignore ignoring disregard disregarding forget overlook bypass override overrule neglect discard dismiss
        ignoriere ignorieren ignorier vergiss vergesse vergesst vergessen missachte missachten umgehe umgehen
        ignorez ignorer oublie oubliez oublier ignora ignorad ignorar ignoren olvida olvide olvidad olvidar olviden
        ignorate ignorare ignori dimentica dimenticate dimenticare tralascia esqueça esquece esqueçam esquecer
        desconsidere desconsidera desconsiderar negeer negeren vergeet vergeten zignoruj ignoruj ignorować zapomnij pomiń
        игнорируй игнорируйте игнорировать проигнорируй проигнорируйте забудь забудьте
        忽略 忽视 无视 無視 忘记 忘掉 忘れ 무시 잊어 잊고
    """,
    "prior": """
        previous prior preceding above earlier former foregoing existing original initial past
        vorherige vorherigen vorige vorigen bisherige bisherigen obige obigen vorangegangene vorangegangenen frühere früheren
        précédent précédente précédents précédentes antérieures antérieurs
        anterior anteriores previa previas previo previos precedente precedenti
        voorgaande eerdere bovenstaande poprzednie poprzednich wcześniejsze wcześniejszych powyższe
        предыдущие предыдущих предыдущую прежние вышеуказанные
        之前 以前 以上 上述 先前 前面 此前 これまで 上記 이전 앞의 위의 지금까지
    """,
    "all": """
        all any every everything alle sämtliche allen jegliche tout toutes tous toute todo todas todos toda tutto tutte tutti
        tudo wszystkie wszystko wszystkich все всё всех 所有 一切 全部 すべて 全て 모든 전부
    """,
    "your": """
        your my our deine deinen deiner ihre ihren vos tes votre tus sus tu su tue tuoi vostre suas seus seu teu tuas jouw uw
        je twoje twój swoje свои твои ваши 你的 您的 あなたの 당신의 너의
    """,
    "instructions": """
        instructions instruction prompt prompts directions directives rules guidelines commands orders restrictions
        constraints programming guardrails safeguards
        anweisung anweisungen instruktionen regeln vorgaben befehle richtlinien
        consignes règles instrucciones reglas indicaciones directrices órdenes
        istruzioni regole direttive indicazioni instruções regras diretrizes orientações
        instructies regels opdrachten aanwijzingen instrukcje instrukcji polecenia zasady
        инструкции инструкций указания правила команды
        指令 指示 说明 規則 规则 提示词 提示 プロンプト 命令 指図 지시 명령 지침 규칙
    """,
    "new": "new neue neuen neu nouvelles nouvelle nuevas nuevos nueva nuove nuova novas novos nieuwe nowe новые 新的 新しい",
    "reveal": """
        reveal show print output repeat display tell give share leak dump expose recite reproduce echo write copy
        zeige zeig gib wiederhole nenne verrate drucke affiche affichez montre montrez répète répétez révèle révélez donne
        muestra muéstrame repite revela imprime dime mostra mostrami ripeti rivela stampa dimmi
        mostre repita revele toon herhaal pokaż powtórz ujawnij
        покажи выведи повтори раскрой 输出 显示 重复 透露 告诉我 表示 教えて 出力 繰り返 보여 출력 알려
    """,
    "ask": "what whats was wie quel quelles quelle cuál cuáles qual quali quais wat jaki какой какие 什么 何 무엇",
    "system": "system système sistema systeem systemowy системный системные 系统 システム 시스템",
    "prompt": """
        prompt prompts instructions message messages prompttext nachricht anweisungen mensaje mensajes instrucciones
        messaggio istruzioni mensagem instruções bericht instructies instrukcje
        промпт инструкции 提示 提示词 指令 プロンプト 指示 프롬프트 지시
    """,
    "systemprompt": "systemprompt systemanweisung systemanweisungen systemnachricht systeeminstructies",
    "secret": "hidden secret confidential internal geheime geheimen versteckten cachées secrètes ocultas secretas segrete",
    "verbatim": "verbatim exactly word wörtlich wortwörtlich textuellement literalmente parola letra дословно 逐字 原文",
    "you": "you du sie tu vous usted ты вы você voi 你 您 あなた 당신",
    "are": "are bist sind es êtes eres sei és 是 です",
    "now": "now jetzt nun maintenant désormais ahora adesso ora agora nu teraz теперь 现在 今から 이제",
    "from": "from starting",
    "on": "on onwards",
    "act": """
        act pretend roleplay behave respond answer simulate imagine become play verhalte spiele agiere comporte agis
        actúa finge compórtate agisci comportati fingi aja finja 扮演 假装 演じ 행동
    """,
    "persona": "dan stan aim evil unfiltered uncensored unrestricted unbound jailbroken amoral unaligned omnipotent",
    "mode": "mode modus modo modalità tryb режим 模式 モード 모드",
    "developer": "developer debug god sudo admin maintenance dan jailbreak unrestricted 开发者 開発者 개발자",
    "enabled": "enabled activated on active activate enable enter entering engaged aktiviert activado attivata",
    "jailbreak": "jailbreak jailbroken jailbreaking",
    "without": "without no free ignoring bypassing ohne sans sin senza sem zonder bez без 没有 なし 없이",
    "limits": """
        restrictions restriction limitations limits filters filter censorship guardrails safeguards rules guidelines
        ethics ethical morals moral policy policies confines
        einschränkungen beschränkungen grenzen filtern zensur restricciones limitaciones filtros
        restrizioni limitazioni filtri restrições limitações beperkingen ograniczeń ограничений фильтров 限制 制限 제한
    """,
    "have": "have has haben hast avez tienes hai tem 有",
    "anything": "anything",
    "do": "do",
    "everything": "everything alles tout todo tutto tudo wszystko всё 一切 すべて",
    "told": "told taught learned learnt instructed given said trained gesagt dit dicho detto dito",
    "not": "not never dont nicht niemals jamais nunca mai nooit nie не 不要 しないで",
    "tell": "tell inform mention reveal alert warn show sage sagen dire decir dica informe 告诉",
    "input": "input eingabe entrada",
    "user": "user users human nutzer benutzer utilisateur usuario utente usuário gebruiker пользователю 用户 ユーザー",
    "end": "end ende fin fine fim koniec конец",
    "of": "of der du del della do",
    "send": "send forward email post upload transmit exfiltrate transfer sende schicke envoie envía invia envie",
    "data": """
        password passwords credentials secrets token tokens key keys history conversation inbox emails contacts passwort
        passwörter zugangsdaten contraseñas credenciales
    """,
    "to": "to an à a",
    "address": "http https www attacker address url server webhook",
    "assistant": "assistant assistants ai bot chatbot llm agents assistent ki ia asistente assistente 助手",
    "attention": "important attention urgent critical notice note wichtig achtung hinweis importante nota",
    "must": "must shall müssen musst debes devi deve",
    "words": "words text sentences content wörter worte texte palabras texto parole testo palavras",
    "starting": "starting beginning start begin",
    "stay": "stay staying remain break breaking",
    "character": "character",
    "abide": "abide bound follow comply adhere obey constrained restricted limited",
    "refuse": "refuse refuses reject decline deny apologize apologise verweigere ablehnen refuser rechazar rifiutare recusar",
    "matter": "matter regardless",
    "colon": ":",
    "off": "disabled suspended lifted removed deactivated changed off",
    "safety": "safety security content ethical moral",
}

KEPT: Final = re.compile(
    r"\b(?:do not|don['’]?t|never|n['’]|ne|no|non|nao|nie|не) ?(?:forget|oublie|oubliez|oublier|olvide|olvides|olviden|"
    r"dimentica|dimenticate|dimenticare|esqueca|esquecas|zapomnij|забудь|забудьте)\b|\b(?:vergiss|vergesst|vergeet) ni[ce]h?t\b"
)
"""Who says not to forget something takes no orders back."""

RULES: Final = (
    Rule("override", 10, ("ignore", "prior", "instructions"), 4),
    Rule("override", 10, ("ignore", "instructions", "prior"), 3),
    Rule("override", 10, ("prior", "instructions", "ignore"), 2),
    Rule("override", 10, ("ignore", "your", "instructions"), 4),
    Rule("override", 10, ("ignore", "system", "instructions"), 3),
    Rule("override", 6, ("ignore", "safety", "limits"), 2),
    Rule("override", 6, ("ignore", "all", "instructions"), 3),
    Rule("override", 6, ("all", "instructions", "ignore"), 2),
    Rule("override", 10, ("ignore", "everything", "told"), 5),
    Rule("override", 6, ("ignore", "everything", "prior"), 3),
    Rule("override", 6, ("ignore", "all", "prior"), 2),
    Rule("orders", 6, ("your", "new", "instructions"), 2),
    Rule("orders", 4, ("new", "instructions"), 1),
    Rule("orders", 5, ("end", "of", "user", "input"), 1),
    Rule("orders", 5, ("end", "of", "prior", "instructions"), 2),
    Rule("orders", 4, ("from", "now", "on", "you"), 1),
    Rule("orders", 4, ("you", "are", "now"), 0),
    Rule("persona", 7, ("act", "persona"), 6),
    Rule("persona", 7, ("you", "are", "now", "persona"), 6),
    Rule("persona", 6, ("developer", "mode", "enabled"), 2),
    Rule("persona", 6, ("enabled", "developer", "mode"), 2),
    Rule("persona", 6, ("do", "anything", "now"), 0),
    Rule("persona", 6, ("stay", "character"), 2),
    Rule("persona", 3, ("jailbreak",)),
    Rule("persona", 4, ("persona",)),
    Rule("unbound", 6, ("act", "without", "limits"), 8),
    Rule("unbound", 6, ("you", "have", "without", "limits"), 2),
    Rule("unbound", 6, ("you", "are", "without", "limits"), 3),
    Rule("unbound", 4, ("without", "limits"), 3),
    Rule("unbound", 6, ("you", "not", "limits"), 5),
    Rule("unbound", 6, ("not", "abide", "limits"), 4),
    Rule("unbound", 6, ("your", "limits", "off"), 3),
    Rule("unbound", 6, ("safety", "limits", "off"), 3),
    Rule("obedience", 5, ("you", "not", "refuse"), 4),
    Rule("obedience", 4, ("not", "refuse"), 1),
    Rule("obedience", 5, ("not", "refuse", "matter"), 8),
    Rule("obedience", 4, ("must", "matter"), 8),
    Rule("obedience", 4, ("not", "your", "refuse"), 8),
    Rule("leak", 10, ("reveal", "your", "system", "prompt"), 4),
    Rule("leak", 10, ("reveal", "system", "prompt", "verbatim"), 4),
    Rule("leak", 10, ("reveal", "your", "secret", "prompt"), 3),
    Rule("leak", 10, ("reveal", "your", "prior", "prompt"), 3),
    Rule("leak", 10, ("ask", "your", "system", "prompt"), 4),
    Rule("leak", 10, ("reveal", "your", "systemprompt"), 3),
    Rule("leak", 10, ("ask", "your", "systemprompt"), 3),
    Rule("leak", 10, ("reveal", "your", "prompt", "system"), 2),
    Rule("leak", 10, ("reveal", "instructions", "you", "told"), 3),
    Rule("leak", 10, ("reveal", "words", "prior", "starting"), 3),
    Rule("leak", 10, ("reveal", "prompt", "prior", "verbatim"), 4),
    Rule("leak", 6, ("reveal", "everything", "prior"), 3),
    Rule("leak", 5, ("reveal", "prompt", "prior"), 2),
    Rule("leak", 5, ("reveal", "your", "instructions"), 3),
    Rule("secrecy", 6, ("not", "tell", "user"), 3),
    Rule("theft", 6, ("send", "data", "to", "address"), 6),
    Rule("marks", 4, ("system", "colon"), 0),
    Rule("address", 4, ("attention", "assistant"), 3),
    Rule("demand", 3, ("you", "must"), 1),
)
"""Weights out of 10. One rule of weight 10 is an injection by itself; weaker ones are when they come together."""
