"""Help: commands in the order of need, every option in a section, and the defaults that hold."""

import click
import pytest
from click.testing import CliRunner

from evoft.cli.evolve import SECTIONS, evolve_command
from evoft.cli.flags import EVOLVE_FLAGS, RUN_FLAGS, default_text, parameter
from evoft.cli.main import group
from evoft.cli.resume import resume_command
from evoft.errors import SettingsError
from evoft.recipe import Recipe
from evoft.settings import Settings


def help_of(*command):
    done = CliRunner().invoke(group, [*command, "--help"], prog_name="evoft")
    assert done.exit_code == 0
    return done.output


def test_commands_are_listed_in_the_order_of_need_and_each_says_what_it_does():
    lines = help_of().split("Commands:\n")[1].splitlines()
    names = [line.split()[0] for line in lines]
    assert names[:3] == ["evolve", "resume", "show"]
    assert len(names) == len(group.commands)
    for line in lines:
        assert line.endswith("."), line
        assert not line.endswith("..."), line


def test_every_option_of_evolve_is_in_one_section():
    listed = [name for names in SECTIONS.values() for name in names]
    options = {p.name for p in evolve_command.params if isinstance(p, click.Option)}
    assert len(listed) == len(set(listed))
    assert set(listed) == options
    text = help_of("evolve")
    places = [text.index(f"\n{title}:\n") for title in SECTIONS]
    assert places == sorted(places)
    rest = text.split("\nOptions:\n")[1]
    assert rest.split() == ["-h,", "--help", "Show", "this", "message", "and", "exit."]


@pytest.mark.parametrize(
    "flag", [f for f in EVOLVE_FLAGS + RUN_FLAGS if f.table], ids=lambda f: f.field
)
def test_a_default_is_what_holds_without_the_flag(flag):
    text, standard = default_text(flag), Settings().to_dict()[flag.table][flag.field]
    if not text:
        assert standard is None or isinstance(standard, bool)
        return
    option = next(p for p in evolve_command.params if p.name == parameter(flag))
    assert f"[default: {text}]" in option.help
    read = option.type_cast_value(None, text)
    assert read == standard


def test_how_a_value_is_written_is_said_as_it_is_read():
    text = " ".join(help_of("evolve").split())
    for written in ("constant, linear, cosine or step", "0 to 1, or timm's rand-m9",
                    "0.5, or 3 groups"):  # fmt: skip
        assert written in text
    options = {p.name: p for p in evolve_command.params}
    assert options["fixed__augment"].type_cast_value(None, "rand-m9") == 0.9
    depths = [options["fixed__freeze_depth"].type_cast_value(None, text) for text in ("0.5", "3")]
    assert depths == [0.5, 3]
    for sched in ("constant", "linear", "cosine", "step"):
        assert Recipe.of({"model": "m", "epochs": 1, "sched": sched}, layer_groups=1)


def test_resume_names_no_default_for_what_the_file_settles():
    assert "[default" not in help_of("resume")


def test_resume_knows_every_flag_of_evolve_and_says_itself_which_cannot_be_given():
    known = {option for parameter in resume_command.params for option in parameter.opts}
    flags = {name for p in evolve_command.params for name in p.opts if name.startswith("-")}
    # The one is the argument there, the other has no use for what is known already.
    assert flags - known == {"--file", "--dry-run"}
    hidden = {p.name for p in resume_command.params if getattr(p, "hidden", False)}
    assert {"objectives", "warmup_epochs", "model_kwargs", "search__strategy"} <= hidden


@pytest.mark.parametrize("flag", ["-c", "--founders"])
def test_what_a_population_was_made_with_cannot_be_given_on_resume(flag, tmp_path):
    done = CliRunner().invoke(group, ["resume", "p.h5", flag, "mine"])
    words = str(done.exception)
    assert isinstance(done.exception, SettingsError)
    assert "cannot be given on resume" in words
    assert "`evoft evolve --" in words
    assert "--founders" in words
