"""`python -m moonlet.console`, and the `moonlet` script."""

import gc
import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def main() -> None:
    """Run the command line of this process.

    With `--json` what is wrong with the command line itself is a JSON object on stderr as well.
    """
    gc.disable()  # what is imported stays: looking for garbage in it takes a fifth of the start
    with _without("rich"):
        import structlog  # noqa: F401  (it would take `rich` for tracebacks that it never draws)

    import typer

    from moonlet.core.errors import InvalidSettings

    try:
        from moonlet.console.app import app
        from moonlet.console.common import ExitCode, compact
    except InvalidSettings as error:  # a setting that counts as soon as anything is imported
        facts = {"error": "InvalidSettings", "message": str(error), "exit": 2}
        typer.echo(
            json.dumps(facts) if "--json" in sys.argv[1:] else f"InvalidSettings: {error}", err=True
        )
        sys.exit(2)

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


@contextmanager
def _without(module: str) -> "Iterator[None]":
    """Meanwhile the module can't be imported, as if it was not installed."""
    known = sys.modules.get(module)
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]
        if known is not None:
            sys.modules[module] = known


if __name__ == "__main__":
    main()
