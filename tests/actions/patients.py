"""Patients for medicines to be given to."""

from keras_activations.actions.bounds import Bounds
from keras_activations.actions.guard import UpdateGuard
from keras_activations.actions.patient import Patient
from keras_activations.actions.snapshots import Snapshots


def patient_of(model, optimizer=None, **facts):
    kept = Snapshots(model, optimizer)
    return Patient(model, optimizer, UpdateGuard(model), Bounds(model), kept, **facts)
