"""The documents name only files, links, commands, options and make targets that exist."""

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from exporttiles.cli.main import COMMANDS, load_command

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "layers/exporttiles/python/exporttiles"
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
RECORDS = [*ROOT.glob("docs/adr/*.md")]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def code_of(path):
    """Return the lines of code blocks, with continued lines joined, and the code spans of a document."""
    text = path.read_text().replace("\\\n", " ")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    return [*(line for block in blocks for line in block.splitlines()), *spans]


def anchors_of(path):
    headings = re.findall(r"^#+ (.*)", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [*DOCUMENTS, *RECORDS], ids=name_of)
def test_links_lead_to_files_and_headings(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if not re.match(r"https?:|mailto:", link):
            target, _, anchor = link.partition("#")
            file = (path.parent / target).resolve() if target else path
            assert file.exists(), link
            assert not anchor or anchor in anchors_of(file), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_commands_and_their_options_exist(path):
    for line in code_of(path):
        for call in re.findall(r"(?:^|[\s/])exporttiles ((?!--)[a-z].*)", line):
            words = shlex.split(call.partition("#")[0].partition("|")[0])
            if words[0] in {"ALL", "VERSION"}:
                continue
            assert words[0] in COMMANDS, line
            command = load_command(words.pop(0))
            while isinstance(command, click.Group) and words:
                command = command.commands[words.pop(0)]
            known = {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}
            given = {word.partition("=")[0] for word in words if word.startswith("--")}
            assert given <= known, line


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_make_targets_exist(path):
    named = {target for line in code_of(path) for target in re.findall(r"(?:^|\s)make ([a-z][a-z-]*)", line)}

    assert named <= TARGETS


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_files_of_the_project_exist(path):
    folders = [ROOT, PACKAGE, ROOT / "tests", PACKAGE / "usecases"]
    for span in code_of(path):
        if re.fullmatch(r"(?:[a-z_]+/)+[a-z_]+\.py|(?:docs|tests|benchmarks|layers)/[\w/.-]+", span):
            assert any((folder / span).exists() for folder in folders), span


def test_the_readme_names_every_folder_of_the_package():
    section = (ROOT / "README.md").read_text().partition("## How it is built")[2].partition("\n## ")[0]
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}

    assert {name for name in re.findall(r"`(\w+)`", section) if (PACKAGE / name).is_dir()} == folders


def test_the_layers_are_those_that_are_checked():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")

    assert f"functions | {' -> '.join(layers)}" in (ROOT / "CONTRIBUTING.md").read_text()
