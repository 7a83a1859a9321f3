"""The mixture: which job how often, at which stage of the curriculum."""
import gen_c
import gen_class
import gen_copy
import gen_extract
import gen_math
import gen_self
import gen_tools
import gen_turns

JOBS = dict(copy=gen_copy.copy, review=lambda r, level=1.0: gen_c.review(r, level=level), extract=lambda r, level=1.0: gen_extract.extract(r), tools=lambda r, level=1.0: gen_tools.episode(r, level=level), math=gen_math.math, **{
    "class": gen_class.classification, "turns": gen_turns.turns, "self": lambda r, level=1.0: gen_self.me(r)})
# share of examples by progress (0..1 of the planned tokens): early, then late
EARLY = dict(copy=40, review=15, extract=15, tools=5, math=8, turns=8, self=4, **{"class": 5})
LATE = dict(copy=4, review=23, extract=26, tools=10, math=15, turns=9, self=7, **{"class": 10})


def weights(progress):
    t = min(1.0, progress / 0.12)
    return {k: EARLY[k] * (1 - t) + LATE[k] * t for k in JOBS}


def draw(r, progress):
    w = weights(progress)
    job = r.choices(list(w), list(w.values()))[0]
    return JOBS[job](r, level=min(1.0, 0.3 + progress * 4) if r.chance(0.5) else 0.4)
