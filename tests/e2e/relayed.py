"""A stage on which all that the operator asks of its two servers goes over relays."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e import kube, relay, stage
from evolution_simulator.control_client import Simulator


@dataclass(frozen=True, slots=True)
class Relayed:
    """The stage, and the relays before the two servers; no EvolutionServer is applied yet."""

    place: stage.Stage
    kubernetes: relay.Relay
    evolution: relay.Relay


@contextlib.contextmanager
def opened(
    tap: relay.Tap,
    *,
    kubectl: kube.Kubectl,
    simulator: Simulator,
    kubeconfig: Path,
    folder: Path,
    flags: Sequence[str] = (),
) -> Iterator[Relayed]:
    """Such a stage, with an operator whose every request goes by `tap`, for as long as the block lasts."""
    namespace, target = str(kubectl.namespace), folder / "relayed.kubeconfig"
    with (
        relay.before_kubernetes(kubeconfig, target, tap) as kubernetes,
        relay.before_evolution(simulator.url, tap) as evolution,
        stage.opened(
            namespace=namespace,
            kubectl=kubectl,
            simulator=simulator,
            kubeconfig=target,
            log_file=folder / "operator.log",
            flags=stage.quick(f"--namespace={namespace}", *flags),
        ) as place,
    ):
        yield Relayed(place, kubernetes, evolution)
