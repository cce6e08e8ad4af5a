"""The command's entry: verbs, exit codes, and one line for a refusal.

Exit codes: 0 done; 1 refused or failed, with one line on standard error saying what, why and what to do; 2 wrong usage.
Modules that cost start-up time (rich, the configuration, the switch itself) are imported by the verb that needs them:
`inband show` in a loop is how people watch a switch.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Sequence

import click

from inband import __version__
from inband.cli.asking import run_dir_option
from inband.cli.run import run
from inband.cli.verbs import VERBS
from inband.errors import InbandError

_NOT_WRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Of a file or a terminal to which is written; whatever else the system refuses is said where it is asked."""


class _Group(click.Group):
    """As click's, but what each verb does is said in whole sentences."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Click itself cuts them to one line."""
        rows = [(name, self.commands[name].get_short_help_str(limit=500)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="TARGET is tcp:HOST[:PORT] or tls:HOST[:PORT], IPv6 in brackets, port 6653 unless given; ',out-of-band' "
    "behind it exempts it from in-band control. The run directory is --run-dir, else $INBAND_RUNDIR, else /run/inband.",
)
@run_dir_option
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context, run_dir: str | None) -> None:
    """An OpenFlow switch for Linux whose controller connection runs over the network it switches."""
    context.obj = run_dir


cli.add_command(run)
for _verb in VERBS:
    cli.add_command(_verb)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (the process's unless given) and return its exit code."""
    if sys.stdout is None:  # closed by who started it, so nobody reads
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    try:
        code = cli.main(arguments and list(arguments), prog_name="inband", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except InbandError as error:
        click.echo(f"inband: {error}", err=True)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("inband: interrupted", err=True)
    except BrokenPipeError:
        _print_no_more()  # `inband dump-flows br0 | head`: the reader has had enough
    except OSError as error:
        if error.errno not in _NOT_WRITTEN:
            raise
        _print_no_more()
        with contextlib.suppress(OSError):  # the same disk perhaps
            click.echo(f"inband: what is printed cannot be written: {error.strerror}", err=True)
    return 1


def _print_no_more() -> None:
    """Keep the interpreter from trying again at exit, and complaining."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
