"""The grammar of the languages in a manifest: conditions, dependencies, expressions, JSON paths.

Four languages share one grammar, for they share most of it:

- `when`: a step's condition, as govaluate reads it (https://github.com/casbin/govaluate/blob/master/MANUAL.md). Words
  need no quotes.
- `depends`: a task's dependencies (https://argo-workflows.readthedocs.io/en/latest/enhanced-depends-logic/).
- `expression`: `{{=…}}`, `expression`, `fromExpression` (https://expr-lang.org/docs/language-definition).
- `jsonpath`: the paths of the function of that name (https://www.rfc-editor.org/rfc/rfc9535).

Texts come from the manifest's author. Parsing takes time in proportion to the length, and a text that is too
long, too deep or has too many parts is refused early.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

MAX_LENGTH = 256 * 1024
MAX_DEPTH = 100
MAX_NODES = 10_000

GRAMMAR = r"""
// A step's `when`.
when: w_ternary
?w_ternary: w_or | w_or "?" w_ternary ":" w_ternary -> choice
?w_or: w_and | w_or OR w_and -> binary
?w_and: w_test | w_and AND w_test -> binary
?w_test: w_bits | w_test (EQUAL | ORDER | SEARCH | IN) w_bits -> binary
?w_bits: w_shift | w_bits (AMPERSAND | PIPE | CARET) w_shift -> binary
?w_shift: w_sum | w_shift SHIFT w_sum -> binary
?w_sum: w_product | w_sum (PLUS | MINUS) w_product -> binary
?w_product: w_power | w_product (STAR | SLASH | PERCENT) w_power -> binary
?w_power: w_signed | w_power POWER w_signed -> binary
?w_signed: w_atom | (BANG | MINUS | TILDE) w_signed -> unary
?w_atom: (HEXADECIMAL | FLOAT | INTEGER) -> number
       | TRUE -> true
       | FALSE -> false
       | STRING -> text
       | (WORD | BRACKETED) -> word
       | "(" w_ternary ")"
       | "(" w_ternary ("," w_ternary)+ ")" -> array

// A task's `depends`.
depends: d_or
?d_or: d_and | d_or OR d_and -> binary
?d_and: d_one | d_and AND d_one -> binary
?d_one: TASK -> word
      | BANG d_one -> unary
      | "(" d_or ")"

// An expression.
expression: x_block
?x_block: x_choice | "let" NAME "=" x_choice ";" x_block -> let
?x_choice: x_pipe | x_pipe "?" x_choice ":" x_choice -> choice | x_if
?x_if: "if" x_pipe "{" x_block "}" "else" x_else -> choice
?x_else: "{" x_block "}" | x_if
?x_pipe: x_or | x_pipe PIPE NAME "(" [_list] ")" -> pipe
?x_or: x_and | x_or (OR | "or") x_and -> either
?x_and: x_test | x_and (AND | "and") x_test -> both
?x_test: x_range
       | x_test (EQUAL | ORDER | IN | MATCHES | CONTAINS | STARTS_WITH | ENDS_WITH) x_range -> binary
       | x_test "not" (IN | MATCHES | CONTAINS | STARTS_WITH | ENDS_WITH) x_range -> negated
?x_range: x_sum | x_range RANGE x_sum -> binary
?x_sum: x_not | x_sum (PLUS | MINUS) x_not -> binary
?x_not: x_product | (BANG | "not") x_not -> not_
?x_product: x_negative | x_product (STAR | SLASH | PERCENT) x_negative -> binary
?x_negative: x_power | (MINUS | PLUS) x_negative -> unary
?x_power: x_coalesced | x_coalesced (POWER | CARET) x_negative -> binary
?x_coalesced: x_chain | x_coalesced "??" x_operand -> coalesce
?x_operand: x_chain | (MINUS | PLUS) x_operand -> unary
?x_chain: x_primary
        | x_chain "." NAME -> member
        | x_chain "?." NAME -> member_if
        | x_chain "[" x_choice "]" -> index
        | x_chain "?." "[" x_choice "]" -> index_if
        | x_chain "[" [x_choice] ":" [x_choice] "]" -> slice
        | x_chain "(" [_list] ")" -> call
_list: x_item ("," x_item)* [","]
?x_item: x_choice | "{" x_block "}" -> closure
?x_primary: (HEXADECIMAL | OCTAL | BINARY | FLOAT | INTEGER) -> number
          | TRUE -> true
          | FALSE -> false
          | "nil" -> nil
          | STRING -> text
          | RAW -> raw
          | NAME -> name
          | POINTER -> pointer
          | "." NAME -> field
          | "[" [_list] "]" -> array
          | "{" [_pairs] "}" -> object
          | "(" x_block ")"
_pairs: x_pair ("," x_pair)* [","]
x_pair: x_key ":" x_choice -> pair
?x_key: NAME -> key
      | STRING -> text
      | INTEGER -> number
      | "(" x_choice ")"

// A path into JSON.
jsonpath: "$" _segments -> path
_segments: j_segment*
?j_segment: "." (KEY | ANY) -> child
          | ".." (KEY | ANY) -> descendants
          | "[" j_selector ("," j_selector)* "]" -> selected
          | ".." "[" j_selector ("," j_selector)* "]" -> all_selected
?j_selector: STRING -> text
           | SIGNED -> number
           | ANY -> any
           | [SIGNED] ":" [SIGNED] [":" [SIGNED]] -> stretch
           | "?" j_or -> filter
?j_or: j_and | j_or OR j_and -> either
?j_and: j_test | j_and AND j_test -> both
?j_test: j_value | j_value (EQUAL | ORDER | SEARCH) j_value -> binary
?j_value: STRING -> text
        | NUMBER -> number
        | TRUE -> true
        | FALSE -> false
        | "null" -> nil
        | "@" _segments -> here
        | "$" _segments -> path
        | BANG j_value -> not_
        | "(" j_or ")"

OR: "||"
AND: "&&"
EQUAL: "==" | "!="
ORDER: "<=" | ">=" | "<" | ">"
SEARCH: "=~" | "!~"
IN.2: /(in|IN)\b/
MATCHES.2: /matches\b/
CONTAINS.2: /contains\b/
STARTS_WITH.2: /startsWith\b/
ENDS_WITH.2: /endsWith\b/
TRUE.2: /true\b/
FALSE.2: /false\b/
SHIFT.2: "<<" | ">>"
POWER: "**"
RANGE: ".."
PLUS: "+"
MINUS: "-"
STAR: "*"
SLASH: "/"
PERCENT: "%"
AMPERSAND: "&"
PIPE: "|"
CARET: "^"
BANG: "!"
TILDE: "~"
ANY: "*"
HEXADECIMAL.2: /0[xX][0-9A-Fa-f_]+/
OCTAL.2: /0[oO][0-7_]+/
BINARY.2: /0[bB][01_]+/
FLOAT: /([0-9][0-9_]*)?\.[0-9][0-9_]*([eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+/
INTEGER: /[0-9][0-9_]*/
SIGNED: /-?[0-9]+/
NUMBER: /-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?/
STRING: /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/s
RAW: /`[^`]*`/
WORD: /[^\W\d_][\w.]*/
BRACKETED: /\[[^\]]*\]/
TASK: /[\w][-\w.]*/
NAME: /[^\W\d]\w*|\$env\b/
POINTER: /#\w*/
KEY: /[\w][-\w]*/
COMMENT: /\/\*[^*]*\*+(?:[^\/*][^*]*\*+)*\/|\/\/[^\n]*/

%ignore /\s+/
"""
_COMMENTS = "%ignore COMMENT\n"

# A chain of one of these is one node: a task may depend on 5,000 others.
_CHAINS = ("&&", "||", "+")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)


class InvalidText(Exception):
    """A text that does not match the grammar, or that is too long."""


class Node:
    """A node of a tree: its kind, and its parts, which are nodes and plain values."""

    __slots__ = ("depth", "kind", "parts", "size")

    def __init__(self, kind: str, *parts: Any) -> None:
        self.kind = kind
        self.parts = list(parts)
        inner: list[Node] = [part for part in parts if isinstance(part, Node)]
        self.depth: int = 1 + max((part.depth for part in inner), default=0)
        self.size: int = 1 + sum(part.size for part in inner)
        if self.depth > MAX_DEPTH:
            raise InvalidText(f"it is nested more than {MAX_DEPTH} deep")
        if self.size > MAX_NODES:
            raise InvalidText(f"it has more than {MAX_NODES} parts")

    def extended(self, part: Node) -> Node:
        """Return this node with a further part: a long chain of one operator becomes wide, not deep."""
        self.parts.append(part)
        self.depth = max(self.depth, part.depth + 1)
        self.size += part.size
        if self.size > MAX_NODES:
            raise InvalidText(f"it has more than {MAX_NODES} parts")
        return self

    def walk(self) -> Iterator[Node]:
        """Yield this node and all nodes below it."""
        yield self
        for part in self.parts:
            if isinstance(part, Node):
                yield from part.walk()


def read(language: str, text: str) -> Node:
    """Parse a text of one of the four languages. Raises `InvalidText`."""
    if len(text) > MAX_LENGTH:
        raise InvalidText(f"it is longer than {MAX_LENGTH} characters")
    return _read(language, text) if len(text) <= _KEPT_LENGTH else _parsed(language, text)


def load(language: str) -> None:
    """Make the parser of a language, which takes a tenth of a second, before it is needed."""
    _parser(language)


# Most texts repeat with every turn of a loop.
_KEPT_LENGTH = 1024


@functools.lru_cache(maxsize=512)
def _read(language: str, text: str) -> Node:
    return _parsed(language, text)


def _parsed(language: str, text: str) -> Node:
    import lark  # noqa: PLC0415 - a Workflow without conditions does without

    parse, shown = _parser(language)
    try:
        return parse(text)
    except lark.UnexpectedEOF as error:
        raise InvalidText("Unexpected end of expression") from error
    except lark.UnexpectedCharacters as error:
        raise InvalidText(f"Invalid token: '{_shown(text[error.pos_in_stream or 0 :].strip())}'") from error
    except lark.UnexpectedToken as error:
        if error.token.type == "$END":
            raise InvalidText("Unexpected end of expression") from error
        hint = shown.get(str(error.token), "")
        raise InvalidText(f"unexpected '{_shown(str(error.token))}' at character {error.column}{hint}") from error


def _shown(text: str) -> str:
    return text[:20]


@functools.cache
def _parser(language: str) -> tuple[Callable[[str], Node], dict[str, str]]:
    import lark  # noqa: PLC0415

    class Builder(_Builder, lark.Transformer):  # type: ignore[type-arg]
        """The tree's builder, called while the text is parsed, so that deep texts need no recursion."""

    grammar = GRAMMAR + (_COMMENTS if language == "expression" else "")
    parser = lark.Lark(grammar, start=language, parser="lalr", lexer="contextual", transformer=Builder())
    hints = {")": ": parentheses do not match"} if language != "expression" else {}

    def parse(text: str) -> Node:
        found = parser.parse(text)
        assert isinstance(found, Node)
        return found

    return parse, hints


def _text_of(token: str) -> str:
    """Return the value of a quoted string."""

    def meant(match: re.Match[str]) -> str:
        code, byte, plain = match.groups()
        return chr(int(code or byte, 16)) if plain is None else _ESCAPES.get(plain, plain)

    inner = token[1:-1]
    return _ESCAPE.sub(meant, inner) if "\\" in inner else inner


def _number_of(token: str) -> int | float:
    text = token.replace("_", "")
    for prefix, base in (("0x", 16), ("0o", 8), ("0b", 2)):
        if text[:2].lower() == prefix:
            return _whole(text[2:], base)
    if any(letter in text for letter in ".eE"):
        return float(text)
    return _whole(text, 10)


def _whole(digits: str, base: int) -> int:
    if not digits or len(digits) > 64:
        raise InvalidText("it holds a number that is invalid or too large")
    value = int(digits, base)
    if value >= 1 << 63:
        raise InvalidText("it holds a number that is too large")
    return value


def _plain(kind: str) -> Callable[[Any, list[Any]], Node]:
    def build(self: Any, parts: list[Any]) -> Node:
        return Node(kind, *(str(part) if isinstance(part, str) else part for part in parts))

    return build


def _joined(operator: str, left: Node, right: Node) -> Node:
    if left.kind == operator and operator in _CHAINS:
        return left.extended(right)
    return Node(operator, left, right)


class _Builder:
    """Makes nodes from the parser's results; strings in them are tokens."""

    def number(self, parts: list[Any]) -> Node:
        return Node("value", _number_of(str(parts[0])))

    def text(self, parts: list[Any]) -> Node:
        return Node("value", _text_of(str(parts[0])))

    def raw(self, parts: list[Any]) -> Node:
        return Node("value", str(parts[0])[1:-1])

    def key(self, parts: list[Any]) -> Node:
        return Node("value", str(parts[0]))

    def true(self, _: list[Any]) -> Node:
        return Node("value", True)

    def false(self, _: list[Any]) -> Node:
        return Node("value", False)

    def nil(self, _: list[Any]) -> Node:
        return Node("value", None)

    def word(self, parts: list[Any]) -> Node:
        text = str(parts[0])
        return Node("word", text[1:-1] if text.startswith("[") else text)

    def binary(self, parts: list[Any]) -> Node:
        left, operator, right = parts
        return _joined("in" if operator == "IN" else str(operator), left, right)

    def negated(self, parts: list[Any]) -> Node:
        return Node("!", self.binary(parts))

    def not_(self, parts: list[Any]) -> Node:
        return Node("!", parts[-1])

    def unary(self, parts: list[Any]) -> Node:
        operator, operand = parts
        return Node("!" if operator == "!" else f"unary {operator}", operand)

    def either(self, parts: list[Any]) -> Node:
        return _joined("||", parts[0], parts[-1])

    def both(self, parts: list[Any]) -> Node:
        return _joined("&&", parts[0], parts[-1])

    def _whole_text(self, parts: list[Any]) -> Node:
        found: Node = parts[0]
        return found

    when = depends = expression = _whole_text


_AS_THEY_ARE = (
    *("choice", "let", "coalesce", "member", "member_if", "index", "index_if", "slice", "call", "pipe", "closure"),
    *("name", "pointer", "field", "array", "object", "pair"),
    *("path", "child", "descendants", "selected", "all_selected", "any", "stretch", "filter", "here"),
)
for _kind in _AS_THEY_ARE:
    setattr(_Builder, _kind, _plain(_kind))
