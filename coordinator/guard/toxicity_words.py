"""The ideas of insults, slurs and threats in six languages, and the rules over them. They are here to be refused."""

from typing import Final

from coordinator.guard.rules import Rule

IDEAS: Final = {
    "slur": """
        nigger niggers nigga niggas faggot faggots kike kikes spic spics wetback wetbacks gook gooks tranny trannies
        raghead ragheads towelhead sandnigger beaner beaners paki pakis coon coons chink chinks dyke dykes retards
        neger kanake kanaken schwuchtel schwuchteln untermensch untermenschen zigeunerpack judensau
        bougnoule bougnoules youpin youpins négro négros tarlouze pédale bicot bicots
        sudaca sudacas maricón maricones moraco panchito panchitos
        frocio froci negraccio terrone terroni ricchione ricchioni
        viado viados bicha crioulo macaco sapatão
    """,
    "insult": """
        idiot idiots moron morons imbecile imbeciles retard retarded asshole assholes arsehole bitch bitches bastard bastards
        whore whores slut sluts cunt cunts twat wanker dickhead motherfucker motherfuckers scum subhuman vermin dumbass
        fuckface shithead piece_of_shit loser losers pig filth degenerate
        arschloch arschlöcher wichser hurensohn hurensöhne schlampe schlampen fotze missgeburt dreckschwein drecksau
        vollidiot spasti abschaum hure huren depp trottel idioten
        connard connards connasse salope salopes enculé enculés enfoiré pute putes ordure crétin abruti sous-merde bâtard
        gilipollas cabrón cabrones puta putas zorra imbécil idiota idiotas hijoputa mierda escoria subnormal
        stronzo stronzi stronza puttana troia coglione coglioni bastardo bastardi cretino merda deficiente
        babaca otário vadia vagabunda desgraçado cuzão arrombado imbecil
    """,
    "coarse": "motherfucker motherfuckers hurensohn hurensöhne enculé hijoputa judensau arrombado sandnigger fuckface",
    "fuck": "fuck fick ficken nique foutre jode chinga vaffanculo fanculo foda",
    "you": "you your youre u du dich dir euch ihr ihre tu toi te vous tú vos ustedes ti voi você vocês sie",
    "are": "are re r bist seid es êtes eres sois sei siete é são sind",
    "going": "voy vas vou vado",
    "youare": "eres sei és",
    "i": "i ill im ich je yo io eu we wir nous nosotros noi nós",
    "kill": """
        kill murder strangle stab behead slaughter rape lynch shoot gas töten umbringen abstechen vergewaltigen erschießen
        töte bringe tuer buter égorger violer matar mato violar degollar uccidere ammazzare uccido ammazzo stuprare
        tuerai matarei ucciderò ammazzerò mataré
    """,
    "yourself": "yourself yourselves",
    "kys": "kys neck_yourself",
    "die": "die sterben verrecke verreck krepier crève crevez muérete morite muori morra",
    "should": "should deserve hope wish go must verdienst solltest mérites mereces dovresti deveria",
    "group": """
        jews muslims blacks gays lesbians immigrants refugees women foreigners arabs christians mexicans asians africans
        juden muslime schwarze schwule flüchtlinge ausländer türken frauen juifs musulmans noirs arabes immigrés femmes
        judíos musulmanes negros inmigrantes mujeres ebrei musulmani neri immigrati donne judeus muçulmanos pretos mulheres
    """,
    "all": "all alle tous toutes todos todas tutti tutte every",
    "gone": "die killed exterminated gassed hanged vergast ausgerottet sterben crever morir morire morrer eliminated",
    "throat": "throat kehle gorge garganta gola",
    "cut": "cut slit schneide tranche corto taglio",
    "neck": "neck hang",
    "worthless": "worthless pathetic disgusting wertlos erbärmlich",
}

RULES: Final = (
    Rule("slur", 10, ("slur",)),
    Rule("insult", 10, ("coarse",)),
    Rule("insult", 10, ("you", "insult"), 3),
    Rule("insult", 10, ("youare", "insult"), 2),
    Rule("insult", 10, ("insult", "you"), 0),
    Rule("insult", 10, ("fuck", "you"), 1),
    Rule("insult", 5, ("insult",)),
    Rule("contempt", 5, ("you", "are", "worthless"), 2),
    Rule("threat", 10, ("i", "kill", "you"), 3),
    Rule("threat", 10, ("i", "you", "kill"), 3),
    Rule("threat", 10, ("you", "going", "kill"), 1),
    Rule("threat", 10, ("going", "you", "kill"), 1),
    Rule("threat", 10, ("i", "cut", "you", "throat"), 2),
    Rule("self-harm", 10, ("kill", "yourself"), 0),
    Rule("self-harm", 10, ("neck", "yourself"), 0),
    Rule("self-harm", 10, ("kys",)),
    Rule("death-wish", 10, ("you", "should", "die"), 2),
    Rule("death-wish", 10, ("should", "you", "die"), 2),
    Rule("hate", 10, ("group", "insult"), 3),
    Rule("hate", 10, ("kill", "all", "group"), 2),
    Rule("hate", 10, ("all", "group", "gone"), 5),
)
"""Weights out of 10: an insult that is said to nobody weighs half."""
