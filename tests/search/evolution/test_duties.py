"""Who climbs whatever its score: founders to a modest rung, a random few, and all where it lies."""

from __future__ import annotations

import numpy as np
import pytest

from evoft.audit import EVERY, is_audited
from evoft.ladder import Ladder
from evoft.outcome import Outcome, Status
from evoft.search.evolution.duties import Audit, audited, gives_up, schooled, ways
from evoft.search.evolution.knowledge import Knowledge
from evoft.search.stint import Stint

LADDER = Ladder((1.0, 3.0, 9.0, 27.0))
WAYS = np.array(ways(LADDER))


def known_of(curves: dict[int, list[float]]) -> Knowledge:
    known = Knowledge(LADDER, 1, 1, seed=0)
    for id, scores in curves.items():
        for rung, score in enumerate(scores):
            outcome = Outcome.of_fitness(score) if score < 9 else Outcome(Status.FAILED)
            known.learn(Stint(0, id, rung, 0.1, 0), outcome)
    return known


def test_the_way_to_the_top_costs_a_full_training_and_the_cool_downs() -> None:
    assert pytest.approx([1 / 27, 3 / 27, 9 / 27, 1.0]) == WAYS
    cooled = ways(Ladder((1.0, 3.0, 9.0), cooldown=0.2))
    assert cooled[-1] == pytest.approx(1.0 + 0.2 * (1 + 3) / 9)
    assert ways(Ladder()) == [1.0]


def test_founders_climb_in_turn_to_what_is_affordable() -> None:
    known = known_of({0: [0.1], 1: [0.2, 0.3], 2: [9.0], 3: [0.5], 4: [0.0]})
    known.take(Stint(9, 3, 1, 0.1, 0))
    assert schooled(known, 4, WAYS, 0.5) == 0
    assert schooled(known, 4, WAYS, 0.1) is None
    assert schooled(known_of({0: [0.1, 0.2], 1: [0.2]}), 4, WAYS, 0.5) == 1
    assert schooled(known_of({4: [0.1]}), 4, WAYS, 0.5) is None


def test_the_audited_climb_in_order_at_a_small_share_of_the_cost() -> None:
    known = known_of({0: [0.1], 1: [0.9], 5: [9.0], 7: [-3.0]})
    assert audited(known, [0, 5, 7], LADDER, 100.0) == 0
    assert audited(known, [0, 5, 7], LADDER, 2 / 27 / 0.05 - 0.1) is None
    known.take(Stint(9, 0, 1, 0.1, 0))
    assert audited(known, [0, 5, 7], LADDER, 100.0) == 7
    assert audited(known, [0, 5, 7], LADDER, 2 / 27 / 0.05 + 0.1) is None
    assert audited(known, [], LADDER, 100.0) is None
    assert audited(known, [0, 5, 7], Ladder(), 100.0) is None


def test_whom_nothing_pays_for_keeps_no_founder_waiting() -> None:
    known = known_of({0: [0.1], 1: [0.2], 2: [0.3]})
    assert schooled(known, 3, WAYS, 0.5, lambda id: id != 0) == 1
    assert schooled(known, 3, WAYS, 0.5, lambda id: False) is None


def test_the_audit_passes_over_whom_nothing_pays_for_and_counts_what_the_dear_cost() -> None:
    known = known_of({0: [0.1], 5: [0.2]})
    spent = 2 / 27 / 0.05 + 0.1
    assert audited(known, [0, 5], LADDER, spent) == 0
    assert audited(known, [0, 5], LADDER, spent, can_pay=lambda id: id != 0) == 5
    assert audited(known, [0, 5], LADDER, spent, price=lambda id: 3.0) is None
    assert audited(known, [0, 5], LADDER, 3 * spent, price=lambda id: 3.0) == 0
    known = known_of({0: [0.1, 0.2], 5: [0.2]})
    assert audited(known, [0, 5], LADDER, 4 * spent, price=lambda id: 3.0) is None
    assert audited(known, [0, 5], LADDER, 6 * spent, price=lambda id: 3.0) == 5


def test_the_next_pair_of_rungs_comes_when_the_lower_has_enough() -> None:
    many = {id: [0.1 * id, 0.2] for id in range(16)}
    assert audited(known_of({**many, 20: [0.0]}), [*range(16), 20], LADDER, 1e3) == 0
    few = {id: [0.1 * id, 0.2] for id in range(15)}
    assert audited(known_of({**few, 20: [0.0]}), [*range(15), 20], LADDER, 1e3) == 20
    assert audited(known_of(few), [*range(15)], LADDER, 1e3) is None


@pytest.mark.parametrize(("sign", "wanted"), [(1.0, False), (-1.0, True)])
def test_the_lowest_rung_is_given_up_by_the_sample_alone(sign: float, wanted: bool) -> None:
    curves = {id: [0.1 * id, sign * 0.1 * id] for id in range(10)}
    curves |= {id: [0.1 * id, -sign * 0.1 * id] for id in range(10, 40)}
    assert gives_up(known_of(curves), range(10)) == wanted
    assert not gives_up(known_of(curves), range(5))


def audit_of(climbs: dict[int, tuple[int, ...]]) -> Audit:
    """Return the audit after forty births; by number of births, who of the drawn climbs then."""
    audit, number = Audit(3), 0
    for id in range(8 * EVERY):
        audit.take(Stint(number, id, 0, 0.1, 0))
        for place in climbs.get(id, ()):
            number += 1
            audit.take(Stint(number, DRAWN[place], 1, 0.1, 0))
        number += 1
    return audit


DRAWN = [id for id in range(8 * EVERY) if is_audited(3, id)]


def test_the_audit_pays_only_for_those_whom_nobody_chose() -> None:
    assert audit_of({}).sample == DRAWN
    everybody = known_of({id: [0.1, 0.2] for id in DRAWN})
    at_once, late = DRAWN[1], DRAWN[1] + EVERY
    assert audit_of({}).paid(everybody, 0) == 0
    assert audit_of({late: (0,)}).paid(everybody, 0) == 1
    assert audit_of({at_once: (1,), late: (0,)}).paid(everybody, 0) == 1
    # Late, but before an elder: that was the referee's choice.
    assert audit_of({late: (1,), late + 1: (0,)}).paid(everybody, 0) == 1
    assert audit_of({late: (1,)}).paid(everybody, 0) == 0
    # An elder who failed holds nobody up.
    known = known_of({DRAWN[0]: [9.0], DRAWN[1]: [0.1, 0.2]})
    assert audit_of({late: (1,)}).paid(known, 0) == 1


def test_whoever_may_still_be_chosen_is_waited_for() -> None:
    audit = audit_of({DRAWN[1]: (1,), DRAWN[1] + EVERY: (0,)})
    known = known_of({DRAWN[0]: [0.1, 0.2], DRAWN[1]: [0.3, 0.2], DRAWN[2]: [0.5]})
    assert audited(known, DRAWN, LADDER, 100.0, audit) == DRAWN[2]
    # One of the two was chosen, and costs the audit nothing.
    assert audited(known, DRAWN, LADDER, 2 * 2 / 27 / 0.05 + 0.1, audit) == DRAWN[2]
    assert audited(known, DRAWN, LADDER, 2 * 2 / 27 / 0.05 - 0.1, audit) is None
    assert audited(known, DRAWN, LADDER, 2 * 2 / 27 / 0.05 + 0.1) is None
    known = known_of({id: [0.1, 0.2] for id in DRAWN[:-1]} | {DRAWN[-1]: [0.1]})
    assert audited(known, DRAWN, LADDER, 100.0, audit) is None
