"""`exporttiles`: commands, help, usage errors, exit statuses and completion."""

import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from tempfile import TemporaryDirectory
from unittest.mock import patch

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporttiles import __version__
from exporttiles.cli import recovery
from exporttiles.cli.command import filled, label
from exporttiles.cli.cron import cron_expression, time_zone
from exporttiles.cli.main import COMMANDS, exporttiles, load_command, main
from exporttiles.cli.source import read_source, read_sources


def leaves(command, *names):
    """Yield every command that does something, with its names."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from leaves(below, *names, name)
    else:
        yield names, command


ALL = [found for name in COMMANDS for found in leaves(load_command(name), name)]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_has_the_help_of_each(name):
    _, text = COMMANDS[name]

    assert load_command(name).get_short_help_str(limit=1000) == text
    assert len(text) <= 60  # longer texts are cut off on a terminal of 80 columns


@pytest.mark.parametrize(("names", "command"), ALL, ids=[" ".join(names) for names, _ in ALL])
def test_every_command_and_option_has_a_help(names, command, capsys):
    assert main([*names, "--help"]) == 0

    printed = capsys.readouterr().out
    assert f"Usage: exporttiles {' '.join(names)} " in printed
    assert command.help
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))


def test_the_version_is_that_of_the_package(capsys):
    assert main(["--version"]) == 0

    assert capsys.readouterr().out == f"exporttiles {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bogus"], "exporttiles: No such command 'bogus'."),
        (["token", "bogus"], "exporttiles token: No such command 'bogus'."),
        (["export"], "exporttiles export: Missing argument 'SOURCE...'."),
        (["export", ".", "missing.tif", "out"], "exporttiles export: SOURCE: There is no file or folder"),
        (["unpublish", "a", "more"], "exporttiles unpublish: Got unexpected extra argument (more)"),
        (["export", ".", "out", "--level", "1"], "exporttiles export: No such option"),
        (["export", ".", "out", "--extent"], "exporttiles export: Option '--extent' requires an argument."),
        (["export", ".", "out", "--quality", "high"], "exporttiles export: --quality: 'high' is not a whole number"),
        (["export", ".", "out", "--scheme", "x"], "exporttiles export: --scheme: 'x' is not one of"),
        (["publish", "a", ".", "--max-tiles", "0"], "exporttiles publish: --max-tiles: 0 is not in the range"),
        (["token", "create", "a"], "exporttiles token create: Missing option '--services'."),
        (
            ["schedule", "add", "a", "--service", "A", "--levels", "1"],
            "exporttiles schedule add: Missing option '--cron' or '--on-new-imagery'.",
        ),
        (
            ["schedule", "add", "a", "--service", "A", "--levels", "1", "--cron", "0 5 ? * 2 *", "--on-new-imagery"],
            "exporttiles schedule add: --on-new-imagery and --cron exclude each other.",
        ),
        (["export", ".", "out", "--area", "a", "--extent", "b"], "export: --area and --extent exclude each other."),
        (
            ["schedule", "add", "a", "--service", "A", "--levels", "1", "--on-new-imagery", "--timezone", "UTC"],
            "--timezone and --on-new-imagery exclude each other.",
        ),
        (["token", "list", "--bucket", "a", "--stack", "b"], "--bucket and --stack exclude each other."),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_command_and_ends_with_2(capsys, arguments, words):
    assert main(arguments) == 2

    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.err.startswith("exporttiles")
    assert (printed.out, printed.err.count("\n")) == ("", 1)


GOOD = {"source": ".", "package": ".", "service": "World", "levels": "0-3", "cron": "0 5 ? * MON *"}
BLANK = st.sampled_from(["", " ", "\t "])
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
NO_INTEGER = WORDS.filter(lambda text: not text.strip().lstrip("+-").replace("_", "").isdigit())


def bad_values(parameter):
    """Return a strategy of values that a parameter refuses by itself, or None if a command has to look at it."""
    kind = parameter.type
    if isinstance(kind, click.IntRange):
        below = [st.integers(max_value=kind.min - 1)]
        above = [] if kind.max is None else [st.integers(min_value=kind.max + 1)]
        return st.one_of(NO_INTEGER, *(numbers.map(str) for numbers in below + above))
    if isinstance(kind, click.Choice):
        return WORDS.filter(lambda text: text not in kind.choices)
    return {
        filled: BLANK,
        read_source: BLANK | WORDS.map(lambda text: f"/nowhere/{text}"),
        read_sources: BLANK | WORDS.map(lambda text: f"/nowhere/{text}"),
        cron_expression: WORDS,
        time_zone: WORDS.map(lambda text: f"{text}!"),
    }.get(parameter.callback)


CHECKED = [
    pytest.param(names, command, found, id=f"{' '.join(names)} {label(found)}")
    for names, command in ALL
    for found in command.params
    if bad_values(found) is not None
]


@pytest.mark.parametrize(("names", "command", "wrong"), CHECKED)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_wrong_value_is_refused_in_one_line_that_begins_with_its_option(names, command, wrong, data):
    value = data.draw(bad_values(wrong))
    others = [found for found in command.params if found is not wrong]
    given_others = {found: GOOD.get(found.name, "a") for found in others if found.required}
    values = {**given_others, wrong: value}
    options = [f"{found.opts[0]}={text}" for found, text in values.items() if isinstance(found, click.Option)]
    arguments = [values[found] for found in command.params if isinstance(found, click.Argument)]
    said = StringIO()

    with redirect_stderr(said):
        assert main([*names, *options, "--", *arguments]) == 2

    assert said.getvalue().startswith(f"exporttiles {' '.join(names)}: {label(wrong)}: ")
    assert len(said.getvalue().splitlines()) == 1


@pytest.mark.parametrize(("names", "command"), ALL, ids=[" ".join(names) for names, _ in ALL])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_arguments_end_in_at_most_one_line_of_errors(names, command, data):
    """GIVEN no AWS settings, WHEN a command gets any options, values and words, THEN it fails in words."""
    options = [name for found in command.params for name in found.opts if isinstance(found, click.Option)]
    words = st.sampled_from(["", "0", "-1", "nan", "1,2,3", "{}", ".", "s3://", "file://", "a/b", "--", "2/"]) | WORDS
    arguments = data.draw(st.lists(st.sampled_from(options) | words, max_size=6))
    said = StringIO()

    with (
        TemporaryDirectory() as folder,
        chdir(folder),
        patch.dict(os.environ, {"AWS_CONFIG_FILE": "none", "AWS_EC2_METADATA_DISABLED": "true"}, clear=True),
        redirect_stdout(StringIO()),
        redirect_stderr(said),
    ):
        status = main([*names, *arguments])

    assert status in {1, 2}
    assert len(said.getvalue().splitlines()) == 1 or (
        names == ("check",) and not said.getvalue()
    )  # findings are output


@pytest.mark.parametrize("arguments", [[], ["token"], ["schedule"]])
def test_a_command_that_is_not_named_is_wrong_usage_and_shows_the_help(capsys, arguments):
    assert main(arguments) == 2

    assert "Commands:" in capsys.readouterr().err


def test_a_command_that_could_not_do_it_ends_with_1_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()

    assert main(["export", "photos", "out.tpkx"]) == 1

    said = capsys.readouterr().err
    assert said.startswith("exporttiles: photos: There is no tile cache")
    assert said.count("\n") == 1


def test_a_command_that_is_stopped_ends_with_130(capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(recovery, "Outputs", stop)

    assert main(["resume", "j0"]) == 130
    assert capsys.readouterr().err.lstrip("\n") == "exporttiles: stopped\n"


def test_a_bug_keeps_its_traceback(monkeypatch):
    def fail(*_):
        raise LookupError

    monkeypatch.setattr(recovery, "Outputs", fail)

    with pytest.raises(LookupError):
        main(["resume", "j0"])


def test_a_package_that_is_not_installed_is_named_with_the_way_to_get_it(capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "exporttiles.cli.recovery", raising=False)
    monkeypatch.delitem(sys.modules, "exporttiles.cli.stack", raising=False)
    monkeypatch.setitem(sys.modules, "boto3", None)

    assert main(["replay"]) == 1
    assert capsys.readouterr().err == (
        "exporttiles: boto3 is not installed. Commands that use AWS need it: pip install 'exporttiles[cli]'\n"
    )
    assert main(["--help"]) == 0


def test_the_help_imports_no_command():
    program = "import sys; from exporttiles.cli.main import main; main(['--help'])\n"
    program += "sys.exit(sorted({'boto3', 'numpy', 'obstore'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.stderr.strip() == "[]"


def complete(*words):
    """Return the completions of the last of some words, as bash gets them."""
    environment = {"_EXPORTTILES_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(["exporttiles", *words])}
    program = "from exporttiles.cli.main import main; main([])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | environment | {"COMP_CWORD": str(len(words))},
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_the_shell_completes_commands_options_and_values():
    assert complete("re") == ["replay", "resume"]
    assert complete("export", "--extent") == ["--extent", "--extent-wkid"]
    assert complete("schedule", "add", "--on") == ["--on-new-imagery"]
    assert complete("export", "a", "b", "--scheme", "web") == ["web_mercator_256"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_completion_is_printed(shell):
    environment = os.environ | {"_EXPORTTILES_COMPLETE": f"{shell}_source"}
    program = "from exporttiles.cli.main import main; main([])"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0
    assert "_EXPORTTILES_COMPLETE" in done.stdout


def test_commands_have_the_names_of_their_functions():
    assert exporttiles.list_commands(click.Context(exporttiles)) == [load_command(name).name for name in COMMANDS]
