# SPDX-License-Identifier: Apache-2.0
"""Refusals, as the daemon words them (application/problem+json), and what keeps one from getting an answer at all."""
from __future__ import annotations

from typing import Any, Dict, Optional


class Error(Exception):
    """type, title, detail and status are the problem's; fields is all of it. status is 0 where no daemon said so."""

    def __init__(self, detail: str, type: str = "", title: str = "", status: int = 0, fields: Optional[Dict[str, Any]] = None) -> None:
        super().__init__(detail, type, title, status, fields)
        self.detail = detail
        self.type = type
        self.title = title
        self.status = status
        self.fields: Dict[str, Any] = fields or {}

    def __str__(self) -> str:
        return self.detail


class BadRequest(Error):
    """A value that cannot be right, found here or by the daemon; detail names it."""


class Unauthorized(Error):
    """No token where one is needed, or one that is not valid."""


class Forbidden(Error):
    """The role or the token does not allow it."""


class NotFound(Error):
    """There is none of that name, or none that the caller may see."""


class Conflict(Error):
    """It does not go with how things are; type says how."""


class InUse(Conflict):
    """Programs use the vGPU (fields["pids"]), or more of its memory than the new quota."""


class NoCapacity(Conflict):
    """It does not fit: fields["available"] bytes and fields["available_share"] permille would."""


class QuotaExceeded(Conflict):
    """A quota would be exceeded: fields has scope, key, limit, used and wanted."""


class Busy(Error):
    """Too many requests, or too large ones, for now."""

    @property
    def retry_after(self) -> float:
        """Seconds after which another try is worth it."""
        return float(self.fields.get("retry_after_ms", 1000)) / 1000


class DaemonUnreachable(Error):
    """No daemon answers, it hung up, or what answers is not the daemon that is known."""


class Timeout(Error):
    """There was no answer in time. A thing that was to be changed may have been."""


_OF_TYPE = {"in-use": InUse, "no-capacity": NoCapacity, "quota": QuotaExceeded, "rate-limited": Busy, "busy": Busy}
_OF_STATUS = {400: BadRequest, 401: Unauthorized, 403: Forbidden, 404: NotFound, 405: BadRequest, 409: Conflict, 413: BadRequest, 429: Busy,
              503: Busy}


def from_problem(status: int, body: Any) -> Error:
    """The exception for a refusal."""
    fields: Dict[str, Any] = body if isinstance(body, dict) else {}
    kind, title = str(fields.get("type", "")), str(fields.get("title", ""))
    made = _OF_TYPE.get(kind) or _OF_STATUS.get(status, Error)
    return made(str(fields.get("detail") or title or f"the daemon answered with status {status}"), kind, title, status, fields)
