"""A recipe at work: its preparation of a network, its choices where the policy leaves them open, what became of each step.

Steps stand in the order of figure 8 of the white paper (arXiv 2106.08295). One thing is done earlier than there: activation
ranges are set on the float network before weights are rounded, since biases have units of them and rounding takes the grid
of its inputs into account.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from accelsim.quantization.bit_policy import BitPolicy, WeightChoice
from accelsim.quantization.calibration_set import CalibrationSet
from accelsim.quantization.float_layer import FloatLayer
from accelsim.quantization.float_model import FloatModel
from accelsim.quantization.layer_quantization import Correction, QuantizedLayers
from accelsim.quantization.nonuniform.weight_format import CodedFormat
from accelsim.quantization.placement import Placement
from accelsim.quantization.placing import place
from accelsim.quantization.preparation.absorbed_biases import absorb_biases
from accelsim.quantization.preparation.added_biases import add_biases
from accelsim.quantization.preparation.edited import Edited
from accelsim.quantization.preparation.equalized_layers import equalize_layers, has_depthwise, unevenness
from accelsim.quantization.preparation.layer_links import layer_links
from accelsim.quantization.preparation.migrated_scales import migrate_scales
from accelsim.quantization.preparation.split_channels import split_channels
from accelsim.quantization.quantized_model import Step
from accelsim.quantization.recipe import Recipe
from accelsim.quantization.resolved_policy import PolicyDefaults, ResolvedPolicy, resolved
from accelsim.quantization.rounding_method import NEAREST

# At 100 the smallest channel has lost more than 6 bits to the largest; between layers of the shipped digits network it is 3.
_UNEVEN = 100.0


class Prepared(NamedTuple):
    """A network ready for its ranges.

    Parameters
    ----------
    model, placement, choices : of it.
    remarks : on what was edited.
    steps : what became of those of preparation.
    """

    model: FloatModel
    placement: Placement
    choices: ResolvedPolicy
    remarks: tuple[str, ...]
    steps: tuple[Step, ...]


def prepared(recipe: Recipe, model: FloatModel, policy: BitPolicy, data: CalibrationSet | None) -> Prepared:
    """The preparing steps of a recipe on a network with folded batch normalizations, and quantizers on what comes out.

    Raises
    ------
    WorkloadError : operators that the machine does not execute; what the set raises.
    QuantizationError : a policy that does not go with the network.
    """
    defaults = recipe.defaults(has_data=data is not None)
    placement = place(model, policy.placement)
    choices = resolved(policy, model, placement, defaults)
    preparation = _Preparation(recipe, model, choices, data)
    preparation.run()
    if preparation.model is not model:
        placement = place(preparation.model, policy.placement)
        choices = resolved(policy, preparation.model, placement, defaults)
    choices = replace(choices, weights={name: _rounded_wide(choice, defaults, recipe)
                                        for name, choice in choices.weights.items()})
    quantizers = Step("quantizers", True, f"{len(placement.groups)} grids for {len(placement.tensors)} tensors")
    return Prepared(preparation.model, placement, choices, tuple(preparation.remarks), (*preparation.steps, quantizers))


def _rounded_wide(choice: WeightChoice, defaults: PolicyDefaults, recipe: Recipe) -> WeightChoice:
    """Wide weights, of which the policy leaves the rounding open, to nearest."""
    is_open = choice.rounding is defaults.weights.rounding
    return replace(choice, rounding=NEAREST) if is_open and choice.bits >= recipe.weights.rounding_below_bits else choice


class _Preparation:
    """The state of one preparation."""

    def __init__(self, recipe: Recipe, model: FloatModel, choices: ResolvedPolicy, data: CalibrationSet | None) -> None:
        self.recipe, self.model, self.choices, self.data = recipe, model, choices, data
        self.remarks: list[str] = []
        self.steps: list[Step] = []

    def run(self) -> None:
        recipe = self.recipe
        if recipe.equalization == "never":
            self._skip("cross-layer equalization", "not in the recipe")
        else:
            self._equalize()
        if recipe.absorbs_biases:
            self._edit("high-bias absorption", lambda: absorb_biases(self.model, self.data),
                       "no channel with a common part that a layer without padding reads")
        if recipe.splitting.ratio:
            if recipe.splitting.outliers == "inputs" and self.data is None:
                self._skip("outlier channel splitting", "no data")
            else:
                self._edit("outlier channel splitting", lambda: split_channels(
                    self.model, self.data, ratio=recipe.splitting.ratio, outliers=recipe.splitting.outliers),
                    "no two layers without groups, one behind the other")
        if recipe.migration is not None:
            self._migrate(recipe.migration.alpha)
        if correction_of(recipe, self.data is not None) != "none":
            edited = add_biases(self.model)
            self.model = edited.model
            self.remarks += edited.remarks

    def _equalize(self) -> None:
        is_all = self.recipe.equalization == "always"
        links = layer_links(self.model)
        if not links:
            self._skip("cross-layer equalization", "no two layers one behind the other, with nothing else reading between")
        elif not is_all and not any(self._needs([link.first, link.second]) for link in links):
            self._skip("cross-layer equalization", "no depthwise layer, scales by channel, no very different channels")
        else:
            wanted = None if is_all else self._needs
            self._edit("cross-layer equalization", lambda: equalize_layers(self.model, self.data, wanted=wanted),
                       "nothing tells how far a Clip between layers is reached")

    def _needs(self, layers: Sequence[FloatLayer]) -> bool:
        """Whether equalization matters: for depthwise layers and scales per tensor (white paper, section 3.5).

        Channels that differ very much matter whatever the weights' scales: activations have one scale a tensor.
        """
        kinds = {self.choices.weights[layer.name].scheme.granularity.kind for layer in layers}
        return has_depthwise(layers) or "tensor" in kinds or unevenness(layers) > _UNEVEN

    def _migrate(self, alpha: float) -> None:
        data = self.data
        if data is None:
            self._skip("scale migration", "no data")
        else:
            self._edit("scale migration", lambda: migrate_scales(self.model, data, alpha=alpha),
                       "no layer normalization that matrix products alone read")

    def _edit(self, name: str, edit: Callable[[], Edited], reason: str) -> None:
        """A step that edits the network, and why it may find nothing to do."""
        edited = edit()
        self.remarks += edited.remarks
        done = [remark for remark in edited.remarks if ": not " not in remark and ": scales not " not in remark]
        if done:
            self.model = edited.model
            self.steps.append(Step(name, True, f"{len(done)} {'place' if len(done) == 1 else 'places'}"))
        else:
            self._skip(name, reason)

    def _skip(self, name: str, reason: str) -> None:
        self.steps.append(Step(name, False, reason))


def correction_of(recipe: Recipe, has_data: bool) -> Correction:
    """How biases are corrected."""
    if recipe.bias_correction == "without_data":
        return "none" if has_data else "analytic"
    return "none" if recipe.bias_correction == "empirical" and not has_data else recipe.bias_correction


def later_steps(recipe: Recipe, ready: Prepared, layers: QuantizedLayers, *, has_data: bool) -> tuple[Step, ...]:
    """What became of the steps behind preparation."""
    uniform = [choice for choice in ready.choices.weights.values() if not isinstance(choice.format, CodedFormat)]
    return (_step_of("weight ranges", [choice.setter.name for choice in uniform], "no uniform weights"),
            _rounding_step(recipe, uniform, has_data), _correction_step(recipe, layers, has_data),
            _step_of("activation ranges", [
                "dynamic" if choice.scheme.is_dynamic else choice.setter.name
                for name, choice in ready.choices.activations.items() if ready.placement.groups[name].fixed is None],
                "all known"))


def _step_of(name: str, found: Sequence[str], reason: str) -> Step:
    """A step that took these methods, so many of each."""
    counts = {method: found.count(method) for method in dict.fromkeys(found)}
    return Step(name, bool(found), ", ".join(f"{method} x{count}" for method, count in counts.items()) or reason)


def _rounding_step(recipe: Recipe, uniform: Sequence[WeightChoice], has_data: bool) -> Step:
    """What rounded the weights; skipped is what leaves them all to the nearest."""
    name = "weight rounding"
    learned = [choice.rounding.name for choice in uniform if choice.rounding != NEAREST]
    if learned:
        return _step_of(name, [choice.rounding.name for choice in uniform], "")
    if not uniform:
        return Step(name, False, "no uniform weights")
    wanted = recipe.weights.rounding
    if wanted is not None and wanted.needs_data and not has_data:
        return Step(name, False, f"no data for {wanted.name}")
    if wanted is not None and all(choice.bits >= recipe.weights.rounding_below_bits for choice in uniform):
        return Step(name, False, f"no weights below {recipe.weights.rounding_below_bits} bits for {wanted.name}")
    return Step(name, False, "nearest, as the policy or the recipe says")


def _correction_step(recipe: Recipe, layers: QuantizedLayers, has_data: bool) -> Step:
    name, correction = "bias correction", correction_of(recipe, has_data)
    if correction == "none":
        reasons = {"without_data": "there are data",
                   "empirical": "no data", "none": "not in the recipe"}
        return Step(name, False, reasons[recipe.bias_correction])
    if not layers.corrected:
        return Step(name, False, "no layer whose inputs' means are known")
    return Step(name, True, f"{correction}, {len(layers.corrected)} of {len(layers.weights)} layers")
