"""Scenes as a page that plays them: one file, no other needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from markupsafe import Markup

from accelsim.report.html import render_template
from accelsim.report.palette import GROUND, VERMILLION
from accelsim.report.scene import CHARACTERS, FAINTNESS, LEAST_SIZE, Scene


def player_page(scene: Scene, *, remarks: Sequence[str]) -> str:
    """The page. `remarks` stand below the picture."""
    return render_template("grid_player.html.j2", title=scene.title, width=max(scene.width, 640), frames=len(scene.frames),
                           scene=_document(scene), remarks=remarks)


def _document(scene: Scene) -> Markup:
    """The scene as JSON that may stand in a page."""
    document = {
        "width": scene.width, "height": scene.height, "first": scene.clocks[0],
        "least": LEAST_SIZE, "characters": CHARACTERS, "faintness": FAINTNESS,
        "ground": GROUND, "alarm": VERMILLION, "cursor": asdict(scene.cursor),
        "paints": [asdict(paint) for paint in scene.paints],
        "slots": [{name: round(value, 2) if isinstance(value, float) else value for name, value in asdict(slot).items()}
                  for slot in scene.slots],
        "frames": [[[slot, *content] for slot, content in sorted(changes.items())] for changes in scene.frames],
    }
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))
