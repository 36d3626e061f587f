"""Training of a network of responses: minimise the loss, then bring its tensors to the units of the labels."""


from threadpoolctl import threadpool_limits

from ase_lode.errors import ConfigError, DataError
from ase_lode.models.response_network import NetworkResponse
from ase_lode.models.tensor_network import TensorNetwork
from ase_lode.training.dataset import sha256
from ase_lode.training.network import density_ranges, initial
from ase_lode.training.optimise import Optimiser, digest
from ase_lode.training.response_training import response_model, target_cards, target_plan
from ase_lode.training.targets import order_names
from ase_lode.training.tensor_loss import TensorLoss, tensor_samples

#: Tolerance of the fields on the particle mesh.
TOLERANCE = 1e-5
#: Of checkpoints: changes with what they hold.
VERSION = 1


class NetworkResponseTraining:
    """Optimises a network of all targets with checkpoints.

    Parameters
    ----------
    problem : Problem

    Raises
    ------
    ConfigError
        The density's largest l is below what a target needs.
    DataError
        No training structure has the label of a target.
    """

    def __init__(self, problem):
        self._problem, self._config = problem, problem.config
        for name in self._config.targets:
            if not any(name in structure.response for structure in problem.data.train):
                raise DataError(f"No training structure has the label of target {name}; check its key and systems.")
        self._model = response_model(self._config.response, problem.model)
        self._orders = {name: order_names(name, target) for name, target in self._config.targets.items()}
        try:
            self._network = TensorNetwork(self._model, TOLERANCE, self._orders)
        except ValueError as error:
            raise ConfigError(f"response: {error}; enlarge response.density.max_angular.") from None

    @property
    def _checkpoint(self):
        return self._problem.directory / f"{self._config.output.name}.response.training.npz"

    def plan(self):
        """What will be fitted."""
        return {**target_plan(self._config, self._problem.data), "response parameters": self._network.n_parameters}

    @threadpool_limits.wrap(limits=1)  # of matrix products, or their sums, and so the last bits, depend on the machine
    def fit(self, progress):
        """Optimise, or go on from the checkpoint of the same configuration and data.

        Returns
        -------
        response : NetworkResponse
        report : dict
        """
        problem, network, data = self._problem, self._network, self._problem.data
        progress.say("responses")
        train, held, targets = tensor_samples(network, self._orders, data.train, data.held)
        row, sizes = initial(network, train, self._config.seed)
        problem.directory.mkdir(parents=True, exist_ok=True)
        optimiser = Optimiser(network, self._model.head, TensorLoss(network, targets, problem.n_threads), train,
                              held, sizes, self._config.seed, progress, free_references=False)
        row, history = optimiser.run(row, self._checkpoint, self._key())
        weights = row[:network.n_parameters].copy()
        for target in targets:
            network.rescale(network.unpack(weights), target.name, target.size, target.base)
        cards = target_cards(self._config, data)
        response = NetworkResponse(self._model, density_ranges(network, train), cards, weights)
        return response, {"response_history": history}

    def clean(self):
        """Remove the checkpoint of the finished run."""
        self._checkpoint.unlink(missing_ok=True)

    def _key(self):
        """What a checkpoint must agree in: everything that decides the run."""
        config = self._config.model_dump(mode="json", include={"seed", "data", "targets"})
        settings = {"version": VERSION, "model": self._model.model_dump(mode="json"),
                    "files": sha256(self._problem.data.paths), **config}
        return digest(settings)
