"""R21, R22: the same bits in any surroundings, and nothing ever asks the network."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.reliability.commands import INLINE, ROOT, SMALL, fedknot, hashes_of, summary_of

on_ray = (pytest.mark.slow, pytest.mark.ray, pytest.mark.filterwarnings("default"))

SURROUNDINGS = {
    "everything at once": {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONHASHSEED": "1",
        "TZ": "Pacific/Kiritimati",
        "HOME": None,
    },
    "a utf-8 locale": {"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "4294967295", "TZ": "America/Adak"},
    "little else": {n: None for n in os.environ if n not in ("PATH", "FEDKNOT_CACHE")}
    | {"PYTHONPATH": str(ROOT)},
    "many threads": {"OMP_NUM_THREADS": "8", "MKL_NUM_THREADS": "8", "TMPDIR": "/dev/shm"},
}


@pytest.mark.parametrize(
    "name", [n if n == "everything at once" else pytest.param(n, marks=pytest.mark.slow)
             for n in SURROUNDINGS]
)  # fmt: skip
def test_r21_the_same_bits_in_any_surroundings(undisturbed, tmp_path, name):
    """The path is not ASCII either, where the locale is."""
    words = ("run", *SMALL, *INLINE, "--out", tmp_path / "läuft")
    done = fedknot(*words, env=SURROUNDINGS[name])
    assert (done.code, done.err) == (0, "")
    assert hashes_of(tmp_path / "läuft") == hashes_of(undisturbed)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("processors", ["0", "0,1"])
def test_r21_one_worker_or_two_in_any_surroundings(undisturbed, tmp_path, processors):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine has one processor")
    words = ("run", *SMALL, "--quiet", "--out", tmp_path / "läuft")
    pinned = ("taskset", "-c", processors)
    done = fedknot(*words, before=pinned, env=SURROUNDINGS["everything at once"])
    assert (done.code, done.err) == (0, "")
    assert hashes_of(tmp_path / "läuft") == hashes_of(undisturbed)
    assert summary_of(tmp_path / "läuft")["clients"]["answered"] == 4


# A network of one machine, whose only way out ends in a pair of wires that nobody listens to:
# whoever wants to reach anybody else, or asks for an address by name, sends a packet there.
NETWORK = """
set -e
ip link set lo up
sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 || true
ip link add out0 type veth peer name in0
ip link set out0 arp off
ip addr add 198.51.100.2/24 dev out0
ip link set out0 up
ip link set in0 up
ip route add default dev out0
echo 'nameserver 198.51.100.1' > "$1/resolv.conf"
mount --bind "$1/resolv.conf" /etc/resolv.conf
sent() { sed -n 's/ *out0: *//p' /proc/net/dev | awk '{ print $10 }'; }
before=$(sent)
cd "$1"
shift
"$@" || code=$?
echo $(( $(sent) - before )) > packets
exit ${code:-0}
"""
OUTSIDE = ("unshare", "--user", "--map-root-user", "--net", "--mount", "bash", "-c", NETWORK, "-")


@pytest.fixture
def cable(tmp_path):
    """Runs a command where every packet that leaves the machine is counted; skips if it cannot."""
    ready = subprocess.run([*OUTSIDE, str(tmp_path), "true"], capture_output=True, check=False)
    if ready.returncode:
        pytest.skip("this user may not make a network of their own")
    return (*OUTSIDE, tmp_path)


def packets(folder):
    return int((folder / "packets").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("target", ["192.0.2.1", "telemetry.flower.ai"])
def test_r22_a_packet_that_leaves_would_be_seen(cable, tmp_path, target):
    """The positive control: an address, and a name that has to be asked for."""
    attempt = f"(echo > /dev/tcp/{target}/80) 2> /dev/null & sleep 1; kill $!"
    subprocess.run([*cable, "bash", "-c", attempt], check=False, capture_output=True)
    assert packets(tmp_path) > 0


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["inline", pytest.param("ray", marks=on_ray)])
def test_r22_no_network_no_home_and_nothing_asks(cable, undisturbed, tmp_path, backend):
    words = ("run", *SMALL, "--backend", backend, "--quiet", "--out", tmp_path / "run")
    done = fedknot(*words, before=cable, env={"HOME": None})
    assert (done.code, done.err) == (0, "")
    assert packets(tmp_path) == 0
    assert hashes_of(tmp_path / "run") == hashes_of(undisturbed)


@pytest.mark.slow
def test_r22_the_language_model_comes_without_a_network(cable, tmp_path):
    """And where no cache of models can be made."""
    (tmp_path / "closed").write_text("no folder can be made in a file")
    words = ("run", *SMALL, *INLINE, "--out", tmp_path / "run")
    model = ("--set", "clients.encoder = { kind = 'sentence', max_tokens = 16 }")
    env = {"HF_HOME": str(tmp_path / "closed" / "here"), "HOME": None}
    done = fedknot(*words, *model, before=cable, env=env)
    assert (done.code, done.err) == (0, "")
    assert packets(tmp_path) == 0
    assert summary_of(tmp_path / "run")["clients"]["answered"] == 4


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="there is no setpriv")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
@pytest.mark.slow
def test_r22_a_user_that_the_system_does_not_know(undisturbed):
    """As in containers: a number without a name and a home; pytest's folders are root's."""
    with tempfile.TemporaryDirectory(prefix="fedknot-nobody-") as home:
        os.chmod(home, 0o777)
        somebody = ("setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups")
        env = {"HOME": None, "FEDKNOT_CACHE": f"{home}/cache", "USER": None, "LOGNAME": None}
        words = ("run", *SMALL, *INLINE, "--out", f"{home}/run")
        done = fedknot(*words, before=somebody, env=env)
        assert done.code == 0  # Matplotlib has a word to say on a user without a home
        assert "Traceback" not in done.err
        assert hashes_of(Path(home) / "run") == hashes_of(undisturbed)
