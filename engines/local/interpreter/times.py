"""Times and durations in expressions: Go's layouts and methods (https://pkg.go.dev/time)."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any

from engines.local.interpreter.values import InvalidExpression, duration_text, type_name

_UTC = datetime.UTC
_MOST_LAYOUT = 100
_LAYOUT = re.compile(
    r"2006|January|Jan|Monday|Mon|MST|Z07:00|-07:00|-0700|[.,]0+|\.9+|01|02|03|04|05|06|15|PM|pm|_2|1|2|3|4|5"
)
_FORMS: dict[str, Callable[[datetime.datetime], str]] = {
    "2006": lambda at: f"{at.year:04d}",
    "06": lambda at: f"{at.year % 100:02d}",
    "January": lambda at: at.strftime("%B"),
    "Jan": lambda at: at.strftime("%b"),
    "01": lambda at: f"{at.month:02d}",
    "1": lambda at: str(at.month),
    "Monday": lambda at: at.strftime("%A"),
    "Mon": lambda at: at.strftime("%a"),
    "02": lambda at: f"{at.day:02d}",
    "_2": lambda at: f"{at.day:2d}",
    "2": lambda at: str(at.day),
    "15": lambda at: f"{at.hour:02d}",
    "03": lambda at: f"{at.hour % 12 or 12:02d}",
    "3": lambda at: str(at.hour % 12 or 12),
    "04": lambda at: f"{at.minute:02d}",
    "4": lambda at: str(at.minute),
    "05": lambda at: f"{at.second:02d}",
    "5": lambda at: str(at.second),
    "PM": lambda at: at.strftime("%p"),
    "pm": lambda at: at.strftime("%p").lower(),
    "MST": lambda at: "UTC",
    "Z07:00": lambda at: "Z",
    "-07:00": lambda at: "+00:00",
    "-0700": lambda at: "+0000",
}
_READ = {
    "2006": "%Y", "06": "%y", "January": "%B", "Jan": "%b", "01": "%m", "1": "%m", "Monday": "%A", "Mon": "%a",
    "02": "%d", "_2": "%d", "2": "%d", "15": "%H", "03": "%I", "3": "%I", "04": "%M", "4": "%M", "05": "%S", "5": "%S",
    "PM": "%p", "MST": "%Z", "Z07:00": "%z", "-07:00": "%z", "-0700": "%z",
}  # fmt: skip
_KNOWN_LAYOUTS = (
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    "02 Jan 06 15:04 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
)
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")


def moment(seconds: float) -> datetime.datetime:
    """Return a time by seconds since 1970, in UTC. Raises `InvalidExpression`."""
    try:
        return datetime.datetime.fromtimestamp(seconds, _UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise InvalidExpression("a time is out of range") from error


def formatted(at: datetime.datetime, layout: str) -> str:
    """Return a time in one of Go's layouts."""
    return _LAYOUT.sub(lambda match: _form(match[0], at), layout[:_MOST_LAYOUT])


def _form(word: str, at: datetime.datetime) -> str:
    form = _FORMS.get(word)
    if form is not None:
        return form(at)
    digits = f"{at.microsecond:06d}".ljust(9, "0")[: len(word) - 1]
    return f"{word[0]}{digits}" if "0" in word else f".{digits}".rstrip("0").rstrip(".")


def read_time(text: str, layout: str = "") -> datetime.datetime:
    """Parse a time, in a given layout or a known one. Raises `InvalidExpression`."""
    if not layout:
        try:
            return _in_utc(datetime.datetime.fromisoformat(text))
        except (ValueError, OverflowError):
            pass
    for each in (layout,) if layout else _KNOWN_LAYOUTS:
        form = _LAYOUT.sub(lambda match: _READ.get(match[0], match[0]), each[:_MOST_LAYOUT].replace("%", "%%"))
        try:
            return _in_utc(datetime.datetime.strptime(text, form))
        except (ValueError, OverflowError, re.error):  # a layout that names a part twice is a wrong pattern
            continue
    raise InvalidExpression(f"'{text[:40]}' is not a date")


def _in_utc(at: datetime.datetime) -> datetime.datetime:
    return at.replace(tzinfo=_UTC) if at.tzinfo is None else at.astimezone(_UTC)


def read_duration(text: str) -> datetime.timedelta:
    """Parse a duration such as 1h30m. Raises `InvalidExpression`."""
    body = text.lstrip("+-")
    parts = _PART.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise InvalidExpression(f"'{text[:40]}' is not a duration")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    try:
        return datetime.timedelta(seconds=-seconds if text.startswith("-") else seconds)
    except OverflowError as error:
        raise InvalidExpression("a duration is too long") from error


_OF_TIME: dict[str, Callable[[datetime.datetime], Any]] = {
    "Year": lambda at: at.year,
    "Month": lambda at: at.month,
    "Day": lambda at: at.day,
    "Hour": lambda at: at.hour,
    "Minute": lambda at: at.minute,
    "Second": lambda at: at.second,
    "YearDay": lambda at: at.timetuple().tm_yday,
    "Weekday": lambda at: at.isoweekday() % 7,
    "Unix": lambda at: int(at.timestamp()),
    "UnixMilli": lambda at: int(at.timestamp() * 1000),
}
_OF_DURATION: dict[str, Callable[[datetime.timedelta], Any]] = {
    "Seconds": lambda span: span.total_seconds(),
    "Minutes": lambda span: span.total_seconds() / 60,
    "Hours": lambda span: span.total_seconds() / 3600,
    "Milliseconds": lambda span: int(span.total_seconds() * 1000),
    "String": duration_text,
}


def method_of(value: Any, name: str, arguments: list[Any]) -> Any:
    """Return the result of a method of a time or a duration. Raises `InvalidExpression`."""
    try:
        if isinstance(value, datetime.datetime):
            if name in _OF_TIME and not arguments:
                return _OF_TIME[name](value)
            (argument,) = arguments
            if name == "Format":
                return formatted(value, argument)
            if name == "Add" and isinstance(argument, datetime.timedelta):
                return value + argument
            if name == "Sub" and isinstance(argument, datetime.datetime):
                return value - argument
            if name in _ORDERS and isinstance(argument, datetime.datetime):
                return _ORDERS[name](value, argument)
        elif isinstance(value, datetime.timedelta) and name in _OF_DURATION and not arguments:
            return _OF_DURATION[name](value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidExpression(f"{name} cannot be used with these arguments") from error
    raise InvalidExpression(f"{type_name(value)} has no method {name}")


METHODS = frozenset({*_OF_TIME, *_OF_DURATION, "Format", "Add", "Sub", "Before", "After", "Equal"})
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "Before": lambda left, right: left < right,
    "After": lambda left, right: left > right,
    "Equal": lambda left, right: left == right,
}
