"""Is a value that was stored and read again the same, types included, and where isn't it?"""

from moonlet.core.likeness.columns import alike
from moonlet.core.likeness.declared import ANY, Declared, can_differ, declared_by
from moonlet.core.likeness.likeness import Unlike, any_key, first_unlike, unencodable
from moonlet.core.likeness.parts import attributes, is_fixed

__all__ = [
    "ANY",
    "Declared",
    "Unlike",
    "alike",
    "any_key",
    "attributes",
    "can_differ",
    "declared_by",
    "first_unlike",
    "is_fixed",
    "unencodable",
]
