"""``evoft fsck``: what is wrong with a population's files, and repairing what can be."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from evoft.cli.output import emit, format_option
from evoft.cli.values import PATH
from evoft.errors import PopulationFileError
from evoft.lineage import Finding, check, repair


@click.command("fsck", short_help="Check and repair the files of a population.")
@click.argument("file", type=PATH)
@click.option("--repair", "mend", is_flag=True, help="Repair from the journal what can be.")
@format_option
def fsck_command(file: Path, mend: bool, form: str) -> int:
    """Check FILE, its journal and its checkpoints; exit with 5 if something is wrong."""
    findings = repair(file) if mend else check(file)
    if form == "table":
        click.echo("\n".join(map(_lines, findings)))
    else:
        emit([asdict(finding) for finding in findings], form)
    broken = any(finding.severity == "error" for finding in findings)
    return PopulationFileError.exit_code if broken else 0


def _lines(finding: Finding) -> str:
    """Return a finding for people; sentences are too long for a table's columns."""
    lines = [f"{finding.severity:<9}{finding.where}: {finding.what}"]
    return "\n".join([*lines, *([f"{'':<9}{finding.way_out}"] if finding.way_out else [])])
