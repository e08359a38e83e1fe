from lamina.oci.digest import Digest
from lamina.oci.rootfs import chain_ids

A, B, C = (Digest.of(letter) for letter in (b"a", b"b", b"c"))


def test_a_chain_id_names_a_layer_with_all_below_it() -> None:
    ab = Digest.of(f"{A} {B}".encode())
    assert chain_ids([]) == ()
    assert chain_ids([A, B, C]) == (A, ab, Digest.of(f"{ab} {C}".encode()))
    assert chain_ids([B, A])[1] != ab
