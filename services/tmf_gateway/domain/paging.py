"""What a list says about itself: how many there are, which of them these are, and where the others lie."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_plus

from services.tmf_gateway.domain.query import Query
from services.tmf_gateway.domain.refusal import PageOutOfRange


@dataclass(frozen=True)
class Page:
    """`result_count` items from `offset` on, of `total_count` matches."""

    query: Query
    result_count: int
    total_count: int

    @property
    def is_incomplete(self) -> bool:
        """Whether matches lie before or after."""
        return self.result_count < self.total_count

    @property
    def status(self) -> int:
        """206 only for clients that asked for a page: others would take it for an error."""
        return 206 if self.query.paged and self.is_incomplete else 200

    def headers(self, url: str, query_string: str) -> dict[str, str]:
        """Counts, range and links. Raises PageOutOfRange for an offset beyond the matches."""
        if self.query.offset and self.query.offset >= self.total_count:
            raise PageOutOfRange(
                f"offset {self.query.offset} lies beyond the {self.total_count} matches",
                {"Content-Range": f"items */{self.total_count}", "X-Total-Count": str(self.total_count), "X-Result-Count": "0"},
            )
        headers = {"X-Total-Count": str(self.total_count), "X-Result-Count": str(self.result_count)}
        if self.status == 206:
            headers["Content-Range"] = self._content_range()
        if self.is_incomplete and self.query.limit:
            headers["Link"] = ", ".join(f'<{link}>; rel="{rel}"' for rel, link in self._links(url, query_string))
        return headers

    def _content_range(self) -> str:
        first = self.query.offset + 1
        shown = f"{first}-{self.query.offset + self.result_count}" if self.result_count else "*"
        return f"items {shown}/{self.total_count}"

    def _links(self, url: str, query_string: str) -> Iterator[tuple[str, str]]:
        others = "&".join(part for part in query_string.split("&") if part and not _is_paging(part))
        limit = self.query.limit
        offsets = {
            "self": self.query.offset,
            "first": 0,
            "prev": max(self.query.offset - limit, 0) if self.query.offset else None,
            "next": self.query.offset + limit if self.query.offset + limit < self.total_count else None,
            "last": (self.total_count - 1 - self.query.offset % limit) // limit * limit + self.query.offset % limit,
        }
        for rel, offset in offsets.items():
            if offset is not None:
                yield rel, f"{url}?{others}{'&' if others else ''}offset={offset}&limit={limit}"


def _is_paging(part: str) -> bool:
    return unquote_plus(part.partition("=")[0]) in ("offset", "limit")
