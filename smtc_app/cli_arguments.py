"""What the parsers of all verbs share: how errors are told, common options, and the values of arguments."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from smtc_app.core.errors import UserError

MAX_PROPOSALS = 254


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, like every other error here."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see `{self.prog} --help`).")


def verb_parser(verb: str, description: str) -> Parser:
    """The empty parser of `smtc-app VERB`."""
    return Parser(prog=f"smtc-app {verb}", description=description)


def add_common(parser: Any) -> None:
    """--overwrite, --json, --verbose."""
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier output in OUT")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.add_argument("--verbose", action="store_true", help="tell more on stderr")


def add_output(parser: Any) -> None:
    """--output, required."""
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", required=True, help="folder to write")


def add_model(parser: Any, *, preset: bool) -> None:
    """--model, --device and, where something is propagated, --preset."""
    parser.add_argument(
        "--model", metavar="NAME|FILE", help="see `smtc-model list`; default: the best there is"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ... (default: auto)")
    if preset:
        parser.add_argument(
            "--preset",
            default="default",
            help="settings of the propagation: default, fast, best, dino, crw, crw-stride8",
        )


def add_cache(parser: Any) -> None:
    """--cache, --no-cache."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--cache", type=Path, metavar="DIR", help="keep features in DIR (default: as in the settings)"
    )
    group.add_argument("--no-cache", action="store_true", help="neither read nor keep features")


def cache_choice(options: argparse.Namespace) -> Any:
    """The `core.settings.CacheChoice` of parsed options, None for no cache."""
    from smtc_app.core.settings import CacheChoice, Settings, load_settings

    if options.no_cache:
        return None
    settings, _ = load_settings()
    if options.cache is not None:
        if options.cache.expanduser().is_file():
            raise UserError(f"--cache {options.cache} is a file; name a folder, or give --no-cache.")
        limit_bytes = settings.feature_cache_bytes or Settings().feature_cache_bytes
        return CacheChoice(options.cache.expanduser(), limit_bytes)
    return settings.feature_cache


def model_choice(options: argparse.Namespace) -> Any:
    """The `verbs.ModelChoice` of parsed options."""
    from smtc_app.verbs import ModelChoice

    return ModelChoice(options.model, options.device, getattr(options, "preset", "default"))


def how_computed(summary: dict[str, Any]) -> str:
    """Model, device and time of a summary, for people."""
    return f"{summary['model']['name']} on {summary['device']}, {summary['seconds']:.1f} s"


# Values


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


def object_count(text: str) -> int:
    """ "10" -> 10, within what an indexed PNG holds."""
    if not text.isdecimal() or not 1 <= int(text) <= MAX_PROPOSALS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of objects from 1 to {MAX_PROPOSALS}")
    return int(text)


def frame_range(text: str) -> tuple[int | None, int | None]:
    """ "10:20" -> (10, 20): frames 10 to 19; ":20" and "10:" leave an end open."""
    first, colon, stop = (part.strip() for part in text.partition(":"))
    if not colon or not all(part.isdecimal() or not part for part in (first, stop)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a range of frames such as 10:20")
    bounds = (int(first) if first else None, int(stop) if stop else None)
    if None not in bounds and bounds[0] >= bounds[1]:
        raise argparse.ArgumentTypeError(f"{text!r} holds no frame; the second number is one past the last")
    return bounds


def name_list(text: str) -> tuple[str, ...]:
    """ "1,dog" -> ("1", "dog")."""
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r} names no object")
    return names


def number_within(low: float, high: float, kind: type) -> Callable[[str], float]:
    """A converter that takes numbers from `low` to `high`."""

    def convert(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            whole = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"{text!r} is not a {whole} from {low:,} to {high:,}")
        return value

    return convert
