"""What a model takes images of each class for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoft.analysis.confusion import class_rows, confusion_of

CLASSES = ("ant", "bee", "cow", "dog")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_every_image_is_counted_where_it_belongs(pairs):
    truth, taken_for = np.array(pairs).T
    confusion = confusion_of(CLASSES, truth, taken_for)
    assert confusion.counts.sum() == len(pairs)
    for row in range(4):
        for column in range(4):
            assert confusion.counts[row, column] == pairs.count((row, column))
    right = sum(a == b for a, b in pairs)
    assert confusion.accuracy.estimate == pytest.approx(right / len(pairs))
    largest = max((truth == label).sum() for label in range(4))
    assert confusion.largest_class == pytest.approx(largest / len(pairs))
    rows = class_rows(confusion)
    assert {row["class"] for row in rows} == {CLASSES[label] for label in truth}
    assert sum(row["right"] for row in rows) == right
    assert [row["recall"] for row in rows] == sorted(row["recall"] for row in rows)
    balanced = np.mean([row["recall"] for row in rows])
    interval = confusion.balanced_accuracy
    assert interval.estimate == pytest.approx(balanced)
    assert 0 <= interval.low <= interval.high <= 1
    for row in rows:
        assert row["images"] == row["right"] + sum(row["taken_for"].values())
        assert row["class"] not in row["taken_for"]
        counts = list(row["taken_for"].values())
        assert counts == sorted(counts, reverse=True)
        called = sum(CLASSES[b] == row["class"] for _, b in pairs)
        assert row["precision"] == (pytest.approx(row["right"] / called) if called else None)


def test_an_example():
    truth = np.array([0, 0, 0, 1, 1, 1, 1, 2])
    taken_for = np.array([0, 1, 1, 1, 1, 1, 0, 0])
    cow, ant, bee = class_rows(confusion_of(CLASSES, truth, taken_for))
    assert cow == {
        "class": "cow", "images": 1, "right": 0, "recall": 0.0, "precision": None,
        "taken_for": {"ant": 1},
    }  # fmt: skip
    assert ant["precision"] == 1 / 3
    assert ant["taken_for"] == {"bee": 2}
    assert bee["recall"] == 0.75
