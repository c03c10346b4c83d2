"""The documents say what the code does."""

import dataclasses
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import evoft
from evoft.cli.flags import EVOLVE_FLAGS, RECIPE_FLAGS, RUN_FLAGS
from evoft.cli.main import group
from evoft.cli.output import short
from evoft.cli.space import space_toml
from evoft.errors import EvoftError
from evoft.fine_tuning.preparation import expression_of
from evoft.outcome import Status
from evoft.quantities import size_text
from evoft.recipe import Recipe
from evoft.search.checks import HEEDED_BY
from evoft.search.space import SearchSpace
from evoft.settings import (
    OPERATORS,
    SAMPLERS,
    STRATEGIES,
    RunSettings,
    SearchSettings,
    Settings,
    TrainingSettings,
)
from evoft.training.data import Preprocessing
from evoft.training.default_space import MEANINGS, default_genes
from evoft.training.facts import BackboneFacts

ROOT = Path(__file__).parents[2]
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()
README = (ROOT / "README.md").read_text()


def section(name: str) -> dict[str, str]:
    """Return the rows of a table of docs/configuration.md, by the settings they name."""
    text = CONFIGURATION.split(f"## [{name}]")[1].split("\n## ")[0]
    rows: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| setting"):
            for setting in line.split("|")[1].split(","):
                rows[setting.strip()] = line
    return rows


@pytest.mark.parametrize(
    ("name", "record"),
    [("search", SearchSettings), ("training", TrainingSettings), ("run", RunSettings)],
)
def test_every_setting_is_documented_with_its_default_and_its_flag(name, record):
    rows = section(name)
    flags = {f.field: f.names for f in EVOLVE_FLAGS + RUN_FLAGS if f.table == name}
    assert set(rows) == {field.name for field in dataclasses.fields(record)}
    for field in dataclasses.fields(record):
        row = rows[field.name]
        for flag in flags.get(field.name, ()):
            assert flag in row or flag == "--device"
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            is_size = field.name == "cache_size"
            shown = size_text(field.default) if is_size else f"{field.default:g}"
            assert f"| {shown} |" in row


def test_every_strategys_settings_are_documented():
    text = (ROOT / "docs/strategies.md").read_text()
    text = text.split("## Settings that each strategy has")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) ?\|$", text, re.MULTILINE))
    assert set(rows) == set(STRATEGIES)
    for strategy, row in rows.items():
        heeded = {name for name, strategies in HEEDED_BY.items() if strategy in strategies}
        assert set(filter(None, row.split(", "))) == heeded, strategy


def test_whoever_knows_timms_flags_is_told_of_flags_that_there_are():
    text = CONFIGURATION.split("## For whom timm's train.py is known")[1].split("\n## ")[0]
    same, _, table = text.partition("What differs:")
    ours = [line.split(" | ")[1] for line in table.splitlines() if line.startswith("| `")]
    told = set(re.findall(r"`(--?[a-z-]+)", "\n".join([same, *ours])))
    evolve = next(command for name, command in group.commands.items() if name == "evolve")
    flags = {name for one in evolve.params for name in (*one.opts, *one.secondary_opts)}
    assert {"--initial-checkpoint", "-b", "--no-amp", "--img-size"} <= told <= flags


def test_the_exit_codes_are_documented():
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", CONFIGURATION, re.MULTILINE)}
    kinds = [EvoftError, *EvoftError.__subclasses__()]
    assert codes == {0, 130, 143} | {kind.exit_code for kind in kinds}


def test_the_configuration_in_the_reference_can_be_used():
    text = CONFIGURATION.split("```toml")[1].split("```")[0]
    settings = Settings.from_dict(tomllib.loads(text))
    assert settings.run.budget == 7200
    assert settings.training.models == ("resnet50", "vit_small_patch16_224")


def test_every_operator_and_status_is_explained_to_the_reader():
    reading = (ROOT / "docs/reading.md").read_text()
    rows = dict(re.findall(r"^\| `(operator|status)` \| (.*) \|$", reading, re.MULTILINE))
    # A grid's, and Optuna's, are their strategies' names.
    for operator in OPERATORS - {"crossover+mutation", "grid", *SAMPLERS}:
        assert f"`{operator}`" in rows["operator"]
    for status in Status:
        assert f"`{status}`" in rows["status"]


def test_the_model_that_a_reader_loads_is_loaded_as_its_card_says():
    reading = (ROOT / "docs/reading.md").read_text()
    code = reading.split("```python\n")[1].split("```")[0]
    card = (ROOT / "evoft/analysis/card.py").read_text()
    for call in ("pretrained=True).eval()", "timm.data.resolve_data_config({}, model=model)"):
        assert call in code
        assert call in card


def test_the_readme_lists_the_genes_of_the_default_space():
    space = SearchSpace.from_dict(default_genes(["embedded"]))
    for name, gene in space.items():
        row = next(line for line in README.splitlines() if line.startswith(f"| `{name}` |"))
        assert gene.kind in row
        assert f"| {short(gene.standard)} |" in row
        assert MEANINGS[name] in row
    rows = [line for line in README.splitlines() if line.startswith("| `")]
    assert len(rows) == len(space)


def test_every_recipe_field_has_a_meaning_and_a_flag():
    fields = {field.name for field in dataclasses.fields(Recipe)}
    assert set(MEANINGS) == fields
    settings = {"model", "epochs", "patience", "cooldown"}
    assert {flag.field for flag in RECIPE_FLAGS} == fields - settings


def test_every_file_that_the_documents_point_to_is_there():
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} points to {target}"


PACKAGE = ROOT / "evoft"
DESIGN = (ROOT / "docs/design.md").read_text()


def test_the_design_names_every_room_and_every_module_beside_them():
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms >= {"search", "training", "cli"}
    assert {room for room in rooms if f"| `{room}/` |" not in DESIGN} == set()
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    named = set(re.findall(r"`(\w+)(?:\.py)?`", DESIGN))
    assert modules - named == set()


@pytest.mark.parametrize("name", ["design", "search", "strategies", "population-file"])
def test_every_module_that_the_documents_name_is_there(name):
    text = (ROOT / f"docs/{name}.md").read_text()
    folders = (PACKAGE, ROOT / "benchmarks")
    files = {str(path.relative_to(ROOT)) for folder in folders for path in folder.rglob("*.py")}
    for module in re.findall(r"`([\w/]+\.py)`", text):
        assert any(f"/{file}".endswith(f"/{module}") for file in files), module


def test_the_default_space_that_ships_is_the_one_that_is_searched():
    space = SearchSpace.from_dict(default_genes(["embedded"]))
    assert (ROOT / "populations/spaces/default.toml").read_text() == space_toml(space)


@pytest.mark.parametrize("file", sorted((ROOT / "populations/spaces").glob("*.toml")))
def test_a_space_that_ships_means_something_to_the_trainer(file):
    space = SearchSpace.from_toml(file.read_text())
    preprocessing = Preprocessing((32, 32), (0.5,) * 3, (0.5,) * 3, "bicubic", 1.0, "center")
    facts = BackboneFacts("embedded", 5, 1, preprocessing, True, True, "")
    express = expression_of(Settings(), (facts,), space)
    default = express(space.default())
    for name, gene in space.items():
        recipes = {express(space.default().replace(**{name: gene.at(unit)})) for unit in (0.0, 1.0)}
        if space.active(space.default(), name):
            assert recipes != {default}, f"{name} changes nothing"


def test_the_library_example_of_the_readme_runs(tmp_path):
    code = README.split("```python\n")[1].split("```")[0]
    code = code.replace("populations/mine.h5", str(tmp_path / "mine.h5"))
    code = code.replace("generations=20", "generations=2")
    stand_in = "def train_my_model(lr, width, act, seed):\n    return -abs(lr - 1e-3) + width\n"
    script = tmp_path / "script.py"
    script.write_text(stand_in + code)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_the_page_on_the_library_runs_and_names_all_that_is_public(tmp_path):
    text = (ROOT / "docs/library.md").read_text()
    script = tmp_path / "script.py"
    script.write_text("\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)))
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0 ")
    named = set(re.findall(r"`(\w+)`", text.partition("## All names")[2]))
    assert named == set(evoft.__all__)
    fields = {f.name for f in dataclasses.fields(evoft.Trial)} - {"genome"}
    assert {name for name in fields if not re.search(rf"`{name}[`(]", text)} == set()
    assert {status for status in Status if f"`{status}`" not in text} == set()
