"""Parsers of the verbs that work on projects, and what these print.

The work is in `project_verbs` and `batch`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from smtc_app.cli_arguments import (
    add_cache,
    add_common,
    add_model,
    add_output,
    cache_choice,
    frame_range,
    how_computed,
    model_choice,
    name_list,
    number_within,
    object_count,
    verb_parser,
)
from smtc_app.cli_context import CommandContext, Console
from smtc_app.core.command import counted
from smtc_app.core.errors import UserError
from smtc_app.core.export import FORMATS, OPACITY
from smtc_app.project_verbs import ExportChoice


def _add_export_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=tuple(FORMATS), default="davis", help="default: davis")
    parser.add_argument(
        "--range", type=frame_range, default=(None, None), metavar="A:B", help="frames from A up to B - 1"
    )
    parser.add_argument(
        "--step", type=number_within(1, 10**6, int), default=1, metavar="N", help="every Nth frame"
    )
    parser.add_argument(
        "--objects", type=name_list, default=(), metavar="ID|NAME,...", help="only these (default: all)"
    )
    parser.add_argument(
        "--images",
        action="store_true",
        help="write the frames as JPEG, too (youtube-vos, youtube-vis, coco)",
    )
    parser.add_argument(
        "--fps",
        type=number_within(0.01, 1000, float),
        metavar="F",
        help="of an overlay video (default: the times of the footage)",
    )
    parser.add_argument(
        "--opacity",
        type=number_within(0, 1, float),
        metavar="O",
        help=f"of the masks in an overlay video, 0 to 1 (default: {OPACITY})",
    )
    parser.add_argument("--bits", type=int, choices=(8, 16), help="of soft masks (default: 8)")


def _export_choice(options: argparse.Namespace) -> ExportChoice:
    """Raises UserError for an option that says nothing about the format."""
    written = FORMATS[options.format]
    for option, given, fits in (
        ("--images", options.images, "images"),
        ("--fps", options.fps is not None, "overlay"),
        ("--opacity", options.opacity is not None, "overlay"),
        ("--bits", options.bits is not None, "soft"),
    ):
        if given and not getattr(written, fits):
            keys = " or ".join(key for key, entry in FORMATS.items() if getattr(entry, fits))
            raise UserError(
                f"{option} does nothing for --format {options.format}: leave it out, or take --format {keys}."
            )
    return ExportChoice(
        options.format,
        options.range,
        options.step,
        options.objects,
        options.images,
        options.fps,
        OPACITY if options.opacity is None else options.opacity,
        8 if options.bits is None else options.bits,
        options.overwrite,
    )


def _formats_epilog() -> str:
    width = max(len(key) for key in FORMATS)
    lines = [f"  {entry.key:{width}}  {entry.explanation}" for entry in FORMATS.values()]
    return "formats:\n" + "\n".join(lines)


def _export_parser(verb: str) -> argparse.ArgumentParser:
    parser = verb_parser(verb, "Export a project; whatever is written is read back and checked.")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _formats_epilog()
    parser.add_argument("project", type=Path, metavar="PROJECT", help="folder <name>.smtc")
    add_output(parser)
    _add_export_options(parser)
    parser.add_argument("--model", metavar="NAME|FILE", help="for soft masks (default: the project's)")
    parser.add_argument("--device", help="for soft masks: auto, cpu, cuda, ... (default: auto)")
    add_common(parser)
    return parser


def _export(options: argparse.Namespace, context: CommandContext, console: Console) -> tuple[dict, str]:
    from smtc_app import project_verbs

    summary = project_verbs.export(
        options.project,
        options.output,
        choice=_export_choice(options),
        context=context,
        say=console.say,
        model=options.model,
        device=options.device,
    )
    what = f"{counted(len(summary['objects']), 'object')} on {counted(summary['frames'], 'frame')}"
    text = f"{what} in {options.output}. {summary['checked']}"
    return summary, text


def _run_parser(verb: str) -> argparse.ArgumentParser:
    parser = verb_parser(
        verb,
        "Propagate a project anew, as it was done in the window, and export it: the same bytes each time.",
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _formats_epilog()
    parser.add_argument("project", type=Path, metavar="PROJECT", help="folder <name>.smtc")
    add_output(parser)
    _add_export_options(parser)
    add_model(parser, preset=True)
    parser.set_defaults(preset=None, device=None)
    add_cache(parser)
    add_common(parser)
    return parser


def _run(options: argparse.Namespace, context: CommandContext, console: Console) -> tuple[dict, str]:
    from smtc_app import project_verbs

    summary = project_verbs.run(
        options.project,
        options.output,
        choice=_export_choice(options),
        context=context,
        say=console.say,
        model=options.model,
        preset=options.preset,
        device=options.device,
        cache=cache_choice(options),
    )
    what = f"{counted(len(summary['objects']), 'object')} on {counted(summary['frames'], 'frame')}"
    found = summary["reproduced"]
    text = (
        f"{what} in {options.output} ({how_computed(summary)}); "
        f"{found['equal']} frames as in the project, {found['different']} otherwise, "
        f"{found['renewed']} renewed"
    )
    return summary, text


def _batch_parser(verb: str) -> argparse.ArgumentParser:
    parser = verb_parser(
        verb,
        "Work through a dataset: propagate the first mask of every video that has one, propose objects on "
        "the others, and queue them by how unsure the result is.",
    )
    parser.add_argument(
        "root", type=Path, metavar="ROOT", help="DAVIS or YouTube-VOS root, or a folder of videos"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", required=True, help="folder for masks and the queue"
    )
    parser.add_argument(
        "--task",
        choices=("auto", "propagate", "propose"),
        default="auto",
        help="auto: propagate where there is a mask, propose elsewhere (default)",
    )
    parser.add_argument(
        "--projects", type=Path, metavar="DIR", help="where projects go (default: ROOT/smtc-projects)"
    )
    parser.add_argument(
        "--most-frames", type=number_within(1, 10**9, int), metavar="N", help="of each video (default: all)"
    )
    parser.add_argument(
        "--max-objects", type=object_count, default=10, metavar="N", help="proposals a video (default: 10)"
    )
    add_model(parser, preset=True)
    add_cache(parser)
    add_common(parser)
    return parser


def _batch(options: argparse.Namespace, context: CommandContext, console: Console) -> tuple[dict, str]:
    from smtc_app.batch import BatchChoice, batch

    choice = BatchChoice(
        model_choice(options),
        options.task,
        options.max_objects,
        options.most_frames,
        options.projects,
        options.overwrite,
        cache_choice(options),
    )
    summary = batch(options.root, options.output, choice=choice, context=context, say=console.say)
    return summary, "\n".join(_queue_lines(summary["queue"]))


def _queue_lines(queue: list[dict]) -> list[str]:
    width = max(len(row["video"]) for row in queue)
    lines = []
    for row in queue:
        sure = "" if row["confidence"] is None else f"{row['confidence']:.0%}"
        lines.append(f"{row['video']:{width}}  {row['task']:10}  {sure:>4}  {row['note']}")
    return lines


PROJECT_VERBS = {
    "export": (_export_parser, _export),
    "run": (_run_parser, _run),
    "batch": (_batch_parser, _batch),
}
