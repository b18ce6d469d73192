"""The words of the toy language, English and German side by side.

Each English word has one translation in its place, so that a sentence has one; German words may
have several (`open` and `close` are both `machen`, with the prefixes `auf` and `zu`). To add a word
is to add a line; `nmt.toy.entries` says how they read.
"""

from nmt.toy.entries import (
    Determiner,
    FiniteVerb,
    Kind,
    Pronoun,
    Slot,
    Verb,
    adjectives,
    determiner,
    expressions,
    nouns,
    numeral,
    preposition,
    verbs,
)
from nmt.toy.morphology import DEFINITE, MIXED, POSSESSIVE, STRONG, WEAK, Agreement, Case

NAMES = (
    "Tom", "Jerry", "Mary", "Anna", "Peter", "Paul", "Lisa", "Max",
    "Emma", "Felix", "Clara", "Otto", "Ida", "Hugo", "Nina", "Karl",
)  # fmt: skip
_I = Pronoun(("I", "me"), ("ich", "mich", "mir"), Agreement.FIRST_SINGULAR)
_FIRST_PERSON = (_I, Pronoun(("we", "us"), ("wir", "uns", "uns"), Agreement.PLURAL))
THIRD_PERSON_PRONOUNS = (
    Pronoun(("he", "him"), ("er", "ihn", "ihm"), Agreement.THIRD_SINGULAR),
    Pronoun(("she", "her"), ("sie", "sie", "ihr"), Agreement.THIRD_SINGULAR),
    Pronoun(("they", "them"), ("sie", "sie", "ihnen"), Agreement.PLURAL),
)
PRONOUNS = (*_FIRST_PERSON, *THIRD_PERSON_PRONOUNS)
SUBJECT_PRONOUNS = (_I, _I, _I, *PRONOUNS)
"""`I` more often: the forms that agree with it would be rare else."""

THE = Determiner("the", DEFINITE, WEAK)
_MY = determiner("my", "mein", POSSESSIVE, MIXED)
_OUR = determiner("our", "unser", POSSESSIVE, MIXED)
DEFINITE_SINGULAR = (THE, determiner("this", "dies", STRONG, WEAK), _MY, _OUR)
DEFINITE_PLURAL = (THE, determiner("these", "dies", STRONG, WEAK), _MY, _OUR)
A = determiner("a", "ein", POSSESSIVE, MIXED)
SINGULAR = (*DEFINITE_SINGULAR, A, A, determiner("every", "jed", STRONG, WEAK))
PLURAL = (*DEFINITE_PLURAL, numeral("two", "zwei"), numeral("three", "drei"))

_PEOPLE = nouns(
    "man men | der Mann Männer",
    "woman women | die Frau Frauen",
    "child children | das Kind Kinder",
    "boy boys | der Junge Jungen weak",
    "girl girls | das Mädchen Mädchen",
    "teacher teachers | der Lehrer Lehrer",
    "doctor doctors | der Arzt Ärzte",
    "neighbour neighbours | der Nachbar Nachbarn weak",
    "king kings | der König Könige",
    "queen queens | die Königin Königinnen",
    "student students | der Student Studenten weak",
    "friend friends | der Freund Freunde",
    "aunt aunts | die Tante Tanten",
    "uncle uncles | der Onkel Onkel",
    "brother brothers | der Bruder Brüder",
    "sister sisters | die Schwester Schwestern",
    "baker bakers | der Bäcker Bäcker",
    "witch witches | die Hexe Hexen",
    "baby babies | das Baby Babys",
    are_persons=True,
)
_ANIMALS = nouns(
    "dog dogs | der Hund Hunde",
    "cat cats | die Katze Katzen",
    "mouse mice | die Maus Mäuse",
    "bird birds | der Vogel Vögel",
    "horse horses | das Pferd Pferde",
    "cow cows | die Kuh Kühe",
    "bear bears | der Bär Bären weak",
    "lion lions | der Löwe Löwen weak",
    "rabbit rabbits | das Kaninchen Kaninchen",
    "fox foxes | der Fuchs Füchse",
    "goat goats | die Ziege Ziegen",
    "pig pigs | das Schwein Schweine",
)
_THINGS = nouns(
    "book books | das Buch Bücher",
    "letter letters | der Brief Briefe",
    "bag bags | die Tasche Taschen",
    "table tables | der Tisch Tische",
    "chair chairs | der Stuhl Stühle",
    "lamp lamps | die Lampe Lampen",
    "box boxes | die Kiste Kisten",
    "window windows | das Fenster Fenster",
    "door doors | die Tür Türen",
    "bottle bottles | die Flasche Flaschen",
    "car cars | das Auto Autos",
    "key keys | der Schlüssel Schlüssel",
    "picture pictures | das Bild Bilder",
    "newspaper newspapers | die Zeitung Zeitungen",
    "coat coats | der Mantel Mäntel",
    "hat hats | der Hut Hüte",
    "knife knives | das Messer Messer",
    "cup cups | die Tasse Tassen",
    "apple apples | der Apfel Äpfel",
    "present presents | das Geschenk Geschenke",
)
_PLACES = nouns(
    "garden gardens | der Garten Gärten",
    "house houses | das Haus Häuser",
    "kitchen kitchens | die Küche Küchen",
    "forest forests | der Wald Wälder",
    "school schools | die Schule Schulen",
    "park parks | der Park Parks",
    "church churches | die Kirche Kirchen",
    "station stations | der Bahnhof Bahnhöfe",
    "village villages | das Dorf Dörfer",
    "city cities | die Stadt Städte",
    "hotel hotels | das Hotel Hotels",
    "castle castles | das Schloss Schlösser",
)

_ANY_ADJECTIVES = adjectives(
    "small klein", "big groß", "old alt", "beautiful schön", "strange seltsam", "famous berühmt"
)
_LIVING_ADJECTIVES = adjectives(
    "young jung", "tired müde", "happy froh", "sad traurig", "clever klug", "lazy faul",
    "strong stark", "poor arm", "hungry hungrig", "friendly freundlich", "brave mutig",
)  # fmt: skip
_THING_ADJECTIVES = adjectives(
    "red rot", "green grün", "black schwarz", "white weiß", "new neu", "heavy schwer",
    "cheap billig", "dirty schmutzig", "broken kaputt",
)  # fmt: skip
_PLACE_ADJECTIVES = adjectives("quiet ruhig", "loud laut", "cold kalt", "warm warm")

PEOPLE = Kind(_PEOPLE, _ANY_ADJECTIVES + _LIVING_ADJECTIVES, is_animate=True)
ANIMATE = Kind(_PEOPLE + _ANIMALS, _ANY_ADJECTIVES + _LIVING_ADJECTIVES, is_animate=True)
THINGS = Kind(_THINGS, _ANY_ADJECTIVES + _THING_ADJECTIVES)
PLACES = Kind(_PLACES, _ANY_ADJECTIVES + _PLACE_ADJECTIVES)

PLACE_PREPOSITIONS = (
    preposition("in", "in"),
    preposition("behind", "hinter"),
    preposition("near", "bei"),
    preposition("next to", "neben"),
    preposition("in front of", "vor"),
)


def _with(english: str, german: str, case: Case, *lines: str) -> tuple[Verb, ...]:
    """Verbs with a preposition before their object."""
    return verbs(*lines, slots=(Slot(ANIMATE, case, preposition(english, german, case)),))


INTRANSITIVE = verbs(
    "sleep sleeps slept | schlafe schläft schlafen geschlafen",
    "sing sings sung | singe singt singen gesungen",
    "laugh laughs laughed | lache lacht lachen gelacht",
    "dance dances danced | tanze tanzt tanzen getanzt",
    "work works worked | arbeite arbeitet arbeiten gearbeitet",
    "play plays played | spiele spielt spielen gespielt",
    "cry cries cried | weine weint weinen geweint",
    "run runs run | laufe läuft laufen ist gelaufen",
    "swim swims swum | schwimme schwimmt schwimmen ist geschwommen",
    "disappear disappears disappeared | verschwinde verschwindet verschwinden ist verschwunden",
    "arrive arrives arrived | komme kommt kommen ist angekommen an",
    "fall falls fallen asleep | schlafe schläft schlafen ist eingeschlafen ein",
    "stand stands stood up | stehe steht stehen ist aufgestanden auf",
)
TRANSITIVE = verbs(
    "chase chases chased | jage jagt jagen gejagt",
    "see sees seen | sehe sieht sehen gesehen",
    "hear hears heard | höre hört hören gehört",
    "love loves loved | liebe liebt lieben geliebt",
    "visit visits visited | besuche besucht besuchen besucht",
    "find finds found | finde findet finden gefunden",
    "greet greets greeted | grüße grüßt grüßen gegrüßt",
    "protect protects protected | beschütze beschützt beschützen beschützt",
    "understand understands understood | verstehe versteht verstehen verstanden",
    "catch catches caught | fange fängt fangen gefangen",
    "look looks looked for | suche sucht suchen gesucht",
    "look looks looked at | schaue schaut schauen angeschaut an",
    "call calls called | rufe ruft rufen angerufen an",
    "invite invites invited | lade lädt laden eingeladen ein",
    "pick picks picked up | hole holt holen abgeholt ab",
    slots=(Slot(ANIMATE, Case.ACCUSATIVE),),
)
HANDLING = verbs(
    "read reads read | lese liest lesen gelesen",
    "buy buys bought | kaufe kauft kaufen gekauft",
    "sell sells sold | verkaufe verkauft verkaufen verkauft",
    "carry carries carried | trage trägt tragen getragen",
    "paint paints painted | male malt malen gemalt",
    "repair repairs repaired | repariere repariert reparieren repariert",
    "need needs needed | brauche braucht brauchen gebraucht",
    "lose loses lost | verliere verliert verlieren verloren",
    "hide hides hidden | verstecke versteckt verstecken versteckt",
    "open opens opened | mache macht machen aufgemacht auf",
    "close closes closed | mache macht machen zugemacht zu",
    "throw throws thrown away | werfe wirft werfen weggeworfen weg",
    "give gives given back | gebe gibt geben zurückgegeben zurück",
    slots=(Slot(THINGS, Case.ACCUSATIVE),),
)
DATIVE = verbs(
    "help helps helped | helfe hilft helfen geholfen",
    "thank thanks thanked | danke dankt danken gedankt",
    "follow follows followed | folge folgt folgen ist gefolgt",
    "trust trusts trusted | vertraue vertraut vertrauen vertraut",
    "listen listens listened to | höre hört hören zugehört zu",
    slots=(Slot(ANIMATE, Case.DATIVE),),
)
PREPOSITIONAL = (
    *_with("for", "auf", Case.ACCUSATIVE, "wait waits waited | warte wartet warten gewartet"),
    *_with("of", "an", Case.ACCUSATIVE, "think thinks thought | denke denkt denken gedacht"),
    *_with("about", "über", Case.ACCUSATIVE, "laugh laughs laughed | lache lacht lachen gelacht"),
    *_with("of", "von", Case.DATIVE, "dream dreams dreamt | träume träumt träumen geträumt"),
    *_with(
        "with", "mit", Case.DATIVE,
        "speak speaks spoken | spreche spricht sprechen gesprochen",
        "dance dances danced | tanze tanzt tanzen getanzt",
        "play plays played | spiele spielt spielen gespielt",
    ),
)  # fmt: skip
GIVING = verbs(
    "give gives given | gebe gibt geben gegeben",
    "show shows shown | zeige zeigt zeigen gezeigt",
    "send sends sent | schicke schickt schicken geschickt",
    "bring brings brought | bringe bringt bringen gebracht",
    slots=(Slot(ANIMATE, Case.DATIVE), Slot(THINGS, Case.ACCUSATIVE)),
)
SAYING = verbs(
    "say says said | sage sagt sagen gesagt",
    "believe believes believed | glaube glaubt glauben geglaubt",
    "know knows known | weiß weiß wissen gewusst",
    "hope hopes hoped | hoffe hofft hoffen gehofft",
    "write writes written | schreibe schreibt schreiben geschrieben",
)

BE = FiniteVerb(("am", "is", "are"), ("bin", "ist", "sind"))
_HAVE = ("have", "has", "have")
HAVE_WITH_HABEN = FiniteVerb(_HAVE, ("habe", "hat", "haben"))
HAVE_WITH_SEIN = FiniteVerb(_HAVE, BE.german)
DO = ("do", "does", "do")
MODALS = (
    FiniteVerb(("can", "can", "can"), ("kann", "kann", "können")),
    FiniteVerb(("must", "must", "must"), ("muss", "muss", "müssen")),
    FiniteVerb(("should", "should", "should"), ("soll", "soll", "sollen")),
    FiniteVerb(("may", "may", "may"), ("darf", "darf", "dürfen")),
)

ADVERBS = expressions(
    "often | oft", "always | immer", "never | nie", "rarely | selten", "sometimes | manchmal"
)
OPENERS = expressions(
    "today | heute", "now | jetzt", "here | hier", "then | dann", "tonight | heute Abend",
    "maybe | vielleicht", "unfortunately | leider", "of course | natürlich",
)  # fmt: skip
CONJUNCTIONS = expressions(
    "because | weil", "when | wenn", "although | obwohl", "while | während", "before | bevor",
    "as soon as | sobald",
)  # fmt: skip
THAT = expressions("that | dass")[0]
CONNECTIVES = expressions("and | und", "but | aber")
