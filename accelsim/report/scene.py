"""A moving picture as data: places, and what stands in each of them in each clock. Whoever draws it needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Align = Literal["centre", "left", "right"]


@dataclass(frozen=True, slots=True)
class Paint:
    """How a place looks when something stands in it: colours as "#rrggbb", "" for none; outline in pixels."""

    fill: str = ""
    stroke: str = ""
    ink: str = ""
    thickness: float = 1.0
    is_bold: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a box with a text.

    Parameters
    ----------
    x, y, width, height : pixels, from the upper left corner of the picture.
    size : of the text, pixels; a longer text is written smaller, and left out below `LEAST_SIZE`.
    radius : of the corners.
    move : where what stands here goes within `hops` clocks; (0, 0) if it changes on the spot.
    leaves : whether it vanishes within a clock. enters : whether what comes here appears from nowhere.
    opacity : of everything drawn here, 0 to 1.
    """

    x: float
    y: float
    width: float
    height: float
    size: float = 11.0
    align: Align = "centre"
    radius: float = 4.0
    move: tuple[float, float] = (0.0, 0.0)
    hops: int = 1
    leaves: bool = False
    enters: bool = False
    opacity: float = 1.0

    @property
    def moves(self) -> bool:
        return self.move != (0.0, 0.0)

    def clearness(self, clocks: float) -> float:
        """Opacity of what set out so many clocks ago: it fades where it leaves, and in the registers on a longer way."""
        if self.leaves:
            return 1 - clocks
        return 1 - FAINTNESS * min(1.0, clocks, self.hops - clocks) if self.hops > 1 else 1.0


#: Opacity that is lost in the registers between two PEs.
FAINTNESS = 0.72

#: Smallest text that is drawn, pixels.
LEAST_SIZE = 6.5

#: Width of a character, plain and bold, times its size: of the figures of DejaVu Sans, one of the wide fonts.
CHARACTERS = (0.64, 0.7)

#: What stands in a place: number of its paint, and the text. `HIDDEN` where nothing does.
Content = tuple[int, str]
HIDDEN: Content = (-1, "")


@dataclass(frozen=True, slots=True)
class Cursor:
    """An upright line that says which clock is shown, on a strip on which all clocks lie from left to right."""

    x: float
    y: float
    width: float
    height: float
    clocks: int

    def at(self, clock: float) -> float:
        """Its place, pixels: in the middle of the clock."""
        return self.x + self.width * (clock + 0.5) / self.clocks


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that a drawing needs.

    Parameters
    ----------
    width, height : pixels. title : for the file.
    slots : in the order of drawing.
    frames : by clock, what changes against the clock before: number of a slot -> content; before the first all are empty.
    clocks : their numbers.
    """

    title: str
    width: int
    height: int
    paints: Sequence[Paint]
    slots: Sequence[Slot]
    frames: Sequence[dict[int, Content]]
    clocks: Sequence[int]
    cursor: Cursor

    def states(self) -> list[list[Content]]:
        """What stands in every slot, by clock."""
        state, found = [HIDDEN] * len(self.slots), []
        for frame in self.frames:
            state = state.copy()
            for slot, content in frame.items():
                state[slot] = content
            found.append(state)
        return found


def text_size(slot: Slot, text: str, *, is_bold: bool = False) -> float:
    """Size in which a text is written in a slot; 0 if it is left out.

    >>> text_size(Slot(0, 0, 34, 10), "-1234"), text_size(Slot(0, 0, 34, 10), "-123456789")
    (10.0, 0.0)
    """
    if not text:
        return 0.0
    size = min(slot.size, (slot.width - 2) / (CHARACTERS[is_bold] * len(text)))
    return size if size >= LEAST_SIZE else 0.0


@dataclass
class SceneBuilder:
    """Collects slots, paints and frames.

    Examples
    --------
    >>> builder = SceneBuilder()
    >>> box = builder.slot(Slot(0, 0, 20, 10))
    >>> red = builder.paint(Paint(fill="#ff0000"))
    >>> for text in ("a", "a", "b"):
    ...     builder.put(box, red, text)
    ...     builder.next_frame()
    >>> builder.frames
    [{0: (0, 'a')}, {}, {0: (0, 'b')}]
    """

    slots: list[Slot] = field(default_factory=list)
    paints: list[Paint] = field(default_factory=list)
    frames: list[dict[int, Content]] = field(default_factory=list)
    _numbers: dict[Paint, int] = field(default_factory=dict)
    _state: dict[int, Content] = field(default_factory=dict)
    _next: dict[int, Content] = field(default_factory=dict)
    _fixed: dict[int, Content] = field(default_factory=dict)

    def slot(self, slot: Slot) -> int:
        """A new slot's number; slots are drawn in the order in which they are made."""
        self.slots.append(slot)
        return len(self.slots) - 1

    def paint(self, paint: Paint) -> int:
        """The number of a paint."""
        if paint not in self._numbers:
            self._numbers[paint] = len(self.paints)
            self.paints.append(paint)
        return self._numbers[paint]

    def fix(self, slot: Slot, paint: Paint, text: str = "") -> None:
        """A slot that shows the same in all clocks."""
        self._fixed[self.slot(slot)] = (self.paint(paint), text)

    def put(self, slot: int, paint: int, text: str = "") -> None:
        """What stands in a slot in this clock; a slot in which nothing is put is empty."""
        self._next[slot] = (paint, text)

    def next_frame(self) -> None:
        """The clock is over."""
        shown = {**self._fixed, **self._next}
        changes = {slot: content for slot, content in shown.items() if self._state.get(slot, HIDDEN) != content}
        changes |= {slot: HIDDEN for slot, content in self._state.items() if slot not in shown}
        self.frames.append(changes)
        self._state, self._next = shown, {}
