"""What stands between this process and a model's server, in words: names, TLS, proxies."""

import os
import re
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from opencodeinterpreter.tools.errors import InputError

_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_MOST_CAUSES = 16


def connection_failure(error: BaseException) -> str | None:
    """Return why a connection failed, in a few words; `None` if it failed for another reason.

    Clients wrap the cause in errors of their own, which say "Connection error." of all of them.
    """
    for cause in _causes(error):
        match cause:
            case ssl.SSLError():
                return f"TLS: {_plain(str(cause))}"
            case socket.gaierror():
                return f"DNS: the host's name is not known ({cause.strerror})"
            case ConnectionRefusedError():
                return "connection refused: nothing listens at that address"
            case OSError() if cause.errno and type(cause).__module__ == "builtins":
                return f"connection failed ({os.strerror(cause.errno)})"
            case _ if type(cause).__name__ == "ProxyError":
                return f"proxy: {' '.join(str(cause).split())}"
            case _:
                continue
    return None


def proxy_for(url: str) -> str | None:
    """Return the environment variable that names a proxy for `url`; `None` if none does."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    names = (f"{parts.scheme}_proxy", "all_proxy")
    set_here = (name for name in names if getproxies().get(name.removesuffix("_proxy")))
    found = next(set_here, None)
    if found is None:
        return None
    return found if os.environ.get(found) else found.upper()


def environment_error(error: Exception, url: str) -> InputError:
    """Return the user's error where the environment keeps a client from being made."""
    told = " ".join(str(error).split())
    if isinstance(error, OSError):
        for name in _CERTIFICATES:
            if value := os.environ.get(name):
                why = error.strerror if error.errno and error.strerror else told
                return InputError(
                    f"{name} names {value!r}, from which no certificates can be read ({why}); "
                    "correct or unset it"
                )
    proxies = [
        f"{name}={_without_password(value)}"
        for name, value in os.environ.items()
        if name.lower().endswith("_proxy") and name.lower() != "no_proxy" and value
    ]
    if isinstance(error, ImportError) and "socks" in told.lower():
        return InputError(
            f"a SOCKS proxy ({', '.join(proxies)}) needs the package socksio: "
            "pip install socksio, or unset the variable"
        )
    if proxies:
        return InputError(f"the proxy is not valid: {', '.join(proxies)} ({told}); correct it")
    return InputError(f"no client can be made for {url}: {type(error).__name__}: {told}")


def _plain(words: str) -> str:
    """Return OpenSSL's words without its code and its place in a C file."""
    return re.sub(r"^\[[^\]]*\] |\(_ssl\.c:\d+\)$", "", words).strip()


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if cause is None:
            return
        yield cause
        inner = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else None
        cause = inner or cause.__cause__ or cause.__context__


def _without_password(proxy: str) -> str:
    return re.sub(r"[^/@]*@", "…@", proxy)
