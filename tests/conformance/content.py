"""What the conformance fixture serves: pictures, sounds, schemas, forms and texts.

Names and texts are those that the scenarios of the suite look for.
"""

import base64
import struct
import zlib
from typing import Any


def _png() -> str:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    raw = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    raw += chunk(b"IDAT", zlib.compress(b"\x00\xff\x00\x00")) + chunk(b"IEND", b"")
    return base64.b64encode(raw).decode()


def _wav() -> str:
    body = b"\x00\x00" * 8
    head = (
        b"RIFF"
        + struct.pack("<I", 36 + len(body))
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    )
    return base64.b64encode(head + b"data" + struct.pack("<I", len(body)) + body).decode()


PNG, WAV = _png(), _wav()

EMPTY = {"type": "object", "properties": {}}
ADDRESS_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
HEADER_SCHEMA = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "priority": {"type": "integer", "x-mcp-header": "Priority"},
        "verbose": {"type": "boolean", "x-mcp-header": "Verbose"},
        "note": {"type": "string"},
    },
    "required": [],
}
TOOL_SCHEMAS: dict[str, dict[str, Any]] = {
    "test_simple_text": EMPTY,
    "test_image_content": EMPTY,
    "test_audio_content": EMPTY,
    "test_embedded_resource": EMPTY,
    "test_multiple_content_types": EMPTY,
    "test_tool_with_logging": EMPTY,
    "test_logging_tool": EMPTY,
    "test_tool_with_progress": EMPTY,
    "test_error_handling": EMPTY,
    "test_reconnection": EMPTY,
    "test_sampling": {
        "type": "object",
        "properties": {"prompt": {"type": "string"}},
        "required": ["prompt"],
    },
    "test_elicitation": {
        "type": "object",
        "properties": {"message": {"type": "string"}},
        "required": ["message"],
    },
    "test_elicitation_sep1034_defaults": EMPTY,
    "test_elicitation_sep1330_enums": EMPTY,
    "json_schema_2020_12_tool": ADDRESS_SCHEMA,
    "test_custom_headers": HEADER_SCHEMA,
    "test_missing_capability": EMPTY,
    "test_streaming_elicitation": EMPTY,
    "test_trigger_tool_change": EMPTY,
    "test_trigger_prompt_change": EMPTY,
    "test_input_required_result_elicitation": EMPTY,
    "test_input_required_result_sampling": EMPTY,
    "test_input_required_result_list_roots": EMPTY,
    "test_input_required_result_request_state": EMPTY,
    "test_input_required_result_multiple_inputs": EMPTY,
    "test_input_required_result_multi_round": EMPTY,
    "test_input_required_result_tampered_state": EMPTY,
    "test_input_required_result_capabilities": EMPTY,
}
DEFAULTS_FORM = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {
            "type": "string",
            "enum": ["active", "inactive", "pending"],
            "default": "active",
        },
        "verified": {"type": "boolean", "default": True},
    },
    "required": [],
}
ENUM_FORM = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
        "titledSingle": {
            "type": "string",
            "oneOf": [
                {"const": f"value{i}", "title": f"{w} Option"}
                for i, w in enumerate(("First", "Second", "Third"), 1)
            ],
        },
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {
            "type": "array",
            "items": {"type": "string", "enum": ["option1", "option2", "option3"]},
        },
        "titledMulti": {
            "type": "array",
            "items": {
                "anyOf": [
                    {"const": f"value{i}", "title": f"{w} Choice"}
                    for i, w in enumerate(("First", "Second", "Third"), 1)
                ]
            },
        },
    },
    "required": [],
}


STATIC: dict[str, tuple[str, str | None]] = {
    "test://static-text": ("text/plain", "This is the content of the static text resource."),
    "test://static-binary": ("image/png", None),
    "test://watched-resource": ("text/plain", "Watched resource content"),
    "test://example-resource": ("text/plain", "Example resource content"),
}
