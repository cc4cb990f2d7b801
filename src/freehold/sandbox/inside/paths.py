"""Where no namespace can put a folder at its name, the names in the code are put right instead."""

import ast


class Moved(ast.NodeTransformer):
    """Replaces one folder by another in every string of a program."""

    def __init__(self, called: str, real: str) -> None:
        self._called = called
        self._real = real

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        """Return the constant with the folder's real name."""
        if isinstance(node.value, str):
            node.value = node.value.replace(self._called, self._real)
        return node
