"""One function over many items: a plain loop, or Dask workers on this machine or any other."""

import functools
import logging
import pickle
import threading
import warnings
from contextlib import contextmanager, suppress

from ase_lode import __version__
from ase_lode.errors import ConfigError, WorkerError

#: Seconds to wait for a scheduler to answer and for its first worker.
PATIENCE = 30

_one_at_a_time = threading.Lock()


def spread(function, items, workers=None, batch=1):
    """Yield ``function(item, n_threads)`` for every item, in the order of the items.

    The values, errors and warnings are those of the plain loop. Items of a worker that dies are computed again by
    another one; when every worker of a scheduler is gone, the run waits until one joins.

    Parameters
    ----------
    function : callable
        Pure, and able to be pickled. Its second argument is the number of threads to use, None where it may choose.
    items : iterable
        What to compute.
    workers : int or str, optional
        Number of processes to start on this machine, one thread each, or the address of a Dask scheduler
        ("tcp://host:8786"). Scripts that start processes need an ``if __name__ == "__main__":`` around their calls. By
        default items are computed here, one after the other.
    batch : int
        Items that travel together. A task costs a few milliseconds, so items that take less need batches.

    Raises
    ------
    ConfigError
        Dask is not installed, or `workers` is neither a number nor an address.
    WorkerError
        The scheduler does not answer or has no workers, the workers run another version, or several of them died on
        the same item.
    """
    if workers is None:
        for item in items:
            yield function(item, None)
        return
    with _client(workers) as client:
        yield from _gather(client, function, list(items), batch)


@contextmanager
def _client(workers):
    """A client of the scheduler, or of processes that live as long as the context."""
    try:
        from distributed import Client, LocalCluster
    except ModuleNotFoundError:
        raise ConfigError("Workers need Dask; install it with \"pip install 'ase-lode[dask]'\".") from None
    if str(workers).isdigit() and int(workers) > 0:
        # Dask reports every worker that it restarts or ends, at closing too.
        options = {"memory_limit": None, "dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
        cluster = LocalCluster(n_workers=int(workers), threads_per_worker=1, **options)
        try:
            with Client(cluster, set_as_default=False) as client:
                yield client
        finally:
            with suppress(AssertionError):  # Dask's, of a worker that is starting anew just now; it ends all the same
                cluster.close()
        return
    if "://" not in str(workers):
        raise ConfigError(f"workers must be a number of processes or the address of a Dask scheduler as "
                          f"tcp://host:8786, not {workers!r}.")
    try:
        client = Client(workers, timeout=PATIENCE, set_as_default=False)
    except OSError as error:
        raise WorkerError(f"No Dask scheduler answers at {workers}; start one with 'dask scheduler'.") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError as error:
            raise WorkerError(f"The Dask scheduler at {workers} has no workers; start some with 'dask worker "
                              f"{workers}'.") from error
        yield client


def _gather(client, function, items, batch):
    """Submit all items and yield their values in order, so that the first error is that of the plain loop."""
    import cloudpickle
    import dask
    from distributed import CancelledError, KilledWorker

    batches = [items[start : start + batch] for start in range(0, len(items), batch)]
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
        # The function travels once and as a task, not as scattered data: Dask can make it again when its holder dies.
        packed = client.submit(bytes, cloudpickle.dumps(function), pure=False)
        futures = client.map(_compute, batches, packed=packed, version=__version__, pure=False)
    for index in range(len(futures)):
        try:
            try:
                values, caught = futures[index].result()
            except KilledWorker:
                # Dask blames all that a dying worker had before it: what did not kill it succeeds on its own.
                alone = client.submit(_compute, batches[index], packed=packed, version=__version__, pure=False)
                values, caught = alone.result()
        except KilledWorker as error:
            first = index * batch
            raise WorkerError(f"Items {first} to {first + len(batches[index]) - 1} ended several workers one after the "
                              "other; look for lack of memory in the workers' logs.") from error
        except ModuleNotFoundError as error:
            raise WorkerError(f"A worker lacks the package '{error.name}'; give all workers the same "
                              "environment.") from error
        except (CancelledError, OSError) as error:
            raise WorkerError("The connection to the Dask scheduler was lost.") from error
        futures[index] = None
        for category, text in caught:
            warnings.warn(text, category, stacklevel=2)
        yield from values


def _compute(items, packed, version):
    """On a worker: the values of a batch, and the warnings it gave.

    Warnings are recorded in a state that all threads share, so a process computes one batch at a time, on all of its
    threads.
    """
    from distributed import get_worker

    if version != __version__:
        raise WorkerError(f"A worker runs ase_lode {__version__}, not {version}; give all workers the same "
                          "environment.")
    with _one_at_a_time, warnings.catch_warnings(record=True) as caught:
        function, n_threads = _unpack(packed), get_worker().state.nthreads
        values = [function(item, n_threads) for item in items]
    return values, [(warning.category, str(warning.message)) for warning in caught]


@functools.lru_cache(maxsize=1)
def _unpack(packed):
    return pickle.loads(packed)
