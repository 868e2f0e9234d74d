"""Scenes drawn with Pillow: single pictures, and GIFs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from accelsim.report.palette import GROUND, VERMILLION
from accelsim.report.scene import HIDDEN, Content, Paint, Scene, Slot, text_size

#: How far something has gone, pixels.
Shift = tuple[float, float]

#: Boxes are drawn so many times larger and shrunk, which smooths their corners.
_SMOOTHING = 4

#: Colours of a GIF; one more stands for what does not change.
_COLOURS = 255

#: Colours whose parts differ by no more than this are one.
_ALIKE = 7


class ScenePicture:
    """Draws the clocks of a scene.

    Parameters
    ----------
    scale : pixels of the picture for each of the scene's.
    """

    def __init__(self, scene: Scene, *, scale: float = 1.0) -> None:
        self._scene, self._states, self._scale = scene, scene.states(), scale

    def draw(self, frame: int, moved: float = 0.0) -> Image.Image:
        """The picture of a frame; `moved` is the share of the way to the next one that everything has gone, 0 to 1."""
        scene, scale = self._scene, self._scale
        image = Image.new("RGB", (round(scene.width * scale), round(scene.height * scale)), GROUND)
        canvas = ImageDraw.Draw(image)
        for number, slot in enumerate(scene.slots):
            for content, (dx, dy), opacity in self._parts(number, slot, frame, moved):
                self._draw_slot(image, canvas, slot, content, (dx, dy), round(opacity, 2))
        cursor = scene.cursor
        x = cursor.at(scene.clocks[frame] + moved) * scale
        canvas.line([(x, cursor.y * scale), (x, (cursor.y + cursor.height - 12) * scale)], fill=VERMILLION,
                    width=round(1.6 * scale))
        return image

    def _parts(self, number: int, slot: Slot, frame: int, moved: float) -> Iterator[tuple[Content, Shift, float]]:
        """(content, shift, opacity) of all that a slot shows: what is there, what of earlier clocks is still on its way."""
        if not slot.moves:
            if self._states[frame][number] != HIDDEN:
                yield self._states[frame][number], (0.0, 0.0), slot.opacity
            return
        for clocks in range(1 if slot.leaves else slot.hops):
            content = self._states[frame - clocks][number] if clocks <= frame else HIDDEN
            gone = (clocks + moved) / slot.hops
            if content != HIDDEN:
                yield content, (slot.move[0] * gone, slot.move[1] * gone), slot.opacity * slot.clearness(clocks + moved)
        if slot.enters and moved and frame + 1 < len(self._states) and self._states[frame + 1][number] != HIDDEN:
            missing = (1 - moved) / slot.hops
            yield (self._states[frame + 1][number], (-slot.move[0] * missing, -slot.move[1] * missing), slot.opacity * moved)

    def _draw_slot(self, image: Image.Image, canvas: ImageDraw.ImageDraw, slot: Slot, content: Content, shift: Shift,
                   opacity: float) -> None:
        scale, paint = self._scale, self._scene.paints[content[0]]
        left, top = round((slot.x + shift[0]) * scale), round((slot.y + shift[1]) * scale)
        width, height = slot.width * scale, slot.height * scale
        if paint.fill or paint.stroke:
            box = _box(paint, max(1, round(width)), max(1, round(height)), slot.radius * scale, paint.thickness * scale,
                       opacity)
            image.paste(box, (left, top), box)
        size = text_size(slot, content[1], is_bold=paint.is_bold)
        if not size or not paint.ink:
            return
        places = {"centre": (left + width / 2, "mm"), "left": (left, "lm"), "right": (left + width, "rm")}
        x, anchor = places[slot.align]
        canvas.text((x, top + height / 2), content[1], fill=_faded(paint.ink, opacity), anchor=anchor,
                    font=font_of(round(size * scale), paint.is_bold))


def png(scene: Scene, frame: int, *, scale: float = 2.0) -> bytes:
    """One frame as a PNG."""
    target = io.BytesIO()
    ScenePicture(scene, scale=scale).draw(frame).save(target, format="PNG", optimize=True)
    return target.getvalue()


def gif(scene: Scene, *, milliseconds: int, between: int = 0) -> bytes:
    """All frames as a GIF that starts over at its end.

    Parameters
    ----------
    milliseconds : that a clock takes. between : pictures of everything on its way to the next clock, for each clock.
    """
    picture, count = ScenePicture(scene), len(scene.frames)
    moving = 40
    moments = [(frame, place / (between + 1)) for frame in range(count) for place in range(between + 1)
               if place == 0 or frame < count - 1]
    durations = [moving if moved else milliseconds - moving * between for _, moved in moments]
    durations[-1] = milliseconds + 1000
    palette = _palette(scene)
    frames = (picture.draw(*moment).quantize(palette=palette, dither=Image.Dither.NONE) for moment in moments)
    target = io.BytesIO()
    next(frames).save(target, format="GIF", save_all=True, append_images=frames, duration=durations, loop=0, optimize=True,
                      disposal=1)
    return target.getvalue()


def _palette(scene: Scene) -> Image.Image:
    """The scene's own colours, those of what is fainter, and some between figures and their ground."""
    opacities = sorted({slot.opacity for slot in scene.slots}, reverse=True)
    inks = sorted({paint.ink for paint in scene.paints if paint.ink})
    flat = [_rgb(colour) for paint in scene.paints for colour in (paint.fill, paint.stroke, paint.ink) if colour]
    fills = sorted({paint.fill or GROUND for paint in scene.paints})
    smooth = [_between(ink, fill, share) for share in (0.5, 0.25, 0.75) for fill in fills for ink in inks]
    faint = [_faded(paint.fill, opacity) for opacity in opacities for paint in scene.paints if paint.fill]
    colours: list[tuple[int, int, int]] = []
    for colour in [_rgb(GROUND), *flat, *faint, *smooth]:
        if all(max(abs(own - other) for own, other in zip(colour, chosen, strict=True)) > _ALIKE for chosen in colours):
            colours.append(colour)
    del colours[_COLOURS:]
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour in colours for part in colour])
    return palette


def _between(ink: str, ground: str, share: float) -> tuple[int, int, int]:
    red, green, blue = (round(own * share + other * (1 - share))
                        for own, other in zip(_rgb(ink), _rgb(ground), strict=True))
    return red, green, blue


@lru_cache(maxsize=4096)
def _box(paint: Paint, width: int, height: int, radius: float, thickness: float, opacity: float) -> Image.Image:
    """A box with rounded corners, drawn large and shrunk."""
    zoom = _SMOOTHING
    large = Image.new("RGBA", (width * zoom, height * zoom), (*_rgb(paint.fill or paint.stroke), 0))
    ImageDraw.Draw(large).rounded_rectangle(
        (0, 0, width * zoom - 1, height * zoom - 1), radius=min(radius, height / 2) * zoom,
        fill=_rgb(paint.fill) if paint.fill else None, outline=_rgb(paint.stroke) if paint.stroke else None,
        width=max(1, round(thickness * zoom)))
    box = large.resize((width, height), Image.Resampling.BOX)
    if opacity < 1:
        box.putalpha(box.getchannel("A").point(lambda alpha: alpha * opacity))
    return box


@lru_cache(maxsize=64)
def font_of(size: int, is_bold: bool) -> ImageFont.FreeTypeFont:
    """The sans-serif font that matplotlib brings."""
    name = "DejaVuSans-Bold.ttf" if is_bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


@lru_cache(maxsize=4096)
def _faded(colour: str, opacity: float) -> tuple[int, int, int]:
    """A colour on the ground with this opacity."""
    return _between(colour, GROUND, opacity)
