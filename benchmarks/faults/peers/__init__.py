"""Other detectors, from their published rules, beside the monitor on the same runs."""

from benchmarks.faults.peers.autotrainer import AutoTrainer
from benchmarks.faults.peers.check_numerics import CheckNumerics
from benchmarks.faults.peers.deep_diagnosis import BOUNDED, RECTIFIED, DeepDiagnosis
from benchmarks.faults.peers.look import Look
from benchmarks.faults.peers.terminate_on_nan import TerminateOnNaN

# Functions whose inputs a `Look` has to note for them.
LOOKED_AT = (*BOUNDED, *RECTIFIED)

__all__ = [
    "AutoTrainer",
    "CheckNumerics",
    "DeepDiagnosis",
    "LOOKED_AT",
    "Look",
    "TerminateOnNaN",
]
