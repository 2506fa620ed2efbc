"""Parsers of the verbs that work on projects, and what these print; the work is in `project_verbs`."""

from __future__ import annotations

import argparse
from pathlib import Path

from smtc_app.cli_arguments import (
    add_cache,
    add_common,
    add_model,
    add_output,
    cache_choice,
    how_computed,
    verb_parser,
)
from smtc_app.cli_context import CommandContext, Console


def _export_parser(verb: str) -> argparse.ArgumentParser:
    parser = verb_parser(verb, "Export a project's masks.")
    parser.add_argument("project", type=Path, metavar="PROJECT", help="folder <name>.smtc")
    add_output(parser)
    parser.add_argument("--format", choices=("davis",), default="davis")
    add_common(parser)
    return parser


def _export(options: argparse.Namespace, context: CommandContext, console: Console) -> tuple[dict, str]:
    from smtc_app import project_verbs

    summary = project_verbs.export(
        options.project, options.output, context=context, say=console.say, overwrite=options.overwrite
    )
    return summary, f"{len(summary['objects'])} objects on {summary['frames']} frames in {options.output}"


def _run_parser(verb: str) -> argparse.ArgumentParser:
    parser = verb_parser(
        verb, "Propagate a project anew from its keyframes, with its parameters, and export it."
    )
    parser.add_argument("project", type=Path, metavar="PROJECT", help="folder <name>.smtc")
    add_output(parser)
    add_model(parser, preset=True)
    parser.set_defaults(preset=None)
    add_cache(parser)
    add_common(parser)
    return parser


def _run(options: argparse.Namespace, context: CommandContext, console: Console) -> tuple[dict, str]:
    from smtc_app import project_verbs

    summary = project_verbs.run(
        options.project,
        options.output,
        context=context,
        say=console.say,
        model=options.model,
        preset=options.preset,
        device=options.device,
        overwrite=options.overwrite,
        cache=cache_choice(options),
    )
    count = len(summary["objects"])
    return (
        summary,
        f"{count} objects on {summary['frames']} frames in {options.output} ({how_computed(summary)})",
    )


PROJECT_VERBS = {"export": (_export_parser, _export), "run": (_run_parser, _run)}
