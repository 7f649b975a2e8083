"""Addresses of servers."""

from urllib.parse import urlsplit


def is_http_url(text: str) -> bool:
    """Return whether a text is an address of a server: http or https, a host, a usable port."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
