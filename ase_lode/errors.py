"""The errors a user can meet: one or two sentences that name the fix, never a traceback on the command line."""


class LODEError(ValueError):
    """Base of every error this package raises on purpose."""


class StructureError(LODEError):
    """A structure cannot be computed: unknown elements, values that are not finite, singular cells, no atoms."""


class ConfigError(LODEError):
    """A configuration (YAML file, mapping or keyword) has an unknown key or a value out of range."""


class DataError(LODEError):
    """Training or test data lack a requested label, or a label's sign, unit or level of theory is unclear."""


class PotentialFileError(LODEError):
    """A potential file is damaged, of an unknown version or not a potential at all."""


class SimulationError(LODEError):
    """A relaxation or a molecular-dynamics run had to stop; the message says where the last good frame is."""


class WorkerError(LODEError):
    """Workers on other processes or machines cannot be reached, differ from this program, or died."""
