"""The text formats of the resource: names, paths, hosts, images.

A value of one of these types is safe in a container name, a label, a Compose file and a line of an HAProxy
configuration: no white space, no quotes, no `$`, nothing that starts a directive. Every value that reaches HAProxy has
one of these types.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

__all__ = [
    "EnvName",
    "FileName",
    "FilePath",
    "HeaderName",
    "HeaderPattern",
    "HeaderText",
    "Hostname",
    "HttpUrl",
    "ImageReference",
    "LabelKey",
    "LabelValue",
    "ListenerName",
    "PathPrefix",
    "PluginSlug",
    "ReadyPath",
    "Realm",
    "Reason",
    "RouteHostname",
    "ServiceName",
    "TextFormat",
    "UrlPath",
    "WorkloadName",
]


@dataclass(frozen=True)
class TextFormat:
    """A regular expression for the whole text, a maximum length in characters, and a description for users."""

    pattern: str
    max_length: int
    rule: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^(?:{self.pattern})$", "maxLength": self.max_length}

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    def _check(self, value: str) -> str:
        if len(value) > self.max_length or not self._regex.fullmatch(value):
            raise PydanticCustomError("text_format", "must be {rule}", {"rule": self.rule})
        return value


_LABEL_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_DNS_NAME = (
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_LOWER_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# Not "." or "..": clients and applications resolve those, so they would mean another path.
_PATH_SEGMENT = r"\.{0,2}[A-Za-z0-9_~!&=+,@:-][A-Za-z0-9._~!&=+,@:-]*"
_IMAGE_PART = r"[a-z0-9][a-z0-9._-]*"

ServiceName = Annotated[
    str,
    TextFormat(
        r"[a-z](?:[a-z0-9-]*[a-z0-9])?",
        40,
        "1 to 40 lower-case letters, digits and '-', starting with a letter and not ending with '-'",
    ),
]
PluginSlug = Annotated[
    str,
    TextFormat(
        r"[a-z][a-z0-9-]*", 40, "a plugin slug: 1 to 40 lower-case letters, digits and '-', a letter first"
    ),
]
Hostname = Annotated[
    str, TextFormat(_DNS_NAME, 253, "a host name or an IPv4 address, without scheme and port")
]
ReadyPath = Annotated[
    str,
    TextFormat(
        r"/[A-Za-z0-9._~-][A-Za-z0-9._~/-]*", 256, "a path such as /-/ready, of letters, digits and . _ ~ / -"
    ),
]

UrlPath = Annotated[
    str,
    TextFormat(
        r"/(?:[A-Za-z0-9._~:@!&=+,;*/?-]|%[0-9A-Fa-f]{2})*",
        256,
        "a URL path that starts with '/', without white space, quotes, '#' and '$'; write others as %XX",
    ),
]
RouteHostname = Annotated[
    str,
    TextFormat(
        rf"(?:\*\.)?{_LOWER_LABEL}(?:\.{_LOWER_LABEL})*",
        253,
        "a host name in lower case such as app.example.org, or *.example.org for all names below it, without scheme "
        "and port (write an international name in its xn-- form)",
    ),
]
PathPrefix = Annotated[
    str,
    TextFormat(
        rf"/|(?:/{_PATH_SEGMENT})+/?",
        200,
        "a path that starts with '/', such as /api, without '%', '//', '.' and '..' as a part, query and white space",
    ),
]
HeaderName = Annotated[
    str,
    TextFormat(
        r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*", 64, "the name of a header: letters, digits and '-' between them"
    ),
]
HeaderText = Annotated[
    str,
    TextFormat(
        r"(?:[!-~](?:[ -~]*[!-~])?)?",
        4096,
        "the value of a header: printable ASCII, without white space at its ends",
    ),
]
HttpUrl = Annotated[
    str,
    TextFormat(
        rf"http://(?:{_LOWER_LABEL}(?:\.{_LOWER_LABEL})*|\[[0-9a-f:]+\])(?::[1-9][0-9]{{0,4}})?"
        r"(?:/[A-Za-z0-9._~:@!&=+,/?%-]*)?",
        512,
        "an http:// address such as http://auth.example.org:9091/verify",
    ),
]
Realm = Annotated[
    str,
    TextFormat(
        r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]*[A-Za-z0-9.])?",
        64,
        "a realm: 1 to 64 letters, digits, spaces, '.', '_' and '-', a letter or digit first",
    ),
]
ListenerName = Annotated[
    str,
    TextFormat(
        r"[a-z](?:[a-z0-9-]*[a-z0-9])?",
        20,
        "1 to 20 lower-case letters, digits and '-', starting with a letter and not ending with '-'",
    ),
]
HeaderPattern = Annotated[
    str,
    TextFormat(
        r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*(?:\*|-\*)?",
        64,
        "the name of a header: letters, digits and '-', with a '*' at the end for a prefix",
    ),
]
ImageReference = Annotated[
    str,
    TextFormat(
        rf"(?:{_DNS_NAME}(?::[0-9]{{1,5}})?/)?{_IMAGE_PART}(?:/{_IMAGE_PART})*"
        r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?",
        400,
        'an image reference such as "haproxy:3.0"',
    ),
]
LabelKey = Annotated[
    str, TextFormat(rf"(?:{_DNS_NAME}/)?{_LABEL_NAME}", 317, "a label key such as team or example.org/team")
]
LabelValue = Annotated[
    str,
    TextFormat(
        rf"(?:{_LABEL_NAME})?",
        63,
        "at most 63 letters, digits, '-', '_' and '.', a letter or digit at both ends",
    ),
]
EnvName = Annotated[
    str,
    TextFormat(
        r"[A-Za-z_][A-Za-z0-9_.-]*",
        256,
        "a variable name: letters, digits and '_', not starting with a digit",
    ),
]
FilePath = Annotated[str, TextFormat(r"[^\x00-\x1f\x7f]+", 1024, "a file path without control characters")]
FileName = Annotated[
    str,
    TextFormat(
        r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?",
        64,
        "a file name: 1 to 64 letters, digits, '.', '_' and '-', a letter or digit at both ends",
    ),
]
WorkloadName = Annotated[
    str,
    TextFormat(
        r"[A-Za-z0-9][A-Za-z0-9._-]*", 63, "a service of the plugin: letters, digits, '.', '_' and '-'"
    ),
]
Reason = Annotated[str, TextFormat(r"[A-Za-z](?:[A-Za-z0-9_,:]*[A-Za-z0-9_])?", 256, "one CamelCase word")]
