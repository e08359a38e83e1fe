from lamina.oci.digest import Digest
from lamina.oci.rootfs import EMPTY_LAYER, chain_ids

A, B, C = (Digest.of(letter) for letter in (b"a", b"b", b"c"))


def test_a_chain_id_names_a_layer_with_all_below_it() -> None:
    ab = Digest.of(f"{A} {B}".encode())
    assert chain_ids([]) == ()
    assert chain_ids([A, B, C]) == (A, ab, Digest.of(f"{ab} {C}".encode()))
    assert chain_ids([B, A])[1] != ab


def test_the_empty_layer_is_the_one_dockerd_knows() -> None:
    assert str(EMPTY_LAYER) == (
        "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
    )
