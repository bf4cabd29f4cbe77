"""`python -m benchmarks SUBJECT`: each subject is a folder beside this file."""

import argparse
import os

# Read by TensorFlow once, when it is imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from benchmarks.cost import command as cost
from benchmarks.deployment import command as deployment
from benchmarks.faults import command as faults
from benchmarks.numerics import command as numerics
from benchmarks.speed import command as speed

SUBJECTS = {
    "cost": cost,
    "faults": faults,
    "numerics": numerics,
    "speed": speed,
    "deployment": deployment,
}


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measurements against the peers."
    )
    subjects = parser.add_subparsers(required=True, metavar="SUBJECT")
    for name, command in SUBJECTS.items():
        subject = subjects.add_parser(
            name, help=command.SUMMARY, description=command.DESCRIPTION
        )
        command.add_arguments(subject)
        subject.set_defaults(run=command.run)
    options = parser.parse_args()
    # It takes many short trainings for one function that is traced too often.
    tf.get_logger().setLevel("ERROR")
    options.run(options)


# The fresh processes of `cost` import this module anew.
if __name__ == "__main__":
    main()
