"""The rooms of the tree: no number here may grow. `make check` prints what they count."""

from pathlib import Path

from tests.tools import rooms, warm_ask

# The most that is left of each. Lower them as rooms are drawn anew; the goals stand beside them.
CIRCLES_MAX = 0
CIRCLES_OF_ROOMS_MAX = 0
ARROWS_AGAINST_LAYERS_MAX = 0
CROWDED_FOLDERS_MAX = 1  # core, by one
FULLEST_FOLDER_MAX = 15
CLASSES_TWICE_MAX = 0
ASK_MODULES_MAX = 20
ASK_SWITCHES_MAX = 60

# Packages whose rooms are entered by their doors alone.
WITH_DOORS = (
    "moonlet.agents",
    "moonlet.console",
    "moonlet.projections",
    "moonlet.replay",
    "moonlet.satellites",
    "moonlet.simulations",
    "moonlet.simulations.jetstream",
    "moonlet.streams",
    "moonlet.web",
)

FILES = rooms.modules()
GRAPH = rooms.of_the_tree()


def test_files_import_each_other_in_no_more_circles() -> None:
    found = rooms.circles(GRAPH)
    assert len(found) <= CIRCLES_MAX, found


def test_rooms_import_each_other_in_no_more_circles() -> None:
    found = rooms.circles_of_rooms(GRAPH)
    assert len(found) <= CIRCLES_OF_ROOMS_MAX, found


def test_a_room_is_entered_by_its_door() -> None:
    assert rooms.past_doors(GRAPH, WITH_DOORS) == []


def test_no_import_points_against_the_layers() -> None:
    found = rooms.against_layers(GRAPH, rooms.contracts())
    assert len(found) <= ARROWS_AGAINST_LAYERS_MAX, found


def test_no_more_folders_are_crowded() -> None:
    found = rooms.crowded(FILES.values())
    assert len(found) <= CROWDED_FOLDERS_MAX, found
    assert max(found.values(), default=0) <= FULLEST_FOLDER_MAX, found


def test_no_more_class_names_mean_two_things() -> None:
    found = rooms.classes_twice(FILES.values())
    assert len(found) <= CLASSES_TWICE_MAX, found


def test_a_warm_ask_takes_no_longer_way() -> None:
    way = warm_ask.measure()
    assert len(way.modules) <= ASK_MODULES_MAX, way.modules
    assert way.switches <= ASK_SWITCHES_MAX, way.calls


def test_the_way_counts_modules_once_and_each_change_between_them() -> None:
    way = warm_ask.Way((("a", "f"), ("a", "g"), ("b", "f"), ("a", "f")))
    assert (way.modules, way.switches) == (["a", "b"], 3)
    assert warm_ask.Way(()).switches == 0


def test_an_import_is_an_arrow_wherever_it_stands_and_to_the_module_that_is_meant() -> None:
    text = (
        "import asyncio\nfrom a import b, c\nif TYPE_CHECKING:\n    from d import e\n"
        "def f():\n    import g.h\n"
    )
    assert rooms.imports(text, {"a", "a.b", "d", "g.h", "z"}) == {"a.b", "a", "d", "g.h"}


def test_circles_of_files_and_of_rooms_are_told_apart() -> None:
    graph = {
        "m": (),
        "m.a": (),
        "m.a.x": ("m.b.y",),
        "m.b": (),
        "m.b.y": (),
        "m.b.z": ("m.a.w",),
        "m.a.w": (),
        "m.one": ("m.two",),
        "m.two": ("m.three",),
        "m.three": ("m.one", "m.a"),
    }
    arrows = {name: frozenset(targets) for name, targets in graph.items()}
    assert rooms.circles(arrows) == [["m.one", "m.three", "m.two"]]
    assert rooms.circles_of_rooms(arrows) == [["m.a", "m.b"]]


def test_who_climbs_through_a_window_is_seen() -> None:
    graph = {
        "m": ("m.a",),
        "m.a": ("m.a.x",),
        "m.a.x": ("m.b", "m.beside"),
        "m.b": ("m.b.y",),
        "m.b.y": ("m.b.z", "m.a.x"),
        "m.b.z": (),
        "m.beside": (),
        "n": ("m.b.z",),
    }
    arrows = {name: frozenset(targets) for name, targets in graph.items()}
    assert rooms.past_doors(arrows, ["m"]) == ["m.b.y -> m.a.x", "n -> m.b.z"]


def test_arrows_upwards_and_sideways_are_seen() -> None:
    arrows = {
        name: frozenset(targets)
        for name, targets in {
            "m.top.x": ("m.left.x", "m.low"),
            "m.left.x": ("m.right.x",),
            "m.right.x": ("m.low",),
            "m.low": ("m.top.x", "m.else"),
        }.items()
    }
    layers = {"type": "layers", "layers": ["top", "left | right", "low"], "containers": ["m"]}
    assert rooms.against_layers(arrows, [layers, {"type": "forbidden"}]) == [
        "m.left.x -> m.right.x",
        "m.low -> m.top.x",
    ]


def test_full_folders_are_counted_without_their_init() -> None:
    files = [Path(f"a/{name}.py") for name in ("__init__", "b", "c")] + [Path("d/e.py")]
    assert rooms.crowded(files, most=1) == {"a": 2}
