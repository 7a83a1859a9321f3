"""Texts to sort under given labels, and multiple-choice questions about a paragraph."""
from words import *

GOOD = W("great excellent wonderful lovely fantastic perfect amazing superb delightful pleasant brilliant good beautiful friendly fresh fast comfortable reliable charming tasty")
BAD = W("terrible awful horrible poor bad dreadful disappointing slow broken rude dirty boring ugly useless noisy cold stale expensive nasty annoying")
DO_GOOD = ["I love it", "I will come back", "highly recommended", "it made my day", "worth every cent", "we enjoyed it a lot", "it works very well", "thank you so much",
    "best I ever had", "I am very happy"]
DO_BAD = ["I hate it", "never again", "do not buy it", "it ruined my day", "a waste of money", "I want my money back", "it broke after a day", "we left early", "worst I ever had",
    "I am very angry"]
MEH = ["It arrived on {d}.", "The {t} is {c}.", "It has {n} parts.", "We used it for {n} days.", "The {t} comes in a box.", "It is made in {p}.", "They open at {n}.",
    "There are {n} rooms.", "It is {c} and {c2}.", "I bought the {t} in {p}.",
       "They sell {t}s in {p}.", "The {t} weighs {n} grams.", "My {t} is {c}.", "The box holds {n} {t}s.", "I have had the {t} since {d}.", "We have a {t} and a {t2}.",
           "The {t} stands beside the {t2}.", "This is a {t} from {p}.", "It costs {n} euros.", "The shop in {p} closes at {n}.",
       "I ordered it on {d}.", "There is a {c} {t} in it.", "The {t} has {n} pages.", "My brother uses the {t} on {d}.", "It can be washed at {n} degrees."]
SENT = ["The {t} was {x}.", "What a {x} {t}!", "{x} {t}, {y}.", "The {t} and the {t2} were {x}. {Y}.", "{Y}. The {t} is {x}.", "I bought a {t} in {p}, it is {x}.",
    "My {t} from {p} was really {x}.", "{Y}!", "Such a {x} day with my {t}.", "The {t} is so {x}, {y}.",
        "Everything was {x}, {y}.", "{p} was {x}. {Y}.", "We got a {x} {t}. {Y}!", "A {x} {t} and a {x2} {t2}.", "Very {x}. {Y}."]


def fill(r, s, x=None, x2=None, y=None):
    d = dict(t=r.of(THING), t2=r.of(THING), p=r.of(CITY), d=r.choice(DAY), n=r.randint(2, 90), c=r.of(COLOR), c2=r.of(COLOR))
    if x:
        d.update(x=x, x2=x2, y=y, Y=y[0].upper() + y[1:])
    out = s.format(**d)
    return out[0].upper() + out[1:]


def sentiment_text(r, label):
    if label == "neutral":
        return " ".join(fill(r, r.of(MEH)) for _ in range(r.randint(1, 2)))
    a, b = (GOOD, DO_GOOD) if label == "positive" else (BAD, DO_BAD)
    return " ".join(fill(r, r.of(SENT), r.choice(a), r.choice(a), r.choice(b)) for _ in range(r.choice((1, 1, 2))))


TOPIC = {
    "sport": "match team goal coach player league score stadium referee tournament striker cup race athlete medal training season fans",
    "politics": "minister parliament election vote law party senate president campaign treaty government mayor reform debate coalition ballot policy embassy",
    "technology": "software computer chip robot phone app server internet code laptop network startup device processor update browser battery cloud",
    "food": "recipe soup restaurant chef dinner kitchen salad dessert oven flour spice menu dish butter garlic sauce breakfast taste",
    "travel": "flight hotel beach tourist passport luggage airport island trip museum ticket map guide cruise border hostel sightseeing vacation",
    "health": "doctor hospital patient vaccine medicine nurse surgery virus therapy clinic diet pain fever pill allergy disease pulse exercise",
    "finance": "bank shares loan interest stock investor profit market tax budget currency dividend credit bond debt fund price savings",
    "weather": "rain storm snow wind sunshine cloud temperature forecast fog thunder frost heat hail drizzle sky breeze flood degrees"}
TOPIC = {k: v.split() for k, v in TOPIC.items()}
TS = ["The {a} and the {b} were the talk of {p}.", "A new {a} was seen in {p} on {d}.", "{f} spoke about the {a} and the {b}.", "Nobody expected such a {a}.",
    "After the {a} came the {b}.", "The {a} in {p} needs a better {b}.", "On {d} the {a} surprised everyone.", "{f} thinks the {a} is more important than the {b}.",
      "More about the {a} and its {b} tomorrow.", "The {b} depends on the {a}.", "{p} waits for the {a}.", "Why the {a} matters for the {b}.", "{n} people asked about the {a}.",
          "The {a} has changed since {d}.", "{f} from {p} knows every {a} and every {b}."]


def topic_text(r, label):
    out = []
    for _ in range(r.choice((1, 1, 2))):
        a, b = r.sample(TOPIC[label], 2)
        out.append(r.of(TS).format(a=a, b=b, p=r.of(CITY), d=r.choice(DAY), f=r.of(FIRST), n=r.randint(2, 900)))
    return " ".join(out)


URGENT = {"high": ["is down", "is on fire", "has stopped", "crashed", "loses data right now", "leaks badly", "is completely broken", "fails for all customers", "blocks everybody",
                   "must be repaired at once"],
          "medium": ["is slow", "shows a warning", "should be fixed this week", "sometimes stops", "must be replaced soon", "is late", "gives wrong numbers to a few users",
                     "needs a look by {d}", "has a workaround", "makes strange noises"],
          "low": ["has a typo", "could be {c} some day", "looks a bit old", "might be nicer", "can wait", "is fine, just an idea", "would be nice to have twice",
                  "needs tidying when you have time", "is dusty, no hurry", "gave me a small wish"]}
UF = ["The {n} {x}", "Our {n} {x}", "My {n} {x}", "The {n} of {f} {x}", "The {n} in room {r} {x}", "Since {d} the {n} {x}", "I think the {n} {x}", "{f} says the {n} {x}",
    "In {p} the {n} {x}", "The {c} {n} {x}", "Again the {n} {x}", "Our new {n} {x}", "That {n} {x}", "The {n} and the {n2}: it {x}", "It seems the {n} {x}"]


def urgency_text(r, label):
    f = dict(n=r.of(NOUN), n2=r.of(NOUN), r=r.randint(1, 99), d=r.choice(DAY), c=r.of(COLOR), f=r.of(FIRST), p=r.of(CITY))
    s = r.of(UF).format(x=r.choice(URGENT[label]).format(**f), **f)
    if r.chance(0.3):
        s = r.choice(("Hello, ", "Dear team, ", f"{r.of(FIRST)} here. ")) + s
    return s + r.choice((".", ".", "!", ". Thanks, " + r.of(FIRST)))


LANG = {
    "English": ["The {0} is in the house.", "I would like to buy a {0}, please.", "Where is the {0}?", "We are going to the {0} tomorrow.", "My brother has a new {0}.",
                "This is not my {0}.", "She always drinks {0} with milk.", "They have been here for three years."],
    "German": ["Der {0} ist in dem Haus.", "Ich möchte bitte einen {0} kaufen.", "Wo ist der {0}?", "Wir gehen morgen zu dem {0}.", "Mein Bruder hat einen neuen {0}.",
               "Das ist nicht mein {0}.", "Sie trinkt immer {0} mit Milch.", "Sie sind seit drei Jahren hier."],
    "French": ["Le {0} est dans la maison.", "Je voudrais acheter un {0}, s'il vous plaît.", "Où est le {0} ?", "Nous allons au {0} demain.", "Mon frère a un nouveau {0}.",
               "Ce n'est pas mon {0}.", "Elle boit toujours du {0} avec du lait.", "Ils sont ici depuis trois ans."],
    "Spanish": ["El {0} está en la casa.", "Quisiera comprar un {0}, por favor.", "¿Dónde está el {0}?", "Vamos al {0} mañana.", "Mi hermano tiene un {0} nuevo.",
                "Este no es mi {0}.", "Ella siempre bebe {0} con leche.", "Están aquí desde hace tres años."],
    "Italian": ["Il {0} è nella casa.", "Vorrei comprare un {0}, per favore.", "Dove è il {0}?", "Andiamo al {0} domani.", "Mio fratello ha un {0} nuovo.",
                "Questo non è il mio {0}.", "Lei beve sempre {0} con il latte.", "Sono qui da tre anni."],
    "Portuguese": ["O {0} está na casa.", "Eu gostaria de comprar um {0}, por favor.", "Onde fica o {0}?", "Nós vamos ao {0} amanhã.", "Meu irmão tem um {0} novo.",
                   "Este não é o meu {0}.", "Ela sempre bebe {0} com leite.", "Eles estão aqui há três anos."],
    "Dutch": ["De {0} is in het huis.", "Ik wil graag een {0} kopen.", "Waar is de {0}?", "Wij gaan morgen naar de {0}.", "Mijn broer heeft een nieuwe {0}.",
              "Dit is niet mijn {0}.", "Zij drinkt altijd {0} met melk.", "Ze zijn hier al drie jaar."],
    "Swedish": ["En {0} är i huset.", "Jag skulle vilja köpa en {0}, tack.", "Var är min {0}?", "Vi går till en {0} i morgon.", "Min bror har en ny {0}.",
                "Det här är inte min {0}.", "Hon dricker alltid {0} med mjölk.", "De har varit här i tre år."]}
LANG_NOUN = {"English": W("dog table garden kitchen book"), "German": W("Hund Tisch Garten Apfel Wagen"), "French": W("chien livre jardin café vélo"),
    "Spanish": W("perro libro jardín coche café"), "Italian": W("cane libro giardino caffè treno"),
    "Portuguese": W("cachorro livro jardim carro pão"), "Dutch": W("hond tafel tuin fiets trein"), "Swedish": W("hund bok katt bil trädgård")}
LANG_MORE = {"English": ["Thank you and good bye.", "It is raining today.", "What does this cost?", "I do not know."],
    "German": ["Danke und auf Wiedersehen.", "Heute regnet es.",
               "Was kostet das?", "Ich weiß es nicht."],
    "French": ["Merci et au revoir.", "Il pleut aujourd'hui.", "Combien ça coûte ?", "Je ne sais pas."],
             "Spanish": ["Gracias y hasta luego.", "Hoy está lloviendo.", "¿Cuánto cuesta esto?", "No lo sé."],
    "Italian": ["Grazie e arrivederci.", "Oggi piove.",
                "Quanto costa questo?", "Non lo so."],
    "Portuguese": ["Obrigado e até logo.", "Hoje está chovendo.", "Quanto custa isto?", "Não sei."],
             "Dutch": ["Dank je en tot ziens.", "Het regent vandaag.", "Wat kost dit?", "Ik weet het niet."],
    "Swedish": ["Tack och hej då.", "Det regnar idag.", "Vad kostar det?",
                "Jag vet inte."]}


# who; does; what; when or where: sentences of any four of these
PARTS = {
    "English": ["I/you/we/they/the children/my parents/our neighbours/the people/many students/two men", "see/buy/want/find/know/love/need/bring/sell/remember",
                "the house/a letter/the bread/our car/the old city/some water/a new chair/her coat/the first train/that story",
                "today/every day/in the morning/with my friends/after the summer/near the river/for the last time/because of you/and then/at night"],
    "German": ["ich/wir/sie/die Kinder/meine Eltern/unsere Nachbarn/die Leute/viele Schüler/zwei Männer/mein Onkel",
               "sehen/kaufen/wollen/finden/kennen/lieben/brauchen/bringen/verkaufen/vergessen",
               "das Haus/einen Brief/das Brot/unser Auto/die alte Stadt/etwas Wasser/einen neuen Stuhl/ihren Mantel/den ersten Zug/diese Geschichte",
               "heute/jeden Tag/am Morgen/mit meinen Freunden/nach dem Sommer/in der Nähe vom Fluss/zum letzten Mal/wegen dir/und dann/in der Nacht"],
    "French": ["je/nous/vous/ils/les enfants/mes parents/nos voisins/les gens/beaucoup d'élèves/deux hommes",
               "voyons/achètent/veulent/trouvent/connaissons/aiment/cherchent/apportent/vendent/oublient",
               "la maison/une lettre/le pain/notre voiture/la vieille ville/de l'eau/une nouvelle chaise/son manteau/le premier train/cette histoire",
               "aujourd'hui/tous les jours/le matin/avec mes amis/après l'été/près de la rivière/pour la dernière fois/à cause de toi/et puis/pendant la nuit"],
    "Spanish": ["yo/nosotros/ustedes/ellos/los niños/mis padres/nuestros vecinos/la gente/muchos alumnos/dos hombres",
                "vemos/compran/quieren/encuentran/conocemos/aman/necesitan/traen/venden/olvidan",
                "la casa/una carta/el pan/nuestro coche/la ciudad vieja/un poco de agua/una silla nueva/su abrigo/el primer tren/esta historia",
                "hoy/todos los días/por la mañana/con mis amigos/después del verano/cerca del río/por última vez/por tu culpa/y luego/durante la noche"],
    "Italian": ["io/noi/voi/loro/i bambini/i miei genitori/i nostri vicini/le persone/molti studenti/due uomini",
                "vediamo/comprano/vogliono/trovano/conosciamo/amano/cercano/portano/vendono/dimenticano",
                "la casa/una lettera/il pane/la nostra macchina/la città vecchia/un po' d'acqua/una sedia nuova/il suo cappotto/il primo treno/questa storia",
                "oggi/ogni giorno/di mattina/con i miei amici/dopo l'estate/vicino al fiume/per l'ultima volta/per colpa tua/e poi/durante la notte"],
    "Portuguese": ["eu/nós/vocês/eles/as crianças/os meus pais/os nossos vizinhos/as pessoas/muitos alunos/dois homens",
                   "vemos/compram/querem/encontram/conhecemos/amam/precisam/trazem/vendem/esquecem",
                   "a casa/uma carta/o pão/o nosso carro/a cidade velha/um pouco de água/uma cadeira nova/o seu casaco/o primeiro trem/esta história",
                   "hoje/todos os dias/de manhã/com os meus amigos/depois do verão/perto do rio/pela última vez/por sua causa/e então/durante a noite"],
    "Dutch": ["ik/wij/jullie/zij/de kinderen/mijn ouders/onze buren/de mensen/veel leerlingen/twee mannen",
              "zien/kopen/willen/vinden/kennen/houden van/zoeken/brengen/verkopen/vergeten",
              "het huis/een brief/het brood/onze auto/de oude stad/een beetje water/een nieuwe stoel/haar jas/de eerste trein/dit verhaal",
              "vandaag/elke dag/in de ochtend/met mijn vrienden/na de zomer/dicht bij de rivier/voor de laatste keer/door jou/en dan/tijdens de nacht"],
    "Swedish": ["jag/vi/ni/de/barnen/mina föräldrar/våra grannar/människorna/många elever/två män", "ser/köper/vill ha/hittar/känner/älskar/söker/tar med/säljer/glömmer",
                "huset/ett brev/brödet/vår bil/den gamla staden/lite vatten/en ny stol/hennes kappa/det första tåget/den här historien",
                "idag/varje dag/på morgonen/med mina vänner/efter sommaren/nära floden/för sista gången/på grund av dig/och sedan/under natten"]}
PARTS = {k: [x.split("/") for x in v] for k, v in PARTS.items()}


def sentence(r, label):
    who, does, what, when = PARTS[label]
    s = " ".join((r.of(who), r.of(does), r.of(what), r.choice(when)))
    return s[0].upper() + s[1:] + r.choice((".", ".", "!", "?"))


def language_text(r, label):
    out = [sentence(r, label) if r.chance(0.6) else r.of(LANG[label]).format(r.choice(LANG_NOUN[label]))]
    if r.chance(0.5):
        out.append(r.choice(LANG_MORE[label]))
    r.shuffle(out)
    return " ".join(out)


ASK = ["Classify the {k}: {l}.", "{K} ({l})?", "Is this {o}?", "Label the text with one of: {l}.", "Which {k} is it, {o}?", "Choose one label: {l}", "{k}: {l}",
    "Sort this text under {o}.", "Answer with one of {l}.", "What is the {k}? Options: {l}", "Pick the {k} from {l}.", "Give the {k} ({l}).",
       "classify as {o}", "{K}? One of {l}.", "Decide the {k}: {o}.", "labels: {l}", "Tell me the {k} of this text: {o}?", "Which label fits: {l}?", "Name the {k}, one word: {l}.",
           "One word, {o}:"]
# put together from parts, for training alone
SORT = ["{v} the {k}: {l}", "{v} the {k} of the text ({l})", "{k} of this text: {o}?", "{v} {o}", "{v} {o}:", "{l}?", "{l}", "The {k} is {o}?", "{v} one: {l}", "{K}: {o}?",
    "Possible labels: {l}. {v} the best.", "{k} = ? ({l})", "{v} which of {l} it is.", "Either {o}."]
SAY = ["Find", "Select", "Guess", "Say", "State", "Determine", "Judge", "Return", "Write", "find", "say", "Print", "Output", "Report"]
GROUPS = {"sentiment": (["positive", "negative", "neutral"], sentiment_text), "topic": (list(TOPIC), topic_text), "urgency": (list(URGENT), urgency_text), "language": (list(LANG),
    language_text)}


def classify(r, group=None):
    group = group or r.choice(list(GROUPS))
    labels, make = GROUPS[group]
    labels = list(labels)
    if group in ("topic", "language"):
        labels = r.sample(labels, r.randint(2, len(labels)))
    elif group == "sentiment" and r.chance(0.4):
        labels = ["positive", "negative"]
    r.shuffle(labels)
    label = r.choice(labels)
    text = make(r, label)
    show = labels
    parts = dict(k=group, K=group.capitalize(), l=", ".join(show), o=join(show, "or"))
    ask = r.choice(SORT).format(v=r.choice(SAY), **parts) if r.training(0.5) else r.of(ASK).format(**parts)
    m = dict(role="assistant", content=label)
    think = r.chance(0.1)
    if think:
        m["reasoning_content"] = f"{group.capitalize()}: {label}"
    return dict(messages=[dict(role="user", content=ask + "\n\n" + text), m], think=think, job="class", gold=dict(label=label, labels=labels, group=group))


def sentiment(r):
    return classify(r, "sentiment")


# facts: sentence, question, the answer's pool
FACTS = [("{p} lives in {v}.", "Where does {p} live?", CITY), ("{p} owns a {v}.", "What does {p} own?", ANIMAL), ("{p}'s favourite color is {v}.", "What is {p}'s favourite color?",
    COLOR), ("{p} bought a {v}.", "What did {p} buy?", THING), ("{p} arrives on {v}.", "When does {p} arrive?", DAY),
         ("{p} was born in {v}.", "In which month was {p} born?", MONTH), ("{p} likes {v}.", "Whom does {p} like?", FIRST), ("{p} travels to {v}.", "Where does {p} travel to?",
             CITY), ("{p} lost a {v}.", "What did {p} lose?", THING), ("{p} painted the door {v}.", "Which color did {p} paint the door?", COLOR),
         ("{p} feeds the {v}.", "Which animal does {p} feed?", ANIMAL), ("{p} works in {v}.", "Where does {p} work?", CITY), ("{p} sold a {v}.", "What did {p} sell?", THING),
             ("{p} rests on {v}.", "On which day does {p} rest?", DAY), ("{p} sees a {v}.", "What does {p} see?", ANIMAL)]


def facts(r, n):
    people, used, out = r.some(FIRST, n), set(), []
    for p in people:
        s, q, pool = r.of(FACTS)
        v = r.choice([x for x in pool if x not in used and x not in people])
        used.add(v)
        out.append((s.format(p=p, v=v), q.format(p=p), v, pool))
    return out


def choice(r):
    fs = facts(r, r.randint(2, 5))
    fact, q, v, pool = r.choice(fs)
    same = [f[2] for f in fs if f[3] is pool and f[2] != v]
    more = [x for x in pool if x != v and x not in same]
    wrong = same + r.sample(more, min(3, len(more)))
    opts = [v] + wrong[:3]
    r.shuffle(opts)
    L = "ABCD"
    form = r.choice(("{l}) {o}", "{l}. {o}", "{l}: {o}", "({l}) {o}"))
    text = " ".join(f[0] for f in fs)
    listed = "\n".join(form.format(l=L[i], o=o) for i, o in enumerate(opts))
    ask = r.choice((f"{text}\n\n{q}\n{listed}", f"{q}\n{listed}\n\n{text}", f"Read: {text}\n\nQuestion: {q}\n{listed}\nAnswer:"))
    letter = L[opts.index(v)]
    m = dict(role="assistant", content=letter)
    think = r.chance(0.7)
    if think:
        m["reasoning_content"] = f"{fact} {v}: {letter}"
    return dict(messages=[dict(role="user", content=ask), m], think=think, job="class", gold=dict(label=letter, labels=list(L), group="choice"))


def question(r):
    """The same without choices."""
    fs = facts(r, r.randint(1, 4))
    _, q, v, _ = r.choice(fs)
    text = " ".join(f[0] for f in fs)
    return dict(messages=[dict(role="user", content=r.choice((f"{text}\n\n{q}", f"{q}\n\n{text}"))), dict(role="assistant", content=f"{v}")], think=False, job="turns",
        gold=dict(answer=v))


def classification(r, level=1.0):
    return classify(r) if r.chance(0.75 if r.held_out else 0.5) else choice(r)


if __name__ == "__main__":
    r = R(1)
    for _ in range(12):
        m = classification(r)["messages"]
        print(m[0]["content"], "=>", m[1]["content"], "\n")
