"""When a generation's end brings the population file up to date."""

import pytest

from evoft.ledger import is_fold_due


@pytest.mark.parametrize(
    ("records", "took", "since", "due"),
    [
        (3, 0.0, 0.0, True),  # the first time
        (1000, 1.0, 2.0, True),
        (1000, 1.0, 1.9, False),
        (1001, 1.0, 10.0, True),
        (1001, 1.0, 9.9, False),
    ],
)
def test_a_fold_takes_half_of_the_time_at_most_and_of_many_records_a_tenth(
    records: int, took: float, since: float, due: bool
) -> None:
    assert is_fold_due(records, took, since) is due
