"""The routes of the supported APIs that this service does not serve yet, so that a 404 can say so by name."""

import re
from typing import Final

LATER: Final = (
    "/v1/fine_tuning/jobs",
    "/v1/realtime",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/images/variations",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
    "/v1/audio/speech",
    "/v1/videos",
    "/v1/videos/generations",
    "/v1/videos/{}",
    "/v1/videos/{}/content",
    "/v1/videos/{}/remix",
    "/v1/vector_stores",
    "/v1/vector_stores/{}/files",
    "/v1/vector_stores/{}/search",
    "/v1/assistants",
    "/v1/a2a/{}/message/send",
    "/v1/interactions",
    "/v1/ocr",
    "/v1/rag/ingest",
    "/v1/rag/query",
    "/v1/generateContent",
    "/v1/containers",
    "/v1/containers/{}/files",
    "/hive/epochs",
    "/hive/reservations",
)
_PATTERN: Final = re.compile(
    "|".join(re.escape(route).replace(r"\{\}", "[^/]+").replace("/v1/", "(?:/v1)?/", 1) for route in LATER)
)


def is_later(path: str) -> bool:
    """Whether the path is a route of a supported API that is not served yet; `/v1` may be left out."""
    return _PATTERN.fullmatch(path.rstrip("/")) is not None
