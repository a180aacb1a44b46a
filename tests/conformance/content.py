"""What the conformance fixture serves: pictures, sounds, schemas, forms and texts.

Names and texts are those that the scenarios of the suite look for.
"""

import base64
import io
import wave
from typing import Any

Schema = dict[str, Any]


def _silence(frames: int) -> str:
    """Base64 of a WAV file in which nothing is heard."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(2 * frames))
    return base64.b64encode(file.getvalue()).decode()


# One grey pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCB2kUIOwAAAABJRU5ErkJggg=="
WAV = _silence(frames=8)


def _typed(kind: str, **more: Any) -> Schema:
    return {"type": kind, **more}


def _object(properties: Schema, required: list[str] | None = None) -> Schema:
    schema = _typed("object", properties=properties)
    return schema if required is None else schema | {"required": required}


def _form(**fields: Schema) -> Schema:
    """Fields of which none is needed."""
    return _object(fields, [])


def _strings(*names: str) -> Schema:
    return {name: _typed("string") for name in names}


def _closed_choice(*values: str, **more: Any) -> Schema:
    """One of these values."""
    return _typed("string", enum=list(values), **more)


def _titled(noun: str) -> list[Schema]:
    """Three values, each with a title for people."""
    titles = {"value1": "First", "value2": "Second", "value3": "Third"}
    return [{"const": value, "title": f"{title} {noun}"} for value, title in titles.items()]


def _needs(name: str) -> Schema:
    return {"required": [name]}


def _address() -> Schema:
    """A schema with the keywords of JSON Schema 2020-12 that must come through unharmed."""
    ways = ("phone", "email")
    by_phone, by_email = map(_needs, ways)
    place = {"$anchor": "addressDef", **_object(_strings("street", "city"))}
    properties = _strings("name") | {
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": _closed_choice(*ways),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": place},
        "properties": properties | _strings(*ways),
        "allOf": [{"anyOf": [by_phone, by_email]}],
        "if": {"properties": {"contactMethod": {"const": ways[0]}}, **_needs("contactMethod")},
        "then": by_phone,
        "else": by_email,
        "additionalProperties": False,
    }


def _headers(**kinds: str) -> Schema:
    """Fields that go into headers of their names too, and a note that does not."""
    fields = {
        name: _typed(kind, **{"x-mcp-header": name.capitalize()}) for name, kind in kinds.items()
    }
    return _form(**fields, note=_typed("string"))


# In the order in which they are listed; what is not in _TAKES takes nothing.
_NAMES = (
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_tool_with_logging",
    "test_logging_tool",
    "test_tool_with_progress",
    "test_error_handling",
    "test_reconnection",
    "test_sampling",
    "test_elicitation",
    "test_elicitation_sep1034_defaults",
    "test_elicitation_sep1330_enums",
    "json_schema_2020_12_tool",
    "test_custom_headers",
    "test_missing_capability",
    "test_streaming_elicitation",
    "test_trigger_tool_change",
    "test_trigger_prompt_change",
)
_WANTING_INPUT = (
    "elicitation",
    "sampling",
    "list_roots",
    "request_state",
    "multiple_inputs",
    "multi_round",
    "tampered_state",
    "capabilities",
)
_TAKES = {
    "test_sampling": _object(_strings("prompt"), ["prompt"]),
    "test_elicitation": _object(_strings("message"), ["message"]),
    "json_schema_2020_12_tool": _address(),
    "test_custom_headers": _headers(region="string", priority="integer", verbose="boolean"),
}
TOOL_SCHEMAS: dict[str, Schema] = {
    name: _TAKES.get(name) or _object({})
    for name in (*_NAMES, *(f"test_input_required_result_{what}" for what in _WANTING_INPUT))
}

DEFAULTS_FORM = _form(
    name=_typed("string", default="John Doe"),
    age=_typed("integer", default=30),
    score=_typed("number", default=95.5),
    status=_closed_choice("active", "inactive", "pending", default="active"),
    verified=_typed("boolean", default=True),
)

_OPTIONS = _closed_choice("option1", "option2", "option3")
_LEGACY_TITLES = ["Option One", "Option Two", "Option Three"]
ENUM_FORM = _form(
    untitledSingle=_OPTIONS,
    titledSingle=_typed("string", oneOf=_titled("Option")),
    legacyEnum=_closed_choice("opt1", "opt2", "opt3", enumNames=_LEGACY_TITLES),
    untitledMulti=_typed("array", items=_OPTIONS),
    titledMulti=_typed("array", items={"anyOf": _titled("Choice")}),
)


def _plain(**texts: str) -> dict[str, tuple[str, str | None]]:
    return {
        f"test://{name.replace('_', '-')}": ("text/plain", said) for name, said in texts.items()
    }


# MIME type and text by URI; what has no text is the picture.
STATIC: dict[str, tuple[str, str | None]] = {
    **_plain(static_text="This is the content of the static text resource."),
    "test://static-binary": ("image/png", None),
    **_plain(
        watched_resource="Watched resource content",
        example_resource="Example resource content",
    ),
}
