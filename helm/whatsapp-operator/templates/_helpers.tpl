{{/* The name of every object, or its beginning: the release's, with the chart's where that is not part of it. */}}
{{- define "whatsapp-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* What a Deployment is told apart by from that of another release in its namespace. */}}
{{- define "whatsapp-operator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "whatsapp-operator.labels" -}}
{{ include "whatsapp-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "whatsapp-operator.account" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "whatsapp-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: name the ServiceAccount that is there, or set serviceAccount.create" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{/* A digest goes before a tag: it names one image for good. */}}
{{- define "whatsapp-operator.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end }}

{{/* The operator's account, as a binding names it. */}}
{{- define "whatsapp-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "whatsapp-operator.account" . }}
  namespace: {{ .Release.Namespace | quote }}
{{- end }}

{{/* What the operator does in each namespace that it watches. */}}
{{- define "whatsapp-operator.rules" -}}
- apiGroups: [whatsapp-operator.dev]
  resources: [whatsappinstances, evolutionservers]
  verbs: [get, list, watch, patch] # patch: the finalizer
- apiGroups: [whatsapp-operator.dev]
  resources: [whatsappinstances/status, evolutionservers/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [secrets] # by name: keys that resources refer to, tokens and QR codes; never listed or watched
  verbs: [get, create, patch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
- apiGroups: [""]
  resources: [namespaces] # whether one is being deleted as a whole
  verbs: [get]
{{- end }}
