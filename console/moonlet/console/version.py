"""`--version`: of Moonlet, and of what it runs on."""

import platform
from importlib.metadata import PackageNotFoundError, version

import typer


def say_version(asked: bool) -> None:
    """Print it and end, if it was asked for."""
    if not asked:
        return
    try:
        found = version("moonlet")
    except PackageNotFoundError:  # run from a folder of sources
        found = "unknown"
    typer.echo(f"moonlet {found} (Python {platform.python_version()})")
    raise typer.Exit
