"""A formula a user writes as text, read by ``ast`` and turned into torch operations; no text runs as code."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import lru_cache

import torch

from scoring.errors import InputError, unknown_name

Evaluate = Callable[[Mapping[str, torch.Tensor]], torch.Tensor]

LONGEST = 2_000
FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "exp": torch.exp,
    "log": torch.log,
    "ln": torch.log,
    "sqrt": torch.sqrt,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softplus": torch.nn.functional.softplus,
}
OPERATORS: dict[type[ast.operator], Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    ast.Add: torch.add,
    ast.Sub: torch.sub,
    ast.Mult: torch.mul,
    ast.Div: torch.div,
    ast.Pow: torch.pow,
}


class Expression:
    """An arithmetic expression of names, numbers, ``+ - * / ** ^``, brackets and the functions above.

    ``^`` means power, with the rank of ``**``. Calling it with a mapping of names to float64 tensors broadcasts them.
    Anything else in the text (attributes, indexing, comparisons, other calls) is an :class:`InputError`.
    """

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise InputError(f"expression: at most {LONGEST:,} characters, got {len(text):,}.")
        self.text = text
        try:
            tree = ast.parse(text.replace("^", "**").strip(), mode="eval")
            self.names: tuple[str, ...] = ()
            self._evaluate = self._compile(tree.body)
        except (SyntaxError, RecursionError, MemoryError) as error:
            raise InputError(
                f"expression: {text!r} is not an arithmetic expression ({getattr(error, 'msg', error)})."
            ) from error

    def __call__(self, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return self._evaluate(values)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def _compile(self, node: ast.expr) -> Evaluate:
        match node:
            case ast.Constant(value=bool() | complex() | str() | bytes() | None):
                raise InputError(f"expression: only numbers can stand in {self.text!r}, got {node.value!r}.")
            case ast.Constant(value=int() | float() as number):
                constant = torch.tensor(float(number), dtype=torch.float64)
                return lambda values: constant
            case ast.Name(id=name):
                if name not in self.names:
                    self.names = (*self.names, name)
                return lambda values: values[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self._compile(operand)
                return lambda values: -inner(values)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self._compile(operand)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in OPERATORS:
                apply, first, second = OPERATORS[type(operator)], self._compile(left), self._compile(right)
                return lambda values: apply(first(values), second(values))
            case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]):
                if name not in FUNCTIONS:
                    raise unknown_name("function", f"expression {self.text!r}", name, FUNCTIONS)
                function, inner = FUNCTIONS[name], self._compile(argument)
                return lambda values: function(inner(values))
        raise InputError(f"expression: {ast.unparse(node)!r} in {self.text!r} is not arithmetic.")


@lru_cache(maxsize=1_000)
def parsed(text: str) -> Expression:
    """The expression of a text, read once."""
    return Expression(text)
