"""Value change dumps: waveforms as text, read by GTKWave, Surfer and every HDL simulator.

Variables come in groups of one width, each group an array: in every clock the whole array is compared with what was written
last, and only what changed is written. Numbers are two's complement, as many bits as the variable has; what a variable does
not hold is x.

References
----------
IEEE Std 1364-2005, section 18.2: keywords, identifier codes, value changes; bits left out at the left are 0, or x if the
leftmost one is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

#: IEEE Std 1364-2005, section 18.2: identifier codes are made of the ASCII characters ! to ~.
_FIRST_CODE, _CODES = 33, 94

#: Numbers of at most so many bits are looked up in a table.
_TABLE_BITS = 12


def identifier(number: int) -> str:
    """A code of its own for each number.

    >>> identifier(0), identifier(93), identifier(94), identifier(94 + 94 * 94)
    ('!', '~', '!!', '!!!')
    """
    code, number = "", number + 1
    while number:
        number, digit = divmod(number - 1, _CODES)
        code = chr(_FIRST_CODE + digit) + code
    return code


@dataclass(eq=False)
class Signals:
    """Variables of one width.

    Parameters
    ----------
    bits : of each. shape : of the arrays that tell their values.
    first : number of the first one's identifier.
    """

    bits: int
    shape: tuple[int, ...]
    first: int

    def __post_init__(self) -> None:
        count = int(np.prod(self.shape))
        self.codes = [identifier(self.first + place) for place in range(count)]
        self._mask = (1 << self.bits) - 1
        self._table = [f"{number:b}" for number in range(1 << self.bits)] if self.bits <= _TABLE_BITS else []
        self._values: NDArray[np.generic] = np.zeros(count, np.int64)
        self._holds = np.zeros(count, np.bool_)

    def changes(self, values: NDArray[np.generic], holds: NDArray[np.bool_] | bool, *,
                all_of_them: bool = False) -> list[str]:
        """Lines that tell what differs from the last time."""
        values = values.reshape(-1)
        holds = np.broadcast_to(holds, self.shape).reshape(-1)
        if all_of_them:
            places = np.arange(values.size)
        else:
            places = np.nonzero((holds != self._holds) | (holds & (values != self._values)))[0]
        if values.dtype != self._values.dtype:
            self._values = values.copy()
        self._values[places], self._holds[places] = values[places], holds[places]
        return self._lines(values[places], holds[places], places)

    def _lines(self, values: NDArray[np.generic], holds: NDArray[np.bool_], places: NDArray[np.intp]) -> list[str]:
        held, table, mask = values[holds], self._table, self._mask
        assert not held.size or (-(mask + 1) <= 2 * int(held.min()) and int(held.max()) <= mask), "a number does not fit"
        texts = ["x"] * len(places)
        for place, number in zip(np.nonzero(holds)[0].tolist(), held.tolist(), strict=True):
            texts[place] = table[number & mask] if table else f"{number & mask:b}"
        codes = self.codes
        if self.bits == 1:
            return [text + codes[place] for text, place in zip(texts, places.tolist(), strict=True)]
        return [f"b{text} {codes[place]}" for text, place in zip(texts, places.tolist(), strict=True)]


class VcdWriter:
    """Writes a dump from its header to its last change.

    Parameters
    ----------
    target : takes ASCII bytes. timescale : unit of the times, such as "1 ps".
    version : of the program that writes. comments : lines that the header tells.

    Examples
    --------
    >>> import io
    >>> target = io.BytesIO()
    >>> writer = VcdWriter(target, timescale="1 ns", version="accelsim", comments=["two registers"])
    >>> registers = writer.signals(bits=4, shape=(2,))
    >>> with writer.scope("grid"):
    ...     writer.variable("left", registers, 0)
    ...     writer.variable("right", registers, 1)
    >>> writer.begin()
    >>> writer.show(registers, np.array([3, 0]), np.array([True, False]))
    >>> writer.at(10)
    >>> writer.show(registers, np.array([3, -1]), True)
    >>> writer.end(20)
    >>> print(target.getvalue().decode())
    $version accelsim $end
    $comment two registers $end
    $timescale 1 ns $end
    $scope module grid $end
    $var wire 4 ! left [3:0] $end
    $var wire 4 " right [3:0] $end
    $upscope $end
    $enddefinitions $end
    #0
    $dumpvars
    b11 !
    bx "
    $end
    #10
    b1111 "
    #20
    <BLANKLINE>
    """

    def __init__(self, target: BinaryIO, *, timescale: str, version: str, comments: Sequence[str]) -> None:
        self._target, self._count, self._is_first = target, 0, True
        self._declared: set[str] = set()
        self._pending = [f"$version {version} $end",
                         *(f"$comment {_plain(comment)} $end" for comment in comments),
                         f"$timescale {timescale} $end"]

    def signals(self, *, bits: int, shape: tuple[int, ...]) -> Signals:
        """A group of new variables, which `variable` gives names."""
        made = Signals(bits, shape, self._count)
        self._count += len(made.codes)
        return made

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Variables and scopes that are declared inside stand in this scope."""
        self._pending.append(f"$scope module {name} $end")
        yield
        self._pending.append("$upscope $end")

    def variable(self, name: str, signals: Signals, place: int) -> None:
        """Declare one of a group; a variable may stand in several scopes."""
        self._declared.add(signals.codes[place])
        bits = f" [{signals.bits - 1}:0]" if signals.bits > 1 else ""
        self._pending.append(f"$var wire {signals.bits} {signals.codes[place]} {name}{bits} $end")

    def begin(self, time: int = 0) -> None:
        """The declarations are over; what is shown next are the values of all variables at this time."""
        assert len(self._declared) == self._count, "a variable without a name"
        self._pending += ["$enddefinitions $end", f"#{time}", "$dumpvars"]
        self._flush()

    def show(self, signals: Signals, values: NDArray[np.generic], holds: NDArray[np.bool_] | bool = True) -> None:
        """What a group holds now."""
        self._pending += signals.changes(values, holds, all_of_them=self._is_first)

    def at(self, time: int) -> None:
        """What follows happens at this time, later than all before."""
        if self._is_first:
            self._pending.append("$end")
            self._is_first = False
        self._pending.append(f"#{time}")
        self._flush()

    def end(self, time: int) -> None:
        """The last value lasts until this time."""
        self.at(time)

    def _flush(self) -> None:
        self._target.write(("\n".join(self._pending) + "\n").encode("ascii"))
        self._pending = []


def _plain(text: str) -> str:
    """ASCII in one line, in which no keyword ends it.

    >>> _plain("Größe\\n $end")
    'Gr??e $ end'
    """
    return " ".join(text.split()).replace("$end", "$ end").encode("ascii", "replace").decode("ascii")
