"""Why a population has no best."""

from __future__ import annotations

from typing import Any

from evoft.header import Header
from evoft.lineage import Population, nobody_left, told_of_fallen
from evoft.outcome import Status


def population(header: Header, *records: Any) -> Population:
    return Population.of(header, {record.key: record for record in records}, path="p.h5")


def test_where_no_trial_has_ended_well_that_is_said(header: Header, search_record: Any) -> None:
    for records in ([], [search_record(0, status=Status.FAILED)]):
        empty = population(header, *records)
        assert told_of_fallen(empty) == ""
        assert nobody_left(empty) == "no trial in p.h5 has ended well"
        assert nobody_left(empty, "it") == "no trial in it has ended well"


def test_of_those_who_fell_the_best_is_told_of(header: Header, search_record: Any) -> None:
    fell = population(
        header,
        search_record(0, status=Status.FAILED),
        search_record(1, 0.6),
        search_record(1, rung=1, number=4, status=Status.TIMED_OUT),
        search_record(2, 0.7),
        search_record(2, 0.65, rung=1, number=5),
        search_record(2, rung=2, number=6, status=Status.DIVERGED),
        search_record(3, 0.7),
        search_record(3, rung=1, number=7, status=Status.LOST),
    )
    assert fell.best is None
    told = "individual 2 had 0.7000 on a lower rung, then diverged: it would not"
    assert told_of_fallen(fell) == told
    assert nobody_left(fell) == f"nobody in p.h5 is left whose latest trial ended well ({told})"
