"""A made-up world of questions: some are hard, and what is hard can be seen in them."""

from __future__ import annotations

import json
import random
from pathlib import Path

EASY = "What is the capital of {0}? Answer with one word."
HARD = (
    "Let f be a function with f({0}) = {1} and f({1}) = {0}^2 + 3. Prove, step by step, that f has no fixed point "
    "below {0}, and determine whether the following statements are true or false:\nA. f is monotone\nB. f is bounded"
)
_PLACES = "France Peru Japan Kenya Norway Chile Egypt Nepal Spain Cuba Ghana Laos".split()


def questions(count: int, seed: int = 0) -> list[tuple[str, bool]]:
    """Texts, and whether each is hard."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        hard = chance.random() < 0.4
        text = (
            HARD.format(chance.randint(2, 99), chance.randint(2, 99))
            if hard
            else EASY.format(chance.choice(_PLACES))
        )
        made.append((text, hard))
    return made


def skill(hard: bool, strong: bool, chance: random.Random) -> int:
    """Whether a target answers rightly: the strong one nearly always, the weak one the easy half."""
    return int(chance.random() < (0.9 if strong or not hard else 0.2))


def outcomes_file(path: Path, count: int = 1200, seed: int = 0) -> Path:
    """The world as a file of outcomes, as `scripts/bench routing` takes one."""
    chance = random.Random(seed + 1)
    rows = [
        {
            "set": "made",
            "prompt": text,
            "weak": skill(hard, False, chance),
            "strong": skill(hard, True, chance),
        }
        for text, hard in questions(count, seed)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
