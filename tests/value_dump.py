"""A reader of value change dumps that shares nothing with the writer."""

from __future__ import annotations

import re
from bisect import bisect_right


class Dump:
    """A value change dump, read word by word; anything that IEEE 1364 does not allow there is an error."""

    def __init__(self, path):
        words = iter(path.read_text(encoding="ascii").split())
        self.header, self.widths, self.changes, self._codes, scope = [], {}, {}, {}, []
        for word in words:
            body = []
            assert word.startswith("$"), word
            while (part := next(words)) != "$end":
                body.append(part)
            self.header.append((word, " ".join(body)))
            if word == "$scope":
                assert body[0] == "module"
                scope.append(body[1])
            elif word == "$upscope":
                scope.pop()
            elif word == "$var":
                self._declare(".".join([*scope, body[3]]), *body)
            elif word == "$enddefinitions":
                break
        assert scope == []
        self.times, seen = [], set()
        for word in words:
            if word.startswith("#"):
                assert not self.times or int(word[1:]) > self.times[-1]
                self.times.append(int(word[1:]))
            elif word == "$dumpvars":
                assert len(self.times) == 1
            elif word == "$end":
                assert seen == set(self._codes), "every variable has a value at the beginning"
            else:
                value, code = (word[1:], next(words)) if word[0] == "b" else (word[0], word[1:])
                self._change(value, code, is_scalar=word[0] != "b")
                seen.add(code)

    def _declare(self, name, kind, width, code, label, bits=None):
        assert (kind, bits) == ("wire", None if width == "1" else f"[{int(width) - 1}:0]")
        assert name not in self.widths
        self.widths[name] = int(width)
        names = self._codes.setdefault(code, [])
        assert not names or self.widths[names[0]] == int(width)
        names.append(name)
        self.changes[name] = []

    def _change(self, value, code, *, is_scalar):
        assert re.fullmatch("[01]+|x", value)
        for name in self._codes[code]:
            assert len(value) <= self.widths[name]
            assert is_scalar == (self.widths[name] == 1)
            old = self.changes[name]
            assert not old or old[-1] != (self.times[-1], value)
            assert not old or old[-1][1] != value, "only changes are written"
            old.append((self.times[-1], value))

    def text(self, name, time):
        """The value at a time."""
        changes = self.changes[name]
        return changes[bisect_right(changes, (time, "~")) - 1][1]

    def unsigned(self, name, time):
        text = self.text(name, time)
        return None if text == "x" else int(text, 2)

    def signed(self, name, time):
        number, half = self.unsigned(name, time), 1 << (self.widths[name] - 1)
        return number if number is None or number < half else number - 2 * half

    @property
    def comments(self):
        return [body for word, body in self.header if word == "$comment"]
