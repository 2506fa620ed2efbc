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

from smtc_app import __version__
from smtc_app.cli_arguments import (
    Parser,
    add_cache,
    add_common,
    add_model,
    add_output,
    cache_choice,
    frame_and_mask,
    frame_list,
    how_computed,
    model_choice,
    object_count,
    verb_parser,
)
from smtc_app.cli_context import CommandContext, Console, cancelled_by_interrupt
from smtc_app.cli_projects import PROJECT_VERBS
from smtc_app.cli_review import REVIEW_VERBS
from smtc_app.core.command import counted
from smtc_app.core.errors import UserError
from smtc_app.core.files import why
from smtc_app.jobs.context import Cancelled

logger = logging.getLogger(__name__)

DONE, FAILED, BAD_INPUT = 0, 1, 2
DEMO_FOLDER = Path("smtc-demo")

EPILOG = """\
without a window:
  smtc-app propose   SOURCE -o OUT                      object proposals as indexed PNGs
  smtc-app propagate SOURCE --mask FRAME=PNG -o OUT     given masks through the video
  smtc-app export    PROJECT -o OUT --format FORMAT     a project as DAVIS, YouTube-VOS, COCO, video, ...
  smtc-app batch     ROOT -o OUT                        a whole dataset, queued by uncertainty
  smtc-app run       PROJECT -o OUT                     propagate a project anew, then export
  smtc-app correct-next PROJECT                         which frames to correct, and why

SOURCE is a video, a folder of images or a DAVIS sequence; `smtc-app VERB --help` tells more. The window also
opens datasets: a folder of videos, a DAVIS or a YouTube-VOS root.
"""


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
    except PermissionError as error:
        # Whether a path in a folder that may not be entered exists cannot even be asked.
        logger.debug("no permission", exc_info=True)
        what = error.filename or "A file or folder"
        return _failed(console, f"{what} cannot be opened: {why(error)}.", BAD_INPUT)
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
    parser = Parser(
        prog="smtc-app",
        description="Annotate a video: open the window, with a video, folder of images or project in it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", nargs="?", metavar="SOURCE|PROJECT|DATASET", help="what to open")
    parser.add_argument(
        "--demo", action="store_true", help="the demo clip; does the whole job without a display"
    )
    parser.add_argument("--version", action="version", version=f"smtc-app {__version__}")
    group = parser.add_argument_group("demo without a display")
    group.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help=f"folder to write (default: {DEMO_FOLDER})"
    )
    add_model(group, preset=True)
    add_common(group)
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
                choice=model_choice(options),
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


def _propose_parser(verb: str) -> argparse.ArgumentParser:
    parser = verb_parser(
        verb, "Propose objects without a click: an indexed PNG per frame and proposals.json."
    )
    parser.add_argument("source", metavar="SOURCE", help="video, folder of images or DAVIS sequence")
    add_output(parser)
    parser.add_argument(
        "--frames", type=frame_list, default=[0], metavar="0,10", help="frame indices (default: 0)"
    )
    parser.add_argument(
        "--max-objects", type=object_count, default=10, metavar="N", help="per frame (default: 10)"
    )
    add_model(parser, preset=False)
    add_common(parser)
    return parser


def _propose(options: argparse.Namespace, context: CommandContext, console: Console) -> tuple[dict, str]:
    from smtc_app import verbs
    from smtc_app.io.source import open_source

    with open_source(options.source) as source:
        summary = verbs.propose(
            source,
            options.output,
            options.frames,
            choice=model_choice(options),
            context=context,
            say=console.say,
            max_objects=options.max_objects,
            overwrite=options.overwrite,
        )
    what = f"{counted(len(summary['proposals']), 'proposal')} on {counted(summary['frames'], 'frame')}"
    text = f"{what} in {options.output} ({how_computed(summary)})"
    return summary, text


def _propagate_parser(verb: str) -> argparse.ArgumentParser:
    parser = verb_parser(
        verb, "Propagate given masks through a video: an indexed PNG per frame, and frames.csv."
    )
    parser.add_argument("source", metavar="SOURCE", help="video, folder of images or DAVIS sequence")
    parser.add_argument(
        "--mask",
        action="append",
        type=frame_and_mask,
        required=True,
        metavar="FRAME=PNG",
        help="a mask and the index of its frame; may be repeated",
    )
    add_output(parser)
    parser.add_argument("--direction", choices=("both", "forward", "backward"), default="both")
    add_model(parser, preset=True)
    add_cache(parser)
    parser.add_argument(
        "--report",
        type=Path,
        metavar="JSON",
        help="confidence, consistency, area and centroid of every object and frame, and what to correct next",
    )
    parser.add_argument("--resume", action="store_true", help="go on with a run that ended early in OUT")
    parser.add_argument(
        "--adapt",
        action="store_true",
        help="first train the model on this very video, for some minutes; used only if it measures better",
    )
    add_common(parser)
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
            choice=model_choice(options),
            context=context,
            say=console.say,
            direction=options.direction,
            overwrite=options.overwrite,
            cache=cache_choice(options),
            report=options.report,
            resume=options.resume,
            adapt=options.adapt,
        )
    what = f"{counted(len(summary['objects']), 'object')} on {counted(summary['frames'], 'frame')}"
    return (
        summary,
        f"{what} in {options.output} ({how_computed(summary)})",
    )


VERBS: dict[str, tuple[Callable[[str], argparse.ArgumentParser], Callable[..., tuple[dict, str]]]] = {
    "propose": (_propose_parser, _propose),
    "propagate": (_propagate_parser, _propagate),
    **PROJECT_VERBS,
    **REVIEW_VERBS,
}
