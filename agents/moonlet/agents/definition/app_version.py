"""The version of the application that an agent type is part of: its package's."""

import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def package_version(module: str) -> str:
    """The version of the package that a module is in; '' if it has none.

    That of the distribution of the package's name, else its `__version__`. Found once, and while
    modules are imported: later it would be I/O.
    """
    package = module.partition(".")[0]
    try:
        return version(package)
    except (PackageNotFoundError, ValueError):
        return str(getattr(sys.modules.get(package), "__version__", ""))
