import time

import pytest


def test_what_the_tool_prints_is_read():
    from utilisation import Look, look_of

    assert look_of("37, 1024\n") == Look(0.37, 2**30)


def test_a_device_that_does_not_say_is_not_guessed():
    from utilisation import look_of

    with pytest.raises(ValueError, match="could not convert"):
        look_of("[N/A], 1024\n")


def test_looks_are_taken_while_something_runs_and_those_that_fail_are_left_out():
    from utilisation import Look, summary, watched

    answers = [Look(0.25, 7), ValueError("lost"), Look(0.75, 5)]

    def look():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with watched(look) as seen:
        while answers:
            time.sleep(0.01)
    assert summary(seen) == {"busy": 0.5, "memory": 7}


def test_nothing_is_known_where_nobody_looked():
    from utilisation import summary, watched

    with watched(None) as seen:
        pass
    assert summary(seen) is None
