"""Replicas: where a step's notes are kept when several devices or workers share it.

Each replica notes what it saw itself, without a word to the others; the notes are
brought together when they are read. `tf.distribute` calls such variables "on read".
"""

import numpy as np
import tensorflow as tf


class Replicas:
    """The replicas that one model trains on.

    Args:
        strategy: the model's `tf.distribute.Strategy`.
    """

    def __init__(self, strategy):
        self.strategy = strategy

    @property
    def number(self):
        """Replicas of all workers."""
        return self.strategy.num_replicas_in_sync

    @property
    def merged(self):
        """Whether updates are made for all replicas at once, and there may be but one.

        They cannot be in a branch then.
        """
        return isinstance(
            self.strategy,
            (tf.distribute.MirroredStrategy, tf.distribute.MultiWorkerMirroredStrategy),
        )

    @property
    def several_workers(self):
        """Whether there are replicas that this process does not see."""
        return isinstance(
            self.strategy, tf.distribute.MultiWorkerMirroredStrategy
        ) and bool(self.strategy.cluster_resolver.cluster_spec().as_dict())

    @property
    def in_charge(self):
        """Whether this process is the one that writes logs and prints."""
        return self.strategy.extended.should_save_summary

    # In the graph

    def own_row(self, vector):
        """The vector as this replica's row in a matrix of zeros, one row a replica."""
        rows = vector[None]
        if self.number == 1:
            return rows
        own = tf.distribute.get_replica_context().replica_id_in_sync_group
        return tf.where(
            tf.equal(tf.range(self.number), own)[:, None], rows, tf.zeros_like(rows)
        )

    def once(self, counts, shared):
        """The counts, with zeros in all replicas but the first where all count the same.

        Args:
            counts: tensor of shape `(n, 2)`.
            shared: list of `n` booleans: do all replicas count the same there?
        """
        if self.number == 1:
            return counts
        own = tf.distribute.get_replica_context().replica_id_in_sync_group
        again = tf.constant(shared) & tf.not_equal(own, 0)
        return tf.where(again[:, None], tf.zeros_like(counts), counts)

    def summed(self, tensors):
        """The sums over all replicas; not inside a condition."""
        if self.number == 1:
            return tensors
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)

    # On the host

    def variable(self, value, dtype="float64"):
        """A variable that each replica has for itself."""
        with self.strategy.scope():
            return tf.Variable(
                value,
                dtype=dtype,
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.SUM,
            )

    def local(self, variable):
        """The values of the replicas of this process, a list of arrays."""
        return [value.numpy() for value in self.tensors(variable)]

    def tensors(self, variable):
        """The same as tensors, each on the device of its replica."""
        results = self.strategy.experimental_local_results(variable)
        return [v.value() for v in results]  # half the time of `read_value`

    def assign(self, variable, value):
        """Gives all replicas of this process one value."""
        value = tf.convert_to_tensor(value, variable.dtype)
        for local in self.strategy.experimental_local_results(variable):
            # A third of the time of `assign`.
            tf.raw_ops.AssignVariableOp(resource=local.handle, value=value)

    def everywhere(self, local):
        """The arrays of all replicas, given those of this process.

        With several workers all of them must ask at the same step.

        Args:
            local: list of float64 arrays of one shape.
        """
        if not self.several_workers:
            return local
        rows = np.zeros((self.number, *local[0].shape))
        first = self._worker * len(local)
        rows[first : first + len(local)] = local
        # The strategy adds up what each of its replicas is taken to hold.
        total = self.strategy.reduce("SUM", tf.constant(rows / len(local)), axis=None)
        return list(total.numpy())

    @property
    def _worker(self):
        resolver = self.strategy.cluster_resolver
        chiefs = len(resolver.cluster_spec().as_dict().get("chief", []))
        return resolver.task_id + (0 if resolver.task_type == "chief" else chiefs)
