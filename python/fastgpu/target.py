# SPDX-License-Identifier: Apache-2.0
"""Which daemon is talked to: found exactly as the command line finds it."""
from __future__ import annotations

import os
import re
import stat
from typing import List, NamedTuple, Optional, Tuple

from .errors import BadRequest

SYSTEM_RUN = "/run/fastgpu"
LOGIN_MAX = 65536


class Target(NamedTuple):
    sockets: Tuple[str, ...]  # of this machine, the first that answers is it; empty: a remote one
    host: str = ""
    port: int = 443
    fingerprint: str = ""
    token: str = ""

    @property
    def where(self) -> str:
        return self.sockets[-1] if self.sockets else format_url(self.host, self.port)


def format_url(host: str, port: int) -> str:
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def parse_url(text: str) -> Tuple[str, int]:
    found = re.fullmatch(r"https://(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?/?", text, re.IGNORECASE)
    port = int(found.group(2) or 443) if found else 0
    if not found or not 0 < port < 65536:
        raise BadRequest(f'the URL "{text[:80]}" is not https://HOST:PORT')
    return found.group(1).strip("[]").lower(), port


def parse_fingerprint(text: str) -> str:
    digits = text[7:] if text[:7].lower() == "sha256:" else text
    if not re.fullmatch(r"(?:[0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}", digits):
        raise BadRequest(f'the fingerprint "{text[:80]}" is not 64 hexadecimal digits')
    return digits.replace(":", "").lower()


def check_token(token: str) -> str:
    if not token or len(token) >= 4096 or not all(" " < c < "\x7f" for c in token):
        raise BadRequest("the token is empty, too long, or holds a character that no token has")  # never shown
    return token


def _read_private(path: str, forbidden: int) -> str:
    """A file with a secret in it, which others must not be able to read."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY), encoding="utf-8") as f:
            state = os.fstat(f.fileno())
            if forbidden & stat.S_IRGRP and state.st_uid not in (os.geteuid(), 0):
                raise BadRequest(f"{path} is user {state.st_uid}'s, not yours: its login is not used; remove it or log in again")
            if stat.S_ISREG(state.st_mode) and state.st_mode & forbidden:
                raise BadRequest(f"{path} may be read or written by others (mode {state.st_mode & 0o7777:04o}): chmod 600 it")
            return f.read(LOGIN_MAX)
    except (OSError, UnicodeDecodeError) as e:
        if isinstance(e, (FileNotFoundError, NotADirectoryError)):
            raise FileNotFoundError(path) from None
        raise BadRequest(f"cannot read {path}: {e}") from None


def _token_file() -> str:
    path = os.environ.get("FASTGPU_TOKEN_FILE")
    if not path:
        return ""
    try:
        return check_token(_read_private(path, stat.S_IRWXO | stat.S_IWGRP).rstrip("\r\n"))
    except FileNotFoundError:
        raise BadRequest(f"FASTGPU_TOKEN_FILE: there is no {path}") from None


def _absolute(name: str) -> Optional[str]:
    value = os.environ.get(name, "")
    return value if value.startswith("/") else None


def _login() -> Optional[Target]:
    config, home = _absolute("XDG_CONFIG_HOME"), _absolute("HOME")
    if not config and not home:
        return None
    path = (config or f"{home}/.config") + "/fastgpu/login.json"
    try:
        text = _read_private(path, 0o077)
    except FileNotFoundError:
        return None
    import json
    try:
        value = json.loads(text)
        if value["version"] != 1 or ("fingerprint" in value) == ("ca" in value):
            raise ValueError
        host, port = parse_url(value["url"])
        return Target((), host, port, parse_fingerprint(value["fingerprint"]) if "fingerprint" in value else "", check_token(value["token"]))
    except (ValueError, KeyError, TypeError, BadRequest):
        raise BadRequest(f"the login {path} is damaged; `fastgpu logout` and log in again") from None


def _sockets() -> Tuple[str, ...]:
    """The system's daemon wins over the user's own: vGPUs of two daemons would not know of each other."""
    private = os.environ.get("FASTGPU_STATE_DIR")
    if private:
        return (os.path.join(os.path.abspath(private), "run", "api.sock"),)
    found: List[str] = [SYSTEM_RUN + "/api.sock"]
    state, run, home = _absolute("XDG_STATE_HOME"), _absolute("XDG_RUNTIME_DIR"), _absolute("HOME")
    if os.geteuid() != 0 and (state or home):
        folder = f"{run}/fastgpu" if run else (f"{state}/fastgpu" if state else f"{home}/.local/state/fastgpu") + "/run"
        found.append(folder + "/api.sock")
    return tuple(found)


def _remote(url: str, token: Optional[str], fingerprint: Optional[str]) -> Target:
    """The login lends what was not said, if it is about the same daemon."""
    host, port = parse_url(url)
    pin, secret = fingerprint or os.environ.get("FASTGPU_FINGERPRINT"), token or _token_file()
    login = None if pin and secret else _login()
    if login and (login.host, login.port) == (host, port):
        pin, secret = pin or login.fingerprint, secret or login.token
    return Target((), host, port, parse_fingerprint(pin) if pin else "", check_token(secret) if secret else "")


def find(url: Optional[str], token: Optional[str], fingerprint: Optional[str]) -> Target:
    for what, value in (("url", url), ("token", token), ("fingerprint", fingerprint)):
        if value is not None and not isinstance(value, str):
            raise BadRequest(f"{what} is text, not {type(value).__name__}")
    named = url or ""
    if not named:
        named = os.environ.get("FASTGPU_URL", "")
        if os.environ.get("FASTGPU_STATE_DIR"):
            if named not in ("", "local"):
                raise BadRequest("FASTGPU_STATE_DIR means a daemon of this machine and FASTGPU_URL one elsewhere; unset one")
            named = "local"
    if not named:
        login = _login()
        if login:
            pin, secret = fingerprint or login.fingerprint, token or _token_file() or login.token
            return login._replace(fingerprint=parse_fingerprint(pin) if pin else "", token=check_token(secret))
        named = "local"
    if named != "local" and not named.startswith("unix:"):
        return _remote(named, token, fingerprint)
    if fingerprint:
        raise BadRequest("a fingerprint is of a daemon elsewhere: give its url, https://HOST:PORT")
    return Target(_sockets() if named == "local" else (named[5:],), token=check_token(token) if token else "")
