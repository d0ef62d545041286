"""Reads templates in kubectl's dialect of JSONPath: text with paths in braces, `{range .items[*]}…{end}` around a part.

The dialect is older than RFC 9535 and differs from it: a template is text, `..` gives mappings and lists only, a slice
beyond the end of its list is an error, and a filter has one comparison. No library of Python reads it.
"""

from __future__ import annotations

import re
from typing import Final

from reconciler.api.query.errors import QueryError
from reconciler.api.query.nodes import (
    Block,
    Field,
    Filter,
    Literal,
    Node,
    Path,
    Piece,
    Recursive,
    Slice,
    Union,
    Wildcard,
)

__all__ = ["parse", "relaxed", "template"]

MAX_LENGTH: Final = 10_000
"""Longest template in characters."""
MAX_DEPTH: Final = 20
"""Deepest nesting of ranges, filters and unions."""

_TERMINATORS: Final = frozenset(" \t\r\n.,[]$@{}")
_KEY: Final = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_SLICE: Final = re.compile(r"(-?[0-9]{1,9})?(?:(:)(-?[0-9]{1,9})?(?::(-?[0-9]{1,9})?)?)?")
_OPERATOR: Final = re.compile(r"[!<>=]+[~]?")
_KEYWORD: Final = re.compile(r"[ \t]*(range|end)(?=[ \t}.\[$@])")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_OPERATORS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})


def parse(template: str) -> tuple[Piece, ...]:
    """The pieces of a template. Raises QueryError with the position of the mistake."""
    if len(template) > MAX_LENGTH:
        raise QueryError(f"the template has more than {MAX_LENGTH} characters")
    return _Reader(template).template()


def template(text: str) -> tuple[Piece, ...]:
    """Like `parse`; a text without braces that begins like a path is one, since a template without a path has no use."""
    return parse(f"{{{text}}}") if text[:1] in tuple(".[$@") and "{" not in text else parse(text)


def relaxed(expression: str) -> Path:
    """A path as options take it: `{.a.b}`, `{a.b}`, `.a.b` or `a.b`. Raises QueryError."""
    inner = expression.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1].strip()
    if not inner:
        raise QueryError("the path is empty; write, for example, {.status.revision}")
    text = inner if inner[0] in ".[$@" else f".{inner}"
    pieces = parse(f"{{{text}}}")
    if len(pieces) != 1 or not isinstance(pieces[0], tuple):
        raise QueryError(f"{expression!r} is not one path such as {{.status.revision}}")
    return pieces[0]


class _Reader:
    """One text and the position in it."""

    def __init__(self, text: str, depth: int = 0) -> None:
        self._text = text
        self._at = 0
        self._depth = depth
        if depth > MAX_DEPTH:
            raise QueryError(f"the template is nested deeper than {MAX_DEPTH} levels")

    def template(self) -> tuple[Piece, ...]:
        """All pieces."""
        pieces, ended = self._pieces(0)
        if ended:
            raise self._wrong("{end} without a {range …} before it")
        return pieces

    def _pieces(self, depth: int) -> tuple[tuple[Piece, ...], bool]:
        """The pieces up to an {end} (then the second value is true) or the end of the text."""
        if depth > MAX_DEPTH:
            raise self._wrong(f"ranges are nested deeper than {MAX_DEPTH} levels")
        found: list[Piece] = []
        while self._at < len(self._text):
            start = self._text.find("{", self._at)
            if start != self._at:
                end = len(self._text) if start < 0 else start
                found.append(Literal(self._text[self._at : end]))
                self._at = end
                continue
            self._at += 1
            word = self._keyword()
            if word == "end":
                self._close()
                return tuple(found), True
            path = self.path(until="}")
            if word == "range":
                # kubectl takes a range without {end} to go on to the end of the template.
                found.append(Block(path, self._pieces(depth + 1)[0]))
            else:
                found.append(path)
        return tuple(found), False

    def _keyword(self) -> str:
        match = _KEYWORD.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[1]

    def _close(self) -> None:
        while self._peek() == " ":
            self._at += 1
        if self._peek() != "}":
            raise self._wrong("expected }")
        self._at += 1

    def path(self, until: str = "") -> Path:
        """The nodes up to `until`, which is read too, or to the end of the text."""
        nodes: list[Node] = []
        while True:
            here = self._peek()
            if here == until:
                self._at += 1
                return tuple(nodes)
            if here in ("", "\n", "\r"):
                raise self._wrong("{ is not closed by }")
            if here in " \t@$":
                self._at += 1
            elif self._text.startswith("[?(", self._at):
                nodes.append(self._filter())
            elif here == "[":
                nodes += self._brackets()
            elif self._text.startswith("..", self._at):
                if nodes and isinstance(nodes[-1], Recursive):
                    raise self._wrong(".. is given twice")
                self._at += 2
                nodes.append(Recursive())
                if self._peek() not in _TERMINATORS and self._peek():
                    nodes.append(self._name())
            elif here == ".":
                self._at += 1
                nodes.append(self._name())
            elif here in "\"'":
                nodes.append(Literal(self._quoted(here)))
            else:
                nodes.append(self._plain())

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _word(self) -> str:
        """The text up to a character that ends names; a backslash keeps the next character."""
        start = self._at
        while self._at < len(self._text) and self._text[self._at] not in _TERMINATORS:
            self._at += 2 if self._text[self._at] == "\\" else 1
        return self._text[start : self._at]

    def _name(self) -> Node:
        name = self._word()
        return Wildcard() if name == "*" else Field(name.replace("\\", ""))

    def _plain(self) -> Node:
        """A number, true or false."""
        start = self._at
        if number := _NUMBER.match(self._text, self._at):
            self._at = number.end()
            return Literal(float(number[0]) if number[1] else int(number[0]))
        word = self._word()
        if word in ("true", "false"):
            return Literal(word == "true")
        self._at = start
        if word:
            raise self._wrong(f"{word!r} is no path; write .{word}")
        raise self._wrong(f"{self._peek()!r} is not expected here")

    def _quoted(self, quote: str) -> str:
        start = self._at
        self._at += 1
        while self._peek() != quote:
            if self._peek() in ("", "\n"):
                self._at = start
                raise self._wrong("the quote is not closed")
            self._at += 2 if self._peek() == "\\" else 1
        inner = self._text[start + 1 : self._at]
        self._at += 1
        return _ESCAPE.sub(self._unescaped, inner)

    def _unescaped(self, match: re.Match[str]) -> str:
        if code := match[1] or match[2]:
            return chr(int(code, 16))
        character = match[3]
        if character in "\\\"'":
            return character
        if character not in _ESCAPES:
            raise self._wrong(f"\\{character} is no escape sequence")
        return _ESCAPES[character]

    def _brackets(self) -> list[Node]:
        end = self._text.find("]", self._at)
        if end < 0 or "\n" in self._text[self._at : end]:
            raise self._wrong("[ is not closed by ]")
        inner = self._text[self._at + 1 : end]
        parts = [part.strip() for part in inner.split(",")]
        paths = [self._subscript(part) for part in parts]
        self._at = end + 1
        return list(paths[0]) if len(paths) == 1 else [Union(tuple(paths))]

    def _subscript(self, text: str) -> Path:
        if text == "*":
            return (Slice(None, None, None),)
        if key := _KEY.fullmatch(text):
            # As in kubectl, what is quoted is a path: a dot in a name needs a backslash here too.
            return self._inner(f".{key[1] if key[1] is not None else key[2]}")
        index = _SLICE.fullmatch(text) if text else None
        if index is None:
            raise self._wrong(f"[{text}] is no index, slice, * or 'name'")
        start, is_slice, end, step = index.groups()
        return (Slice(_whole(start), _whole(end), _whole(step), single=is_slice is None),)

    def _filter(self) -> Filter:
        start = self._at + len("[?(")
        end, operator = start, None
        quote, open_brackets = "", 0
        while True:
            here = self._text[end : end + 1]
            if here in ("", "\n"):
                raise self._wrong("the filter is not closed by )]")
            if quote:
                end += here == "\\"
                quote = "" if here == quote else quote
            elif here in "\"'":
                quote = here
            elif here in "([":
                open_brackets += 1
            elif here in ")]" and open_brackets:
                open_brackets -= 1
            elif here == ")":
                break
            elif operator is None and not open_brackets:
                operator = _OPERATOR.match(self._text, end)
                end = operator.end() - 1 if operator else end
            end += 1
        if self._text[end + 1 : end + 2] != "]":
            raise self._wrong("the filter is not closed by )]")
        if operator is None:
            self._at = end + 2
            return Filter(self._inner(self._text[start:end]), "", ())
        if operator[0] not in _OPERATORS:
            raise self._wrong(f"a filter has no operator {operator[0]!r}; there are ==, !=, <, <=, > and >=")
        self._at = end + 2
        left, right = self._text[start : operator.start()], self._text[operator.end() : end]
        return Filter(self._inner(left), operator[0], self._inner(right))

    def _inner(self, text: str) -> Path:
        path = _Reader(text + "}", self._depth + 1).path(until="}")
        if not path and "@" not in text:
            raise self._wrong("a side of the filter is empty")
        return path

    def _wrong(self, message: str) -> QueryError:
        return QueryError(f"{self._text!r}, character {self._at + 1}: {message}")


def _whole(text: str | None) -> int | None:
    return int(text) if text else None
