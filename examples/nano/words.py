"""Pools of words.  A pool is cut once: four fifths for training, the last fifth of every five for evaluation."""
import random

EVERY = 5


class R(random.Random):
    """A random source that knows which side of the cut it draws from; known: wordings (pools of phrases) are those of
    training even so, and only the words in them are new."""

    def __init__(self, seed, held_out=False, known=False):
        super().__init__(seed)
        self.held_out, self.known = held_out, known

    def side(self, pool):
        cut = pool[EVERY - 1::EVERY]
        wording = any(not isinstance(x, str) or " " in x or "{" in x for x in pool)
        return cut if self.held_out and cut and not (self.known and wording) else [x for i, x in enumerate(pool) if i % EVERY != EVERY - 1] or pool

    def of(self, pool):
        """A member of this side's part of the pool."""
        key = (id(pool), self.held_out, self.known)
        if key not in PARTS:
            PARTS[key] = (pool, self.side(pool))
        return self.choice(PARTS[key][1])

    def chance(self, p):
        return self.random() < p

    def training(self, p):
        """With chance p, and never on the held-out side: whether to put a wording together from parts."""
        return not self.held_out and self.chance(p)

    def some(self, pool, n):
        """n different members of this side's part."""
        key = (id(pool), self.held_out, self.known)
        self.of(pool)
        part = PARTS[key][1]
        return self.sample(part, min(n, len(part)))


PARTS = {}
W = lambda s: s.split()

FIRST = W("""Anna Ben Clara David Emma Felix Greta Hugo Ida Jonas Karin Leo Maria Nils Olga Paul Rosa Simon Tina Viktor Alice Bob Carol
Daniel Eva Frank Grace Henry Iris Jack Kate Liam Mona Noah Oscar Petra Quinn Ralph Sara Tom Uma Vera Walter Yara Zoe Adam Bella Carl
Dora Erik Fiona Gus Helen Ivan Julia Kurt Lena Max Nina Otto Pia Rick Sven Theo Ulla Wendy Amir Bianca Chen Diego Elif Farid Gloria
Hana Ines Jamal Kofi Lucia Mehmet Nadia Omar Priya Rashid Sofia Tariq Valentina Wei Yusuf""")
LAST = W("""Berg Smith Meyer Novak Rossi Silva Kim Lopez Olsen Brown Weber Moreau Costa Larsen Jones Fischer Nowak Bianchi Santos Park
Garcia Hansen Taylor Wagner Dubois Pereira Nilsson Wilson Becker Laurent Ferrari Young Hoffmann Petit Lindqvist Clark Schulz Roux Marino
Baker Koch Fournier Greco Adams Richter Girard Ricci Turner Wolf Bonnet Conti Parker Keller Blanc Gallo Reed Vogel Garnier Fontana Hill
Kaya Singh Tanaka Ivanov Okafor Haddad Nguyen Ahmed Popov Yilmaz""")
CITY = W("""Berlin Paris Oslo Madrid Rome Vienna Lisbon Dublin Prague Warsaw Athens Helsinki Zurich Brussels Budapest Copenhagen
Stockholm Amsterdam Hamburg Munich Lyon Porto Milan Turin Geneva Bern Krakow Leeds York Bristol Ghent Utrecht Bergen Malmo Graz Cologne
Naples Seville Valencia Bilbao Tokyo Osaka Kyoto Delhi Mumbai Cairo Nairobi Lagos Boston Denver Seattle Austin Toronto Montreal Lima
Bogota Quito Santiago Sydney Perth Auckland""")
MONTH = W("January February March April May June July August September October November December")
DAY = W("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
THING = W("""apple pear lemon carrot potato onion bread cheese egg cake cookie pencil pen book stamp coin card ball box bottle cup plate spoon
chair table lamp candle shirt sock hat glove shoe ticket photo flower tree stone shell marble button key brick tile nail screw battery
cable lamp letter parcel bag basket jar kite drum toy puzzle sticker ribbon""")
COLOR = W("red blue green yellow black white brown orange purple pink grey silver gold violet teal")
ANIMAL = W("cat dog horse rabbit parrot hamster turtle goat sheep cow duck hen goose pony fox owl crow swan bee frog")
SHOP = W("""Corner Garden Harbour Sunny Central Green Nordic River Golden Little Old Royal Blue Market Park Village Silver Maple Stone Hill""")
SHOP2 = W("Bakery Cafe Books Tools Foods Market Pharmacy Flowers Hardware Bistro Garage Print Sports Music Optics Toys Grill Deli Kiosk Records")

# what identifiers are made of
NOUN = W("""count size len total buf data list node item key value name path file line word text head tail row col index offset mask flag
score price width height depth weight level rank page block chunk frame record table entry user group token msg packet queue stack
pool slot cache cell grid point angle speed limit bound step rate delta sum avg max min base step code state mode type event time date
year month day hour port host addr url query field column label title tag note part piece char byte bit pixel image sample signal
sensor motor valve tank pump door room seat order cart bill coin stamp ticket letter parcel crate shelf engine wheel track route
stop city road bridge river lake field farm seed plant leaf fruit animal bird fish horse""")
VERB = W("""get set add sum count find copy fill print read load store make build parse scan check update reset init append join split merge
sort swap move shift pack unpack encode decode hash trim clean send recv open write dump log show list collect compute convert apply
push pop insert select filter map reduce scale clamp blend draw render resize rotate align measure compare match replace expand""")
SYL = W("ba be bo ca co da de di do fa fi ga go ha hi ka ki ko la le li lo lu ma me mi mo na ne ni no pa pe pi po ra re ri ro sa se si so ta te ti to tu va ve vi vo za zo xe qua tri bra dro fle glo kra ple sta ster ton ler mer vin dor nix lex")


def spliced(r):
    """The beginning of one word and the end of another: names of pieces that real names are made of."""
    a, b = r.of(r.choice((FIRST, LAST, CITY, NOUN))).lower(), r.of(r.choice((FIRST, LAST, LAST, CITY, THING))).lower()
    return a[:r.randint(1, 4)] + b[-r.randint(2, 5):]


def made_up(r, n=None):
    """A word nobody knows: copying it cannot be done by heart."""
    if n != 1 and r.chance(0.4):
        return spliced(r)
    return "".join(r.choice(SYL) for _ in range(n or r.choice((2, 2, 3))))


def ident(r):
    """A name for a variable or a function's object."""
    k = r.random()
    if k < 0.62:
        return r.of(NOUN)
    if k < 0.8:
        return r.of(NOUN) + "_" + r.of(NOUN)
    if k < 0.92:
        return made_up(r, 2)
    return r.of(NOUN) + str(r.randint(0, 9))


def func(r):
    return (r.of(VERB) if r.chance(0.9) else made_up(r, 2)) + "_" + r.of(NOUN)


def person(r):
    k = r.random()
    if k < 0.4:
        return r.of(FIRST) + " " + r.of(LAST)
    if k < 0.6:
        return r.of(FIRST)
    if k < 0.8:
        return r.choice((r.of(FIRST), made_up(r).capitalize())) + " " + made_up(r).capitalize()
    return made_up(r).capitalize() + (" " + r.of(LAST) if r.chance(0.6) else "")


def first(r):
    return r.of(FIRST) if r.chance(0.7) else made_up(r).capitalize()


def last(r):
    return r.of(LAST) if r.chance(0.6) else made_up(r).capitalize()


def number(r, digits=None):
    d = digits or r.choice((1, 2, 2, 3))
    return r.randint(10 ** (d - 1) if d > 1 else 2, 10 ** d - 1)


def code(r):
    """An order number, a ticket, a part."""
    letters = "".join(r.choice("ABCDEFGHKLMNPRSTUVWXZ") for _ in range(r.choice((1, 2, 2, 3))))
    return letters + r.choice(("-", "", "-")) + str(r.randint(10, 9999))


def date(r):
    y, m, d = r.randint(2019, 2029), r.randint(1, 12), r.randint(1, 28)
    return f"{y}-{m:02d}-{d:02d}" if r.chance(0.6) else f"{d} {MONTH[m - 1]} {y}" if r.chance(0.6) else f"{d:02d}.{m:02d}.{y}"


def clock(r):
    return f"{r.randint(0, 23):02d}:{r.choice((0, 5, 10, 15, 20, 30, 40, 45, 50, 59)):02d}"


def price(r):
    return r.randint(100, 99999) / 100 if r.chance(0.7) else float(r.randint(2, 900))


def city(r):
    return r.of(CITY) if r.chance(0.65) else made_up(r).capitalize()


def mail(r):
    return f"{r.of(FIRST).lower()}{r.choice(('', '.' + r.of(LAST).lower(), str(r.randint(1, 99))))}@{made_up(r)}.{r.choice(('com', 'org', 'net', 'de'))}"


def join(parts, word="and"):
    parts = list(parts)
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + f" {word} " + parts[-1]
