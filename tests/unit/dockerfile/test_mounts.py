import pytest
from hypothesis import given, strategies as st

from lamina.dockerfile.mounts import Mount, MountType, Sharing, check_mount, parse_mount
from lamina.dockerfile.shellwords import Expander
from lamina.dockerfile.source import DockerfileError


def expand(word: str) -> str:
    return Expander().expand(word, {"x": "X"}).text


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("target=/a", Mount(target="/a")),
        (
            "type=bind,from=s,src=/$x,dst=/a,rw",
            Mount(source_from="s", source="/X", target="/a", read_only=False),
        ),
        ("readwrite=false,destination=/a", Mount(target="/a")),
        (
            "type=cache,target=/c,id=$x,sharing=Locked,mode=0700,uid=1,gid=2",
            Mount(
                type=MountType.CACHE,
                target="/c",
                id="X",
                sharing=Sharing.LOCKED,
                mode=0o700,
                uid=1,
                gid=2,
                read_only=False,
            ),
        ),
        ("type=cache,target=/c,ro", Mount(type=MountType.CACHE, target="/c")),
        (
            "TYPE=TMPFS,target=/t,size=1.5k",
            Mount(type=MountType.TMPFS, target="/t", size=1536, read_only=False),
        ),
        (
            "type=secret,id=s,env=TOKEN,required,mode=0440",
            Mount(type=MountType.SECRET, id="s", env="TOKEN", required=True, mode=0o440),
        ),
        ("type=ssh,required=false", Mount(type=MountType.SSH)),
        ('"target=/a,b",source=c', Mount(target="/a,b", source="c")),
    ],
)
def test_mounts(text: str, mount: Mount) -> None:
    assert parse_mount(text, expand) == mount


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("target", "invalid field 'target' must be a key=value pair"),
        ("type=foo", 'unsupported mount type "foo"'),
        ("type=cash", 'unsupported mount type "cash" (did you mean cache?)'),
        ("traget=/a", "unexpected key 'traget' in 'traget=/a' (did you mean target?)"),
        ("type=cache,sharing=loked", 'unsupported sharing value "loked" (did you mean locked?)'),
        ("target=/a,ro=maybe", "invalid value for ro: maybe"),
        ("target=/a,size=1", "unexpected key 'size' for mount type 'bind'"),
        ("type=tmpfs,size=1z", "invalid value for size: 1z"),
        ("type=cache,mode=8", "invalid value 8 for mode"),
        ("type=cache,uid=-1", "invalid value -1 for uid"),
        ("type=cache,gid=4294967296", "invalid value 4294967296 for gid"),
        ("target=/a,required", "unexpected key 'required' for mount type 'bind'"),
        ("target=/a,mode=1", 'mode not allowed for "bind" type mounts'),
        ("type=tmpfs,uid=1", 'uid not allowed for "tmpfs" type mounts'),
        ("type=secret", "invalid secret mount. one of source, target required"),
        ("type=secret,src=a,id=b", "both source and id can't be set"),
        ("type=secret,id=a,from=b", "secret mount should not have a from"),
        ("type=secret,id=a,sharing=shared", "secret mount should not define sharing"),
        ("target=/a,sharing=shared", "invalid cache sharing set for bind mount"),
        ("type=ssh,env=A", "unexpected key 'env' for mount type 'ssh'"),
        ("", "failed to parse csv mounts: EOF"),
    ],
)
def test_what_is_no_mount(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_mount(text, expand)
    assert str(caught.value) == message


def test_a_source_is_not_expanded_before_the_stages_are_known() -> None:
    check_mount("from=a,source=$x")
    with pytest.raises(DockerfileError, match="doesn't support variable expansion"):
        check_mount("from=$x")


@given(st.text(alphabet='typeid=cah,"rosmuz1$ \n', max_size=40))
def test_any_text_is_a_mount_or_refused(text: str) -> None:
    try:
        parse_mount(text, str)
    except DockerfileError:
        return
