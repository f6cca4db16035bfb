"""`python -m moonlet.console`, and the `moonlet` script."""

import sys

import typer

from moonlet.console.app import app
from moonlet.console.common import ExitCode, compact


def main() -> None:
    """Run the command line of this process.

    With `--json` what is wrong with the command line itself is a JSON object on stderr as well.
    """
    if "--json" not in sys.argv[1:]:
        app()
    try:
        code = app(standalone_mode=False)
    except typer.Abort:
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        code = ExitCode.FOUND
    except Exception as error:  # the library's own errors have no name that lasts
        message, code = getattr(error, "format_message", None), getattr(error, "exit_code", 0)
        if message is None:
            raise
        facts = {"error": "Usage", "message": message(), "exit": code}
        typer.echo(compact(facts), err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
