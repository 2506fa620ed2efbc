"""The command `smtc-model`: list, convert, train and evaluate models.

Exit codes: 0 done; 1 unexpected or interrupted; 2 something the person can mend, told in one sentence.
Tables and JSON go to stdout, progress and messages to stderr. torch is imported by the commands that need
it, so that `--help` answers at once. To add a command, write `_add_<command>` and `_run_<command>`.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from .errors import ModelError

MOST_PROPOSALS = 20
"""So many objects a sequence are allowed by the unsupervised task of DAVIS."""

DEVICE_HELP = "auto (default), cpu, cuda, cuda:1 or mps"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    try:
        parser = _parser(arguments)
        args = parser.parse_args(arguments)
        if args.verbose:
            logging.getLogger("smtc_model").setLevel(logging.INFO)
        return args.run(args) or 0
    except ModelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of our output has left (`| head`). Python would complain about it once more at exit.
        sys.stdout = None
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 1


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, like every other error here."""

    def error(self, message: str) -> NoReturn:
        raise ModelError(f"{message} (see `{self.prog} --help`)")


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(prog="smtc-model", description=__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=f"smtc-model {_version()}")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more about what is going on")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_list(commands)
    _add_convert(commands)
    _add_train(commands, wanted="train" in arguments)
    _add_evaluate(commands)
    return parser


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("smtc-app")
    except PackageNotFoundError:
        return "unknown (not installed)"


def _add_list(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("list", help="backbones and checkpoints, with licence and origin")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=_run_list)


def _run_list(args: argparse.Namespace) -> None:
    from .text_table import format_table
    from .weights import list_models

    rows = list_models()
    if args.json:
        print(json.dumps([row._asdict() for row in rows], indent=1))
        return
    header = ("name", "kind", "available", "licence", "from", "description")
    table = [(_marked(row), *row[1:6]) for row in rows]
    print(format_table(header, table))
    print("\n* is used when no model is named. Any other timm model works as timm:<name>[:stage].")


def _marked(row) -> str:
    return f"{row.name} *" if row.default else row.name


def _add_convert(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("convert", help="released SMTC checkpoint (.pth) to safetensors")
    parser.add_argument("source", type=Path, metavar="SOURCE", help="released checkpoint")
    parser.add_argument("destination", type=Path, metavar="DESTINATION", help=".safetensors file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing destination")
    parser.set_defaults(run=_run_convert)


def _run_convert(args: argparse.Namespace) -> None:
    source, destination = args.source, args.destination
    if not source.is_file():
        raise ModelError(f"there is no checkpoint {source}")
    if destination.suffix != ".safetensors":
        raise ModelError(f"the destination must end in .safetensors, got {destination.name!r}")
    if destination.exists() and not args.overwrite:
        raise ModelError(f"{destination} exists; pass --overwrite to replace it")
    if not destination.parent.is_dir():
        raise ModelError(f"there is no folder {destination.parent} to write to")
    from .weights import convert_checkpoint

    model = convert_checkpoint(source, destination)
    print(f"wrote {destination} ({destination.stat().st_size / 1e6:.1f} MB, hash {model.hash[:12]})")


def _add_train(commands: argparse._SubParsersAction, *, wanted: bool) -> None:
    parser = commands.add_parser("train", help="self-supervised training on videos or frame folders")
    if wanted:
        from . import train

        train.add_arguments(parser)
        parser.set_defaults(run=train.run)


def _add_evaluate(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("evaluate", help="DAVIS measures on a folder in DAVIS layout")
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder with JPEGImages and Annotations")
    parser.add_argument("--task", choices=("propagation", "discovery"), required=True)
    parser.add_argument("--model", metavar="NAME|FILE", help="default: the best one in the package")
    parser.add_argument("--preset", default="default", help="propagation settings (default: %(default)s)")
    parser.add_argument("--sequences", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--split", metavar="NAME", help="only those of ImageSets/**/NAME.txt, e.g. 2017/val")
    parser.add_argument("--resolution", metavar="NAME", help="folder below JPEGImages (default: 480p)")
    parser.add_argument(
        "--max-objects",
        type=int,
        default=MOST_PROPOSALS,
        help=f"discovery: proposals a sequence, at most {MOST_PROPOSALS}",
    )
    parser.add_argument("--granularity", type=float, default=0.5, help="discovery: 0 few to 1 many proposals")
    parser.add_argument("--seed", type=int, default=0, help="discovery (default: %(default)s)")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="write the predicted PNGs here")
    parser.add_argument("--overwrite", action="store_true", help="replace PNGs that are in FOLDER already")
    parser.add_argument("--device", default="auto", help=DEVICE_HELP)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.set_defaults(run=_run_evaluate)


def _run_evaluate(args: argparse.Namespace) -> None:
    from .davis_dataset import open_davis
    from .evaluation_result import format_result

    sequences = open_davis(args.root, resolution=args.resolution, sequences=args.sequences, split=args.split)
    _check_output(args.output, args.overwrite)
    result = _evaluate(args, sequences)
    print(json.dumps(result.to_dict(), indent=1) if args.json else format_result(result))


def _evaluate(args: argparse.Namespace, sequences):
    from .discovery import DiscoveryConfig
    from .evaluate import evaluate_discovery, evaluate_propagation
    from .propagation_config import PRESETS
    from .weights import load_model

    if args.preset not in PRESETS:
        raise ModelError(f"there is no preset {args.preset!r}; choose one of {', '.join(PRESETS)}")
    if not 1 <= args.max_objects <= MOST_PROPOSALS:
        raise ModelError(f"--max-objects must be from 1 to {MOST_PROPOSALS}, got {args.max_objects}")
    try:
        discovery = DiscoveryConfig(
            max_objects=args.max_objects, granularity=args.granularity, seed=args.seed
        )
    except ValueError as error:
        raise ModelError(str(error)) from error
    model = load_model(args.model, device=args.device)
    common = {"device": args.device, "output": args.output, "show_progress": True}
    if args.task == "propagation":
        return evaluate_propagation(model, sequences, preset=args.preset, **common)
    return evaluate_discovery(model, sequences, config=discovery, **common)


def _check_output(output: Path | None, overwrite: bool) -> None:
    if output is None:
        return
    if output.exists() and not output.is_dir():
        raise ModelError(f"{output} is a file; --output needs a folder")
    if output.is_dir() and any(output.iterdir()) and not overwrite:
        raise ModelError(f"{output} is not empty; choose another folder or pass --overwrite")
