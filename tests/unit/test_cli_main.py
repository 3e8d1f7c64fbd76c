"""The command `exporttiles`: finding commands, their help, usage errors, exit statuses and completion."""

import os
import subprocess
import sys

import click
import pytest

from exporttiles import __version__
from exporttiles.cli import resume
from exporttiles.cli.main import COMMANDS, exporttiles, load_command, main


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
    assert load_command(name).get_short_help_str(limit=1000) == COMMANDS[name]
    assert len(COMMANDS[name]) <= 60  # longer texts are cut off on a terminal of 80 columns


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
        (["export"], "exporttiles export: Missing argument 'SOURCE'."),
        (["export", "in", "out", "more"], "exporttiles export: Got unexpected extra argument (more)"),
        (["export", "in", "out", "--level", "1"], "exporttiles export: No such option"),
        (["export", "in", "out", "--extent"], "exporttiles export: Option '--extent' requires an argument."),
        (["export", "in", "out", "--quality", "high"], "exporttiles export: --quality: 'high' is not a whole number"),
        (["export", "in", "out", "--scheme", "x"], "exporttiles export: --scheme: 'x' is not one of"),
        (["publish", "a", "b", "--max-tiles", "0"], "exporttiles publish: --max-tiles: 0 is not in the range"),
        (["token", "create", "a"], "exporttiles token create: Missing option '--services'."),
        (
            ["schedule", "add", "a", "--service", "A", "--levels", "1"],
            "exporttiles schedule add: Missing option '--cron' or '--on-new-imagery'.",
        ),
        (
            ["schedule", "add", "a", "--service", "A", "--levels", "1", "--cron", "x", "--on-new-imagery"],
            "exporttiles schedule add: --on-new-imagery and --cron exclude each other.",
        ),
        (["export", "in", "out", "--area", "a", "--extent", "b"], "export: --area and --extent exclude each other."),
        (
            ["export", "in", "out", "--rows-from-top", "--rows-from-bottom"],
            "--rows-from-top and --rows-from-bottom exclude each other.",
        ),
        (
            ["export", "in", "out", "--decimal-levels", "--hexadecimal-levels"],
            "--decimal-levels and --hexadecimal-levels exclude each other.",
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


@pytest.mark.parametrize("arguments", [[], ["token"], ["schedule"]])
def test_a_command_that_is_not_named_is_wrong_usage_and_shows_the_help(capsys, arguments):
    assert main(arguments) == 2

    assert "Commands:" in capsys.readouterr().err


def test_a_command_that_could_not_do_it_ends_with_1_in_one_line(capsys):
    assert main(["check", "/nowhere.tpkx"]) == 1

    assert capsys.readouterr().err == "exporttiles: There is no file or folder /nowhere.tpkx.\n"


def test_a_command_that_is_stopped_ends_with_130(capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(resume, "Outputs", stop)

    assert main(["resume", "j0"]) == 130
    assert capsys.readouterr().err == "exporttiles: stopped\n"


def test_a_bug_keeps_its_traceback(monkeypatch):
    def fail(*_):
        raise LookupError

    monkeypatch.setattr(resume, "Outputs", fail)

    with pytest.raises(LookupError):
        main(["resume", "j0"])


def test_a_package_that_is_not_installed_is_named_with_the_way_to_get_it(capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "exporttiles.cli.replay", raising=False)
    monkeypatch.delitem(sys.modules, "exporttiles.cli.stack", raising=False)
    monkeypatch.setitem(sys.modules, "boto3", None)

    assert main(["replay"]) == 1
    assert capsys.readouterr().err == (
        "exporttiles: boto3 is not installed, which commands on AWS need: pip install 'exporttiles[cli]'\n"
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
