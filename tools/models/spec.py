"""A model spec as a value, and the syntax of `NAME@URL`."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from opencodeinterpreter.tools.errors import InputError
from opencodeinterpreter.tools.http_url import is_http_url

_NAME_AND_HOST = re.compile(
    r".*@(?:localhost|[\w-]+(?:\.[\w-]+)+|\[[0-9a-fA-F:]+\]|[\w-]+(?=:\d))(?::\d+)?(?:/.*)?"
)
_NAME_AND_URL = re.compile(r"(?P<name>.*)@(?P<url>[\w+.-]*://.*)")


@dataclass(frozen=True)
class Spec:
    """A parsed model spec, such as `openai:NAME@URL`."""

    text: str
    scheme: str
    """The key of its backend in the table of backends."""
    name: str
    """The model's name at its server or provider, or the path of a file or folder."""
    url: str = ""
    """The base URL of an `openai:` spec."""
    provider: str = ""
    """Langchain's name of the provider, for the `provider` backend."""


def parse_name_and_url(text: str, rest: str, default_url: str) -> Spec:
    """Parse `NAME@URL` or `NAME`; a name may contain an @.

    Raises InputError if the name is missing, or if the URL is invalid or holds credentials.
    """
    if "://" not in rest and _NAME_AND_HOST.fullmatch(rest):
        raise InputError(
            f"model {_redacted(text)!r}: the text after @ looks like a host without a scheme; "
            "write the whole URL, such as http://127.0.0.1:8000/v1"
        )
    found = _NAME_AND_URL.fullmatch(rest)
    if found is None and "://" not in rest:
        return Spec(text, "openai", rest, default_url)
    if found is None or not found["name"]:
        raise InputError(f"model {_redacted(text)!r} has no name; write openai:NAME@URL")
    return Spec(text, "openai", found["name"], _base_url(text, found["url"]))


def _base_url(text: str, url: str) -> str:
    if not is_http_url(url):
        raise InputError(
            f"model {_redacted(text)!r}: the text after @ is not a valid URL; "
            "write one such as http://127.0.0.1:8000/v1"
        )
    parts = urlsplit(url)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise InputError(
            f"model {_redacted(text)!r}: the URL contains a password, query or fragment, and "
            "specs are recorded; put the key into an environment variable and name that with "
            "--set client.key_variable=NAME"
        )
    return url.rstrip("/")


def _redacted(text: str) -> str:
    """Return a spec for an error message, without parts that may be a key."""
    return re.sub(r"://[^/]*@", "://…@", text.partition("?")[0])
