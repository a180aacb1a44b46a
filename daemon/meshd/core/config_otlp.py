"""Settings of traces, under the names that OpenTelemetry gives them.

Source: OpenTelemetry, Environment Variable Specification and OTLP Exporter Configuration.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args
from urllib.parse import unquote

from meshd.core.config_values import SECRET, SWITCH, Kind
from meshd.core.secret import Secret
from meshd.core.setting import Setting
from meshd.core.trace_context import Sampler, SamplerName
from meshd.wire.errors import BadRequest

HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
TRACES = "/v1/traces"
"""What follows the endpoint of all signals."""

_ENDPOINT = re.compile(r"https?://[^/\s?#@]+(/[^\s?#]*)?")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True, slots=True)
class Otlp:
    """Where traces go. `headers` are secret by their values, `attributes` are the resource's."""

    endpoint: str
    headers: Mapping[str, Secret]
    service: str
    attributes: Mapping[str, str]
    sampler: Sampler


def _endpoint(text: str) -> str:
    if not _ENDPOINT.fullmatch(text):
        raise ValueError
    return text


def _pairs(text: str) -> dict[str, str]:
    found = {}
    for word in text.split(","):
        name, equals, value = word.partition("=")
        if word.strip():
            if not equals or not name.strip():
                raise ValueError
            found[name.strip()] = unquote(value.strip())
    return found


def _sampler(text: str) -> SamplerName:
    if text not in get_args(SamplerName):
        raise ValueError
    return cast("SamplerName", text)


def _ratio(text: str) -> float:
    if not re.fullmatch(r"[01]|[01]?\.[0-9]{1,17}", text) or float(text) > 1:
        raise ValueError
    return float(text)


ENDPOINT = Kind("url", "http(s)://HOST[:PORT][/PATH]", _endpoint)
PAIRS = Kind("list", "NAME=VALUE, comma-separated, values percent-encoded", _pairs, {})
SAMPLER = Kind("sampler", " ".join(get_args(SamplerName)), _sampler)
RATIO = Kind("ratio", "a number from 0 to 1", _ratio)

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT", ENDPOINT, "",
        "Collector that gets traces over HTTP (extra otlp).",
        unset="no traces",
    ),
    Setting(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ENDPOINT, "",
        "The whole URL for traces.",
        unset="the endpoint's /v1/traces",
    ),
    Setting(
        HEADERS, SECRET, "", "Headers for the collector: NAME=VALUE, comma-separated.",
        secret=True,
    ),
    Setting("OTEL_SERVICE_NAME", Kind("text", "a name", str), "meshd", "What traces call it."),
    Setting(
        "OTEL_RESOURCE_ATTRIBUTES", PAIRS, "",
        "More about it in traces: NAME=VALUE, comma-separated.",
    ),
    Setting(
        "OTEL_TRACES_SAMPLER", SAMPLER, "parentbased_always_on", "Which calls leave a trace.",
    ),
    Setting(
        "OTEL_TRACES_SAMPLER_ARG", RATIO, "", "The share of a traceidratio sampler, 0 to 1.",
        unset="1",
    ),
    Setting("OTEL_SDK_DISABLED", SWITCH, "false", "No traces, whatever else is set."),
)  # fmt: skip


def read_otlp(value: Mapping[str, Any], headers: str) -> Otlp | None:
    """Where traces go, from the values of settings; None where they go nowhere.

    Raises:
        BadRequest: the headers are none. What they say is not told.
    """
    endpoint = value["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
    if endpoint is None and (shared := value["OTEL_EXPORTER_OTLP_ENDPOINT"]) is not None:
        endpoint = f"{shared.rstrip('/')}{TRACES}"
    if endpoint is None or value["OTEL_SDK_DISABLED"]:
        return None
    ratio = value["OTEL_TRACES_SAMPLER_ARG"]
    return Otlp(
        endpoint=endpoint,
        headers=_headers(headers),
        service=value["OTEL_SERVICE_NAME"],
        attributes=value["OTEL_RESOURCE_ATTRIBUTES"],
        sampler=Sampler(value["OTEL_TRACES_SAMPLER"], 1.0 if ratio is None else ratio),
    )


def _headers(text: str) -> Mapping[str, Secret]:
    try:
        found = _pairs(text)
    except ValueError:
        found = {"": ""}
    for name, said in found.items():
        if not _HEADER_NAME.fullmatch(name) or not said.isprintable() or not said.isascii():
            raise BadRequest(f"{HEADERS} is not valid", facts={"valid": PAIRS.form})
    return {name: Secret(said) for name, said in found.items()}
