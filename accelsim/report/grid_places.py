"""Where a picture of the PE grid has its places: the cells and what stands in them, queues at the edges, accumulators."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from accelsim.report.grid_film import GridFilm
from accelsim.report.scene import SceneBuilder, Slot

#: (PEs a side, at most; pixels from PE to PE; size of figures; operands that are shown before they enter the grid).
_SCALES = ((4, 104, 13.0, 2), (6, 92, 12.0, 2), (8, 82, 11.5, 2), (12, 66, 10.0, 2), (16, 58, 9.0, 1))

#: Rows of a PE's cell and what stands side by side in them, by dataflow.
_CELLS = {
    "weight_stationary": (("token", "load"), ("held", "next"), ("sum",)),
    "input_stationary": (("token", "load"), ("held", "next"), ("sum",)),
    "output_stationary": (("token", "down"), ("sum",), ("drain",)),
    "dot_product": (("token", "load"), ("held", "next")),
}

#: Height of title, remarks and legend, of a line that tells of overflows, of an accumulator; room beside the grid.
HEADER, ALARM, LANE_HEIGHT, EDGE = 128, 20, 50, 26

#: From the operands that wait in front of the grid to the first PE, and between them, beyond their own size.
QUEUE_GAP = 16

#: Parts of the bar that tells how many of a lane's sums are in.
PARTS = 8

#: Lanes of the requantizer that are shown.
MOST_LANES = 16

#: Narrowest picture, for the title.
_LEAST_WIDTH = 760


def pitch_of(side: int) -> int:
    """Pixels from PE to PE of a picture with so many PEs a side."""
    return next(pitch for most, pitch, _, _ in _SCALES if side <= most)


@dataclass
class Lane:
    """An accumulator lane: its name, the value that was written last, how much is in."""

    label: int
    value: int
    flash: int
    parts: list[int]


@dataclass
class GridPlaces:
    """Slots of a picture, by what they show.

    Parameters
    ----------
    cells : by (name, row, column). queue : before the grid, by (name, lane, distance from 1 on).
    sums : of a dot_product grid, the stages of each row's adder tree, by (row, stage from 0 on).
    lanes : accumulators. requantizer : (accumulator read, output written) of each lane that is shown.
    """

    film: GridFilm
    builder: SceneBuilder
    cells: dict[tuple[str, int, int], int] = field(default_factory=dict)
    queue: dict[tuple[str, int, int], int] = field(default_factory=dict)
    sums: dict[tuple[int, int], int] = field(default_factory=dict)
    lanes: list[Lane] = field(default_factory=list)
    requantizer: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        film, self.grid = self.film, self.film.grid
        side = max(film.rows, film.columns)
        self.pitch, self.size, self.depth = next(scale[1:] for scale in _SCALES if side <= scale[0])
        self.kind = self.grid.dataflow
        gap = 10 if self.pitch >= 80 else 6
        rows = len(self._rows)
        #: From a PE to the one below it, and the size of a cell: as high as what stands in it.
        self.drop = self.pitch if rows == 3 else round(self.pitch * (0.74 if rows == 2 else 1.28))
        self.body, self.height = self.pitch - gap, self.drop - gap
        self.is_cut = film.rows < self.grid.rows or film.columns < self.grid.columns
        has_top = self.kind in ("output_stationary", "dot_product")
        tops = self.depth if has_top else int(self.has_row_loads)
        _, _, width, height = self._layout()["token"]
        self._steps = width + QUEUE_GAP, height + QUEUE_GAP
        self.x = 104 if film.is_tree else max(104, 30 + self.depth * self._steps[0])
        self.header = HEADER + (ALARM if len(film.run.events.k) else 0)
        self.y = self.header + tops * self._steps[1] + 6
        self.right, self.bottom = self.x + film.columns * self.pitch, self.y + film.rows * self.drop
        self.stages = self.grid.adder_tree_stages + self.grid.extra_stages if film.is_tree else 0
        self._add_cells()
        self._add_queues()
        self._add_tree()
        self._add_lanes()
        below = self.bottom + (EDGE if film.rows < self.grid.rows else 0)
        self.below = below + (12 if film.has_lanes_at_right else LANE_HEIGHT + 40)
        self.width = max(_LEAST_WIDTH, int(self.lanes_x + 130 if film.has_lanes_at_right else self.right + 24))

    @property
    def has_row_loads(self) -> bool:
        """Whether stationary operands come down the columns."""
        return self.grid.has_column_sums and self.grid.preload_cycles is None

    def cell(self, row: int, column: int) -> tuple[float, float]:
        """Upper left corner of a PE."""
        gap = (self.pitch - self.body) / 2
        return self.x + column * self.pitch + gap, self.y + row * self.drop + gap

    @property
    def _rows(self) -> tuple[tuple[str, ...], ...]:
        """What stands side by side in the rows of a cell."""
        has_starts = self.kind == "output_stationary" and self.film.step.is_held
        return (*_CELLS[self.kind], ("load", "next")) if has_starts else _CELLS[self.kind]

    def _layout(self) -> dict[str, tuple[float, float, float, float]]:
        """(x, y, width, height) in a cell, by name."""
        names = self._rows
        pad = 4 if self.pitch >= 80 else 2.5
        height = (self.height - pad) / len(names) - pad
        found = {}
        for row, parts in enumerate(names):
            y, width = pad + row * (height + pad), self.body - 2 * pad
            shares = (1.0,) if len(parts) == 1 else (0.5, 0.5) if parts == ("token", "down") else (0.54, 0.46)
            x = pad
            for name, share in zip(parts, shares, strict=True):
                own = width * share - (pad / 2 if len(parts) > 1 else 0)
                found[name] = (x, y, own, height)
                x += own + pad
        return found

    def _moves(self) -> dict[str, tuple[tuple[float, float], int]]:
        """(way, clocks) of what hands itself on, by name."""
        down, right = self.grid.registers_per_row_hop, self.grid.registers_per_column_hop
        pitch, drop = float(self.pitch), float(self.drop)
        if self.film.is_tree:
            return {}
        moves = {"token": ((pitch, 0.0), right)}
        if self.kind == "output_stationary":
            is_along_rows = self.grid.drain == "columns"
            way = ((pitch, 0.0), right) if is_along_rows else ((0.0, drop), down)
            moves |= {"down": ((0.0, drop), down), "drain": (way[0], way[1] + 1), "load": way}
        else:
            moves |= {"sum": ((0.0, drop), down)} | ({"load": ((0.0, drop), down)} if self.has_row_loads else {})
        return {name: (way, hops) for name, (way, hops) in moves.items() if hops}

    def _slot(self, name: str, corner: tuple[float, float], box: tuple[float, float, float, float]) -> Slot:
        x, y, width, height = box
        move, hops = self._moves().get(name, ((0.0, 0.0), 1))
        is_small = name in ("next", "load") and self.kind != "output_stationary"
        radius = height / 2 if name in ("token", "down") else 3.0
        return Slot(corner[0] + x, corner[1] + y, width, height, size=self.size - (2 if is_small else 0), radius=radius,
                    move=move, hops=hops)

    def _add_cells(self) -> None:
        film, layout = self.film, self._layout()
        places = [(row, column) for row in range(film.rows) for column in range(film.columns)]
        for row, column in places:
            x, y = self.cell(row, column)
            self.cells["pe", row, column] = self.builder.slot(Slot(x, y, self.body, self.height, radius=7))
        still = [name for name in layout if name not in self._moves()]
        moving = sorted((name for name in layout if name not in still), key=("drain", "load", "sum", "down", "token").index)
        for name in [*still, *moving]:  # what moves is drawn above what stays
            for row, column in places:
                slot = self._slot(name, self.cell(row, column), layout[name])
                along = row if slot.move[1] else column
                last = (film.rows if slot.move[1] else film.columns) - 1
                self.cells[name, row, column] = self.builder.slot(replace(slot, leaves=slot.moves and along == last))
        for row, column in places:
            x, y = self.cell(row, column)
            self.cells["flash", row, column] = self.builder.slot(Slot(x, y, self.body, self.height, radius=7))

    def _add_queues(self) -> None:
        film, layout = self.film, self._layout()
        if film.is_tree:
            self._add_broadcast()
            return
        self._queue("token", layout["token"], [(row, 0) for row in range(film.rows)], self.depth)
        for name in ("down",) if self.kind == "output_stationary" else ("load",) if self.has_row_loads else ():
            depth = self.depth if name == "down" else 1
            self._queue(name, layout[name], [(0, column) for column in range(film.columns)], depth)

    def _add_broadcast(self) -> None:
        """Inputs of a dot_product grid, above its columns."""
        _, _, width, height = self._layout()["token"]
        for column in range(self.film.columns):
            x = self.cell(0, column)[0] + (self.body - width) / 2
            for distance in range(1, self.depth + 1):
                slot = Slot(x, self.y - self._steps[1] * distance, width, height, size=self.size, radius=height / 2,
                            move=(0, self._steps[1]), enters=distance == self.depth, leaves=distance == 1,
                            opacity=0.8 if distance == 1 else 0.45)
                self.queue["token", column, distance] = self.builder.slot(slot)

    def _queue(self, name: str, box: tuple[float, float, float, float], cells: list[tuple[int, int]], depth: int) -> None:
        for lane, (row, column) in enumerate(cells):
            for distance in range(1, depth + 1):
                x, y = self.cell(row, column)
                way = (self._steps[0], 0.0) if name == "token" else (0.0, self._steps[1])
                slot = self._slot(name, (x - way[0] * distance, y - way[1] * distance), box)
                slot = replace(slot, move=way if slot.moves else slot.move, enters=slot.moves and distance == depth,
                               opacity=0.8 if distance == 1 else 0.45)
                self.queue[name, lane, distance] = self.builder.slot(slot)

    def _add_tree(self) -> None:
        """The adder of each row, and the registers behind it."""
        width = 70.0
        self.tree_x = self.lanes_x = self.right + EDGE + 6
        if not self.film.is_tree:
            return
        for row in range(self.film.rows):
            for stage in range(min(self.stages, 4) + 1):
                _, y = self.cell(row, 0)
                x, middle = self.lanes_x + stage * (width + 14), y + self.height / 2
                self.sums[row, stage] = self.builder.slot(Slot(x, middle - 13, width, 26, size=self.size, radius=5))
        self.lanes_x += (min(self.stages, 4) + 1) * (width + 14)

    def _add_lanes(self) -> None:
        film = self.film
        cut = EDGE if film.rows < self.grid.rows and not film.has_lanes_at_right else 0
        for lane in range(film.lanes):
            if film.has_lanes_at_right:
                x, y, width = self.lanes_x, self.cell(lane, 0)[1] + self.height / 2 - 26, 100.0
            else:
                x, y, width = self.cell(0, lane)[0], self.bottom + cut + 14, float(self.body)
            label = self.builder.slot(Slot(x, y, width, 12, size=min(10.0, self.size)))
            box = Slot(x, y + 13, width, 24, size=self.size)
            value, flash = self.builder.slot(box), self.builder.slot(box)
            part = width / PARTS
            parts = [Slot(x + place * part + 0.5, y + 40, part - 1, 4, radius=1) for place in range(PARTS)]
            self.lanes.append(Lane(label, value, flash, [self.builder.slot(slot) for slot in parts]))

    def add_requantizer(self, y: float) -> None:
        """A row of lanes from this height on: what is read above, what is written below."""
        lanes = min(self.film.step.accelerator.requantizer.lanes, MOST_LANES)
        width = min(70.0, (self.width - 48.0 - 110) / lanes)
        for lane in range(lanes):
            x = 24 + 110 + lane * width
            reads, writes = (Slot(x + 1.5, top, width - 3, 22, size=min(11.0, self.size)) for top in (y, y + 26))
            self.requantizer.append((self.builder.slot(reads), self.builder.slot(writes)))
