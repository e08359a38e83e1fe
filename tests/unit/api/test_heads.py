from lamina.api.heads import Heads


def test_a_head_has_dockers_lines_in_dockers_order() -> None:
    lines = Heads(server="s", api_version="1.44").get(200, "a/b", "X: y\r\n").split(b"\r\n")
    date = lines.pop(6)
    assert date.startswith(b"Date: ")
    assert date.endswith(b" GMT")
    assert lines == [
        b"HTTP/1.1 200 OK",
        b"Api-Version: 1.44",
        b"Content-Type: a/b",
        b"Docker-Experimental: false",
        b"Ostype: linux",
        b"Server: s",
        b"X: y",
        b"",
    ]


def test_less_may_be_told() -> None:
    heads = Heads(server="s", api_version="1.44")
    assert b"Content-Type" not in heads.get(201, "")
    version = heads.get(400, "a/b", told="version")
    assert b"Api-Version" in version
    assert b"Docker-Experimental" not in version
    nothing = heads.get(404, "a/b", told="nothing").split(b"\r\n")
    assert [line.partition(b":")[0] for line in nothing] == [
        b"HTTP/1.1 404 Not Found",
        b"Content-Type",
        b"Date",
        b"",
    ]


def test_heads_are_kept_but_not_without_end() -> None:
    heads = Heads(server="s", api_version="1.44")
    assert len({id(heads.get(200, "a/b")) for _ in range(10)}) <= 2
    made = [heads.get(200, "", f"X: {n}\r\n") for n in range(1000)]
    assert len(set(made)) == 1000
    assert len(heads._heads) <= 64  # noqa: SLF001
