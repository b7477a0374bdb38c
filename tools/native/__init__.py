"""A Kubernetes control plane as three plain processes: etcd, kube-apiserver and kube-controller-manager.

There is no kubelet and no scheduler; everything that an operator talks to is the real thing: storage, validation,
admission, RBAC, watches, garbage collection, the deletion of namespaces, and the rollouts of Deployments and
StatefulSets. On request a fourth process, kwok, plays nodes: it reports the pods that name one of them as `nodeName` as
running, and lets them go when they are deleted. No container runs behind them, and pods that name no node stay Pending.
"""
