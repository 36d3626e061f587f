"""Every hyper-parameter once: its unit, its range, its default and the reason for it; unknown keys are refused.

Lengths are in Å, energies in eV, charges in e. The classes mirror the YAML of a training run.
"""

import difflib
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat, ValidationError, model_validator

from ase_lode.errors import ConfigError
from ase_lode.system import CHEMICAL_SYMBOLS

#: Share of the cutoff over which the exterior field is switched on: wide enough for smooth forces in MD.
EXTERIOR_WIDTH = 0.5
#: Default width of the cutoff function of a Gaussian (gto) basis, whose functions do not end by themselves, in Å.
GTO_WIDTH = 0.5
#: Default smearing of Gaussian densities in Å: about half the shortest bond.
SMEARING = 0.5


def _known_element(symbol):
    if symbol not in CHEMICAL_SYMBOLS[1:]:
        raise ValueError(f"'{symbol}' is not a chemical symbol")
    return symbol


Element = Annotated[str, AfterValidator(_known_element)]


class Strict(BaseModel):
    """Base of all sections: no unknown keys, nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DensityConfig(Strict):
    """The local density: c_anlm inside a cutoff."""

    #: Radius of the environment in Å. Cost grows with its cube.
    cutoff: float = Field(gt=0.5, le=30)
    #: Number of radial functions.
    max_radial: int = Field(6, ge=1, le=32)
    #: Largest l. 4 resolves the angles of organic molecules; 3 is enough for simple liquids and metals.
    max_angular: int = Field(4, ge=0, le=8)
    #: `compact`: ends at the cutoff, finest where bonds are. `gto`: featomic's Gaussian-type orbitals.
    basis: Literal["compact", "gto"] = "compact"
    #: Width of the Gaussian densities in Å (gto only).
    smearing: float | None = Field(None, gt=0, le=10)
    #: Width of the ShiftedCosine cutoff function in Å; by default 0.5 for gto, none for compact, which ends by itself.
    cutoff_width: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _consistent(self):
        if self.basis == "compact" and self.smearing is not None:
            raise ValueError("smearing belongs to basis: gto; remove it or change the basis")
        if self.cutoff_width is not None and self.cutoff_width > self.cutoff:
            raise ValueError("cutoff_width must not exceed the cutoff")
        return self


class FieldConfig(Strict):
    """One potential field: 1/r^exponent of all atoms, as seen inside an environment."""

    #: The power law's exponent: 1 electrostatics, 3 and 4 induction, 6 dispersion.
    exponent: int = Field(1, ge=1, le=6)
    #: Largest l: 1 sees gradients of the far field, 2 its second derivatives.
    max_angular: int = Field(2, ge=0, le=6)
    #: Smallest l. 2 with exponent 1 leaves the interaction of dipoles, which converges in a long molecule; the field
    #: itself, l = 0, of sources of one sign grows with the molecule.
    min_angular: int = Field(0, ge=0, le=6)
    #: `exterior`: only sources beyond the cutoff. `full`: the paper's definition.
    near_field: Literal["exterior", "full"] = "exterior"
    #: What carries the field: one channel per element, or one channel of charges.
    #: `learned` (network head): one channel of strengths that depend on each atom's surroundings.
    sources: Literal["elements", "charges", "learned"] = "charges"
    #: Charges by element in e; fitted to dipoles or reference charges when absent.
    charges: dict[Element, float] | None = None
    #: Radius of the environment, number of radial functions, basis: the density's unless given. `exterior` has one
    #: radial function per l, so max_radial and basis matter for `full` alone.
    cutoff: float | None = Field(None, gt=0.5, le=30)
    max_radial: int | None = Field(None, ge=1, le=32)
    basis: Literal["compact", "gto"] | None = None
    #: Width of the smeared power law in Å (full only; exterior sources are points).
    smearing: float | None = Field(None, gt=0, le=10)
    #: Width of the switch of `exterior`: half the cutoff unless given.
    cutoff_width: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _consistent(self):
        if self.charges is not None and self.sources != "charges":
            raise ValueError(f"charges are given but sources is '{self.sources}'; set sources: charges, or remove them")
        if self.min_angular > self.max_angular:
            raise ValueError(f"min_angular {self.min_angular} exceeds max_angular {self.max_angular}")
        return self


class RidgeConfig(Strict):
    """Energies linear in the features of each centre element: the paper's model."""

    type: Literal["ridge"] = "ridge"
    #: Strength of the regularisation; chosen on the validation data when absent.
    regularisation: float | None = Field(None, gt=0)


class NetworkConfig(Strict):
    """Energies by a small network on learned channels, in two passes."""

    type: Literal["network"]
    #: Learned channels of each pass, a multiple of 16.
    channels: int = Field(32, ge=16, le=256, multiple_of=16)
    #: Strengths of each atom that carry the second density; none leaves that density out.
    strengths: int = Field(8, ge=0, le=64)
    #: Largest l in the invariants of body order 4.
    cubic_angular: int = Field(4, ge=0, le=6)
    #: Sizes of the hidden layers, multiples of 8.
    hidden: tuple[Annotated[int, Field(ge=8, le=1024, multiple_of=8)], ...] = Field((64, 32), min_length=1)
    #: Steps of the optimiser, and atoms in each: 4,000 steps of 100 atoms reach what as many of 400 do (dipeptides).
    steps: int = Field(10_000, ge=1)
    batch_atoms: int = Field(100, ge=1)
    #: Largest step relative to the typical size of a parameter. Small batches want small steps: three times this, and
    #: hidden units of an oxide fell silent.
    learning_rate: float = Field(0.01, gt=0, le=1)
    #: Share by which weights shrink in a step, times the learning rate; biases are left alone.
    weight_decay: float = Field(0.03, ge=0, lt=1)
    #: Weight of energies in the first half, and at the end: they are few, and noise to channels that still change.
    energy_weights: tuple[PositiveFloat, PositiveFloat] = (0.03, 0.2)
    #: Steps over which weights are averaged; at most a quarter of all.
    averaged_steps: int = Field(500, ge=1)
    #: Networks trained before, from other seeds, whose mean on further structures is fitted with the data; each takes
    #: as long as the potential itself.
    committee: int = Field(0, ge=0, le=16)


class BaselineConfig(Strict):
    """What is subtracted before fitting and added back in every call."""

    #: Energies of the elements in eV: fitted to the composition, or given.
    reference_energies: Literal["fit"] | dict[Element, float] = "fit"
    #: Accept a fit whose compositions do not determine every element (its minimum-norm solution).
    allow_rank_deficient: bool = False
    #: Screened nuclear repulsion that is zero beyond contact distances.
    repulsion: Literal["zbl", "none"] = "zbl"


class ModelConfig(Strict):
    """A potential's architecture."""

    elements: list[Element] | None = None
    density: DensityConfig
    fields: list[FieldConfig] = []
    #: Pairs of scales whose products are features: 0 is the density, 1.. the fields in their order. All by default.
    invariants: list[tuple[int, int]] | None = None
    #: Charges by element in e for every field of `sources: charges` without its own.
    charges: dict[Element, float] | None = None
    head: RidgeConfig | NetworkConfig = Field(RidgeConfig(), discriminator="type")
    baseline: BaselineConfig = BaselineConfig()

    @model_validator(mode="after")
    def _consistent(self):
        if self.elements is not None and len(set(self.elements)) != len(self.elements):
            raise ValueError("elements are listed twice")
        for pair in self.invariants or []:
            if not all(0 <= scale <= len(self.fields) for scale in pair):
                raise ValueError(f"invariants {list(pair)} name a scale beyond the {len(self.fields)} fields")
        network = self.head.type == "network"
        for field in self.fields:
            if network and (field.sources != "learned" or field.near_field != "exterior"):
                raise ValueError("a network head needs fields with sources: learned and near_field: exterior")
            if not network and field.sources == "learned":
                raise ValueError("sources: learned needs head: {type: network}; a ridge head takes charges or elements "
                                 "(fields of a network of responses belong under response.fields)")
        if network and (self.density.basis != "compact" or self.invariants is not None):
            raise ValueError("a network head chooses its own invariants and needs basis: compact")
        return self

    def resolved(self):
        """The same model with every default written out, as expansions use it and potential files store it."""
        density = self.density
        if density.basis == "gto":
            density = density.model_copy(update={
                "smearing": density.smearing or SMEARING,
                "cutoff_width": GTO_WIDTH if density.cutoff_width is None else density.cutoff_width})
        return self.model_copy(update={"density": density, "fields": [self._resolved_field(f) for f in self.fields]})

    def _resolved_field(self, field):
        cutoff = field.cutoff or self.density.cutoff
        width = EXTERIOR_WIDTH * cutoff if field.cutoff_width is None else field.cutoff_width
        if width > cutoff:
            raise ConfigError(f"fields: cutoff_width {width} exceeds the cutoff {cutoff}.")
        charges = (field.charges or self.charges) if field.sources == "charges" else None
        return field.model_copy(update={
            "cutoff": cutoff, "cutoff_width": width, "charges": charges,
            "max_radial": 1 if field.near_field == "exterior" else field.max_radial or self.density.max_radial,
            "basis": field.basis or self.density.basis,
            "smearing": field.smearing or self.density.smearing or SMEARING})


class FileConfig(Strict):
    """A file of structures and the names of its labels; `null` leaves a label out."""

    file: str | list[str]
    energy: str | None = "energy"
    forces: str | None = "forces"
    #: eV/Å³, tension positive, 6 (Voigt) or 9 numbers.
    stress: str | None = None
    #: eV, virial = -stress x volume, 9 numbers.
    virial: str | None = None
    #: e·Å.
    dipole: str | None = None
    #: Reference charges of the atoms in e.
    charges: str | None = None
    #: The files' cells are dummies around isolated molecules (a zero cell says so by itself).
    isolated: bool = False
    #: Name of the structure's class in reports, and the group that a split keeps together.
    config_type: str = "config_type"

    @model_validator(mode="after")
    def _consistent(self):
        if self.stress is not None and self.virial is not None:
            raise ValueError("stress and virial are both requested; name one of them")
        return self


class ValidationConfig(Strict):
    """How validation structures are found: one of the keys."""

    #: Share of the training structures, drawn with the seed.
    fraction: float | None = Field(None, gt=0, lt=1)
    #: A file of their own; labels are named as in `train` unless given here.
    file: str | FileConfig | None = None
    #: Structures with the same value of this info key stay together; a tenth of the groups validates.
    group_by: str | None = None
    #: Consecutive blocks; every tenth of the structures, as whole blocks, validates.
    blocks: int | None = Field(None, ge=2)

    @model_validator(mode="after")
    def _consistent(self):
        if sum(value is not None for value in (self.fraction, self.file, self.group_by, self.blocks)) > 1:
            raise ValueError("give one of fraction, file, group_by, blocks")
        return self


class UnitsConfig(Strict):
    """Units of the labels in the files."""

    energy: Literal["eV", "hartree", "kcal/mol", "kJ/mol", "rydberg", "meV"] = "eV"
    length: Literal["angstrom", "bohr", "nm"] = "angstrom"


class DataConfig(Strict):
    """The structures of a training run."""

    train: FileConfig
    validation: ValidationConfig = ValidationConfig(fraction=0.1)
    units: UnitsConfig = UnitsConfig()


class WeightsConfig(Strict):
    """Weights of the residuals, each relative to the spread of its label in the training set."""

    energy: float = Field(1.0, ge=0)
    forces: float = Field(1.0, ge=0)
    stress: float = Field(0.1, ge=0)
    #: For the charges of a network head.
    dipole: float = Field(1.0, ge=0)
    charges: float = Field(0.0, ge=0)


class TargetConfig(Strict):
    """A response to fit: where its labels are, and in which unit."""

    #: Name of the label in the files.
    key: str
    #: Its unit; see `TARGET_UNITS` for each target's, the first of which is the default.
    unit: str | None = None
    #: Orders of the features. Dipole: 1 gives dipoles to atoms, 0 charges, which only isolated systems may have.
    #: Tensors: 0 the trace, 2 the symmetric rest, 1 (Born charges) the antisymmetric part. All by default.
    order: tuple[Literal[0, 1, 2], ...] | None = None
    #: Which structures have the label; dielectric tensors exist in periodic ones alone.
    systems: Literal["all", "isolated", "periodic"] = "all"
    #: Origin that the dipoles of charged molecules refer to.
    origin: Literal["coordinates", "center_of_mass"] | None = None


#: Units of each target and what they are in e·Å, Å³, 1 and e (CODATA 2018); the first is the default.
TARGET_UNITS = {
    "dipole": {"e*angstrom": 1.0, "e*bohr": 0.529177210903, "debye": 0.20819433270},
    "polarizability": {"angstrom^3": 1.0, "bohr^3": 0.529177210903**3, "e^2*angstrom^2/eV": 14.399645478},
    "dielectric_tensor": {"1": 1.0},
    "born_effective_charges": {"e": 1.0}}
Target = Literal["dipole", "polarizability", "dielectric_tensor", "born_effective_charges"]
#: Orders that a target can have.
TARGET_ORDERS = {"dipole": (0, 1), "polarizability": (0, 2), "dielectric_tensor": (0, 2),
                 "born_effective_charges": (0, 1, 2)}


class ResponseConfig(Strict):
    """Model of the responses: tensors of order λ, linear in products of scalars with equivariants, or a network.

    The defaults serve molecules of six elements, liquid water and an oxide alike.
    """

    #: A network in place of the ridge, which the keys from `channels` on belong to; its fields have learned sources.
    head: NetworkConfig | None = None

    #: Density and fields; those of `model` unless given (for a ridge without fields of learned sources).
    density: DensityConfig | None = None
    fields: list[FieldConfig] | None = None
    #: Principal components of the density by centre element and l, a multiple of 8.
    channels: int = Field(16, ge=8, le=64, multiple_of=8)
    #: Principal components of the density's invariants that modulate; twice as many lower errors by 3 %.
    scalars: int = Field(16, ge=0, le=128)
    #: Products of density channels of each order, those of largest variance, a multiple of 8.
    features: int = Field(256, ge=8, le=2048, multiple_of=8)
    #: Products that fields take part in, per field, chosen alike; those linear in a field stay. Fewer go further beyond
    #: the data.
    field_features: int = Field(96, ge=0, le=2048, multiple_of=8)
    #: Strength of the regularisation; chosen on the validation data when absent.
    regularisation: float | None = Field(None, gt=0)


class OutputConfig(Strict):
    """Where the potential and its report go."""

    name: str = Field("potential", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    directory: str = "outputs"
    report: Literal["html", "none"] = "html"
    #: Free text for the card: level of theory, source, licence of the data, what the potential must not be used for.
    card: dict[str, str] = {}


class TrainConfig(Strict):
    """A training run: the whole YAML file."""

    schema_version: Literal[1] = Field(1, alias="schema")
    seed: int = Field(0, ge=0)
    model: ModelConfig
    data: DataConfig
    weights: WeightsConfig = WeightsConfig()
    #: Responses to fit besides energies and forces, or alone (`energy: null, forces: null`).
    targets: dict[Target, TargetConfig] = {}
    response: ResponseConfig = ResponseConfig()
    output: OutputConfig = OutputConfig()

    @model_validator(mode="after")
    def _consistent(self):
        for name, target in self.targets.items():
            if target.unit is not None and target.unit not in TARGET_UNITS[name]:
                raise ValueError(f"targets.{name}: unit '{target.unit}' is unknown; use one of "
                                 f"{', '.join(TARGET_UNITS[name])}")
            if target.order is not None and not (target.order and set(target.order) <= set(TARGET_ORDERS[name])):
                raise ValueError(f"targets.{name}: order must be among {list(TARGET_ORDERS[name])}")
            if target.origin is not None and name != "dipole":
                raise ValueError(f"targets.{name}: origin belongs to dipoles; remove it")
        self._check_response()
        return self

    def _check_response(self):
        response = self.response
        if response.head is None:
            if any(field.sources == "learned" for field in response.fields or []):
                raise ValueError("response.fields: sources must be charges or elements; learned ones need "
                                 "response.head: {type: network}")
            return
        ridge = response.model_fields_set & {"channels", "scalars", "features", "field_features", "regularisation"}
        if ridge:
            raise ValueError(f"response.{min(ridge)} belongs to the ridge; remove it, or response.head")
        for key in response.head.model_fields_set & {"committee", "energy_weights"}:
            raise ValueError(f"response.head: a network of responses has no {key}; remove it")
        if response.fields is None and any(field.sources != "learned" for field in self.model.fields):
            raise ValueError("response.head: a network takes no fields with sources: charges or elements, as `model` "
                             "has them; name response.fields, [] for none")
        if any(field.sources != "learned" for field in response.fields or []):
            raise ValueError("response.fields: a network needs sources: learned")


def read_config(kind, mapping):
    """Check a mapping against one of the classes of this file.

    Parameters
    ----------
    kind : type
        A subclass of `Strict`.
    mapping : mapping or Strict
        What the user wrote; a checked configuration passes through.

    Raises
    ------
    ConfigError
        Names the key, what is wrong and, for an unknown key, the nearest valid one.
    """
    if isinstance(mapping, kind):
        return mapping
    if not isinstance(mapping, dict):
        raise ConfigError(f"Expected a mapping of settings, got {type(mapping).__name__}; see the README for a sample.")
    try:
        return kind.model_validate(mapping)
    except ValidationError as error:
        raise ConfigError(_first_message(kind, error.errors())) from None


def _first_message(kind, errors):
    error = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    path = [str(part) for part in error["loc"]]
    where = ".".join(path) or "configuration"
    if error["type"] == "extra_forbidden":
        valid = _keys_at(kind, path[:-1])
        near = difflib.get_close_matches(path[-1], valid, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"valid keys: {', '.join(valid)}."
        return f"Unknown key '{where}'; {hint}"
    if error["type"] == "missing":
        return f"'{where}' is missing; add it."
    message = error["msg"].removeprefix("Value error, ")
    shown = "" if isinstance(error["input"], dict) else f" (got {error['input']!r})"
    return f"'{where}': {message}{shown}."


def _keys_at(kind, path):
    """Valid keys of the section that `path` leads to; parts that name no section (list indices) are passed over."""
    for part in path:
        field = next((f for name, f in kind.model_fields.items() if part in (name, f.alias)), None)
        sections = [] if field is None else [t for t in _types_of(field.annotation) if issubclass(t, BaseModel)]
        kind = sections[0] if sections else kind
    return [field.alias or name for name, field in kind.model_fields.items()]


def _types_of(annotation):
    arguments = getattr(annotation, "__args__", ())
    if isinstance(annotation, type) and not arguments:
        return [annotation]
    return [t for argument in arguments for t in _types_of(argument)]
