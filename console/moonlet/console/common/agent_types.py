"""Finding agent types and views in code: `--module`, the project file, or the satellites."""

import gc
import importlib
import importlib.util
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from moonlet.agents import AgentType
from moonlet.core.errors import InvalidSettings, MoonletError

if TYPE_CHECKING:
    from moonlet.projections import View

DEFAULT: Final = "moonlet.satellites"
PROJECT: Final = Path("pyproject.toml")

K = TypeVar("K")
T = TypeVar("T", "AgentType[Any]", "View")

Found = dict[str, AgentType[Any]]


class Code(msgspec.Struct, frozen=True):
    """The checked agent types and the views of some modules, by name."""

    types: Found
    views: "dict[str, View]"


def find_own(given: Sequence[str] | None) -> Found:
    """As `find`, but never the satellites by default: what is started was asked for."""
    if not given and not _from_project():
        raise InvalidSettings(
            f"no module is named: `moonlet run MODULE`, or list yours in {PROJECT} of this folder,"
            f' as [tool.moonlet] modules = ["bank.accounts"]; the satellites are {DEFAULT}'
        )
    return find(given)


def find(given: Sequence[str] | None) -> Found:
    """The agent types alone; raises `InvalidSettings` if there are none, and as `find_code`."""
    places = _places(given)
    types = find_code(given, views=False).types
    if not types:
        raise InvalidSettings(
            f"{', '.join(places)} has no agent type: define one with AgentType(...), or name"
            " another module"
        )
    return types


def find_code(given: Sequence[str] | None, *, views: bool = True) -> Code:
    """What is in the modules; raises `InvalidSettings`, `InvalidAgentType`.

    Without `views` those that a package would only now import are left alone.

    `given` as on the command line: dotted names or `.py` files, a NAME for one thing in them.
    """
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    code = Code({}, {})
    for text in _places(given):
        types, found = _found_at(text, views)
        for agent_type in types:
            _add(code.types, agent_type, f"{text} has a second agent type")
            agent_type.check()
        for view in found:
            _add(code.views, view, f"{text} has a second view")
    return code


def _places(given: Sequence[str] | None) -> Sequence[str]:
    return given or _from_project() or [DEFAULT]


def _add(found: dict[str, T], thing: T, second: str) -> None:
    name = thing.name
    if found.setdefault(name, thing) is not thing:
        raise InvalidSettings(f"{second} {name}: name the one that is meant, as MODULE:NAME")


def alert_settings() -> Any:
    """What [tool.moonlet.alerts] of this folder's project says, unchecked; {} if nothing."""
    return _setting("alerts", {})


def log_settings() -> Any:
    """What [tool.moonlet.logs] says, likewise."""
    return _setting("logs", {})


def _setting(name: str, default: Any) -> Any:
    try:
        text = PROJECT.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return default
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{PROJECT} can't be read: {error}") from None
    try:
        return tomllib.loads(text).get("tool", {}).get("moonlet", {}).get(name, default)
    except (tomllib.TOMLDecodeError, AttributeError) as error:
        raise InvalidSettings(f"{PROJECT} can't be read: {error}") from None


def _from_project() -> list[str]:
    modules = _setting("modules", [])
    if not isinstance(modules, list) or not all(isinstance(name, str) for name in modules):
        raise InvalidSettings(
            f'{PROJECT}: [tool.moonlet] modules must be a list like ["bank.accounts"]'
        )
    return modules


def _found_at(text: str, views: bool) -> "tuple[list[AgentType[Any]], list[View]]":
    place, colon, name = text.rpartition(":")
    if not colon:
        place, name = text, ""
    module = module_at(place)
    if name:
        value = getattr(module, name, None)
        held = value.values() if isinstance(value, dict) else value
        found = _in(AgentType, held), _views_in(held)
        if not any(found):
            raise InvalidSettings(
                f"{place} has no agent type {name!r} and no such view; it has: {_known(module)}"
            )
        return found
    if views:
        for late in getattr(module, "__all__", ()):
            getattr(module, late, None)
    found = _in(AgentType, vars(module).values()), _views_in(vars(module).values())
    if not any(found):
        raise InvalidSettings(
            f"{place} has no agent type and no view: define one with AgentType(...) or View(...),"
            " or name another module"
        )
    return found


def _in(kind: type[K], value: Any) -> list[K]:
    """`value` if it is of that kind, or those of it that it holds; each once."""
    if isinstance(value, kind):
        return [value]
    if not isinstance(value, Iterable) or isinstance(value, str | bytes):
        return []
    return list({id(item): item for item in value if isinstance(item, kind)}.values())


def _views_in(value: Any) -> "list[View]":
    """As `_in`. Whoever has a view has imported projections; most commands need none of it."""
    views = sys.modules.get("moonlet.projections.view")
    return _in(views.View, value) if views is not None else []


def _known(module: ModuleType) -> str:
    values = vars(module).items()
    names = (n for n, value in values if _in(AgentType, value) or _views_in(value))
    return ", ".join(sorted(names)) or "none"


def module_at(place: str) -> ModuleType:
    """Import a dotted name or a `.py` file; raises `InvalidSettings` that says what is wrong."""
    try:
        with _not_collecting():
            if place.endswith(".py"):
                return _from_file(Path(place))
            return importlib.import_module(place)
    except MoonletError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(f"{error.name}.")):
            raise InvalidSettings(
                f"there is no module {place!r} here: give a dotted name or a .py file, from"
                f" {Path.cwd()}"
            ) from None
        raise _broken(place, error) from error
    except (Exception, SystemExit) as error:
        raise _broken(place, error) from error


@contextmanager
def _not_collecting() -> Iterator[None]:
    """What is imported stays: looking for garbage in it takes a fifth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _broken(place: str, error: BaseException) -> InvalidSettings:
    trace, line = error.__traceback__, ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<") and file != __file__:
            line = f" ({file}:{trace.tb_lineno})"
        trace = trace.tb_next
    return InvalidSettings(
        f"{place} can't be imported: {type(error).__name__}: {error}{line}; mend it, or see more"
        " with --debug"
    )


def _from_file(path: Path) -> ModuleType:
    """Import a file under its own name, its folder importable, as Python runs a script."""
    file = path.resolve()
    if not file.is_file():
        raise InvalidSettings(f"there is no file {path}: give a dotted name or a .py file")
    known = sys.modules.get(file.stem)
    if known is not None and getattr(known, "__file__", None) == str(file):
        return known
    name = file.stem if known is None else f"moonlet_file_{file.stem}"
    if str(file.parent) not in sys.path:
        sys.path.insert(1, str(file.parent))
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # handlers' annotations are looked up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
