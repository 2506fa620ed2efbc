"""The command line of smtc-app: parsers, exit codes and what is printed; the work is in `verbs` and `demo`.

Exit codes: 0 done, 1 cancelled or an unexpected error, 2 bad input, told in one sentence on stderr. With
`--json` stdout carries exactly one JSON object, `{"error": sentence}` where something went wrong.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from smtc_app import __version__
from smtc_app.cli_context import CommandContext, Console, cancelled_by_interrupt
from smtc_app.core.errors import UserError
from smtc_app.jobs.context import Cancelled

logger = logging.getLogger(__name__)

DONE, FAILED, BAD_INPUT = 0, 1, 2
DEMO_FOLDER = Path("smtc-demo")
MAX_PROPOSALS = 254

EPILOG = """\
without a window:
  smtc-app propose   SOURCE -o OUT                      object proposals as indexed PNGs
  smtc-app propagate SOURCE --mask FRAME=PNG -o OUT     given masks through the video
  smtc-app export    PROJECT -o OUT --format davis      a project's masks
  smtc-app run       PROJECT -o OUT                     propagate a project anew, then export

SOURCE is a video, a folder of images or a DAVIS sequence; `smtc-app VERB --help` tells more.
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, like every other error here."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see `{self.prog} --help`).")


def main(argv: Sequence[str] | None = None) -> int:
    """Run smtc-app with the given arguments (None: those of the process); returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    console = Console(json_output="--json" in arguments)
    verbose = "--verbose" in arguments or bool(os.environ.get("SMTC_DEBUG"))
    logging.basicConfig(
        format="%(levelname)s: %(message)s", level=logging.INFO if verbose else logging.WARNING
    )
    try:
        return _dispatch(arguments, console)
    except UserError as error:
        return _failed(console, str(error), BAD_INPUT)
    except (Cancelled, KeyboardInterrupt):
        return _failed(console, "Cancelled.", FAILED)
    except BrokenPipeError:
        # The reader of stdout has gone; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        logger.debug("unexpected error", exc_info=True)
        if verbose:
            logger.exception("unexpected error")
        sentence = f"Unexpected {type(error).__name__}: {error} (--verbose shows where)."
        return _failed(console, " ".join(sentence.split()), FAILED)


def _failed(console: Console, sentence: str, code: int) -> int:
    console.say(f"error: {sentence}")
    if console.json_output:
        console.result({"error": sentence}, "")
    return code


def _dispatch(arguments: list[str], console: Console) -> int:
    if arguments and arguments[0] in VERBS:
        parse, act = VERBS[arguments[0]]
        options = parse(arguments[0]).parse_args(arguments[1:])
        context = CommandContext()
        with cancelled_by_interrupt(context):
            summary, text = act(options, context, console)
        console.result(summary, text)
        return DONE
    parser = _window_parser()
    options, unknown = parser.parse_known_args(arguments)
    if options.path and not Path(options.path).expanduser().exists():
        raise UserError(f"There is no file, folder or verb {options.path!r} (see `smtc-app --help`).")
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return _window_or_demo(options, console)


# The window and the demo


def _window_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="smtc-app",
        description="Annotate a video: open the window, with a video, folder of images or project in it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", nargs="?", metavar="SOURCE|PROJECT", help="what to open")
    parser.add_argument(
        "--demo", action="store_true", help="the demo clip; does the whole job without a display"
    )
    parser.add_argument("--version", action="version", version=f"smtc-app {__version__}")
    group = parser.add_argument_group("demo without a display")
    group.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help=f"folder to write (default: {DEMO_FOLDER})"
    )
    _add_model(group, preset=True)
    _add_common(group)
    return parser


def _window_or_demo(options: argparse.Namespace, console: Console) -> int:
    if options.demo and options.path:
        raise UserError("Give either --demo or something to open, not both.")
    if options.demo and (options.output is not None or not has_display()):
        from smtc_app.demo import run_demo

        context = CommandContext()
        with cancelled_by_interrupt(context):
            summary, text = run_demo(
                options.output or DEMO_FOLDER,
                choice=_choice(options),
                context=context,
                say=console.say,
                overwrite=options.overwrite,
            )
        console.result(summary, text)
        return DONE
    if not has_display() and not os.environ.get("QT_QPA_PLATFORM"):
        raise UserError(
            "There is no display to open a window on; `smtc-app --help` lists what works without one."
        )
    try:
        from smtc_app.app import run_window
    except ImportError as error:
        raise UserError(f"The window cannot be opened, a library is missing: {error}.") from error
    _forget_plugins_of_opencv()
    return run_window(options.path, demo=options.demo)


def _forget_plugins_of_opencv() -> None:
    """WORKAROUND(https://github.com/opencv/opencv-python/issues/736): cv2 points Qt to plugins of another Qt.

    It does so when it is imported; the window would abort. A setting that does not point into cv2 is kept.
    """
    import cv2

    if os.path.dirname(cv2.__file__) in os.environ.get("QT_QPA_PLATFORM_PLUGIN_PATH", ""):
        del os.environ["QT_QPA_PLATFORM_PLUGIN_PATH"]


def has_display() -> bool:
    """Whether a window can be shown: on Linux a display must be there, elsewhere there always is one."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("WAYLAND_DISPLAY")) or _x_server_answers(os.environ.get("DISPLAY", ""))


def _x_server_answers(display: str) -> bool:
    """Whether DISPLAY leads anywhere: Qt would abort the process. Displays of other machines are trusted."""
    host, _, number = display.rpartition(":")
    number = number.split(".")[0]
    if not display or not number.isdecimal():
        return False
    if host not in ("", "unix"):
        return True
    path = f"/tmp/.X11-unix/X{number}"
    for address in (path, f"\0{path}"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                connection.connect(address)
            except OSError:
                continue
            return True
    return False


# Verbs


def _add_common(parser: Any) -> None:
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier output in OUT")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.add_argument("--verbose", action="store_true", help="tell more on stderr")


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", required=True, help="folder to write")


def _add_model(parser: Any, *, preset: bool) -> None:
    parser.add_argument(
        "--model", metavar="NAME|FILE", help="see `smtc-model list`; default: the best there is"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ... (default: auto)")
    if preset:
        parser.add_argument(
            "--preset", default="default", help="settings of the propagation (default: default)"
        )


def _choice(options: argparse.Namespace) -> Any:
    from smtc_app.verbs import ModelChoice

    return ModelChoice(options.model, options.device, getattr(options, "preset", "default"))


def _parser(verb: str, description: str) -> _Parser:
    return _Parser(prog=f"smtc-app {verb}", description=description)


def _propose_parser(verb: str) -> argparse.ArgumentParser:
    parser = _parser(verb, "Propose objects without a click: an indexed PNG per frame and proposals.json.")
    parser.add_argument("source", metavar="SOURCE", help="video, folder of images or DAVIS sequence")
    _add_output(parser)
    parser.add_argument(
        "--frames", type=frame_list, default=[0], metavar="0,10", help="frame indices (default: 0)"
    )
    parser.add_argument(
        "--max-objects", type=_object_count, default=10, metavar="N", help="per frame (default: 10)"
    )
    _add_model(parser, preset=False)
    _add_common(parser)
    return parser


def _propose(options: argparse.Namespace, context: CommandContext, console: Console) -> tuple[dict, str]:
    from smtc_app import verbs
    from smtc_app.io.source import open_source

    with open_source(options.source) as source:
        summary = verbs.propose(
            source,
            options.output,
            options.frames,
            choice=_choice(options),
            context=context,
            say=console.say,
            max_objects=options.max_objects,
            overwrite=options.overwrite,
        )
    count = len(summary["proposals"])
    text = f"{count} proposals on {summary['frames']} frames in {options.output} ({_how(summary)})"
    return summary, text


def _propagate_parser(verb: str) -> argparse.ArgumentParser:
    parser = _parser(verb, "Propagate given masks through a video: an indexed PNG per frame, and frames.csv.")
    parser.add_argument("source", metavar="SOURCE", help="video, folder of images or DAVIS sequence")
    parser.add_argument(
        "--mask",
        action="append",
        type=frame_and_mask,
        required=True,
        metavar="FRAME=PNG",
        help="a mask and the index of its frame; may be repeated",
    )
    _add_output(parser)
    parser.add_argument("--direction", choices=("both", "forward", "backward"), default="both")
    _add_model(parser, preset=True)
    _add_common(parser)
    return parser


def _propagate(options: argparse.Namespace, context: CommandContext, console: Console) -> tuple[dict, str]:
    from smtc_app import verbs
    from smtc_app.io.source import open_source

    masks: dict[int, Path] = {}
    for frame, path in options.mask:
        if frame in masks:
            raise UserError(f"Frame {frame} has two masks ({masks[frame].name} and {path.name}); give one.")
        masks[frame] = path
    with open_source(options.source) as source:
        summary = verbs.propagate(
            source,
            options.output,
            masks,
            choice=_choice(options),
            context=context,
            say=console.say,
            direction=options.direction,
            overwrite=options.overwrite,
        )
    count = len(summary["objects"])
    return summary, f"{count} objects on {summary['frames']} frames in {options.output} ({_how(summary)})"


def _export_parser(verb: str) -> argparse.ArgumentParser:
    parser = _parser(verb, "Export a project's masks.")
    parser.add_argument("project", type=Path, metavar="PROJECT", help="folder <name>.smtc")
    _add_output(parser)
    parser.add_argument("--format", choices=("davis",), default="davis")
    _add_common(parser)
    return parser


def _export(options: argparse.Namespace, context: CommandContext, console: Console) -> tuple[dict, str]:
    from smtc_app import verbs

    summary = verbs.export(
        options.project, options.output, context=context, say=console.say, overwrite=options.overwrite
    )
    return summary, f"{len(summary['objects'])} objects on {summary['frames']} frames in {options.output}"


def _run_parser(verb: str) -> argparse.ArgumentParser:
    parser = _parser(verb, "Propagate a project anew from its keyframes, with its parameters, and export it.")
    parser.add_argument("project", type=Path, metavar="PROJECT", help="folder <name>.smtc")
    _add_output(parser)
    _add_model(parser, preset=True)
    parser.set_defaults(preset=None)
    _add_common(parser)
    return parser


def _run(options: argparse.Namespace, context: CommandContext, console: Console) -> tuple[dict, str]:
    from smtc_app import verbs

    summary = verbs.run(
        options.project,
        options.output,
        context=context,
        say=console.say,
        model=options.model,
        preset=options.preset,
        device=options.device,
        overwrite=options.overwrite,
    )
    count = len(summary["objects"])
    return summary, f"{count} objects on {summary['frames']} frames in {options.output} ({_how(summary)})"


def _how(summary: dict[str, Any]) -> str:
    return f"{summary['model']['name']} on {summary['device']}, {summary['seconds']:.1f} s"


# Values of arguments


def frame_list(text: str) -> list[int]:
    """ "0,10" -> [0, 10], in ascending order, each once."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of frame indices such as 0,10")
    return sorted({int(part) for part in parts})


def frame_and_mask(text: str) -> tuple[int, Path]:
    """ "10=mask.png" -> (10, Path("mask.png"))."""
    frame, equals, path = text.partition("=")
    if not equals or not frame.strip().isdecimal() or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not FRAME=PNG, such as 0=first.png")
    return int(frame), Path(path).expanduser()


def _object_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_PROPOSALS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of objects from 1 to {MAX_PROPOSALS}")
    return int(text)


VERBS: dict[str, tuple[Callable[[str], argparse.ArgumentParser], Callable[..., tuple[dict, str]]]] = {
    "propose": (_propose_parser, _propose),
    "propagate": (_propagate_parser, _propagate),
    "export": (_export_parser, _export),
    "run": (_run_parser, _run),
}
