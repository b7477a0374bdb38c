"""A Kubernetes control plane as three plain processes: etcd, kube-apiserver and kube-controller-manager.

There is no kubelet and no scheduler, so pods never run; everything that an operator talks to is the real thing:
storage, validation, admission, RBAC, watches, garbage collection and the deletion of namespaces.
"""
