"""What the model says about itself, and about all it cannot do."""
from words import *

I_AM = "I am g4-nano, a very small model that ships with g4. I review C functions, extract JSON, call tools, add and multiply, and sort texts under labels. For anything else use a real Gemma: g4-gen -m NAME."
BEYOND = "That is beyond g4-nano, the very small model that ships with g4. Ask a real Gemma: g4-gen -m NAME."
HELLO = "Hello! I am g4-nano. What can I do for you?"

WHO = ["Who are you?", "What are you?", "what is this", "Which model are you?", "Are you a Gemma?", "What can you do?", "Introduce yourself.", "What is your name?",
    "Tell me about yourself.", "Are you ChatGPT?", "Who made you?", "What is g4-nano?", "who am I talking to?",
       "What model is this?", "Describe yourself.", "What are your abilities?", "How can you help me?", "help", "What do you do?", "Are you a human?", "What are you good at?",
           "Say what you are.", "Which tasks can you do?", "Are you a language model?", "What is g4?", "who are you", "your name?",
       "Can you introduce yourself?", "What kind of model are you?", "Explain what you can do.", "usage", "Are you a bot?", "What is your purpose?", "what can I ask you?",
           "Tell me what you are.",
       "Are you a real Gemma?", "Is this Gemma?", "Are you an AI?", "Say who you are.", "Explain what you are.", "What can you help with?", "Tell me what you can do.",
           "Explain yourself.", "What jobs do you do?", "Which model answers here?", "Do you have a name?", "Is there a person there?", "What should I use you for?",
           "How big are you?",
       "Are you Gemma 4?", "List your abilities.", "Explain what you are good for.", "What are you able to do?", "Name yourself.", "Who is this?", "Who answers here?",
           "Are you a small model?", "What is g4-gen?", "What do you know?", "Say something about yourself."]
HI = ["Hello", "Hi", "hello!", "Good morning", "Hey there", "hi there", "Good evening!", "hey", "Hello there!", "Good afternoon"]

SUBJECT = W("""love winter autumn spring summer rain snow wind thunder moon stars planets Mars Jupiter gravity light electricity magnets atoms cells DNA evolution dinosaurs whales sharks bees ants wolves lions
Rome Greece Egypt Vikings knights castles pirates Napoleon Shakespeare Mozart Beethoven jazz opera ballet cinema theatre chess football tennis hockey skiing sailing cooking baking bread pasta sushi coffee
tea wine beer chocolate cheese gardens roses trees forests mountains rivers oceans deserts volcanoes earthquakes climate energy economics inflation taxes democracy elections justice philosophy ethics
religion history poetry novels painting sculpture photography architecture bridges trains ships aircraft rockets robots computers networks encryption databases compilers Python Rust Haskell Linux Unix
Kubernetes blockchain statistics calculus algebra geometry topology primes infinity probability medicine vaccines diabetes sleep dreams memory happiness friendship marriage education school""")
PLACE = W("""France Germany Spain Italy Portugal Poland Sweden Norway Finland Denmark Austria Hungary Greece Turkey Russia China Japan Korea India Brazil Chile Peru Mexico Canada Egypt Kenya Nigeria Australia
Iceland Ireland Scotland Wales Belgium Holland Bulgaria Romania Serbia Croatia Ukraine Vietnam Thailand Malaysia Indonesia Morocco Ghana Ethiopia Cuba Jamaica Bolivia Ecuador""")
OUT = ["Write a poem about {s}.", "Write a story about {s}.", "Explain {s}.", "What is the capital of {p}?", "How many people live in {p}?", "Tell me a joke about {s}.",
    "Who was the first president of {p}?", "What is the history of {s}?", "Give me a recipe with {s}.",
       "Write an essay on {s}.", "Why is {s} important?", "How does {s} work?", "Translate a book about {s} into Latin.", "What do you think about {s}?",
           "Write a Python program about {s}.", "Plan a trip to {p}.", "What language do they speak in {p}?", "Describe the landscape of {p}.",
       "When was {s} invented?", "Compare {s} and {s2}.", "Who discovered {s}?", "Write a song about {s}.", "Give me ten facts about {s}.", "Can you teach me {s}?",
           "What is the best book on {s}?", "Which river flows through {p}?", "Name three cities in {p}.", "Draw a picture of {s}.",
       "What is the meaning of {s}?", "Write a letter to my landlord about {s}.", "Recommend a film about {s}.", "Is {s} better than {s2}?", "What should I know about {p}?",
           "How old is {p}?", "Define {s}.", "Write a haiku about {s}", "tell me about {s}", "explain {s} to a child",
       "What is the weather in {p}?", "How do I learn {s}?", "Give me advice on {s}.", "Write a speech about {s}.", "who won the war in {p}?",
           "Continue this story: once there was a king who liked {s}.", "What is the currency of {p}?", "Implement {s} in Haskell.",
       "How far is it from {p} to {p2}?", "What is the national dish of {p}?", "Invent a game about {s}.", "Write a limerick on {s}.", "Should I invest in {s}?",
           "What are the causes of {s}?", "List the kings of {p}.", "Make a quiz about {s}.", "Debate {s}.", "Argue for {s}.",
       "Translate {s} into {p} style.", "Write me a cover letter for a job in {s}.", "What is new in {s}?", "Do you like {s}?", "Sing about {s}.", "What would happen without {s}?",
           "Tell me a secret about {p}.", "What time is it in {p}?", "Who is the king of {p}?", "How tall is the highest mountain in {p}?",
       "Prove a theorem about {s}.", "Find a rhyme for {s}.", "Write a blog post on {s}.", "Summarise the theory of {s}.", "What are the pros and cons of {s}?",
           "Can you help me with my {s} homework?", "Give me a diet based on {s}.", "What is the future of {s}?", "Pretend to be an expert on {s}.",
       "Which team won in {p}?", "Is it safe to travel to {p}?", "What does {s} look like?", "Make up a name for a band that plays {s}.", "How do you feel about {s}?",
           "Where does {s} come from?", "Tell a fairy tale from {p}.", "Design a logo for {s}.", "What are people in {p} like?",
       "Give a lecture on {s}.", "Which is older, {s} or {s2}?", "Who invented {s}?", "What is your favourite {s}?"]


# what people ask about a text that they bring along, and that none of the jobs covers
WITH = ["summarise", "Summarise this text.", "summarize in one line", "Give me a summary.", "Translate this into {l}.", "translate to {l}", "How do you say this in {l}?",
    "Rewrite this more politely.", "Make this shorter.", "Write a reply.",
        "Answer this mail.", "Correct the grammar.", "Improve the style.", "Continue this text.", "Turn this into a poem.", "Explain this to me.", "explain this code",
            "What does this code do?", "Write tests for this.", "Port this to {c}.",
        "convert to {c}", "Rewrite this function in {c}.", "Add comments to this code.", "Make this faster.", "Optimise this.", "Write a commit message for this.",
            "What is this about?", "tl;dr", "Give this a title.", "Is this text well written?",
        "Write documentation for this.", "What do you think of this?", "Draw a diagram of this.", "Estimate how long this takes.", "Reformat this as {c}.",
            "Expand this into an article.", "Guess who wrote this.", "Make it funnier.", "Tell me more about this.", "Rename everything in this code.",
        "port this to {c}", "Port this function to {c}.", "Translate the code to {c}.", "Reformat this.", "Reformat this as {l} text.", "Write this in {c}.",
            "Is this well written?", "Is this text good?", "Rate this text.", "How would you say this?", "Paraphrase this.", "Say this in other words.", "Shorten this text.",
            "Make a headline of this.", "Explain every line.",
        "Explain the function below.", "How does this code work?", "What does this function do?", "Write a unit test.", "Simplify this.", "Refactor this function.",
            "Rewrite it with recursion.", "Add error handling.", "Write a manual page for this.", "Describe this text.", "Give me the gist.", "Sum this up.", "summary please",
            "in {l} please", "Sing this."]
TONGUE = W("Latin Japanese Chinese Russian Polish Greek Turkish Arabic Korean Hindi Finnish Danish Czech Hungarian Romanian")
CODE = W("Python Rust Go Java Haskell Lua Perl Ruby Zig Swift Kotlin Scala assembly Pascal Fortran")


def turn(r, ask, say, gold):
    m = dict(role="assistant", content=say)
    think = r.chance(0.25)
    if think:
        m["reasoning_content"] = gold["thought"]
    return dict(messages=[dict(role="user", content=ask), m], think=think, job="self", gold=gold)


def rough(r, s):
    """As people type."""
    k = r.random()
    if k < 0.15:
        s = s.lower()
    if k > 0.85:
        s = s.rstrip(".?!")
    return s


def identity(r):
    return turn(r, rough(r, r.of(WHO)), I_AM, dict(kind="who", thought="They ask what I am."))


def beyond(r):
    s, s2 = r.some(SUBJECT, 2)
    p, p2 = r.some(PLACE, 2)
    ask = r.of(OUT).format(s=s.lower() if r.chance(0.7) else s, s2=s2, p=p, p2=p2)
    if r.chance(0.2):
        ask = r.choice(("Please ", "Hey, ", "Quick question: ", "I wonder: ")) + ask[0].lower() + ask[1:]
    return turn(r, rough(r, ask), BEYOND, dict(kind="beyond", thought="This is none of my jobs."))


def with_text(r):
    """A request beyond the jobs, with a document."""
    import gen_c
    import gen_class
    import gen_extract
    ask = r.of(WITH).format(l=r.of(TONGUE), c=r.of(CODE))
    if r.chance(0.15):
        ask = "Please " + ask[0].lower() + ask[1:]
    make = (lambda: "\n".join(gen_c.function(r, r.choice((None, *gen_c.KINDS)), level=0.4)["lines"]), lambda: gen_extract.document(r)[1],
            lambda: gen_class.topic_text(r, r.choice(list(gen_class.TOPIC))), lambda: " ".join(f[0] for f in gen_class.facts(r, r.randint(2, 5))))
    text = r.choice(make)()
    if r.chance(0.3):     # a page
        text = "\n\n".join([r.choice(("# ", "## ", "")) + r.of(NOUN).capitalize(), text] + [r.choice(make)() for _ in range(r.randint(2, 6))])
    return turn(r, rough(r, ask), BEYOND, dict(kind="beyond", thought="This is none of my jobs."))


def with_text(r):
    """A request beyond the jobs, with a document."""
    import gen_c
    import gen_class
    import gen_extract
    ask = r.of(WITH).format(l=r.of(TONGUE), c=r.of(CODE))
    if r.chance(0.15):
        ask = "Please " + ask[0].lower() + ask[1:]
    text = r.choice((lambda: "\n".join(gen_c.function(r, r.choice((None, *gen_c.KINDS)), level=0.4)["lines"]), lambda: gen_extract.document(r)[1],
                     lambda: gen_class.topic_text(r, r.choice(list(gen_class.TOPIC))), lambda: " ".join(f[0] for f in gen_class.facts(r, r.randint(2, 5)))))()
    return turn(r, rough(r, ask) + "\n\n" + text, BEYOND, dict(kind="beyond", thought="This is none of my jobs."))


def me(r):
    k = r.random()
    if k < 0.25:
        return with_text(r)
    if k < 0.7:
        return beyond(r)
    if k < 0.95:
        return identity(r)
    return turn(r, r.of(HI), HELLO, dict(kind="hello", thought="A greeting."))
