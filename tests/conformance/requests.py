"""Requests about the stock of images, good ones and bad ones, none of which changes anything."""

from dataclasses import dataclass

from tests.conformance.stock import DANGLING, MIDDLE, PLAIN
from tests.conformance.wire import Ask, filtered, q

UNKNOWN_ID = "0123456789abcdef" * 4


@dataclass(frozen=True)
class Name:
    """A way to name an image in a path; `id` makes the test's name readable."""

    text: str
    id: str = ""

    def __str__(self) -> str:
        return self.id or self.text


def hex_of(image_id: str) -> str:
    return image_id.removeprefix("sha256:")


FOUND = (
    Name("stock:1"),
    Name("stock"),
    Name("docker.io/library/stock:1"),
    Name("index.docker.io/library/stock:1"),
    Name("index.docker.io/stock:1"),
    Name("docker.io/stock:1"),
    Name("library/stock:1"),
    Name("stock:labelled"),
    Name("team/stock:2.0"),
    Name("localhost:5000/team/stock:x"),
    Name("registry.example.com/a/b/c:1.0-rc.1_x"),
    Name("child:1"),
    Name("bare:1"),
    Name("twice:1"),
    Name("stock%3A1", "escaped colon"),
    Name("team%2Fstock:2.0", "escaped slash"),
    Name(PLAIN.id, "whole ID"),
    Name(hex_of(PLAIN.id), "whole ID without algorithm"),
    Name(hex_of(PLAIN.id)[:12], "short ID"),
    Name(hex_of(PLAIN.id)[:4], "shorter ID"),
    Name(PLAIN.id[:19], "short ID with algorithm"),
    Name(DANGLING.id, "whole ID of an image without a name"),
    Name(hex_of(DANGLING.id)[:12], "short ID of an image without a name"),
    Name(hex_of(MIDDLE.id)[:12], "short ID of a parent"),
)

MISSING = (
    Name("stock:none"),
    Name("team/stock"),
    Name("localhost:5000/team/stock"),
    Name("localhost/stock"),
    Name("none:1"),
    Name("stock:1/x"),
    Name("scratch"),
    Name("json"),
    Name(hex_of(PLAIN.id)[:12].upper(), "short ID in capitals"),
    Name(f"sha256:{UNKNOWN_ID}", "unknown ID"),
    Name(UNKNOWN_ID, "unknown ID without algorithm"),
    Name(UNKNOWN_ID[:12], "unknown short ID"),
    Name(f"stock@sha256:{UNKNOWN_ID}", "unknown digest"),
    Name(f"stock:1@sha256:{UNKNOWN_ID}", "tag and unknown digest"),
    Name(f"stock@{PLAIN.id}", "an ID where a digest belongs"),
    Name("stock@sha256:abc"),
    Name("stock@sha256"),
    Name("stock@md5:" + "a" * 32, "digest by md5"),
    Name("sha256:abc"),
    Name("sha256:"),
    Name("sha512:" + "a" * 128, "ID by sha512"),
    Name("Stock:1"),
    Name("LOCALHOST:5000/team/stock:x"),
    Name("stock:"),
    Name(":1"),
    Name("-stock"),
    Name("stock-"),
    Name("sto__ck"),
    Name("sto___ck"),
    Name("sto..ck"),
    Name("stock:-1"),
    Name("stock:1:2"),
    Name("stock:" + "a" * 128, "longest tag"),
    Name("stock:" + "a" * 129, "tag too long"),
    Name("a" * 255, "longer than the longest name, as library/ counts"),
    Name("a/" * 121 + "aa", "longest name"),
    Name("a/" * 122 + "a", "name too long"),
    Name("stock%201", "blank"),
    Name("%20", "only a blank"),
    Name("st%C3%A9ck", "beyond ASCII"),
    Name("stock%00", "zero byte"),
    Name("<none>"),
    Name("%3Cnone%3E:%3Cnone%3E"),
    Name("stock*"),
)

LISTS = (
    "",
    q(all=1),
    q(all="true"),
    q(all="banana"),
    *(q(all=no) for no in ("0", "no", "false", "none", "False", "NONE", "", " ")),
    q(digests=1),
    q(shared_size=1),
    q(filter="stock"),
    q(unknown="parameter"),
    filtered(dangling="true"),
    filtered(dangling="false"),
    q(all=1, filters={"dangling": ["true"]}),
    q(all=1, filters={"dangling": ["false"]}),
    q(filters={"dangling": {"true": True}}),
    q(filters={"dangling": {"true": True}, "label": {"colour": True}}),
    q(filters=""),
    q(filters={}),
    filtered(label="colour"),
    filtered(label="colour=blue"),
    filtered(label=["colour", "empty"]),
    filtered(label=["colour=blue", "colour=red"]),
    filtered(label="empty="),
    filtered(label="none"),
    filtered(label="x.y/z=<&>"),
    filtered(label=""),
    filtered(before="stock:labelled"),
    filtered(since="stock:labelled"),
    filtered(before=DANGLING.id),
    filtered(since=hex_of(DANGLING.id)[:12]),
    filtered(before="child:1", since="stock:1"),
    q(all=1, filters={"before": ["child:1"], "since": ["stock:1"]}),
    q(all=1, filters={"since": [MIDDLE.id]}),
    filtered(reference="stock"),
    filtered(reference="stock:1"),
    filtered(reference="stock:*"),
    filtered(reference="sto?k"),
    filtered(reference="st[a-o]ck:[0-9]"),
    filtered(reference="*"),
    filtered(reference="*/*"),
    filtered(reference="*/stock"),
    filtered(reference="*/*/stock:x"),
    filtered(reference="localhost:5000/*/*"),
    filtered(reference=["team/*", "child"]),
    filtered(reference="none"),
    filtered(reference="stock:la*"),
    q(all=1, filters={"reference": ["child"]}),
    filtered(reference="stock", label="colour"),
    filtered(reference="stock", dangling="true"),
)

FILTERS_REFUSED = (
    q(filters="x"),
    q(filters="[]"),
    q(filters="null"),
    q(filters="{"),
    q(filters='"a"'),
    q(filters='{"dangling":"true"}'),
    q(filters='{"dangling":true}'),
    q(filters='{"dangling":[true]}'),
    q(filters='{"dangling":["true"]}x'),
    filtered(dangling="banana"),
    filtered(dangling=""),
    filtered(nonsense="x"),
    filtered(before="none:1"),
    filtered(since=UNKNOWN_ID),
    filtered(before="Bad Name"),
    filtered(reference="sto[ck"),
)

PRUNES_REFUSED = (
    q(filters="x"),
    q(filters='{"dangling":"true"}'),
    filtered(dangling="banana"),
    filtered(nonsense="x"),
    filtered(until="banana"),
    filtered(until=["1h", "2h"]),
    filtered(reference="stock"),
    filtered(before="stock:1"),
)

TAGS_REFUSED = (
    "/images/none:1/tag?repo=x",
    "/images/stock:1/tag?repo=Bad",
    "/images/stock:1/tag?repo=x&tag=bad%20tag",
    "/images/stock:1/tag?repo=x&tag=-x",
    "/images/stock:1/tag?repo=sha256&tag=x",
    "/images/stock:1/tag?repo=x%40sha256:" + UNKNOWN_ID,
    "/images/stock:1/tag?repo=" + UNKNOWN_ID,
    "/images/stock:1/tag?repo=%20",
    "/images/stock:1/tag?repo=x:y:z",
    "/images/stock:1/tag?repo=x&tag=" + "a" * 129,
    "/images/Bad/tag?repo=x",
    "/images/none:1/tag?repo=Bad",
)

IMPORTS_REFUSED = (
    "/images/create?fromSrc=-&repo=Bad",
    "/images/create?fromSrc=-&repo=x&tag=bad%20tag",
    "/images/create?fromSrc=-&repo=x%40sha256:" + UNKNOWN_ID,
    "/images/create?fromSrc=-&changes=FROM%20x",
    "/images/create?fromSrc=-&changes=RUN%20x",
    "/images/create?fromSrc=-&changes=NONSENSE%20x",
    "/images/create?fromSrc=-&changes=ENV",
    "/images/create?fromSrc=-&changes=ENV%20A",
    "/images/create?fromSrc=-&changes=EXPOSE%20banana",
    "/images/create?fromSrc=-&changes=LABEL%20a",
    "/images/create?fromSrc=-&changes=CMD%20a&changes=COPY%20a%20b",
    "/images/create?fromSrc=-&platform=banana/x/y/z",
)

GETS_REFUSED = (
    "/images/get?names=none:1",
    "/images/get?names=stock:1&names=none:1",
    "/images/get?names=Bad",
    "/images/get?names=",
    "/images/get?names=stock@sha256:" + UNKNOWN_ID,
    "/images/get?names=" + UNKNOWN_ID[:12],
    "/images/get?names=stock:none",
    "/images/get?names=team/none",
)

UNKNOWN_PATHS = (
    Ask("GET", "/nope"),
    Ask("GET", "/"),
    Ask("GET", "!/"),
    Ask("GET", "!/v1.41"),
    Ask("GET", "/images"),
    Ask("GET", "/images/"),
    Ask("GET", "/images/stock:1"),
    Ask("GET", "/images/stock:1/"),
    Ask("GET", "/images/stock:1/nope"),
    Ask("GET", "/images/json/"),
    Ask("GET", "/images/stock:1/tag"),
    Ask("GET", "/images/stock:1/json/"),
    Ask("GET", "/images/load"),
    Ask("GET", "/images/create"),
    Ask("GET", "/images/prune"),
    Ask("PUT", "/images/json"),
    Ask("POST", "/images/json"),
    Ask("DELETE", "/images/json/x/json"),
    Ask("HEAD", "/images/json"),
    Ask("HEAD", "/images/stock:1/json"),
    Ask("PATCH", "/images/stock:1/json"),
    Ask("POST", "/images/stock:1/json"),
    Ask("POST", "/images/stock:1/history"),
    Ask("POST", "/images/stock:1/get"),
    Ask("DELETE", "/images"),
    Ask("POST", "/_ping"),
    Ask("GET", "!/v1.x/images/json"),
    Ask("GET", "!/v1.41.0/images/json"),
    Ask("GET", "!/1.41/images/json"),
    Ask("GET", "!/V1.41/images/json"),
    Ask("GET", "/Images/json"),
    Ask("GET", "/info/"),
)

EVENTS_REFUSED = (
    "/events?since=banana",
    "/events?until=banana",
    "/events?since=1.x&until=10",
    "/events?since=20&until=10",
    "/events?until=10&filters=x",
)
