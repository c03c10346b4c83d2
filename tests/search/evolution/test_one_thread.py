"""Decisions are made in one thread of linear algebra, whatever is set."""

from threadpoolctl import threadpool_info, threadpool_limits

from evoft.search.evolution.one_thread import one_thread


def threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_linear_algebra_has_one_thread_inside_and_what_it_had_outside() -> None:
    with threadpool_limits(limits=2, user_api="blas"):
        with one_thread():
            assert threads() == {1}
        assert threads() == {2}
