"""What the satellites say to each other, one module per satellite that is spoken to.

`market` holds what several of them take. Names are PascalCase forms of YieldSensei's own.
"""

__all__: list[str] = []
