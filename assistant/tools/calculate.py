"""The tool `calculate`: arithmetic on a whitelist of syntax, exact as long as it can be, never unbounded."""

import ast
import operator
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

MAX_LENGTH = 200
MAX_EXPONENT = 1000
MAX_DIGITS = 60
DECIMALS = 10

OPERATORS: dict[type[ast.AST], Callable] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
# What people write for what Python reads.
SPELLINGS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "^": "**"})


class CalculationError(Exception):
    """The expression cannot be worked out; the message says why in one clause."""


def calculate(expression: str) -> str:
    """The value of an arithmetic expression, as a person would write it: "84", "2.5", "0.3333333333".

    Raises `CalculationError`.
    """
    if len(expression) > MAX_LENGTH:
        raise CalculationError(f"the expression is longer than {MAX_LENGTH} characters")
    try:
        tree = ast.parse(expression.translate(SPELLINGS).replace(",", "").strip(), mode="eval")
        return _written(_value(tree.body))
    except ZeroDivisionError:
        raise CalculationError("division by zero") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise CalculationError("this is not arithmetic") from None


def _value(node: ast.AST) -> Fraction:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _bounded(Fraction(str(number)))
        case ast.UnaryOp(op=sign) if type(sign) in OPERATORS:
            return OPERATORS[type(sign)](_value(node.operand))
        case ast.BinOp(op=ast.Pow()):
            return _power(_value(node.left), _value(node.right))
        case ast.BinOp(op=sign) if type(sign) in OPERATORS:
            return _bounded(Fraction(OPERATORS[type(sign)](_value(node.left), _value(node.right))))
    raise CalculationError("only numbers, + - * / and brackets are allowed")


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1 or abs(exponent) > MAX_EXPONENT:
        raise CalculationError(f"an exponent must be a whole number of at most {MAX_EXPONENT}")
    digits = max(len(str(base.numerator)), len(str(base.denominator)))
    if digits > 1 and digits * abs(exponent) > 4 * MAX_DIGITS:
        raise CalculationError("the result is too large")
    return _bounded(base ** int(exponent))


def _bounded(number: Fraction) -> Fraction:
    if abs(number) >= 10**MAX_DIGITS or number.denominator >= 10 ** (4 * MAX_DIGITS):
        raise CalculationError("the result is too large")
    return number


def _written(number: Fraction) -> str:
    """Whole numbers whole; others rounded to ten decimals (for small ones: digits), without trailing zeros."""
    if number.denominator == 1:
        return str(number.numerator)
    if abs(number) < Fraction(1, 10**4):
        return f"{Decimal(f'{float(number):.{DECIMALS}g}'):f}"
    scaled = round(abs(number) * 10**DECIMALS)
    whole, decimals = divmod(scaled, 10**DECIMALS)
    text = f"{whole}.{decimals:0{DECIMALS}d}".rstrip("0").rstrip(".")
    return f"-{text}" if number < 0 else text
