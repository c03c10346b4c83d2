"""A made-up space of six genes with learning curves, on three rungs."""

from __future__ import annotations

import math

from evoft.genome import Genome
from evoft.ladder import Ladder
from evoft.search.genes import Choice, Float, Integer, Ordinal
from evoft.search.space import SearchSpace

SPACE = SearchSpace(
    lr=Float(1e-5, 1e-1, log=True),
    decay=Float(0.0, 1.0),
    depth=Integer(0, 12),
    width=Ordinal([16, 32, 64]),
    opt=Choice(["adam", "sgd", "rmsprop"]),
    momentum=Float(0, 0.99, when={"opt": ["sgd", "rmsprop"]}),
)
LADDER = Ladder((1.0, 3.0, 9.0), cooldown=0.2)


def quality(genome: Genome) -> float:
    """Return the score after endless training; 0 is the best there is."""
    rate = (math.log10(float(genome["lr"])) + 3.0) / 2.0
    momentum = float(genome["momentum"]) - 0.9 if genome["opt"] == "sgd" else 0.5
    return -(
        rate**2
        + (float(genome["decay"]) - 0.3) ** 2
        + ((int(genome["depth"]) - 4) / 8) ** 2
        + 0.3 * (genome["width"] != 64)
        + 0.5 * momentum**2
        + 0.1 * (genome["opt"] == "adam")
    )


def curve(genome: Genome, epochs: float) -> float:
    """Return the score on a learning curve; a small learning rate is slow, a large one fast."""
    pace = 2.0 - math.log10(float(genome["lr"])) / 2.5
    return quality(genome) - 1.5 * math.exp(-epochs / pace)
