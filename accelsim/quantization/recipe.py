"""Which steps prepare a network and choose its integers, besides widths and schemes: by name, a readable YAML, or in Python.

::

    schema_version: 1
    name: low_bits
    equalization: always
    weights: {range: mse, rounding: {name: adaround, iterations: 500}}
    activations: {range: mse}
    bias_correction: empirical

`standard` is the pipeline of the white paper (arXiv 2106.08295), section 3.5 and figure 8:

1. cross-layer equalization, where layers are depthwise, have one scale a tensor or very different channels, and absorption
   of high biases behind it;
2. quantizers are placed;
3. weight ranges of the least squared error;
4. AdaRound where there are data and weights have fewer than 8 bits (with 8, nothing is left to gain for its time);
   else, without data, analytic bias correction;
5. activation ranges of the least squared error; without data, from batch normalizations.

Ranges and roundings are those of the recipe where the policy leaves them open. `none` leaves everything to the policy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from accelsim.errors import QuantizationError
from accelsim.hardware.quantity import Spec
from accelsim.hardware.validation import problems_of
from accelsim.problem import Problem, quoted, wrong_choice
from accelsim.quantization.bit_policy import DEFAULT_ACTIVATIONS, DEFAULT_WEIGHTS
from accelsim.quantization.equalization.scale_migration import BALANCED
from accelsim.quantization.policy_fields import RangeField, RoundingField
from accelsim.quantization.ranges.batch_norm_statistics import BatchNormStatistics
from accelsim.quantization.ranges.mse import Mse
from accelsim.quantization.resolved_policy import PolicyDefaults
from accelsim.quantization.rounding_method import AdaRound
from accelsim.source_file import read_text
from accelsim.yaml_tree import read_yaml

_Share = Annotated[float, Field(ge=0, le=1)]


class WeightSteps(Spec):
    """Of weights, where the policy leaves it open."""

    range: RangeField = None
    """What sets the clipping range, by its name or with options."""

    rounding: RoundingField = None
    """How weights of fewer than `rounding_below_bits` become integers; one that needs data is left out without them."""

    rounding_below_bits: Annotated[int, Field(ge=1, le=17)] = 8
    """Wider weights are rounded to nearest."""


class ActivationSteps(Spec):
    """Of activations, where the policy leaves it open."""

    range: RangeField = None
    """What sets the clipping range, by its name or with options."""

    range_without_data: RangeField = None
    """The same where there is no calibration set."""


class SplittingSteps(Spec):
    """Outlier channel splitting."""

    ratio: _Share = 0.0
    """How many channels are added, as a share of a layer's inputs; 0 splits none."""

    outliers: Literal["weights", "inputs"] = "weights"
    """Whose outliers are split; those of inputs need data."""


class MigrationSteps(Spec):
    """Scale migration behind layer normalizations."""

    alpha: _Share = BALANCED
    """From 0, all goes to the inputs, to 1, all goes to the weights."""


class Recipe(Spec):
    """The steps of a pipeline."""

    schema_version: Literal[1] = 1
    """Version of this format."""

    name: str = "recipe"
    """What reports call it."""

    equalization: Literal["never", "when_needed", "always"] = "never"
    """Cross-layer equalization: of chains with depthwise layers, weights of one scale a tensor or very different channels
    (when needed), or of all."""

    absorbs_biases: bool = False
    """Whether high biases are absorbed into the layer behind, after equalization."""

    splitting: SplittingSteps = SplittingSteps()
    """Outlier channels split in two."""

    migration: MigrationSteps | None = None
    """Scales moved from the outputs of layer normalizations to the weights behind; left out without data."""

    weights: WeightSteps = WeightSteps()
    """Ranges and rounding of weights."""

    activations: ActivationSteps = ActivationSteps()
    """Ranges of activations."""

    bias_correction: Literal["none", "empirical", "analytic", "without_data"] = "none"
    """What takes the shift of means off biases: data, the statistics of batch normalizations, or these without data."""

    def defaults(self, *, has_data: bool) -> PolicyDefaults:
        """What holds where a policy says nothing."""
        weights, activations = DEFAULT_WEIGHTS, DEFAULT_ACTIVATIONS
        if self.weights.range is not None:
            weights = weights.model_copy(update={"range": self.weights.range})
        if self.weights.rounding is not None and (has_data or not self.weights.rounding.needs_data):
            weights = weights.model_copy(update={"rounding": self.weights.rounding})
        setter = self.activations.range if has_data else self.activations.range_without_data
        if setter is not None:
            activations = activations.model_copy(update={"range": setter})
        return PolicyDefaults(weights, activations)


#: Figure 8 of the white paper.
STANDARD = Recipe(
    name="standard", equalization="when_needed", absorbs_biases=True, weights=WeightSteps(range=Mse(), rounding=AdaRound()),
    activations=ActivationSteps(range=Mse(), range_without_data=BatchNormStatistics()), bias_correction="without_data")

#: What the policy alone says.
NONE = Recipe(name="none")

#: By the names that command lines have.
RECIPES = {recipe.name: recipe for recipe in (STANDARD, NONE)}


def load_recipe(name: str) -> Recipe:
    """A recipe by its name, or from a YAML file.

    Raises
    ------
    QuantizationError : neither a name nor a file; a file that is not a recipe: file, line and field.

    Examples
    --------
    >>> load_recipe("standard").equalization
    'when_needed'
    """
    if name in RECIPES:
        return RECIPES[name]
    if not Path(name).suffix:
        raise QuantizationError(f"{wrong_choice(name, RECIPES)}; or a file", field="recipe")
    return parse_recipe(read_text(Path(name), raises=QuantizationError), file=name)


def parse_recipe(text: str, *, file: str) -> Recipe:
    """Understands a recipe; `file` is its name in messages.

    >>> parse_recipe("equalization: often", file="r.yaml")
    Traceback (most recent call last):
    accelsim.errors.QuantizationError: r.yaml:1: equalization: expected one of never, when_needed, always, got "often"

    Raises
    ------
    QuantizationError : the text is not a recipe.
    """
    tree = read_yaml(text, file=file, raises=QuantizationError)
    if not isinstance(tree.data, dict):
        problem = f"expected a mapping of keys such as equalization and weights, got {quoted(tree.data)}"
        raise tree.error([Problem((), problem)])
    try:
        recipe = Recipe.model_validate(tree.data)
    except ValidationError as error:
        raise tree.error(problems_of(error, model=Recipe, document=tree.data)) from None
    if tree.problems:
        raise tree.error([])
    return recipe
