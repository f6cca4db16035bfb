"""`python -m moonlet.console`, and the `moonlet` script."""

from moonlet.console.app import app


def main() -> None:
    """Run the command line of this process."""
    app()


if __name__ == "__main__":
    main()
