"""Nothing is defined that nobody uses, and the check that says so would see it."""

from tests.tools import unused


def test_everything_that_is_defined_is_used() -> None:
    assert unused.of_the_tree() == []


def test_every_name_that_others_use_unseen_is_still_defined_and_unused() -> None:
    found = {line.rpartition(" ")[2] for line in unused.of_the_tree(known=frozenset())}
    for user, names in unused.KNOWN.items():
        assert names <= found, f"{user}: take out {sorted(names - found)}"


def test_a_private_name_is_used_in_its_file_a_member_in_the_product_others_anywhere() -> None:
    product = {
        "a.py": (
            "_LIMIT = 1\n"
            "_size = 2\n"
            "def _helper(): return _size\n"
            "def public(): pass\n"
            "def forgotten(): pass\n"
            "class Base:\n"
            "    _hook = None\n"
            "    field: int\n"
            "    def _gone(self): self._kept = 1\n"
            "@app.command()\n"
            "def handed_over(): pass\n"
            "def __getattr__(name): pass\n"
        ),
        "b.py": "from a import Base, _LIMIT\nprint(Base()._hook, Base()._kept)\n",
    }
    tests = ["a._helper(); a._gone(); getattr(a, 'public')()\n"]
    assert unused.unused(product, tests) == [
        "a.py:1: _LIMIT",
        "a.py:3: _helper",
        "a.py:5: forgotten",
        "a.py:9: _gone",
    ]
    assert (
        unused.unused(product, tests, frozenset({"_LIMIT", "forgotten", "_helper", "_gone"})) == []
    )
