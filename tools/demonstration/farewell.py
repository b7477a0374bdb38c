"""What to try next, once the story is over: commands that work as they stand while the demonstration runs."""

import clusters
from demonstration import script
from demonstration.stage import Stage

REQUEST = "whatsapp-operator.dev/restart-requested-at"


def text(stage: Stage) -> str:
    """The commands, for another terminal."""
    control = f"{stage.simulator.control}/__simulator"
    shop, newsletter = script.SHOP, script.NEWSLETTER
    return f"""
The cluster, the operator and the simulated server go on until Ctrl-C. In another terminal:

  export KUBECONFIG={stage.kubectl.kubeconfig}
  export PATH={clusters.KUBECTL.parent}:$PATH

  kubectl get wai -o wide                  # what each instance is, and what is planned for it
  kubectl describe wai {shop}                # conditions and Events: what was noticed and done
  kubectl get wai {shop} -o jsonpath='{{.status.recovery}}'
  kubectl get secret {newsletter}-pairing -o jsonpath='{{.data.qr\\.txt}}' | base64 -d
  kubectl explain wai.spec.recovery        # every field is described
  kubectl annotate wai {shop} --overwrite {REQUEST}=$(date +%s)
  kubectl delete wai {newsletter}            # deleted on the server, verified there, and only then gone
  tail -f {stage.operator.log}

Scan a code as a phone would, or break something (docs/simulator.md has the states):

  curl -X POST {control}/instances/{newsletter}/scan -d '{{}}'
  curl -X POST {control}/instances/{shop}/break -d '{{"state": "S17"}}'
  curl -X POST {control}/instances/{shop}/disconnect -d '{{"code": 401}}'

A real Evolution API server: examples/evolution-api/README.md sets one up in a cluster of yours, and
`kubectl apply -k manifests` installs the operator there, with spans made for it. README.md has the way.
"""
