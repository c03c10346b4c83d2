"""Decisions are made in one thread of linear algebra, whatever is set."""

import threading

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from evoft.search.evolution.one_thread import one_thread


@pytest.fixture(autouse=True)
def _all_loaded() -> None:
    """Have all libraries loaded, which would else come with a number of their own."""
    with one_thread():
        pass


def threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_linear_algebra_has_one_thread_inside_and_what_it_had_outside() -> None:
    with threadpool_limits(limits=2, user_api="blas"):
        with one_thread():
            assert threads() == {1}
        assert threads() == {2}


def test_on_several_threads_what_was_outside_is_there_again() -> None:
    inside = []

    def decide() -> None:
        for _ in range(50):
            with one_thread():
                inside.append(threads())

    several = [threading.Thread(target=decide) for _ in range(3)]
    before = threads()
    for thread in several:
        thread.start()
    for thread in several:
        thread.join()
    assert inside == [{1}] * 150
    assert threads() == before
