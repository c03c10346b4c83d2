"""What ``warm.py`` forks does what the installed command does."""

import pytest


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("show", "--help"),
        ("space", "--format", "csv"),
        ("show", "nowhere.h5"),
        ("evolve", "digits", "--epochs", "two"),
        ("evolve", "nowhere", "--devices", "cpu"),
    ],
    ids=" ".join,
)
def test_it_is_as_installed(cli, installed, tmp_path, arguments):
    assert cli(*arguments, cwd=tmp_path) == installed(*arguments, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_look_at_a_population(cli, installed, finished):
    for command in ("show", "lineage"):
        done = cli(command, finished.file, cwd=finished.folder)
        assert done == installed(command, finished.file, cwd=finished.folder)
        assert done.code == 0
