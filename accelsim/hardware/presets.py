"""Where the shipped accelerators and energy tables lie, and what they are called.

In a wheel they are in ``accelsim/shipped/hwconfigs``, in a checkout in the folder ``hwconfigs`` beside the package.
"""

from __future__ import annotations

from pathlib import Path

from accelsim.errors import HardwareError
from accelsim.problem import did_you_mean, quoted

_PACKAGE = Path(__file__).resolve().parents[1]
_FOLDERS = (_PACKAGE / "shipped" / "hwconfigs", _PACKAGE.parent / "hwconfigs")


def preset_names() -> tuple[str, ...]:
    """Names of the shipped accelerators, sorted.

    >>> "edge_16x16" in preset_names()
    True
    """
    return _names(_folder())


def preset_path(name: str) -> Path:
    """The YAML file of a shipped accelerator. Raises `HardwareError` for a name that is not shipped."""
    return _path(name, _folder(), "the name of a shipped accelerator or the path of a .yaml file")


def energy_table_names() -> tuple[str, ...]:
    """Names of the shipped energy tables, sorted.

    >>> energy_table_names()
    ('eyeriss_relative', 'horowitz_45nm', 'jouppi_7nm')
    """
    return _names(_folder() / "energy")


def energy_table_path(name: object) -> Path:
    """The YAML file of a shipped energy table. Raises `HardwareError` for a name that is not shipped."""
    return _path(name, _folder() / "energy", "the name of a shipped energy table or a table")


def _folder() -> Path:
    return next((folder for folder in _FOLDERS if folder.is_dir()), _FOLDERS[-1])


def _names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def _path(name: object, folder: Path, expected: str) -> Path:
    names = _names(folder)
    if name not in names:
        guess = did_you_mean(name, names)
        raise HardwareError(f"expected {expected}, got {quoted(name)}{guess}; shipped are {', '.join(names)}")
    return folder / f"{name}.yaml"
