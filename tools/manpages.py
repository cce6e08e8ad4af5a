"""The manual pages: inband(8) from the command line's own help, inband.toml(5) from the example of the file.

    python tools/manpages.py packaging/inband.toml FOLDER

So neither can say what the program does not. Only click is needed, and the package on the path.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from inband import __version__
from inband.cli.main import cli

COMMANDS_END = """.SH EXIT STATUS
.TP
0
Done.
.TP
1
Refused or failed; one line on standard error says what, why and what to do.
.TP
2
Wrong usage.
.SH FILES
.TP
.I /etc/inband.toml
The configuration of the service, see inband.toml(5).
.TP
.I /run/inband
The run directory: sockets for commands (inband.ctl) and for ovs-ofctl (BRIDGE.mgmt).
.SH SEE ALSO
inband.toml(5), ovs-ofctl(8), ovs-appctl(8), /usr/share/doc/inband/guide.md"""


def main(example: Path, folder: Path) -> None:
    """Write both pages into ``folder``."""
    (folder / "inband.8").write_text("\n".join([*command_page(), ""]))
    (folder / "inband.toml.5").write_text("\n".join([*file_page(example.read_text()), ""]))


def command_page() -> Iterator[str]:
    """Lines of inband(8)."""
    context = click.Context(cli, info_name="inband", **cli.context_settings)
    yield _title("INBAND", 8)
    yield f".SH NAME\ninband \\- {escaped(cli.get_short_help_str(100).rstrip('.'))}"
    yield f".SH SYNOPSIS\n.B inband\n{escaped(' '.join(cli.collect_usage_pieces(context)))}"
    yield f".SH DESCRIPTION\n{escaped(cli.help or '')}\n.PP\n{escaped(cli.epilog or '')}"
    yield ".SH OPTIONS"
    yield from _options(cli, context)
    yield ".SH COMMANDS"
    for name in cli.list_commands(context):
        yield from _command(name, cli.commands[name], context)
    yield COMMANDS_END


def _command(name: str, command: click.Command, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent)
    yield f".SS inband {escaped(' '.join([name, *command.collect_usage_pieces(context)]))}"
    yield from _paragraphs(command.help or "")
    yield from _options(command, context)


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs as they are; those that click leaves unwrapped (behind a line with a backspace) line by line."""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        lines = [line.rstrip() for line in paragraph.splitlines()]
        if lines[0].strip() == "\b":
            yield ".PP\n.nf\n" + "\n".join(escaped(line) for line in lines[1:]) + "\n.fi"
        else:
            yield ".PP\n" + "\n".join(escaped(line.strip()) for line in lines)


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None:
            yield f".TP\n.B {escaped(record[0])}\n{escaped(record[1])}"


def file_page(example: str) -> Iterator[str]:
    """Lines of inband.toml(5)."""
    yield _title("INBAND.TOML", 5)
    yield ".SH NAME\ninband.toml \\- configuration of the inband OpenFlow switch"
    yield ".SH DESCRIPTION"
    yield "TOML, with the words of the options of inband run, see inband(8). Unknown keys, wrong types and wrong"
    yield "addresses are refused with the file and the line or the key. All keys, with an example or the default:"
    yield ".PP\n.nf"
    yield from (escaped(line) for line in example.splitlines())
    yield ".fi\n.SH SEE ALSO\ninband(8), /usr/share/doc/inband/guide.md"


def _title(name: str, section: int) -> str:
    return f'.TH {name} {section} "" "inband {__version__}" "inband"'


def escaped(text: str) -> str:
    """Text in which troff finds no command: hyphens are those of commands, no line begins with a control character."""
    quoted = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(rf"\&{line}" if line.startswith((".", "'")) else line for line in quoted.split("\n"))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
