"""The command line: `keras-activations`, or `python -m keras_activations`."""

import argparse
import sys

from keras_activations.demo import LOG_DIR, run_demo


def main(argv=None):
    """Runs the command line.

    Args:
        argv: list of str, the arguments. Defaults to those of the process.

    Returns:
        int, the exit code.
    """
    arguments = _parser().parse_args(argv)
    return run_demo(arguments.log_dir, arguments.epochs)


def _parser():
    parser = argparse.ArgumentParser(
        prog="keras-activations",
        description="See inside a Keras model while it trains.",
    )
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", required=True
    )
    demo = commands.add_parser(
        "demo",
        help="watch a healthy training and two sick ones, in about a minute",
        description=(
            "Trains three small networks on real handwritten digits: a healthy one, "
            "one that a bad start has saturated, and one whose gradient becomes NaN "
            "while its loss looks normal. ActivationMonitor watches each, names the "
            "sick layer and says why. Nothing is downloaded. The exit code is 0 if "
            "everything was found as promised, otherwise 1."
        ),
    )
    demo.add_argument(
        "--log-dir",
        metavar="DIR",
        default=LOG_DIR,
        help="where the curves for TensorBoard are written; an earlier demo there is "
        "kept, and this one is put beside it (default: %(default)s)",
    )
    demo.add_argument(
        "--epochs",
        metavar="N",
        type=_positive,
        default=8,
        help="how often each network sees all digits (default: %(default)s)",
    )
    return parser


def _positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"must be a whole number >= 1. Received: {text!r}"
        )
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
